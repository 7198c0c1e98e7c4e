"""Slopes of saturated units, from what went into them instead of from what came out.

JAX differentiates `y = tanh(a)` as `1 - y²` and `y = σ(a)` as `y (1 - y)`. Where y is near one
these lose their digits: in float32 no slope is left from a = 9 on, in float64 from a = 19. A cell
is measured with the same functions written as

    tanh'(a) = 1 / cosh²(a),    σ'(a) = σ(a) σ(-a),    1 - σ(a) = σ(-a)

instead. They are found in the trace of its step, whatever the cell; within a loop or a branch of a
step they are not looked for. With the lift of `scaled`, only a step whose slopes all lie below
1e-57 in float32 or 1e-461 in float64 counts as zero. Training keeps the forms of JAX, which need no
further exponential.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import ClosedJaxpr, Literal, Var

from rnnlab.arrays import Array, Input, Output, Params, State
from rnnlab.tracing import Rewritten, bind, read


@dataclasses.dataclass(frozen=True)
class Saturating(Rewritten):
    """A cell whose saturated units keep their slopes.

    Attributes:
      cell: the cell; states and outputs are its own, to rounding.
    """

    def step(self, params: Params, x: Input, state: State) -> tuple[State, Output]:
        """The cell's step, traced, with `tanh`, `σ` and `1 - σ` in their other forms."""
        with jax.disable_jit():  # so that jitted helpers such as the sigmoid are traced inline
            closed, shapes = jax.make_jaxpr(self.cell.step, return_shape=True)(params, x, state)
        results = _evaluate(closed, jax.tree.leaves((params, x, state)))
        return jax.tree.unflatten(jax.tree.structure(shapes), results)


@jax.custom_jvp
def tanh(a: Array) -> Array:
    """`tanh(a)` with the derivative `1 / cosh²(a)`."""
    return jnp.tanh(a)


@tanh.defjvp
def _tanh_jvp(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    (a,), (da,) = primals, tangents
    fallen = jnp.exp(-jnp.abs(a))
    root = 2 * fallen / (1 + fallen * fallen)  # 1 / cosh a
    # In two factors, so that a large tangent is not multiplied by a square that underflows.
    return jnp.tanh(a), da * root * root


@jax.custom_jvp
def sigmoid(a: Array) -> Array:
    """`σ(a)` with the derivative `σ(a) σ(-a)`."""
    return jax.lax.logistic(a)


@sigmoid.defjvp
def _sigmoid_jvp(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    (a,), (da,) = primals, tangents
    y = jax.lax.logistic(a)
    return y, da * y * jax.lax.logistic(-a)


def _evaluate(closed: ClosedJaxpr, arguments: Sequence[Array]) -> list[Array]:
    """The results of a trace, with the functions above."""
    jaxpr = closed.jaxpr
    env: dict[Any, Any] = dict(zip(jaxpr.constvars, closed.consts, strict=True))
    env |= dict(zip(jaxpr.invars, arguments, strict=True))
    gates: dict[Var, Array] = {}  # what went into each σ
    for eqn in jaxpr.eqns:
        values = [read(env, var) for var in eqn.invars]
        name, last = eqn.primitive.name, eqn.invars[-1]
        if name == "tanh":
            results: Sequence[Array] = [tanh(values[0])]
        elif name == "logistic":
            results = [sigmoid(values[0])]
            gates[eqn.outvars[0]] = values[0]
        elif name == "sub" and _is_one(eqn.invars[0]) and isinstance(last, Var) and last in gates:
            results = [sigmoid(-gates[last])]
        else:
            results = bind(eqn, values)
        env.update(zip(eqn.outvars, results, strict=True))
    return [read(env, var) for var in jaxpr.outvars]


def _is_one(var: Any) -> bool:
    return isinstance(var, Literal) and bool(var.val == 1)
