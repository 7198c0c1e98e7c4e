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

from rnnlab.arrays import Array, Key, Params, State
from rnnlab.combinators.wrapper import CellWrapper
from rnnlab.errors import UsageError
from rnnlab.tracing import shape_of


@dataclasses.dataclass(frozen=True)
class LayerNorm(CellWrapper):
    """Normalises every product with a weight matrix over the units of each gate, step by step.

        u = gain_u * norm(x @ wx)            norm(z) = (z - mean(z)) / sqrt(var(z) + ε)
        v = gain_v * norm(h @ wh)            mean and var over the H units of one gate

    and uses `u` and `v` as the cell uses the products. Biases are added after the normalisation, so
    that a forget bias is not rescaled. The paper also normalises the LSTM's `c` on
    its way to `h`: wrap `CellNormLSTM` for that. The products are found by tracing the cell's step,
    so that any cell can be wrapped.

    Parameters are those of the cell and two tuples of gains, all one at first: `gain_u` for the
    products with vectors that depend on the input alone, `gain_v` for those that depend on the
    state, in the order of the step, each of the width of its product. A product wider than `hidden`
    is normalised in pieces of `hidden` units.

    Attributes:
      cell: a cell whose parameters are a dict.
      epsilon: ε, added to the variance.
    """

    epsilon: float = 1e-5

    def init(self, key: Key, features_in: int, dtype: DTypeLike = jnp.float32) -> Params:
        """Draws the cell's parameters and adds the gains, all one."""
        params = self.cell.init(key, features_in, dtype)
        if "gain_u" in params:
            raise UsageError(f"cell={self.cell!r}: has a LayerNorm already, one is enough")
        x = jax.ShapeDtypeStruct((features_in,), dtype)
        step = self.traced(params, x, self.cell.initial_state((), dtype))
        gain_u, gain_v = (
            tuple(jnp.ones(shape_of(product.out)[-1:], dtype) for product in products)
            for products in (step.outer, step.inner)
        )
        return params | {"gain_u": gain_u, "gain_v": gain_v}

    def step(self, params: Params, x: Any, state: State) -> tuple[State, Array]:
        """The cell's step with its products normalised."""
        gains = [*params["gain_u"], *params["gain_v"]]

        def change(place: int, product: Array) -> Array:
            return gains[place] * self._normalised(product)

        inside = {name: value for name, value in params.items() if name not in ("gain_u", "gain_v")}
        return self.traced(inside, x, state).with_products(change, inside, x, state)

    def _normalised(self, product: Array) -> Array:
        """`norm(z)` for `[..., H]`, in pieces of `H` for `[..., k H]`."""
        width = self._width(product.shape[-1])
        z = product.reshape(*product.shape[:-1], -1, width)
        centred = z - z.mean(axis=-1, keepdims=True)
        variance = jnp.square(centred).mean(axis=-1, keepdims=True)
        return (centred * jax.lax.rsqrt(variance + self.epsilon)).reshape(product.shape)

    def _width(self, width: int) -> int:
        """Units that are normalised together, of a product of this width."""
        hidden = jax.tree.leaves(self.cell.initial_state())[0].shape[-1]
        return hidden if width % hidden == 0 else width
