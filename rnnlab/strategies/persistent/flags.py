"""The flags of steps that a kernel reads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from rnnlab.arrays import Array


class Flags(NamedTuple):
    """Which of the flags a kernel reads, in this order."""

    valid: bool
    fresh: bool

    @property
    def count(self) -> int:
        """How many."""
        return self.valid + self.fresh

    def split(self, given: Sequence[Array]) -> tuple[Array | None, Array | None]:
        """`valid` and `fresh` among those that are given."""
        rest = iter(given)
        valid = next(rest) if self.valid else None
        return valid, next(rest) if self.fresh else None
