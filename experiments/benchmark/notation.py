"""How layers, shapes and dtypes are written: `lstm:bi:2`, `32x128x128x128`, `bfloat16`."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

from rnnlab import cells
from rnnlab.combinators import Stack, bidirectional
from rnnlab.errors import UsageError

DTYPES = ("float32", "bfloat16")


@dataclasses.dataclass(frozen=True)
class Shape:
    """Batch, time, input features and hidden units; written `BxTxDxH`."""

    batch: int
    time: int
    features: int
    hidden: int

    def __str__(self) -> str:
        return "x".join(map(str, dataclasses.astuple(self)))

    @property
    def is_small(self) -> bool:
        """Whether overhead rather than arithmetic decides: B = 1 or H ≤ 64."""
        return self.batch == 1 or self.hidden <= 64

    @property
    def is_large(self) -> bool:
        """Whether arithmetic decides: a batch and H ≥ 128."""
        return self.batch > 1 and self.hidden >= 128


def parse_shape(name: str, text: str) -> Shape:
    """The shape written as `32x128x128x128`; UsageError names the field."""
    if not re.fullmatch(r"[1-9]\d*(x[1-9]\d*){3}", text):
        raise UsageError(f"{name}={text!r}: must be written BxTxDxH, such as 32x128x128x128")
    return Shape(*map(int, text.split("x")))


def parse_layer(text: str, hidden: int) -> Any:
    """The layer written as `NAME`, `NAME:bi`, `NAME:3` or `NAME:bi:3`, with `hidden` units.

    `NAME` is the name of a cell, or `MODULE:NAME` of a cell of the user's own.
    """
    found = re.fullmatch(r"(\w+?|[\w.]+:[A-Za-z_]\w*?)(:bi)?(?::([1-9]\d*))?", text)
    named = found is not None and (":" not in found[1] or found[1].split(":")[0] not in cells.CELLS)
    if found is None or not named:
        raise UsageError(
            f"layers={text!r}: must be written CELL, CELL:bi, CELL:3 or CELL:bi:3, such as lstm:3"
        )
    layer: Any = cells.by_name(found[1], hidden)
    layer = bidirectional(layer) if found[2] else layer
    return Stack((layer,) * int(found[3])) if found[3] else layer
