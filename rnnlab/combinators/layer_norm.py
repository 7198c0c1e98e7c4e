"""Layer normalisation inside the cell.

Source: J. L. Ba, J. R. Kiros and G. E. Hinton, "Layer normalization" (2016), section 3.1 and the
equations of the LSTM and the GRU in its supplement.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from rnnlab.cells.base import Array, Params, State
from rnnlab.combinators.wrapper import CellWrapper, on_value
from rnnlab.errors import UsageError


@dataclasses.dataclass(frozen=True)
class LayerNorm(CellWrapper):
    """Normalises what enters the gates over the units of each gate, at every step by itself.

        u = gain_u * norm(x @ wx) + b        norm(z) = (z - mean(z)) / sqrt(var(z) + ε)
        v = gain_v * norm(h @ wh)            mean and var over the H units of one gate

    `b` is added after the normalisation, so that a forget bias acts as it is; a second bias, of
    `v`, would add nothing to it. What a cell projects from a zero input counts as its `b`. A
    `reset_first` cell has both of its products normalised, and `gain_v` is a pair. The paper also
    normalises the LSTM's `c` on its way to `h`: wrap `CellNormLSTM` for that.

    Parameters are those of the cell and `gain_u`, `gain_v`, ones in the shapes of one `u` and `v`,
    an array `[H]` for each gate.

    Attributes:
      cell: a cell with the split.
      epsilon: ε, added to the variance.
    """

    epsilon: float = 1e-5

    def init(self, key: Array, features_in: int, dtype: DTypeLike = jnp.float32) -> Params:
        """Draws the cell's parameters and adds the gains, all one."""
        params = self.cell.init(key, features_in, dtype)
        if "gain_u" in params:
            raise UsageError(f"cell={self.cell!r}: has a LayerNorm already, one is enough")
        gains = jax.eval_shape(self._products, params, jax.ShapeDtypeStruct((features_in,), dtype))
        gain_u, gain_v = jax.tree.map(lambda a: jnp.ones(a.shape, dtype), gains)
        return params | {"gain_u": gain_u, "gain_v": gain_v}

    def project(self, params: Params, x: Any) -> Any:
        """`gain_u * norm(u - b) + b`."""
        inputs = jax.tree.leaves(x)[0]
        b = self.cell.project(params, jnp.zeros(inputs.shape[-1:], inputs.dtype))

        def normalise(u: Any) -> Any:
            centred = jax.tree.map(jnp.subtract, u, b)
            return jax.tree.map(jnp.add, self._normalise(params["gain_u"], centred), b)

        return on_value(normalise, self.cell.project(params, x))

    def operand(self, params: Params, u: Any, v: Any, state: State) -> Array:
        """What enters the second product, from the normalised first one."""
        first, _ = params["gain_v"]
        return self.cell.operand(params, u, self._normalise(first, v), state)

    def gate(self, params: Params, u: Any, v: Any, state: State) -> tuple[State, Array]:
        """The cell's elementwise part, from the normalised `v`."""
        return self.cell.gate(params, u, self._normalise(params["gain_v"], v), state)

    def _normalise(self, gains: Any, products: Any) -> Any:
        """`gain * norm(z)` for a tree of gains `[H]` and products `[..., H]` of each gate."""

        def leaf(gain: Array, z: Array) -> Array:
            centred = z - z.mean(axis=-1, keepdims=True)
            variance = jnp.square(centred).mean(axis=-1, keepdims=True)
            return gain * centred * jax.lax.rsqrt(variance + self.epsilon)

        return jax.tree.map(leaf, gains, products)

    def _products(self, params: Params, x: Array) -> tuple[Any, Any]:
        """`u` and `v` of one step, for their shapes."""
        state = self.cell.initial_state((), x.dtype)
        u = self.cell.project(params, x)
        return u, self.cell.products(params, u, state)
