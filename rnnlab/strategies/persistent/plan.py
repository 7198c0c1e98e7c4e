"""Which kernel runs a layer, and how: what a streaming multiprocessor holds decides it."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from rnnlab.strategies.hoisted.step_columns import CannotRun
from rnnlab.strategies.persistent import pallas, spread_plan, weights
from rnnlab.strategies.persistent.chip import Chip
from rnnlab.strategies.persistent.flags import Flags
from rnnlab.strategies.persistent.kernel import Kernel
from rnnlab.strategies.persistent.resident import Resident
from rnnlab.strategies.persistent.spread import Spread
from rnnlab.strategies.persistent.units import Units

#: Registers of 32 bits of a streaming multiprocessor, in every GPU that runs the kernels, and the
#: most that a thread has.
REGISTERS, MOST_REGISTERS = 65_536, 255
#: Threads of a CTA.
MOST_THREADS = 1024
#: Registers of a thread that addresses and the loop take.
OVERHEAD = 36
#: Parts of 16 bits that stand for a float32, by what JAX calls the precision of products. Two are
#: 16 bits of the significand, where TF32 has 10; three are all 24.
PARTS = {None: 2, "default": 2, "high": 2, "highest": 3, "float32": 3, "tensorfloat32": 2}


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
    parts = parts_of(narrow)
    try:
        registers = resident_registers(units, narrow, parts, flags, chip)
    except CannotRun as too_large:
        if chip.interpret:  # which has a thread for each CTA, and not enough of them
            raise
        plan = spread_plan.fits(units, units.hidden, batch, narrow, parts, chip, flags.count)
        if isinstance(plan, str):
            raise CannotRun(f"{too_large}; and if several share it: {plan}") from too_large
        return Spread(units, flags, narrow, parts, plan)
    return Resident(units, flags, narrow, parts, registers, chip.interpret)


def resident_registers(units: Units, narrow: Any, parts: int, flags: Flags, chip: Chip) -> int:
    """How many registers of a thread may hold weights in the resident kernels.

    Raises:
      CannotRun: registers and shared memory do not hold the weights.
    """
    hidden = -(-units.hidden // pallas.ROWS) * pallas.ROWS
    threads = hidden // pallas.ROWS * pallas.THREADS
    if threads > MOST_THREADS:
        raise CannotRun(
            f"its {units.hidden} units are more than the {MOST_THREADS // 2} of a CTA's "
            f"{MOST_THREADS} threads"
        )
    most = min(MOST_REGISTERS, REGISTERS // threads)
    free = max(most - OVERHEAD - working_registers(units, narrow, flags), 0)
    sizes = [weights.Size(len(each.outs), len(each.pieces)) for each in units.products]
    for each in (sizes, [weights.Size(*size[::-1]) for size in sizes]):
        if weights.shared_memory(each, hidden, parts, free) > chip.free_memory:
            kib = 2 * parts * units.matrices * hidden**2 // 1024
            raise CannotRun(
                f"{kib} KiB of weights ({units.matrices} of {hidden} x {hidden}, {16 * parts} bits "
                "each) do not fit on a streaming multiprocessor"
            )
    return free


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
