"""Settings that say where data comes from, which experiments share."""

from __future__ import annotations

import dataclasses
import importlib
from typing import Any

from rnnlab.errors import RunError

#: The name of data that is made, for quick runs without any file.
MADE = "made"


@dataclasses.dataclass(frozen=True)
class Folders:
    """Where data sets lie."""

    #: Where TensorFlow Datasets keeps prepared data; empty for its own default.
    data_dir: str = ""
    #: Folder that holds the original files of the data set by their names, such as ptb.train.txt or
    #: train.de.gz, for use without a network; empty to download them. A file may also be packed, as
    #: NAME.gz. An error lists the names.
    manual_dir: str = ""


@dataclasses.dataclass(frozen=True)
class Source(Folders):
    """Where a text comes from."""

    #: tiny_shakespeare, penn_treebank, wikitext2 (its validation and test articles), made (a text
    #: for quick runs) or the path of a text file.
    corpus: str = MADE


@dataclasses.dataclass(frozen=True)
class ImageSource(Folders):
    """Where images of digits come from."""

    #: mnist, or made (small digit-like images for quick runs).
    images: str = MADE


def found(module: str, name: str) -> Any:
    """Something of a module that imports TFDS, which costs half a second and may be absent.

    Raises:
        RunError: it is absent.
    """
    try:
        return getattr(importlib.import_module(module), name)
    except ModuleNotFoundError as error:
        raise RunError(
            f"{module}: the package {error.name} is missing; install tensorflow-datasets and "
            "importlib_resources"
        ) from error
