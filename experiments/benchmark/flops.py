"""Arithmetic of a program: the multiplications and additions of its matrix products."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import jax
from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn


def product_flops(function: Callable[..., Any], *args: Any) -> float:
    """Those of `function(*args)`, which is traced and not run; loops count with all their steps."""
    return _flops(jax.make_jaxpr(function)(*args).jaxpr)


def _flops(jaxpr: Jaxpr) -> float:
    return sum(_equation_flops(equation) for equation in jaxpr.eqns)


def _equation_flops(equation: JaxprEqn) -> float:
    if equation.primitive.name == "dot_general":
        left: Any = equation.invars[0].aval
        result: Any = equation.outvars[0].aval
        (contracted, _), _ = equation.params["dimension_numbers"]
        return 2 * math.prod(result.shape) * math.prod(left.shape[axis] for axis in contracted)
    repeats = equation.params["length"] if equation.primitive.name == "scan" else 1
    return repeats * sum(map(_flops, _inside(equation)))


def _inside(equation: JaxprEqn) -> Iterator[Jaxpr]:
    """The programs that an operation calls."""
    for value in jax.tree.leaves(
        list(equation.params.values()), is_leaf=lambda leaf: isinstance(leaf, (ClosedJaxpr, Jaxpr))
    ):
        if isinstance(value, ClosedJaxpr):
            yield value.jaxpr
        elif isinstance(value, Jaxpr):
            yield value
