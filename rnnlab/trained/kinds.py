"""The kinds of models, each a module with `describe` and `load`.

`describe(workdir, network, ...)` writes the `model.json` of a run when its training starts;
`load(kept)` makes the model of what the work directory keeps. A model has

- `network` and `config`, the settings of its network and of its run, and `step`, that of its
  checkpoint;
- `predict(lines)`, a dict for each line of text, with at least `line` and the text `answer`. A line
  that it cannot read is a UsageError. A model of anything but lines has `answers_lines = False`;
  one whose lines name files, such as pictures, has their `endings`;
- `show(line, path)`, where there is a picture of how it reads a line.

A new kind is a module and a line of `KINDS`.
"""

from __future__ import annotations

import importlib
from typing import Any, Protocol, cast

from rnnlab.errors import RunError
from rnnlab.trained.description import Kept

#: The module of each kind.
KINDS = {
    "characters": "rnnlab.trained.text",
    "words": "rnnlab.trained.text",
    "images": "rnnlab.trained.images",
    "translation": "rnnlab.trained.translator",
    "tags": "rnnlab.trained.tagger",
    "vectors": "rnnlab.trained.vectors",
    "texts": "rnnlab.trained.classifier",
    "sums": "rnnlab.trained.adder",
    "captions": "rnnlab.trained.captioner",
    "music": "rnnlab.trained.composer",
    "speech": "rnnlab.trained.listener",
    "transcripts": "rnnlab.trained.transcriber",
    "series": "rnnlab.trained.forecaster",
    "frames": "rnnlab.trained.frame_labeller",
}

#: Sequences are run plainly, which every device can, however the model was trained.
STRATEGY = "autodiff"


class Kind(Protocol):
    """The module of a kind; the arguments of its `describe` are its own."""

    def load(self, kept: Kept) -> Any:
        """The model."""
        ...


def by_name(kind: str) -> Kind:
    """The module of a kind.

    Raises:
        RunError: there is no such kind.
    """
    if kind not in KINDS:
        raise RunError(f"kind={kind!r}: this version knows {', '.join(KINDS)}")
    return cast(Kind, importlib.import_module(KINDS[kind]))
