"""Whoever computes the passes of a problem: a library's layer on the problem's weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import jax
import jax.numpy as jnp

from experiments.benchmark.problem import FORWARD, GRADIENT, Apply, Problem, loss_of, outputs_of
from rnnlab.timing import Program, compile_jax

#: What the names of rnnlab's own candidates begin with; a strategy follows.
OURS = "rnnlab "


class Candidate(Protocol):
    """Something that computes the passes of a problem.

    Attributes:
      name: how it is called in tables.
      dtype: of what it returns.
      lacks: names of parameters it does not have, and that are zero in every problem.
    """

    name: str
    dtype: str
    lacks: tuple[str, ...]

    def program(self, pass_: str) -> Program:
        """Compiles a pass and runs it once."""
        ...

    def as_ours(self, pass_: str, result: Any) -> Any:
        """A result in rnnlab's form: time-major outputs, gradients of rnnlab's parameters."""
        ...


class JaxCandidate:
    """A pure function `apply(weights, xs)` of JAX, with weights and data in its own layout.

    Args:
      name: how it is called in tables.
      problem: what it computes.
      apply: maps weights and inputs to the outputs.
      convert: maps rnnlab's parameters to the weights, differentiably.
      batch_major: its inputs and outputs are `[B, T, ...]`.
      lacks: names of parameters it does not have.
      promotion: which promotion of dtypes it is traced with.
    """

    def __init__(
        self,
        name: str,
        problem: Problem,
        apply: Apply,
        convert: Callable[[Any], Any] = lambda params: params,
        *,
        batch_major: bool = False,
        lacks: tuple[str, ...] = (),
        promotion: str = "strict",
    ) -> None:
        self.name, self.dtype, self.lacks = name, problem.dtype, lacks
        self._problem, self._apply, self._promotion = problem, apply, promotion
        self._turn = (lambda a: a.swapaxes(0, 1)) if batch_major else (lambda a: a)
        self._convert = convert
        self._weights = jax.tree.map(jnp.asarray, convert(problem.params))
        self._xs, self._readout = (
            jnp.asarray(self._turn(a)) for a in (problem.xs, problem.readout)
        )

    def program(self, pass_: str) -> Program:
        """Compiles a pass and runs it once."""
        with jax.numpy_dtype_promotion(self._promotion):
            if pass_ == FORWARD:
                return compile_jax(self._apply, self._weights, self._xs)
            argnums = 0 if pass_ == GRADIENT else (0, 1)
            gradient = jax.grad(loss_of(self._apply), argnums)
            return compile_jax(gradient, self._weights, self._xs, self._readout)

    def as_ours(self, pass_: str, result: Any) -> Any:
        """A result with time first and gradients of rnnlab's parameters."""
        if pass_ == FORWARD:
            return self._turn(result)
        if pass_ == GRADIENT:
            return self._pull(result)
        return self._pull(result[0]), self._turn(result[1])

    def _pull(self, d_weights: Any) -> Any:
        """Gradients with respect to our parameters, by the chain rule through the conversion."""
        params = jax.tree.map(jnp.asarray, self._problem.params)
        _, pull = jax.vjp(self._convert, params)  # not traced: some conversions look at values
        return compile_jax(pull, d_weights).result[0]


def ours(problem: Problem, strategy: str) -> JaxCandidate:
    """The layer run by one of rnnlab's strategies."""
    return JaxCandidate(f"{OURS}{strategy}", problem, outputs_of(problem.layer, strategy))
