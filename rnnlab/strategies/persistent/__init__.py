"""Kernels that stay on the chip for the whole sequence, for every cell, on H100, B200 and the like.

A scan on a GPU launches several kernels at every step and reads all weights again. Here one kernel
runs all steps of a time block. It keeps the weights in registers and shared memory, and between
steps moves nothing but the state, or rather the vectors that the products multiply.

What is computed where, for a cell with the step `z = u + W h, h' = f(z, h)`:

    before        u = W_x x + b, for all steps in one product                          XLA
    kernel        for every step: z = u + W h, h' = f(z, h)                            Pallas
    backwards     for every step: dz = (∂f/∂z)ᵀ dh', dh = (∂f/∂h)ᵀ dh' + Wᵀ dz         Pallas
    after         dW = Σ dz hᵀ, dW_x = Σ dz xᵀ, dx = W_xᵀ dz, a product each           XLA

`f` is not written for any cell. `units.py` takes it from the trace of the step that `hoisted`
makes, as long as it is elementwise, and evaluates it on the few rows of a warpgroup, and its
derivative likewise. So a cell that a user writes as one function runs in the same kernels.

Layout. Arrays are in columns, `[units, sequences]`. A product of a tensor core has the weights on
the left, 64 rows for a warpgroup, and 8 columns for a tile of the batch. Those few columns are the
point: a batch of 32 is spread over four multiprocessors, none of which waits for another.

Meeting. The vector of a product is needed whole by every warpgroup. Each writes its rows to shared
memory and arrives at a barrier (an `mbarrier`: what was written before arriving is seen by all who
waited). Two copies of the vector take turns, so that one barrier for a product is enough.

Many units. Weights that do not fit on one multiprocessor are shared by the rows of the units among
the CTAs of one launch, all of which have to run at the same time. Vectors then travel through the
L2 cache: every step has memory of its own, filled with a number that no vector contains, and who
needs a vector reads until none of that is left. Numbers are written and read whole, 32 bits at a
time, so that no other order between two CTAs is needed, and no counter (`exchange.py`).

A launch that shares units never has more CTAs than the GPU holds, and JAX has one stream for the
kernels of a process. Two such launches at the same time, of programs that share the GPU by CUDA's
MPS or on streams of one's own, can each hold multiprocessors that the other waits for. A warp that
has read in vain `PATIENCE` times (`instructions.py`) therefore ends its program with an error of
CUDA.

Sums are added in a fixed order, nothing is atomic: the same call gives the same bits.

The files: `units.py` divides a step by units, `chip.py` says what a GPU has, `plan.py` chooses the
kernels by what fits there. `resident.py` has those of few units and `weights.py` their weights,
`spread.py` has those of many, `spread_plan.py` how they are cut, `large_batches.py` how a batch is
that one launch does not hold, `fragments.py` in which order their numbers lie, and
`instructions.py` what they ask of the GPU by name. `kernel.py` says what both are given and return,
`elementwise.py` has their steps but for the products. `pallas.py`, `launch.py` and `exchange.py`
are all that knows Pallas, and `blocks.py` surrounds the kernels with tiles and the large products.
`hoisted` lends the time blocks and the division of the step.

Sources: Diamos et al. 2016 for networks that persist on a chip, Appleyard et al. 2016 for what
leaves the loop.
"""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from rnnlab.arrays import Inputs, Outputs, Params, State
from rnnlab.layer import Cell
from rnnlab.strategies.base import Pair, default_device, on_cuda
from rnnlab.strategies.control import Control
from rnnlab.strategies.hoisted import Hoisted, hoisted, warn_of_fall_back
from rnnlab.strategies.hoisted.scan import TimeBlocks
from rnnlab.strategies.hoisted.step_columns import CannotRun
from rnnlab.strategies.persistent import pallas
from rnnlab.strategies.persistent.blocks import KernelBlocks
from rnnlab.strategies.persistent.chip import Chip, chip_of

#: Numbers of one part of the state in a time block: its arrays are some ten times as large.
TIME_BLOCK_NUMBERS = 2**24


@dataclasses.dataclass(frozen=True)
class Persistent(Hoisted):
    """One kernel for all steps, on NVIDIA's GPUs with one of `pallas.CAPABILITIES`.

    A cell or a device that it does not run is given to `hoisted`, with a `StrategyWarning` that
    says why. Reverse mode only.

    Attributes:
      interpret: run the kernels in Pallas' interpreter, on a CPU and very slowly; for tests.
    """

    interpret: bool = False
    #: Not before it was measured.
    automatic: ClassVar[bool] = False

    def refuses(self, cell: Cell) -> str | None:
        """Every device but the GPUs for which it was compiled, and a JAX without what it needs."""
        del cell
        return self._reason()

    def pair(
        self,
        cell: Cell,
        params: tuple[Params, Params],
        xs: tuple[Inputs, Inputs],
        states: tuple[State, State],
        control: Control,
    ) -> Pair:
        """Runs both directions in one launch, in which each has CTAs of its own.

        Where the CTAs need the GPU for themselves, they run one after the other.
        """
        if self._reason() is not None:
            return hoisted.pair(cell, params, xs, states, control)
        both = [
            jax.tree.map(lambda a, b: jnp.stack([a, b]), *each) for each in (params, xs, states)
        ]
        finals, ys = jax.vmap(lambda p, x, s: self(cell, p, x, s, control))(*both)
        first, second = (jax.tree.map(lambda a, i=i: a[i], finals) for i in (0, 1))
        return (first, second), (ys[0], ys[1])

    def _reason(self) -> str | None:
        """Why no kernel runs here; None where one may."""
        reason = pallas.missing()
        if reason is not None or self.interpret:
            return reason
        device = default_device()
        if not on_cuda():
            return f"the device is {device}, it needs a GPU with CUDA"
        capability = getattr(device, "compute_capability", "unknown")
        if capability not in pallas.CAPABILITIES:
            return (
                f"{device.device_kind} has compute capability {capability}, its kernels were "
                f"compiled for {', '.join(pallas.CAPABILITIES)} only"
            )
        return None

    def _time_block_size(self, steps: int, batch: int, state: State) -> int:
        width = max(leaf.shape[-1] for leaf in jax.tree.leaves(state))
        most = max(TIME_BLOCK_NUMBERS // max(batch * width, 1), 1)
        return -(-steps // -(-steps // most)) if steps else 1

    def _time_blocks(
        self,
        cell: Cell,
        size: int,
        shared: Params,
        own: Params,
        xs: Any,
        state: State,
        control: Control,
    ) -> TimeBlocks:
        reason = self._reason()
        if reason is not None:
            raise CannotRun(reason)
        if _is_empty(xs):
            raise CannotRun("there is nothing to run")
        return KernelBlocks(cell, size, shared, own, xs, state, control, self._chip())

    def _chip(self) -> Chip:
        return chip_of(default_device(), self.interpret)

    def _fall_back(
        self, reason: str, cell: Cell, params: Params, xs: Inputs, state: State, control: Control
    ) -> tuple[State, Outputs]:
        if not _is_empty(xs):
            warn_of_fall_back("persistent", cell, "hoisted", reason)
        return hoisted(cell, params, xs, state, control)


def _is_empty(xs: Any) -> bool:
    """Whether there are no steps or no sequences."""
    return any(leaf.size == 0 for leaf in jax.tree.leaves(xs))


#: One kernel for all steps.
persistent = Persistent()
