"""Text as the input of a network: texts, vocabularies and one-hot windows of characters."""

import importlib
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from rnnlab.arrays import Array, Float, Int, Key
from rnnlab.errors import RunError, UsageError
from rnnlab.sizes import check_positive

Text = TypeVar("Text", str, list[str])

SPLITS = ("train", "validation", "test")
#: Texts that have a builder: its module in `rnnlab.data`, and its class.
NAMED = {
    "tiny_shakespeare": ("tiny_shakespeare", "TinyShakespeareText"),
    "penn_treebank": ("penn_treebank", "PennTreebankText"),
    "wikitext2": ("wikitext2", "Wikitext2Articles"),
}


def load_text(
    name_or_path: str | PathLike[str],
    data_dir: str | PathLike[str] | None = None,
    manual_dir: str | PathLike[str] | None = None,
    split: str = "train",
) -> str:
    """Returns one split of a corpus: one of `NAMED`, or any UTF-8 text file by its path.

    The Penn Treebank has its own splits; all others are split by `split_text`.
    Line ends are kept as they are; a leading byte order mark is not part of the text.

    Args:
        name_or_path: "tiny_shakespeare", "penn_treebank", "wikitext2" or a path
            (`./tiny_shakespeare` for a file of that name).
        data_dir: where TFDS keeps downloads and prepared data; its own default if None. Files
            given by path do not use it.
        manual_dir: a folder that holds the original files (Tiny Shakespeare: `input.txt`; Penn
            Treebank: `ptb.train.txt`, `ptb.valid.txt`, `ptb.test.txt`; WikiText-2: `valid.txt`,
            `test.txt`), as they are or packed as `NAME.gz`, read instead of the network.
        split: "train", "validation" or "test".

    Raises:
        UsageError: unknown split, no such file, a folder, an empty file or split, or bytes that
            are not UTF-8.
        RunError: the file cannot be read; the named corpus can be neither found nor downloaded.
    """
    if split not in SPLITS:
        raise UsageError(f"split={split!r}: must be one of {', '.join(SPLITS)}")
    if name_or_path in NAMED:
        return _load_named(str(name_or_path), data_dir, manual_dir, split)
    parts = load_splits(name_or_path, data_dir, manual_dir)
    if not parts[split]:
        count = sum(map(len, parts.values()))
        raise UsageError(f"split={split!r}: empty, for {name_or_path} has {count} characters")
    return parts[split]


def load_splits(
    name_or_path: str | PathLike[str],
    data_dir: str | PathLike[str] | None = None,
    manual_dir: str | PathLike[str] | None = None,
) -> dict[str, str]:
    """Returns all splits of a corpus by their names; those of a short file may be empty.

    A file is read once, so that it may be a pipe, whose contents are kept. Arguments and errors are
    those of `load_text`.
    """
    if name_or_path in NAMED:
        name = str(name_or_path)
        return {split: _load_named(name, data_dir, manual_dir, split) for split in SPLITS}
    return split_text(read_text(Path(os.path.expanduser(name_or_path)), instead=NAMED))


def split_text(text: Text) -> dict[str, Text]:
    """Cuts a text, or a list of words, in order into 90 % train, 5 % validation and 5 % test.

    The first int(0.9 n) of n symbols train; the rest is halved. TFDS's `tiny_shakespeare` is cut
    in the same way, so that losses compare.
    """
    first = int(0.9 * len(text))
    second = first + (len(text) - first) // 2
    return dict(zip(SPLITS, (text[:first], text[first:second], text[second:]), strict=True))


def split_lines(text: str) -> list[str]:
    r"""The lines of a text, which end at `\n`, `\r\n` or `\r`, without their ends.

    `str.splitlines` ends lines at form feeds, U+0085, U+2028 and others too, which are white space
    within a line here.
    """
    lines = re.split(r"\r\n|\r|\n", text)
    return lines if lines[-1] else lines[:-1]


@dataclass(frozen=True)
class Vocabulary:
    """The characters of a corpus in the order of their code points; a code is an index into them.

    Attributes:
        characters: every character once, in ascending order.

    Raises:
        UsageError: `characters` is empty, not ascending, or has one twice.
    """

    characters: str

    def __post_init__(self) -> None:
        """Checks the order."""
        if not self.characters or "".join(sorted(set(self.characters))) != self.characters:
            raise UsageError(
                f"characters={self.characters[:40]!r}: must be distinct and ascending; "
                "use Vocabulary.of(text)"
            )

    @classmethod
    def of(cls, text: str) -> "Vocabulary":
        """Returns the vocabulary of a text.

        Raises:
            UsageError: the text is empty.
        """
        return cls("".join(sorted(set(text))))

    @property
    def size(self) -> int:
        """The number of characters, V."""
        return len(self.characters)

    @property
    def symbols(self) -> Sequence[str]:
        """The characters."""
        return self.characters

    def encode(self, text: str) -> Int[np.ndarray, "codes"]:
        """Returns the codes of the N characters of `text`, int32 `[N]`.

        Raises:
            UsageError: a character that is not in the vocabulary; the message has its position.
        """
        known, points = _code_points(self.characters), _code_points(text)
        codes = np.minimum(np.searchsorted(known, points), self.size - 1).astype(np.int32)
        strange = np.flatnonzero(known[codes] != points)
        if strange.size:
            at = int(strange[0])
            raise UsageError(
                f"text: character {text[at]!r} at position {at} is not among the {self.size} of "
                "the vocabulary; build it with Vocabulary.of over the whole corpus"
            )
        return codes

    def decode(self, codes: Int[Array | np.ndarray, "codes"]) -> str:
        """Returns the text of codes `[N]`; the inverse of `encode`.

        Raises:
            UsageError: a code outside 0 .. V - 1.
        """
        return "".join(self.characters[code] for code in checked_codes(codes, self.size))

    def read(self, text: str) -> Int[np.ndarray, "codes"]:
        """The codes of a text; the same as `encode`."""
        return self.encode(text)

    def write(self, codes: Int[Array | np.ndarray, "codes"]) -> str:
        """The text of codes; the same as `decode`."""
        return self.decode(codes)

    def piece(self, code: int, after: int | None = None) -> str:
        """What a code adds to a text; the code before it makes no difference."""
        del after
        return self.characters[code]


def checked_codes(codes: Int[Array | np.ndarray, "codes"], size: int) -> Int[np.ndarray, "codes"]:
    """The codes `[N]` as they are. Raises UsageError for one outside 0 .. size - 1."""
    codes = np.asarray(codes)
    if np.any((codes < 0) | (codes >= size)):
        raise UsageError(
            f"codes: {codes.min()} .. {codes.max()} leaves the vocabulary, 0 .. {size - 1}"
        )
    return codes


def one_hot_windows(
    text: str,
    key: Key,
    length: int,
    batch: int,
    vocabulary: Vocabulary,
    dtype: DTypeLike = jnp.float32,
) -> Float[Array, "T B V"]:
    """Returns random contiguous windows of a text as one-hot characters.

    The windows start at independent, uniform positions (so they may overlap); the same key gives
    the same windows. Can be mapped over keys with `vmap`.

    Args:
        text: the corpus, N characters.
        key: random key.
        length: T, the characters of a window.
        batch: B, the number of windows.
        vocabulary: V characters, all of `text` among them.
        dtype: floating type of the result.

    Returns:
        xs `[T, B, V]`, each xs[t, b] with a single one.

    Raises:
        UsageError: length or batch below 1; a text shorter than a window; a character that the
            vocabulary lacks; `dtype` not a floating type.
    """
    length, batch = check_positive("length", length), check_positive("batch", batch)
    if len(text) < length:
        raise UsageError(
            f"length={length}: the text has only {len(text)} characters; take a longer text or a "
            "shorter length"
        )
    if not jnp.issubdtype(dtype, jnp.floating):
        raise UsageError(f"dtype={jnp.dtype(dtype)}: must be a floating type, such as float32")
    codes = jnp.asarray(vocabulary.encode(text))
    starts = jax.random.randint(key, (batch,), 0, len(text) - length + 1, jnp.int32)
    positions = jnp.arange(length, dtype=jnp.int32)[:, None] + starts[None, :]
    return jax.nn.one_hot(codes[positions], vocabulary.size, dtype=dtype)


def _load_named(
    name: str,
    data_dir: str | PathLike[str] | None,
    manual_dir: str | PathLike[str] | None,
    split: str,
) -> str:
    # Imported here because it imports TFDS, which costs half a second and may be absent.
    module, builder_name = NAMED[name]
    try:
        from rnnlab.data import builder

        builder_cls = getattr(importlib.import_module(f"rnnlab.data.{module}"), builder_name)
    except ModuleNotFoundError as error:
        raise RunError(
            f"{name}: the package {error.name} is missing; install tensorflow-datasets "
            "and importlib_resources, or give the path of a text file instead"
        ) from error
    return builder.load_text_split(builder_cls, data_dir, manual_dir, split)


def read_text(path: Path, name: str = "text", instead: Iterable[str] = ()) -> str:
    """The contents of a text file or pipe, without a byte order mark.

    Args:
        path: of the file.
        name: what messages call the argument.
        instead: what may be given in place of a path.

    Raises:
        UsageError: no such file, a folder or device, bytes that are not UTF-8, or no text.
        RunError: the file cannot be read.
    """
    choice = " or ".join(("a text file's path", *instead))
    if path == Path():  # of an empty name
        raise UsageError(f"{name} '': no name; give {choice}")
    if not path.exists():
        raise UsageError(f"{name} {str(path)!r}: no such file; give {choice}")
    if path.is_dir():
        raise UsageError(f"{name} {str(path)!r}: is a folder; give the path of a text file in it")
    if path.is_block_device() or (path.is_char_device() and not _is_terminal(path)):
        raise UsageError(f"{name} {str(path)!r}: is a device; give the path of a text file or pipe")
    try:
        raw = _contents(path)
    except OSError as error:
        raise RunError(f"{name} {str(path)!r}: cannot be read: {error.strerror}") from error
    try:
        text = raw.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise UsageError(
            f"{name} {str(path)!r}: not UTF-8 at byte {error.start} (0x{raw[error.start]:02x}); "
            "convert the file to UTF-8"
        ) from error
    if not text:
        raise UsageError(f"{name} {str(path)!r}: is empty; give a file with text")
    return text


def _is_terminal(path: Path) -> bool:
    with open(path, "rb", buffering=0) as device:
        return device.isatty()


#: What came out of pipes, which can be read once, by device and number.
_PIPES: dict[tuple[int, int], bytes] = {}


def _contents(path: Path) -> bytes:
    """The bytes of a file, or those of a pipe, also when they are asked for again."""
    if path.is_file():
        return path.read_bytes()
    place = path.stat().st_dev, path.stat().st_ino
    if place not in _PIPES:
        _PIPES[place] = path.read_bytes()
    return _PIPES[place]


def _code_points(text: str) -> np.ndarray:
    """Returns the Unicode code points of a text, `[N]`; lone surrogates are points like others."""
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.dtype("<u4"))
