"""What experiments on texts share: reading the text, and knowing it again in a work directory."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from experiments._training import renamed
from rnnlab.data import load_text, split_text
from rnnlab.data.pipelines import Feed, Stream, stream
from rnnlab.data.text import SPLITS
from rnnlab.errors import RunError, UsageError
from rnnlab.run.workdir import Workdir

#: What a work directory keeps of the corpus.
CORPUS = "corpus.json"
#: The name of the text that is made, and its sentences.
MADE, SENTENCES = "made", 1500
#: Parts of a text for which adjoints are measured.
PLACES = 8


def load_splits(config: Any, made: Callable[[int], str]) -> dict[str, str]:
    """The splits of the text that `config.corpus` names.

    Args:
        config: has `corpus`, `data_dir` and `manual_dir`.
        made: makes the text `made` of that many sentences.

    Raises:
        UsageError: no such file, or bytes that are not UTF-8.
        RunError: the named corpus is neither here nor to be had.
    """
    if config.corpus == MADE:
        return split_text(made(SENTENCES))
    return {split: _load(config, split) for split in SPLITS}


def _load(config: Any, split: str) -> str:
    try:
        return load_text(config.corpus, config.data_dir or None, config.manual_dir or None, split)
    except UsageError as error:
        if str(error).startswith("manual_dir="):
            raise
        if str(error).startswith("split="):
            return ""
        reason = str(error).removeprefix(f"text {config.corpus!r}: ")
        raise UsageError(f"corpus={config.corpus}: {reason}") from error


def claim(
    config: Any,
    workdir: Workdir,
    texts: dict[str, str],
    what: str,
    symbols: Sequence[str],
    **more: str,
) -> None:
    """Notes the text in a new work directory, or checks that an old one was trained on it.

    Args:
        config: has `corpus`.
        workdir: of the run.
        texts: the splits.
        what: the symbols are, "characters" or "words".
        symbols: the vocabulary.
        more: what else to note.

    Raises:
        UsageError: the work directory belongs to another text.
    """
    digest = hashlib.sha256("\0".join(texts.values()).encode("utf-8", "surrogatepass"))
    here = {what: symbols, **more, "sha256": digest.hexdigest()}
    there = noted(workdir, *here)
    if there is None:
        workdir.write(CORPUS, json.dumps(here))
        return
    if json.loads(json.dumps(here)) == there:
        return
    known, found = set(there[what]), set(symbols)
    if known != found:
        some = "".join(sorted(known ^ found))[:10]
        if what != "characters":
            some = " ".join(sorted(known ^ found)[:3])
        reason = (
            f"its {len(found)} {what} are not the {len(known)} of the checkpoint (they differ "
            f"in {some!r})"
        )
    else:
        reason = "is another text now than the one of the checkpoint"
    raise UsageError(
        f"corpus={config.corpus}: {reason}; choose another work directory with --workdir=PATH"
    )


def noted(workdir: Workdir, *names: str) -> dict[str, Any] | None:
    """What `claim` noted under these names; None in a new work directory.

    Raises:
        RunError: the note is damaged.
    """
    path = workdir.path(CORPUS)
    if not path.exists():
        return None
    try:
        contents = json.loads(path.read_text(encoding="utf-8"))
        found = {name: contents[name] for name in names}
    except (ValueError, LookupError, TypeError) as error:
        raise _damaged(workdir) from error
    if not all(isinstance(value, str | list) for value in found.values()):
        raise _damaged(workdir)
    return found


def _damaged(workdir: Workdir) -> RunError:
    return RunError(f"{workdir.path(CORPUS)}: is damaged; delete the folder {workdir.root}")


def places(codes: np.ndarray, length: int) -> np.ndarray:
    """Some parts of a text, evenly spaced, `[T, PLACES]`, T at most `length`."""
    steps = min(length, len(codes))
    starts = np.linspace(0, len(codes) - steps, PLACES).astype(int)
    return codes[starts + np.arange(steps)[:, None]]


def windows(codes: np.ndarray, config: Any) -> tuple[Feed, int]:
    """The windows of `config.length` steps at `config.batch` places, and how many an epoch has.

    Raises:
        UsageError: the text is too short for one.
    """
    with renamed("steps", "length"):
        count = len(Stream(codes, config.batch, config.length))
    return Feed(stream(codes, config.batch, config.length)), count
