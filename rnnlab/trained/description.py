"""`model.json`: what one needs to know of a model, besides its parameters, to use it.

kind         characters, words or images
network      settings of the network, the fields of `rnnlab.training.settings`
vocabulary   of texts: the symbols in the order of their codes
primer       of texts: what is read before a text is generated
order, side  of images: the order in which pixels are read, and pixels of a side
classes      of images: names of the classes
"""

from __future__ import annotations

import dataclasses
import json
import pathlib
from collections.abc import Sequence
from typing import Any, Literal

from rnnlab.data.corpus import Corpus
from rnnlab.data.words import WordVocabulary
from rnnlab.errors import RunError
from rnnlab.run.workdir import Workdir
from rnnlab.training.settings import LanguageNetwork, Network

MODEL = "model.json"

Kind = Literal["characters", "words", "images"]


def describe_text(workdir: Workdir, network: LanguageNetwork, corpus: Corpus) -> None:
    """Writes the description of a language model."""
    words = isinstance(corpus.vocabulary, WordVocabulary)
    _write(
        workdir,
        kind="words" if words else "characters",
        network=_fields(network, LanguageNetwork),
        vocabulary=list(corpus.vocabulary.symbols),
        primer=corpus.primer,
    )


def describe_images(
    workdir: Workdir, network: Network, order: str, side: int, classes: Sequence[str]
) -> None:
    """Writes the description of a network that names the classes of images.

    Args:
        workdir: of the run.
        network: settings of the network.
        order: in which pixels are read, one of `rnnlab.data.images.ORDERS`.
        side: pixels of a side.
        classes: names of the classes.
    """
    _write(
        workdir,
        kind="images",
        network=_fields(network, Network),
        order=order,
        side=side,
        classes=list(classes),
    )


def read_description(path: pathlib.Path) -> dict[str, Any]:
    """The contents of `model.json`.

    Raises:
        RunError: it is damaged.
    """
    try:
        description = json.loads(path.read_text(encoding="utf-8"))
        _ = description["kind"], description["network"]
    except (ValueError, LookupError, TypeError) as error:
        raise RunError(f"{path}: is damaged; train again in another work directory") from error
    return description


def _fields(network: Network, settings: type) -> dict[str, Any]:
    """The fields that a class of settings has, without those of an experiment's own."""
    return {field.name: getattr(network, field.name) for field in dataclasses.fields(settings)}


def _write(workdir: Workdir, kind: Kind, **description: Any) -> None:
    text = json.dumps({"kind": kind, **description}, indent=2, ensure_ascii=False) + "\n"
    path = workdir.path(MODEL)
    data = text.encode("utf-8", "surrogatepass")
    if not path.exists() or path.read_bytes() != data:
        workdir.write(MODEL, data)
