"""Which kernel runs a layer, and how: what a streaming multiprocessor holds decides it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, ClassVar, Protocol

import jax
import jax.numpy as jnp

from rnnlab.arrays import Array
from rnnlab.strategies.hoisted.step_columns import CannotRun
from rnnlab.strategies.persistent import pallas
from rnnlab.strategies.persistent.resident import Flags, Resident
from rnnlab.strategies.persistent.units import Units

#: Registers of 32 bits of a streaming multiprocessor with Hopper's instructions, the most that a
#: thread has, and the bytes of shared memory of a CTA, less what Mosaic takes for itself.
REGISTERS, MOST_REGISTERS, SHARED_MEMORY = 65_536, 255, 227 * 1024 - 2048
#: Registers of a thread that addresses and the loop take.
OVERHEAD = 36
#: Parts of 16 bits that stand for a float32, by what JAX calls the precision of products. Two are
#: 16 bits of the significand, where TF32 has 10; three are all 24.
PARTS = {None: 2, "default": 2, "high": 2, "highest": 3, "float32": 3, "tensorfloat32": 2}


class Kernel(Protocol):
    """A forward and a backward kernel of a cell for one size, as `Resident` explains them.

    Attributes:
      tile: sequences of a CTA.
      rows: units of a warpgroup.
    """

    tile: ClassVar[int]
    rows: ClassVar[int]

    @property
    def hidden(self) -> int:
        """Number of units with padding."""
        ...

    @property
    def parts(self) -> int:
        """How many 16-bit numbers stand for a number in products."""
        ...

    def forward(
        self,
        keep: bool,
        weights: Sequence[Array],
        u: Array,
        fixed: Array,
        initial: Array,
        flags: Array,
        state: Array,
    ) -> tuple[Array, Array, Any, Any]:
        """Runs the steps of a time block."""
        ...

    def backward(
        self,
        weights: Sequence[Array],
        fixed: Array,
        flags: Array,
        kept: Array,
        states: Array,
        sums: Array,
        dy: Array,
        d_state: Array,
    ) -> tuple[Array, Array, Array, Array]:
        """Runs them backwards."""
        ...


@dataclasses.dataclass(frozen=True)
class Chip:
    """What is asked of the device.

    Attributes:
      interpret: whether Pallas' interpreter runs the kernels on a CPU instead.
      processors: number of streaming multiprocessors.
    """

    interpret: bool = False
    processors: int = 132


def parts_of(narrow: Any) -> int:
    """How many 16-bit numbers stand for a number in products, by the precision that is set."""
    if narrow.itemsize == 2:
        return 1
    setting = jax.config.jax_default_matmul_precision  # pyright: ignore[reportAttributeAccessIssue]
    return PARTS.get(setting, 3)


def choose(units: Units, narrow: Any, batch: int, flags: Flags, chip: Chip) -> Kernel:
    """The kernel that runs a layer. Raises CannotRun with the reason where none does."""
    if narrow not in (jnp.float32, jnp.bfloat16, jnp.float16):
        raise CannotRun(f"its dtype is {narrow}, the kernels compute in float32 and in 16 bits")
    operation = pallas.unknown(units.operations())
    if operation is not None:
        raise CannotRun(f"its step has the operation {operation}, which Mosaic does not lower")
    del batch
    parts = parts_of(narrow)
    registers = resident_registers(units, narrow, parts, flags)
    return Resident(units, flags, narrow, parts, registers, chip.interpret)


def resident_registers(units: Units, narrow: Any, parts: int, flags: Flags) -> int:
    """How many of the parts of the weights the resident kernels keep in registers.

    Raises:
      CannotRun: registers and shared memory do not hold the weights.
    """
    hidden = -(-units.hidden // Resident.rows) * Resident.rows
    groups = hidden // Resident.rows
    threads = groups * pallas.THREADS
    if threads > 1024:
        raise CannotRun(f"its {units.hidden} units are more than the 512 of a CTA's 1024 threads")
    most = min(MOST_REGISTERS, REGISTERS // threads)
    free = most - OVERHEAD - working_registers(units, narrow, flags)
    a_part = units.matrices * hidden // 4
    in_registers = min(parts, free // a_part) if a_part else parts
    longest = sum(max(len(p.pieces), len(p.outs)) for p in units.products)
    shared = 2 * 2 * parts * Resident.tile * hidden * longest
    shared += 2 * (parts - max(in_registers, 0)) * units.matrices * hidden**2
    if in_registers < 0 or shared > SHARED_MEMORY:
        kib = 2 * parts * units.matrices * hidden**2 // 1024
        raise CannotRun(
            f"{kib} KiB of weights ({units.matrices} of {hidden} x {hidden}, {16 * parts} bits each) "
            f"do not fit on a streaming multiprocessor"
        )
    return in_registers


def working_registers(units: Units, narrow: Any, flags: Flags) -> int:
    """Registers of a thread for what a step reads and carries, in the greedier direction.

    An array `[64, 8]` of float32 is four registers; what is read for the next step has the dtype
    of what is kept.
    """
    columns = units.columns
    streams, states = len(columns.u), len(columns.state)
    fixed = units.constants + units.own
    narrow_array = 4 if narrow.itemsize > 2 else 2
    forward = 2 * 4 * (streams + flags.count) + 2 * 4 * states + 4 * fixed
    forward += 4 * states if flags.fresh else 0
    kept = sum(units.reads[fixed:]) + 1
    backward = (narrow_array + 4) * kept + 2 * 4 * flags.count + 2 * 4 * states + 2 * 4 * fixed
    return max(forward, backward)
