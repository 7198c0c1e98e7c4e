"""Cells of rnnlab as modules of Flax NNX: a whole layer, and a cell for `nnx.RNN`."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import ArrayLike, DTypeLike

from rnnlab.arrays import Array, Bool, Float, Input, Output, Params, State
from rnnlab.layer import Cell
from rnnlab.nn.recurrent import CellWeights, Recurrent


class NNXLayer(Recurrent):
    """An rnnlab cell or combinator over a whole sequence, in place of `nnx.RNN(cell)`.

    It is `rnnlab.nn.Recurrent`, called by the names of `nnx.RNN`.
    """

    def __call__(
        self,
        inputs: Float[Array, "... D"],
        *,
        initial_carry: State | None = None,
        seq_lengths: ArrayLike | None = None,
        resets: Bool[Array, "..."] | None = None,
        reverse: bool = False,
        return_carry: bool = False,
        rngs: nnx.Rngs | None = None,
    ) -> Float[Array, "... H"] | tuple[State, Float[Array, "... H"]]:
        """The outputs, or with `return_carry` the final state and the outputs.

        Arguments are those of `rnnlab.unroll.unroll` by the names of `nnx.RNN`; outputs stay in the
        order of time. Noise, as of dropout, is drawn from `rngs.dropout` where `rngs` are given.
        """
        carry, ys = super().__call__(
            inputs,
            initial_carry,
            lengths=seq_lengths,
            resets=resets,
            reverse=reverse,
            key=None if rngs is None else rngs.dropout(),
        )
        return (carry, ys) if return_carry else ys


class NNXStep(CellWeights, nnx.RNNCellBase):
    """An rnnlab cell as a cell of NNX, for `nnx.RNN` and `nnx.Bidirectional`.

    Its input product is inside their scan; `NNXLayer` is the faster of the two.

    Attributes:
      cell: a cell, or a stack of cells.
      features_in: number of input features `D`.
      param_dtype: dtype of the weights and of the carry.
      params: weights to start from; None draws them.
      rngs: where the key comes from that draws them.
    """

    def __init__(
        self,
        cell: Cell,
        features_in: int,
        *,
        param_dtype: DTypeLike = jnp.float32,
        params: Params | None = None,
        rngs: nnx.Rngs | None = None,
    ) -> None:
        super().__init__(cell, features_in, param_dtype, params, rngs)

    def __call__(self, carry: State, inputs: Input) -> tuple[State, Output]:
        """One step: the new carry and the output."""
        cell = self.cell
        assert isinstance(cell, Cell)
        return cell.step(self.params, inputs, carry)

    def initialize_carry(
        self, input_shape: tuple[int, ...], rngs: Any = None, carry_init: Any = None
    ) -> State:
        """The cell's initial state for inputs of that shape."""
        del rngs, carry_init
        dtype = jax.tree.leaves(self.params)[0].dtype
        return self.cell.initial_state(input_shape[:-1], dtype)

    @property
    def num_feature_axes(self) -> int:
        """Number of axes of one input after those of the batch."""
        return 1
