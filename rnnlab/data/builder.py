"""What our TFDS builders share: files that are checked, and prepared with or without a network.

The stock builders of TFDS read and write through TensorFlow. Ours need none: they use array_record
and have names of their own, since TFDS refuses two builders of one name, and a folder that a stock
builder prepared as TFRecord cannot be read without TensorFlow.

A builder names the upstream URLs of its files; their sizes and sha256 are in `checksums.tsv`,
beside this file. They are what lets TFDS take a file from a local folder: `manual_dir` first, then
the download cache, then the network. In `manual_dir` a file may also lie packed, as `NAME.gz`; what
is checked is what it holds. Importing this module imports TFDS.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import os
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from os import PathLike
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, NamedTuple, TypeVar

import requests
import tensorflow_datasets as tfds
from tensorflow_datasets.core.download import checksums, resource
from tensorflow_datasets.core.download.download_manager import NonMatchingChecksumError
from tensorflow_datasets.core.utils import classproperty

from rnnlab.errors import RunError, UsageError
from rnnlab.run import reading
from rnnlab.run.literal_paths import take_literally

take_literally()

PROBE_SECONDS = 3
#: How the URLs of files begin that exist nowhere, but are packed of what does.
PACKED = "packed://"

Folder = str | PathLike[str] | None
Value = TypeVar("Value")


class Member(NamedTuple):
    """A file in an archive, which may lie in `manual_dir` in place of the archive.

    Attributes:
        name: of the file, without its folder in the archive.
        sha256: of what it holds.
    """

    name: str
    sha256: str

    def check(self, contents: bytes, path: str | Path) -> bytes:
        """The contents as they are. Raises NonMatchingChecksumError if they are not the file's."""
        if hashlib.sha256(contents).hexdigest() != self.sha256:
            raise NonMatchingChecksumError(f"{path} has another content")
        return contents

    def take(self, archive: bytes, path: Path) -> bytes:
        """The file out of an archive."""
        with zipfile.ZipFile(io.BytesIO(archive)) as files:
            names = [name for name in files.namelist() if file_name(name) == self.name]
            return self.check(files.read(names[0]), path)


class Builder(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """A data set that is prepared as array_record.

    Attributes:
        TITLE: what messages and flags call the data set.
        URLS: upstream URL of each file, by what it is.
        MEMBERS: of the files that are zip archives: the one member that is used.
        manual: the folder of upstream files while the data set is prepared, if there is one.
    """

    VERSION = tfds.core.Version("1.0.0")
    TITLE: ClassVar[str]
    URLS: ClassVar[Mapping[str, str]]
    MEMBERS: ClassVar[Mapping[str, Member]] = MappingProxyType({})
    manual: Path | None = None

    def __init__(self, *, file_format: str = "array_record", **kwargs: Any) -> None:
        """Makes the builder; array_record is the format that needs no TensorFlow."""
        super().__init__(file_format=file_format, **kwargs)

    @classproperty
    @classmethod
    def url_infos(cls) -> dict[str, Any]:
        """Size, sha256 and name of each upstream file; `checksums.tsv` has those of all sets."""
        known = super().url_infos or {}
        return {url: known[url] for url in cls.URLS.values()}

    @classmethod
    def registered(cls, url: str) -> Any:
        """Size, sha256 and name of an upstream file."""
        infos: Any = cls.url_infos  # a property of the class, which type checkers do not know
        return infos[url]

    def fetch(self, dl_manager: tfds.download.DownloadManager) -> dict[str, bytes]:
        """The contents of all files by what they are, checked; TFDS does not look into its cache.

        Raises:
            NonMatchingChecksumError: a file that is not the registered one.
        """
        contents = {}
        for what, url in self.URLS.items():
            member = self.MEMBERS.get(what)
            if member and self.manual and (self.manual / member.name).exists():
                path = self.manual / member.name
                contents[what] = member.check(path.read_bytes(), path)
                continue
            path = Path(dl_manager.download(url))
            if checksums.compute_url_info(path) != self.registered(url):
                raise NonMatchingChecksumError(f"{path} has changed since it was downloaded")
            raw = path.read_bytes()
            contents[what] = member.take(raw, path) if member else raw
        return contents


class TextBuilder(Builder, skip_registration=True):
    """A text for each split, kept as one record."""

    def _info(self) -> tfds.core.DatasetInfo:
        return tfds.core.DatasetInfo(
            builder=self,
            description=type(self).__doc__,
            features=tfds.features.FeaturesDict({"text": tfds.features.Text()}),
            homepage=self.HOMEPAGE,
            citation=self.CITATION,
            license=self.LICENCE,
        )

    HOMEPAGE: ClassVar[str]
    CITATION: ClassVar[str]
    LICENCE: ClassVar[str]

    def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Any]:
        texts = self.texts({what: raw.decode() for what, raw in self.fetch(dl_manager).items()})
        return {split: self._generate_examples(text) for split, text in texts.items()}

    def texts(self, contents: dict[str, str]) -> dict[str, str]:
        """The text of each split, from the contents of the files."""
        return contents

    def _generate_examples(self, text: str) -> Iterator[tuple[int, dict[str, str]]]:
        yield 0, {"text": text}


def load_text_split(
    builder_cls: type[TextBuilder], data_dir: Folder, manual_dir: Folder, split: str
) -> str:
    """A split of a text; arguments and errors as in `load_split`."""
    return load_split(
        builder_cls, data_dir, manual_dir, split, lambda source: source[0]["text"].decode()
    )


def load_split(
    builder_cls: type[Builder],
    data_dir: Folder,
    manual_dir: Folder,
    split: str,
    read: Callable[[Any], Value],
) -> Value:
    """Reads a split of a data set, preparing it first where that has not been done.

    Args:
        builder_cls: the data set.
        data_dir: where TFDS keeps downloads and prepared data; its own default if None.
        manual_dir: a folder with the upstream files, or None.
        split: name of the split.
        read: turns the data source of the split, a sequence of examples, into the result.

    Raises:
        UsageError: `manual_dir` is not a folder.
        RunError: no file and no network, a file of another content, a `data_dir` that cannot be
            written, or prepared data that cannot be read.
    """
    data_dir = None if data_dir is None else os.path.expanduser(data_dir)
    try:
        builder: Any = builder_cls(data_dir=data_dir)  # TFDS hides its signatures
        if not builder.data_path.exists():
            _prepare(builder, manual_dir)
            builder = builder_cls(data_dir=data_dir)  # now with the splits on disk
        return read(builder.as_data_source(split))
    except (UsageError, RunError):
        raise
    except Exception as error:  # each layer below has its own exceptions for a damaged file
        again = f"delete its folder {builder_cls.name} and rerun to make it again"
        raise RunError(
            f"{builder_cls.TITLE}: the prepared data in data_dir={data_dir} cannot be read "
            f"({_first_line(error)}); {'fix this' if reading.failure(error) else again}"
        ) from error


def _prepare(builder: Builder, manual_dir: Folder) -> None:
    data_dir = builder.data_path.parents[1]
    downloads = data_dir / "downloads"
    with _unpacked(builder, manual_dir) as folder:
        _require_sources(builder, downloads / builder.name, manual_dir, folder)
        builder.manual = folder
        config = tfds.download.DownloadConfig(manual_dir=folder, try_download_gcs=False)
        tfds.disable_progress_bar()
        try:
            with contextlib.redirect_stdout(
                io.StringIO()
            ):  # TFDS prints two lines that nobody needs
                builder.download_and_prepare(download_dir=downloads, download_config=config)
        except NonMatchingChecksumError as error:
            raise RunError(
                f"{builder.TITLE}: {_of_which(builder, str(error))}, from --config.manual_dir="
                f"{manual_dir}, the cache {downloads} or its URL; replace the file"
            ) from error
        except Exception as error:  # a full or read-only disk shows as OSError or otherwise
            if builder.data_path.exists():
                return  # another process prepared the same folder meanwhile
            raise RunError(
                f"{builder.TITLE}: cannot prepare {builder.data_path} ({_first_line(error)}); "
                "choose another folder with --config.data_dir"
            ) from error


def _of_which(builder: Builder, message: str) -> str:
    """The file that a message of TFDS is about; all of them if it does not say."""
    for member in builder.MEMBERS.values():
        if member.name in message:
            return f"{member.name} is not the one of sha256 {member.sha256}"
    urls = list(builder.URLS.values())
    named = [url for url in urls if url in message or file_name(url) in message]
    return ", ".join(
        f"{file_name(url)} is not the one of sha256 {builder.registered(url).checksum}"
        for url in named or urls
    )


@contextlib.contextmanager
def _unpacked(builder: Builder, manual_dir: Folder) -> Iterator[Path | None]:
    """`manual_dir`, or a temporary folder with its files unpacked where some are `NAME.gz`."""
    if manual_dir is None:
        yield None
        return
    manual = Path(os.path.expanduser(manual_dir)).absolute()
    names = [file_name(url) for url in builder.URLS.values()]
    if not manual.is_dir():
        raise UsageError(
            f"manual_dir={manual_dir}: no such folder; it must hold {' and '.join(names)}"
        )
    names += [member.name for member in builder.MEMBERS.values()]
    packed = [name for name in names if not (manual / name).exists()]
    packed = [name for name in packed if (manual / f"{name}.gz").exists()]
    if not packed:
        yield manual
        return
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            if name in packed:
                Path(folder, name).write_bytes(_gunzip(manual / f"{name}.gz"))
            elif (manual / name).exists():
                os.symlink(manual / name, Path(folder, name))
        yield Path(folder)


def _gunzip(path: Path) -> bytes:
    try:
        return gzip.decompress(path.read_bytes())
    except (OSError, EOFError, zlib.error) as error:
        raise RunError(f"{path}: cannot be unpacked ({_first_line(error)}); replace it") from error


def _require_sources(builder: Builder, cache: Any, manual_dir: Folder, folder: Path | None) -> None:
    """Raises at once if a file can be had from nowhere: TFDS would retry for minutes."""
    for what, url in builder.URLS.items():
        name = file_name(url)
        known = [name, builder.MEMBERS[what].name] if what in builder.MEMBERS else [name]
        if folder is not None and any((folder / each).exists() for each in known):
            continue
        checksum = builder.registered(url).checksum
        if resource.is_locally_cached(cache / resource.get_dl_fname(url, checksum)):
            continue
        if url.startswith(PACKED):
            raise RunError(
                f"{builder.TITLE}: found no {name} (manual_dir={manual_dir}, cache {cache}); it "
                f"cannot be downloaded, but is packed as the docstring of {type(builder).__name__} "
                "says; put it into a folder and pass --config.manual_dir=FOLDER, or "
                "--config.data_dir=FOLDER with the prepared data"
            )
        try:
            requests.head(url, timeout=PROBE_SECONDS).raise_for_status()
        except requests.RequestException as error:
            raise RunError(
                f"{builder.TITLE}: cannot reach {url} ({type(error).__name__}) and found no {name} "
                f"(manual_dir={manual_dir}, cache {cache}); put {name} into a folder and pass "
                "--config.manual_dir=FOLDER, or --config.data_dir=FOLDER with the prepared data"
            ) from error


def file_name(url: str) -> str:
    """The name of the file that a URL ends with."""
    return url.rsplit("/", 1)[-1]


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
