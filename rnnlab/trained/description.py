"""`model.json`: what one needs to know of a model, besides its parameters, to use it.

It has the model's `kind`, the settings of its `network`, and what its kind adds; see the module of
the kind (`rnnlab.trained.kinds`).
"""

from __future__ import annotations

import dataclasses
import json
import pathlib
from collections.abc import Callable
from typing import Any

import jax

from rnnlab.arrays import Key, Params
from rnnlab.errors import RunError
from rnnlab.run.workdir import Workdir
from rnnlab.training.checkpoint_files import read_parameters

MODEL = "model.json"


@dataclasses.dataclass(frozen=True)
class Kept:
    """What a work directory keeps of a model; the `load` of its kind makes the model of it.

    Attributes:
        description: the contents of `model.json`.
        config: configuration of the run, as JSON values.
        checkpoints: their folder.
        checkpoint: which of them, best or last.
    """

    description: dict[str, Any]
    config: dict[str, Any]
    checkpoints: pathlib.Path
    checkpoint: str

    def parameters(self, init: Callable[[Key], Params]) -> tuple[int, Params]:
        """Training steps of the checkpoint, and its parameters, of the structure of `init(key)`.

        Raises:
            UsageError: there is no checkpoint, or it is of another network.
            RunError: it is damaged, or cannot be read.
        """
        like = jax.eval_shape(init, jax.random.key(0))
        return read_parameters(self.checkpoints, self.checkpoint, like)


def write_description(
    workdir: Workdir, kind: str, network: Any, settings: type | None = None, **more: Any
) -> None:
    """Writes `model.json`.

    Args:
        workdir: of the run.
        kind: one of `rnnlab.trained.kinds.KINDS`.
        network: settings of the network, a dataclass.
        settings: the class whose fields are written, where the experiment's own has further ones.
        **more: what the kind adds, as JSON values.
    """
    fields = dataclasses.fields(settings or network)
    described = {field.name: getattr(network, field.name) for field in fields}
    contents = {"kind": kind, "network": described, **more}
    data = (json.dumps(contents, indent=2, ensure_ascii=False) + "\n").encode(
        "utf-8", "surrogatepass"
    )
    path = workdir.path(MODEL)
    if not path.exists() or path.read_bytes() != data:
        workdir.write(MODEL, data)


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
