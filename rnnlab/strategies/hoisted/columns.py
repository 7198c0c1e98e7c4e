"""A function of one sequence, traced once and evaluated for a batch in columns.

A cell's methods are written for vectors `[n]`; here they run on matrices `[n, N]`, one column for
each of `N` sequences. In that layout the gates of one product are groups of rows, which are in one
piece of memory, where XLA:CPU reads them at full speed. Tracing sorts the operations:

    fixed      what depends on the parameters alone, computed once before the loop over time
    products   a weight times a vector of the sequence; those of one vector become one product
    the rest   mapped over the columns, which for elementwise operations changes nothing
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import Literal, Var

from rnnlab.arrays import Array, Params
from rnnlab.tracing import bind, read, shape_of

#: Operations that may be applied to columns as they are, once their operands have equal shapes.
# fmt: off
ELEMENTWISE = frozenset((
    "abs", "add", "add_any", "and", "atan2", "cbrt", "ceil", "clamp", "convert_element_type",
    "copy", "cos", "cosh", "div", "eq", "erf", "erfc", "exp", "exp2", "expm1", "floor", "ge",
    "gt", "integer_pow", "is_finite", "le", "log", "log1p", "logistic", "lt", "max", "min",
    "mul", "ne", "neg", "not", "or", "pow", "rem", "round", "rsqrt", "select_n", "sign", "sin",
    "sinh", "sqrt", "square", "stop_gradient", "sub", "tan", "tanh",
))
# fmt: on


@dataclasses.dataclass(frozen=True)
class Product:
    """All products of weights with one vector.

    Attributes:
      x: the vector `[n]`.
      outs: the results `[m]`, one for each weight.
      weights: the weights, and which of their two axes meets `x`.
    """

    x: Var
    outs: tuple[Var, ...]
    weights: tuple[tuple[Any, int], ...]

    @property
    def rows(self) -> list[int]:
        """Number of rows of each result."""
        return [shape_of(out)[0] for out in self.outs]


class Columns:
    """`function(params, *args)` for arguments without a batch, as arrays or their shapes.

    Attributes:
      products: the products with weights, in the order in which they are computed.
      inputs: the variables of `args`, in the order of their leaves.
      outputs: the variables of the results.
    """

    def __init__(self, function: Callable[..., Any], params: Params, *args: Any) -> None:
        with jax.disable_jit():  # so that jitted helpers such as the sigmoid are traced inline
            traced = jax.make_jaxpr(function)(params, *args)
        jaxpr = traced.jaxpr
        self._literals = dict(zip(jaxpr.constvars, traced.consts, strict=True))
        count = len(jax.tree.leaves(params))
        self._params, self.inputs = jaxpr.invars[:count], jaxpr.invars[count:]
        self.outputs = jaxpr.outvars
        self._moving = set(self.inputs)
        self._fixed_eqns, self.eqns = [], []
        for eqn in jaxpr.eqns:
            if any(self.is_moving(var) for var in eqn.invars):
                self._moving.update(eqn.outvars)
                self.eqns.append(eqn)
            else:
                self._fixed_eqns.append(eqn)
        self.products = self._find_products()
        used = [var for eqn in self.eqns if not self.product_of(eqn) for var in eqn.invars]
        self.constants = list(
            dict.fromkeys(
                var
                for var in [*used, *self.outputs]
                if not isinstance(var, Literal) and not self.is_moving(var)
            )
        )

    def is_moving(self, var: Any) -> bool:
        """Whether a variable depends on the arguments."""
        return not isinstance(var, Literal) and var in self._moving

    def product_of(self, eqn: Any) -> Product | None:
        """The product that an equation is part of."""
        return next((p for p in self.products if eqn.outvars[0] in p.outs), None)

    def fixed(self, params: Params) -> tuple[list[Array], list[Array]]:
        """The weight `[m, n]` of each product and the constants, from the parameters."""
        env = dict(self._literals)
        env.update(zip(self._params, jax.tree.leaves(params), strict=True))
        for eqn in self._fixed_eqns:
            results = bind(eqn, [read(env, var) for var in eqn.invars])
            env.update(zip(eqn.outvars, results, strict=True))
        weights = [
            jnp.concatenate([jnp.moveaxis(env[w], axis, 0) for w, axis in product.weights], 1).T
            for product in self.products
        ]
        return weights, [env[var] for var in self.constants]

    def evaluate(
        self,
        wanted: Sequence[Any],
        constants: Sequence[Array],
        known: dict[Any, Array],
        multiply: Callable[[int, Array], Array] | None = None,
    ) -> list[Array]:
        """The values of the variables `wanted`, from the constants and the columns of others.

        Args:
          wanted: variables, or literals.
          constants: what `fixed` returned.
          known: columns `[n, N]` by variable; what leads to nothing else than these is not run.
          multiply: the product of the `j`-th weight with the columns `x [n, N]`; without it all
            products have to be known.
        """
        env: dict[Any, Any] = {**dict(zip(self.constants, constants, strict=True)), **known}
        size = next(iter(known.values())).shape[-1]
        for eqn in self.eqns:
            if all(var in env for var in eqn.outvars):
                continue
            product = self.product_of(eqn)
            if product is None:
                if all(isinstance(v, Literal) or v in env for v in eqn.invars):
                    results = self._columns(eqn, [read(env, v) for v in eqn.invars], size)
                    env.update(zip(eqn.outvars, results, strict=True))
            elif multiply is not None:
                results = multiply(self.products.index(product), env[product.x])
                env.update(zip(product.outs, by_rows(results, product.rows), strict=True))
        return [
            read(env, var)
            if self.is_moving(var)
            else jnp.broadcast_to(read(env, var)[..., None], (*shape_of(var), size))
            for var in wanted
        ]

    def _columns(self, eqn: Any, values: list[Any], size: int) -> Any:
        """One operation on columns."""
        moving = [self.is_moving(var) for var in eqn.invars]
        shape = shape_of(eqn.outvars[0])
        if eqn.primitive.name in ELEMENTWISE and all(
            shape_of(var) in ((), shape) for var in eqn.invars
        ):
            whole = [
                jnp.broadcast_to(value if moves else value[..., None], (*shape, size))
                for value, moves in zip(values, moving, strict=True)
            ]
            return bind(eqn, whole)
        axes = [-1 if moves else None for moves in moving]
        return jax.vmap(lambda *a: bind(eqn, a), in_axes=axes, out_axes=-1)(*values)

    def _find_products(self) -> list[Product]:
        by_vector: dict[Var, list[Any]] = {}
        for eqn in self.eqns:
            place = self._weight_of(eqn)
            if place is not None:
                weight, axis = place
                vector = eqn.invars[1 - weight]
                by_vector.setdefault(vector, []).append((eqn.outvars[0], eqn.invars[weight], axis))
        return [
            Product(x, tuple(out for out, _, _ in found), tuple((w, a) for _, w, a in found))
            for x, found in by_vector.items()
        ]

    def _weight_of(self, eqn: Any) -> tuple[int, int] | None:
        """Which operand is a weight that meets a vector, and the axis on which it does."""
        if eqn.primitive.name != "dot_general":
            return None
        moving = [self.is_moving(var) for var in eqn.invars]
        contract, batch = eqn.params["dimension_numbers"]
        axes = [len(shape_of(var)) for var in eqn.invars]
        weight = moving.index(False) if False in moving else None
        if weight is None or batch != ((), ()) or axes[weight] != 2 or axes[1 - weight] != 1:
            return None
        return weight, contract[weight][0]


def by_rows(a: Array, rows: Sequence[int]) -> Sequence[Array]:
    """Cuts `a` into pieces of so many rows."""
    return jax.lax.split(a, rows) if len(rows) > 1 else [a]
