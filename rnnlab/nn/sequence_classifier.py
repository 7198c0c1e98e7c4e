"""A network that reads a whole sequence and then says one thing about it: many-to-one."""

from __future__ import annotations

import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike

from rnnlab.arrays import Array, Float, Int, Key
from rnnlab.layer import Layer, output_size
from rnnlab.nn import pooling as pool
from rnnlab.nn.recurrent import Recurrent
from rnnlab.strategies import Strategy


class SequenceClassifier(nnx.Module):
    """`p(class) = softmax(v W + b)`, with `v` what is pooled of the outputs of a network.

    A sequence without steps has `v = 0`.

    Attributes:
      cell: the network, a cell or a combinator of cells.
      features: numbers of a step D.
      classes: their number K.
      pooling: last, mean, max or attention.
      backward: how many of the last features of an output come from a layer that reads backwards,
        whose last step is the first in time.
      strategy: how `unroll` runs and differentiates the scan.
      param_dtype: of the parameters; the inputs must have it too.
      rngs: where the keys come from that draw them.
    """

    def __init__(
        self,
        cell: Layer,
        features: int,
        classes: int,
        *,
        pooling: str = "max",
        backward: int = 0,
        strategy: str | Strategy = "autodiff",
        param_dtype: DTypeLike = jnp.float32,
        rngs: nnx.Rngs,
    ) -> None:
        self.pooling, self.backward = pooling, backward
        self.read = Recurrent(cell, features, strategy=strategy, param_dtype=param_dtype, rngs=rngs)
        hidden = output_size(cell) or features
        self.attend = (
            pool.AttentionPooling(hidden, max(hidden // 2, 1), param_dtype=param_dtype, rngs=rngs)
            if pooling == "attention"
            else None
        )
        self.judge = nnx.Linear(
            hidden, classes, dtype=param_dtype, param_dtype=param_dtype, rngs=rngs
        )

    def __call__(
        self, xs: Float[Array, "B T D"], lengths: Int[Array, "B"], *, key: Key | None = None
    ) -> Float[Array, "B K"]:
        """Logits of the classes.

        Args:
          xs: sequences side by side.
          lengths: steps of each.
          key: of noise; None for none.
        """
        return self.judge(self.pool(self.outputs(xs, lengths, key=key), lengths))

    def outputs(
        self, xs: Float[Array, "B T D"], lengths: Int[Array, "B"], *, key: Key | None = None
    ) -> Float[Array, "B T H"]:
        """The outputs of the network; arguments as in a call."""
        return self.read(xs, lengths=lengths, key=key)[1]

    def pool(self, ys: Float[Array, "B T H"], lengths: Int[Array, "B"]) -> Float[Array, "B H"]:
        """One vector for the outputs of each sequence."""
        if self.attend is not None:
            return self.attend(ys, lengths)
        if self.pooling == "last":
            return pool.last(ys, lengths, backward=self.backward)
        return {"mean": pool.mean, "max": pool.largest}[self.pooling](ys, lengths)

    def attention(
        self, xs: Float[Array, "B T D"], lengths: Int[Array, "B"]
    ) -> Float[Array, "B T"] | None:
        """How much is read of each output; None where the pooling is no attention."""
        if self.attend is None:
            return None
        return self.attend.weights(self.outputs(xs, lengths), lengths)
