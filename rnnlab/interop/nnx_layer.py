"""Cells of rnnlab as modules of Flax NNX: a whole layer, and a cell for `nnx.RNN`."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import ArrayLike, DTypeLike

from rnnlab.arrays import Array, Bool, Float, Input, Output, Params, State
from rnnlab.errors import UsageError
from rnnlab.interop.sequence import run_sequence
from rnnlab.layer import Cell, Layer
from rnnlab.strategies import Strategy


class _Weights(nnx.Module):
    """The parameters of a cell, each array an `nnx.Param`."""

    def __init__(
        self,
        cell: Layer,
        features_in: int,
        param_dtype: DTypeLike,
        params: Params | None,
        rngs: nnx.Rngs | None,
    ) -> None:
        self.cell = cell
        if params is None:
            if rngs is None:
                raise UsageError("rngs=None: give params, or the rngs that draw them")
            params = cell.init(rngs.params(), features_in, param_dtype)
        self.weights = nnx.data(jax.tree.map(lambda a: nnx.Param(jnp.array(a)), params))

    @property
    def params(self) -> Params:
        """The parameters as arrays, arranged as `cell.init` does."""
        is_variable = lambda leaf: isinstance(leaf, nnx.Variable)  # noqa: E731
        return jax.tree.map(lambda p: p.get_value(), self.weights, is_leaf=is_variable)


class NNXLayer(_Weights):
    """An rnnlab cell or combinator over a whole sequence, in place of `nnx.RNN(cell)`.

    Attributes:
      cell: a cell, or a combinator of cells.
      features_in: number of input features `D`.
      time_major: inputs are `[T, *batch, D]` instead of `[*batch, T, D]`.
      strategy: how `unroll` runs and differentiates the scan.
      param_dtype: dtype of the weights; the inputs must have it too.
      params: weights to start from, such as converted ones; None draws them.
      rngs: where the key comes from that draws them.
    """

    def __init__(
        self,
        cell: Layer,
        features_in: int,
        *,
        time_major: bool = False,
        strategy: str | Strategy = "autodiff",
        param_dtype: DTypeLike = jnp.float32,
        params: Params | None = None,
        rngs: nnx.Rngs | None = None,
    ) -> None:
        super().__init__(cell, features_in, param_dtype, params, rngs)
        self.time_major = time_major
        self.strategy = strategy

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
        carry, ys = run_sequence(
            self.cell,
            self.params,
            inputs,
            time_major=self.time_major,
            seq_lengths=seq_lengths,
            resets=resets,
            state=initial_carry,
            reverse=reverse,
            strategy=self.strategy,
            key=None if rngs is None else rngs.dropout(),
        )
        return (carry, ys) if return_carry else ys


class NNXStep(_Weights, nnx.RNNCellBase):
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
