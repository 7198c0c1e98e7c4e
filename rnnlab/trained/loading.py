"""From a work directory to a model."""

from __future__ import annotations

import json
import os
import pathlib
from typing import Any, Literal

from rnnlab.errors import RunError, UsageError
from rnnlab.run import sources
from rnnlab.trained import kinds
from rnnlab.trained.description import MODEL, Kept, read_description
from rnnlab.training.checkpoint_files import CHECKPOINTS


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
        What the module of its kind makes, such as a `TextModel` or an `ImageClassifier`.

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
    try:
        kind = kinds.by_name(description["kind"])
        model = kind.load(Kept(description, config, root / CHECKPOINTS, checkpoint))
        if not accept_changes:
            _check_cell(root, model.network)
        return model
    except UsageError:
        raise
    except (LookupError, TypeError, ValueError) as error:  # what this version does not know
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
            "can be loaded, or has not begun to train"
        )
    return config


def _check_cell(root: pathlib.Path, network: Any) -> None:
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
