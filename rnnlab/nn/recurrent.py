"""The recurrent layer of models: any cell or combinator over a whole batch of sequences."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import ArrayLike, DTypeLike

from rnnlab.arrays import Array, Bool, Float, Key, Params, State
from rnnlab.errors import UsageError
from rnnlab.layer import Layer
from rnnlab.nn.sequence import run_sequence
from rnnlab.strategies import Strategy


class CellWeights(nnx.Module):
    """The parameters of a cell or combinator, each array an `nnx.Param`."""

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


class Recurrent(CellWeights):
    """A cell or combinator over a batch of sequences, by the contract of `rnnlab.unroll`.

    Stacks, both directions and dropout are combinators, such as `Stack((Bidirectional(GRU(64),
    GRU(64)), Dropout(0.5), LSTM(32)))`. The final state is that of each sequence's own end.

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
        state: State | None = None,
        *,
        lengths: ArrayLike | None = None,
        resets: Bool[Array, "..."] | None = None,
        reverse: bool = False,
        key: Key | None = None,
    ) -> tuple[State, Float[Array, "... H"]]:
        """The final state and the outputs, which stay in the order of time.

        Args:
          inputs: `[*batch, T, D]`, or `[T, *batch, D]` if `time_major`.
          state: before the first step; None for the cell's initial state.
          lengths: steps of each sequence, `[*batch]`; outputs after them are zero.
          resets: where a new sequence starts, with the axes of the inputs but the last.
          reverse: read each sequence backwards.
          key: of dropout and other noise; None for none.

        Raises:
          UsageError: as `unroll`.
        """
        return run_sequence(
            self.cell,
            self.params,
            inputs,
            time_major=self.time_major,
            lengths=lengths,
            resets=resets,
            state=state,
            reverse=reverse,
            strategy=self.strategy,
            key=key,
        )
