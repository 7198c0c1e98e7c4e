"""What the kernels have to know of a GPU."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar


@dataclasses.dataclass(frozen=True)
class Chip:
    """A GPU, by default an H100.

    Attributes:
      interpret: whether Pallas' interpreter runs the kernels on a CPU instead.
      processors: number of streaming multiprocessors.
      shared_memory: bytes of shared memory that a CTA may have.
    """

    interpret: bool = False
    processors: int = 132
    shared_memory: int = 227 * 1024
    #: Bytes of shared memory that Mosaic takes for itself, at most.
    MOSAIC: ClassVar[int] = 2048

    @property
    def free_memory(self) -> int:
        """Bytes of shared memory of a CTA that are left to a kernel."""
        return self.shared_memory - self.MOSAIC


def chip_of(device: Any, interpret: bool) -> Chip:
    """What a device of JAX says of itself; where it says nothing, as a CPU, an H100."""
    return Chip(
        interpret,
        getattr(device, "core_count", Chip.processors),
        getattr(device, "shared_memory_per_block_optin", Chip.shared_memory),
    )
