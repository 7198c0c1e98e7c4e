"""Tiny Shakespeare (Karpathy 2015) as a TFDS builder that needs no TensorFlow.

TFDS has a `tiny_shakespeare` of its own, but that one reads and writes through TensorFlow. This one
holds the same text with the same splits under another name, `tiny_shakespeare_text`: TFDS refuses
two builders of one name, and a folder that the stock builder prepared as TFRecord cannot be read
without TensorFlow.

The checksum in `checksums.tsv`, beside this file, is what lets TFDS take `input.txt` from a local
folder: `manual_dir` first, then the download cache, then the network. Importing this module imports
TFDS and registers the builder.
"""

import contextlib
import io
from collections.abc import Iterator
from os import PathLike
from pathlib import Path
from typing import Any

import requests
import tensorflow_datasets as tfds
from tensorflow_datasets.core.download import checksums, resource
from tensorflow_datasets.core.download.download_manager import NonMatchingChecksumError

from rnnlab.data.text import split_text
from rnnlab.errors import RunError, UsageError

URL = "https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt"
FILE = "input.txt"
PROBE_SECONDS = 3


class TinyShakespeareText(tfds.core.GeneratorBasedBuilder):
    """40,000 lines from Shakespeare's plays, 1,115,394 ASCII characters, one record a split."""

    VERSION = tfds.core.Version("1.0.0")

    def __init__(self, *, file_format: str = "array_record", **kwargs: Any) -> None:
        """Makes the builder; array_record is the format that needs no TensorFlow."""
        super().__init__(file_format=file_format, **kwargs)

    def _info(self) -> tfds.core.DatasetInfo:
        return tfds.core.DatasetInfo(
            builder=self,
            description=type(self).__doc__,
            features=tfds.features.FeaturesDict({"text": tfds.features.Text()}),
            homepage="https://github.com/karpathy/char-rnn",
            citation=(
                "@misc{karpathy2015charrnn, author={Karpathy, Andrej}, title={char-rnn}, "
                "year={2015}, howpublished={https://github.com/karpathy/char-rnn}}"
            ),
            license="The text is in the public domain; the repository char-rnn is under MIT.",
        )

    def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Any]:
        path = Path(dl_manager.download(URL))
        if checksums.compute_url_info(path) != _registered():  # TFDS does not look into its cache
            raise NonMatchingChecksumError(f"{path} has changed since it was downloaded")
        text = path.read_bytes().decode("utf-8")
        return {split: self._generate_examples(part) for split, part in split_text(text).items()}

    def _generate_examples(self, text: str) -> Iterator[tuple[int, dict[str, str]]]:
        yield 0, {"text": text}


def load(
    data_dir: str | PathLike[str] | None, manual_dir: str | PathLike[str] | None, split: str
) -> str:
    """Returns a split of Tiny Shakespeare, preparing it first where that has not been done.

    Args:
        data_dir: where TFDS keeps downloads and prepared data; its own default if None.
        manual_dir: a folder with `input.txt`, or None.
        split: "train", "validation" or "test".

    Raises:
        UsageError: `manual_dir` is not a folder.
        RunError: no file and no network, a file of another content, a `data_dir` that cannot be
            written, or prepared data that cannot be read.
    """
    try:
        builder: Any = TinyShakespeareText(data_dir=data_dir)  # TFDS hides its signatures
        if not builder.data_path.exists():
            _prepare(builder, manual_dir)
            builder = TinyShakespeareText(data_dir=data_dir)  # now with the splits on disk
        return builder.as_data_source(split)[0]["text"].decode("utf-8")
    except (UsageError, RunError):
        raise
    except Exception as error:  # each layer below has its own exceptions for a damaged file
        raise RunError(
            f"tiny_shakespeare: the prepared data in data_dir={data_dir} cannot be read "
            f"({_first_line(error)}); delete its folder {TinyShakespeareText.name}, it will be "
            "made again"
        ) from error


def _prepare(builder: TinyShakespeareText, manual_dir: str | PathLike[str] | None) -> None:
    data_dir = builder.data_path.parents[1]
    _require_source(data_dir / "downloads" / builder.name, manual_dir)
    config = tfds.download.DownloadConfig(manual_dir=manual_dir, try_download_gcs=False)
    tfds.disable_progress_bar()
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # TFDS prints two lines of no use here
            builder.download_and_prepare(
                download_dir=data_dir / "downloads", download_config=config
            )
    except NonMatchingChecksumError as error:
        raise RunError(
            f"tiny_shakespeare: the {FILE} of --config.manual_dir={manual_dir}, of the cache "
            f"{data_dir / 'downloads'} or of {URL} is not the one of sha256 "
            f"{_registered().checksum}; replace it"
        ) from error
    except Exception as error:  # a full or read-only disk shows as OSError, RuntimeError or others
        if builder.data_path.exists():
            return  # another process prepared the same folder meanwhile
        raise RunError(
            f"tiny_shakespeare: cannot prepare {builder.data_path} ({_first_line(error)}); "
            "choose another folder with --config.data_dir"
        ) from error


def _require_source(cache: Any, manual_dir: str | PathLike[str] | None) -> None:
    """Raises at once if the text can be had from nowhere: TFDS would retry for minutes."""
    if manual_dir is not None:
        folder = Path(manual_dir).expanduser()
        if not folder.is_dir():
            raise UsageError(f"manual_dir={manual_dir}: no such folder; it must hold {FILE}")
        if (folder / FILE).exists():
            return
    if resource.is_locally_cached(cache / resource.get_dl_fname(URL, _registered().checksum)):
        return
    try:
        requests.head(URL, timeout=PROBE_SECONDS).raise_for_status()
    except requests.RequestException as error:
        raise RunError(
            f"tiny_shakespeare: cannot reach {URL} ({type(error).__name__}) and found no {FILE} "
            f"(manual_dir={manual_dir}, cache {cache}); put {FILE} into a folder and pass "
            "--config.manual_dir=FOLDER, or --config.data_dir=FOLDER with the prepared data"
        ) from error


def _registered() -> Any:
    """Returns size, sha256 and name of the upstream file."""
    return (TinyShakespeareText.url_infos or {})[URL]


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
