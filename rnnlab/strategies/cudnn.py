"""The LSTM by cuDNN, NVIDIA's kernels for its GPUs, through `jax.experimental.rnn.lstm`.

One call runs a layer over the whole sequence, forwards and, for the gradient, backwards. Products
of float32 are float32 (`Precision.HIGHEST`), not shortened to 10 bits, whatever the default is.

Source: the module docstring of `jax.experimental.rnn`.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from rnnlab.arrays import Array, Inputs, Outputs, Params, State
from rnnlab.cells.base import CarouselState
from rnnlab.cells.lstm import LSTM
from rnnlab.errors import UsageError
from rnnlab.layer import Cell
from rnnlab.strategies.base import BaseStrategy, default_device, on_cuda
from rnnlab.strategies.control import Control, select, zeros_like

#: Takes `x [B, T, D]`, `h, c [1, B, H]`, weights, lengths `[B]` in 1..T, `D`, `H`, the number of
#: layers, the rate of dropout, whether bidirectional, and the precision; returns `y [B, T, H]` and
#: `h, c [1, B, H]`.
Kernel = Callable[..., tuple[Array, Array, Array]]


@dataclasses.dataclass(frozen=True)
class CuDNN(BaseStrategy):
    """Runs an `LSTM` in float32 on a GPU with CUDA, with lengths but without resets.

    Reverse mode only, and no `vmap`: cuDNN's call has neither a forward derivative nor a rule for
    another batch axis, and JAX says so. Put such an axis into the batch of `xs` instead.

    Attributes:
      kernel: what computes in the place of `jax.experimental.rnn.lstm`, on any device; for tests.
    """

    kernel: Kernel | None = None
    automatic: ClassVar[bool] = True

    def __call__(
        self, cell: Cell, params: Params, xs: Inputs, state: State, control: Control
    ) -> tuple[State, Outputs]:
        """Runs the layer in one call. Raises UsageError for what cuDNN does not compute here."""
        self._check(cell, xs, control)
        steps, *batch_shape, features = xs.shape
        shape, rows = (*xs.shape[:-1], cell.hidden), math.prod(batch_shape)
        if steps * rows == 0:  # of which cuDNN has no notion
            return state, jnp.zeros(shape, xs.dtype)
        ys, h, c = self._kernel()(
            xs.reshape(steps, rows, features).swapaxes(0, 1),
            *(part.reshape(1, rows, cell.hidden) for part in (state.h, state.c)),
            jnp.concatenate(weights_in_order([params])),
            _lengths(control, steps, rows),
            features,
            cell.hidden,
            1,  # layer
            0.0,  # dropout
            False,  # bidirectional
            jax.lax.Precision.HIGHEST,
        )
        ys = ys.swapaxes(0, 1).reshape(shape)
        final = CarouselState(h=h.reshape(state.h.shape), c=c.reshape(state.c.shape))
        if control.valid is None:
            return final, ys
        return select(control.valid[0], final, state), select(control.valid, ys, zeros_like(ys))

    def _kernel(self) -> Any:
        if self.kernel is not None:
            return self.kernel
        from jax.experimental import rnn

        return rnn.lstm

    def refuses(self, cell: Cell) -> str | None:
        """Every cell but `LSTM`, and every device but a GPU with CUDA."""
        if type(cell) is not LSTM:
            return f"cell={type(cell).__name__} is not LSTM, the one cell that it runs"
        if self.kernel is None and not on_cuda():
            return f"the device is {default_device()}, it needs a GPU with CUDA"
        return None

    def _check(self, cell: Cell, xs: Inputs, control: Control) -> None:
        """Raises UsageError unless cuDNN computes this cell, in this dtype, on this device."""
        reason = self.refuses(cell)
        if reason is None and xs.dtype != jnp.float32:
            reason = f"xs is {xs.dtype}, it computes in float32 only"
        if reason is None and control.fresh is not None:
            reason = "resets are given, it cannot start a sequence within a row"
        if reason is not None:
            from rnnlab.strategies import supported  # which has this strategy in its list

            others = ", ".join(name for name in supported(cell) if name != "cudnn")
            raise UsageError(f"strategy='cudnn': {reason}; use one of {others}")


def weights_in_order(ordered: Sequence[Params]) -> list[Any]:
    """The parts of cuDNN's vector of weights, from the parameters of each pseudo-layer.

    `W_ih [4H, D]` and `W_hh [4H, H]` of all pseudo-layers (first layer forward, first layer
    backward, second layer forward, ...) come first, then `b_ih` and `b_hh [4H]` of all of them.
    Gates lie in the order i, f, g, o; `b_ih` is `b` and `b_hh` is zero.
    """
    matrices = [w.T.reshape(-1) for p in ordered for w in (p["wx"], p["wh"])]
    return matrices + [b for p in ordered for b in (p["b"], np.zeros(p["b"].shape, p["b"].dtype))]


def _lengths(control: Control, steps: int, rows: int) -> Array:
    """The length of each row, one for those of none: cuDNN must take at least one step."""
    if control.valid is None:
        return jnp.full((rows,), steps, jnp.int32)
    lengths = control.valid.reshape(steps, rows).sum(axis=0, dtype=jnp.int32)
    return jnp.maximum(lengths, 1)


#: cuDNN's LSTM.
cudnn = CuDNN()
