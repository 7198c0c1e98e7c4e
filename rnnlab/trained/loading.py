"""From a work directory to a model."""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
from typing import Any, Literal

import jax

from rnnlab.data import Vocabulary, WordVocabulary
from rnnlab.errors import RunError, UsageError
from rnnlab.run import sources
from rnnlab.trained.description import MODEL, read_description
from rnnlab.trained.images import ImageClassifier
from rnnlab.trained.text import TextModel
from rnnlab.training.checkpoints import CHECKPOINTS, read_parameters
from rnnlab.training.images import ImageModel
from rnnlab.training.settings import LanguageNetwork, Network

#: Sequences are run plainly, which every device can, however the model was trained.
STRATEGY = "autodiff"


def load(
    workdir: str | os.PathLike[str],
    checkpoint: Literal["best", "last"] = "best",
    *,
    accept_changes: bool = False,
) -> Any:  # not a union, which would make every user narrow what only the folder decides
    """The model that an experiment has trained, or is still training, in a work directory.

    Nothing in the work directory is created, changed or deleted.

    Args:
        workdir: the folder.
        checkpoint: `"best"`, the checkpoint with the best evaluation, or `"last"`, the newest one.
        accept_changes: whether to load a model whose own cell was changed since it was trained.

    Returns:
        A `TextModel` or an `ImageClassifier`.

    Raises:
        UsageError: no such folder, no work directory, an experiment that keeps no model, no
            checkpoint yet, or a cell of one's own that has changed.
        RunError: a file is damaged.
    """
    if checkpoint not in ("best", "last"):
        raise UsageError(f"checkpoint={checkpoint!r}: must be 'best' or 'last'")
    root = pathlib.Path(os.path.expanduser(workdir))
    config = _read_config(root)
    description = read_description(root / MODEL)
    folder = root / CHECKPOINTS
    make = _image_classifier if description["kind"] == "images" else _text_model
    try:
        model = make(description, config, folder, checkpoint)
        if not accept_changes:
            _check_cell(root, model.network)
        return model
    except (KeyError, TypeError) as error:  # fields that this version does not know
        raise RunError(
            f"{root / MODEL}: is damaged or of another version ({error!r}); train again in another "
            "work directory"
        ) from error


def _read_config(root: pathlib.Path) -> dict[str, Any]:
    """The configuration of the run.

    Raises:
        UsageError: this is not a work directory with a model.
        RunError: its record is damaged.
    """
    if not root.is_dir():
        raise UsageError(f"workdir={root}: no such folder")
    path = root / "config.json"
    if not path.exists():
        raise UsageError(f"workdir={root}: is not a work directory, it holds no config.json")
    try:
        contents = json.loads(path.read_text(encoding="utf-8"))
        experiment, config = contents["experiment"], dict(contents["config"])
    except (ValueError, LookupError, TypeError) as error:
        raise RunError(f"{path}: is damaged") from error
    if not (root / MODEL).exists():
        raise UsageError(
            f"workdir={root}: holds no {MODEL}; the experiment {experiment} keeps no model that "
            "can be loaded (char_lm, word_lm and sequential_mnist do), or has not begun to train"
        )
    return config


def _check_cell(root: pathlib.Path, network: Network) -> None:
    """Checks that a cell of one's own is what it was when the model was trained.

    Raises:
        UsageError: it has changed.
    """
    try:
        there = json.loads((root / "status.json").read_text(encoding="utf-8"))["sources"]
    except (FileNotFoundError, ValueError, LookupError):
        return
    changes = sources.changes(sources.own(there), sources.of(network))
    if changes:
        raise UsageError(
            f"workdir={root}: {', '.join(changes)} since the model was trained; restore it, or use "
            "it as it is now with accept_changes=True (--accept_changes)"
        )


def _text_model(
    description: dict[str, Any], config: dict[str, Any], folder: pathlib.Path, checkpoint: str
) -> TextModel:
    symbols = description["vocabulary"]
    words = description["kind"] == "words"
    vocabulary = WordVocabulary(tuple(symbols)) if words else Vocabulary("".join(symbols))
    network = LanguageNetwork(**description["network"])
    model = dataclasses.replace(network, strategy=STRATEGY).model(vocabulary.size)
    like = jax.eval_shape(model.init, jax.random.key(0))
    step, params = read_parameters(folder, checkpoint, like)
    return TextModel(model, params, vocabulary, description["primer"], network, config, step)


def _image_classifier(
    description: dict[str, Any], config: dict[str, Any], folder: pathlib.Path, checkpoint: str
) -> ImageClassifier:
    classes, side = tuple(description["classes"]), int(description["side"])
    network = Network(**description["network"])
    reader = dataclasses.replace(network, strategy=STRATEGY).reader(len(classes))
    model = ImageModel(reader, description["order"])
    like = jax.eval_shape(lambda key: model.init(key, side), jax.random.key(0))
    step, params = read_parameters(folder, checkpoint, like)
    return ImageClassifier(model, params, classes, side, network, config, step)
