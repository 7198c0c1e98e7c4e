"""Cells of rnnlab as modules of Flax Linen: a whole layer, and a cell for `nn.RNN`.

The weights are one parameter called `weights`, arranged as `cell.init` does, so that those of
another library are used with `module.apply({"params": {"weights": from_torch(cell, ...)}}, xs)`.
"""

from __future__ import annotations

import jax.numpy as jnp
from flax import linen as nn
from jax.typing import ArrayLike, DTypeLike

from rnnlab.arrays import Array, Bool, Float, Input, Key, Output, State
from rnnlab.layer import Cell, Layer
from rnnlab.nn.sequence import run_sequence
from rnnlab.strategies import Strategy


class LinenLayer(nn.Module):
    """An rnnlab cell or combinator over a whole sequence, in place of `nn.RNN(cell)`.

    Attributes:
      cell: a cell, or a combinator of cells.
      time_major: inputs are `[T, *batch, D]` instead of `[*batch, T, D]`.
      strategy: how `unroll` runs and differentiates the scan.
      param_dtype: dtype of the weights; the inputs must have it too.
    """

    cell: Layer
    time_major: bool = False
    strategy: str | Strategy = "autodiff"
    param_dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(
        self,
        inputs: Float[Array, "... D"],
        *,
        initial_carry: State | None = None,
        seq_lengths: ArrayLike | None = None,
        resets: Bool[Array, "..."] | None = None,
        reverse: bool = False,
        return_carry: bool = False,
    ) -> Float[Array, "... H"] | tuple[State, Float[Array, "... H"]]:
        """The outputs, or with `return_carry` the final state and the outputs.

        Arguments are those of `rnnlab.unroll.unroll` by the names of `nn.RNN`; outputs stay in the
        order of time. Noise, as of dropout, is drawn where `apply` gets `rngs={"dropout": key}`.
        """
        carry, ys = run_sequence(
            self.cell,
            self.param("weights", self.cell.init, inputs.shape[-1], self.param_dtype),
            inputs,
            time_major=self.time_major,
            lengths=seq_lengths,
            resets=resets,
            state=initial_carry,
            reverse=reverse,
            strategy=self.strategy,
            key=self.make_rng("dropout") if self.has_rng("dropout") else None,
        )
        return (carry, ys) if return_carry else ys


class LinenStep(nn.RNNCellBase):
    """An rnnlab cell as a cell of Linen, for `nn.RNN` and `nn.Bidirectional`.

    Its input product is inside their scan; `LinenLayer` is the faster of the two.

    Attributes:
      cell: a cell, or a stack of cells.
      param_dtype: dtype of the weights and of the carry.
    """

    cell: Cell
    param_dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, carry: State, inputs: Input) -> tuple[State, Output]:
        """One step: the new carry and the output."""
        params = self.param("weights", self.cell.init, inputs.shape[-1], self.param_dtype)
        return self.cell.step(params, inputs, carry)

    @nn.nowrap
    def initialize_carry(self, rng: Key, input_shape: tuple[int, ...]) -> State:
        """The cell's initial state for inputs of that shape."""
        del rng
        return self.cell.initial_state(input_shape[:-1], self.param_dtype)

    @property
    def num_feature_axes(self) -> int:
        """Number of axes of one input after those of the batch."""
        return 1
