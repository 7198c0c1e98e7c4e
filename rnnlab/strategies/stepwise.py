"""The plain scan with all products left in it, and those of one vector joined.

What most people write: a step multiplies its input and its state by one wide weight each. Nothing
is stored for all steps before the scan, and the backward pass adds to the gradients of the weights
at every step. On a CPU that is the fastest way to the outputs, and to the gradient of small layers
with gates; where steps are longer `hoisted` is ahead, with gradients of weights in large products.
"""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from rnnlab.arrays import Array, Input, Inputs, Outputs, Params, State
from rnnlab.layer import Cell
from rnnlab.strategies.autodiff import autodiff
from rnnlab.strategies.base import BaseStrategy
from rnnlab.strategies.control import Control, enter, leave
from rnnlab.tracing import Product, TracedStep, bind, read, shape_of, trace


@dataclasses.dataclass(frozen=True)
class Stepwise(BaseStrategy):
    """Scans the step as it is, with one product for each vector. Any derivative, of any order."""

    automatic: ClassVar[bool] = True

    def __call__(
        self, cell: Cell, params: Params, xs: Inputs, state: State, control: Control
    ) -> tuple[State, Outputs]:
        """Runs the scan; a step with side effects runs by `autodiff`, which leaves it whole."""
        traced = trace(cell, params, xs, state)
        if traced.opaque:
            return autodiff(cell, params, xs, state, control)
        step = JoinedStep(traced)
        weights = step.weights(params)

        def body(state: State, inputs: tuple[Any, Control]) -> tuple[State, Outputs]:
            x, now = inputs
            before = enter(cell, state, now)
            after, y = step.advance(weights, params, x, before)
            return leave(before, after, y, now)

        length = jax.tree.leaves(xs)[0].shape[0]
        return jax.lax.scan(body, state, (xs, control), length=length)


class JoinedStep:
    """A traced step whose products of one vector are one product."""

    def __init__(self, traced: TracedStep) -> None:
        self._traced = traced
        eqns = {each.outvars[0]: each for each in traced.eqns}
        groups: dict[Any, list[Product]] = {}
        for product in (*traced.outer, *traced.inner):
            settings = eqns[product.out].params
            kind = settings["precision"], settings["preferred_element_type"]
            groups.setdefault((product.vector, kind), []).append(product)
        self._groups = list(groups.values())
        self._settings = [eqns[group[0].out].params for group in self._groups]
        self._group_of = {
            each.out: index for index, group in enumerate(self._groups) for each in group
        }

    def weights(self, params: Params) -> list[Array]:
        """The weights `[n, m]` of the products."""
        return [
            jnp.concatenate(self._traced.weights(params, group), axis=1) for group in self._groups
        ]

    def advance(
        self, weights: list[Array], params: Params, x: Input, state: State
    ) -> tuple[State, Any]:
        """The whole step: the next state and the output."""
        env = self._traced.known(params, x, state)
        for eqn in self._traced.eqns:
            out = eqn.outvars[0]
            if out in env:
                continue
            if out in self._group_of:
                env |= self._multiply(self._group_of[out], weights, env)
            else:  # operations that only weights need are dead code, which XLA removes
                results = bind(eqn, [read(env, var) for var in eqn.invars])
                env.update(zip(eqn.outvars, results, strict=True))
        return self._traced.results([read(env, var) for var in self._traced.outputs])

    def _multiply(self, index: int, weights: list[Array], env: dict[Any, Any]) -> dict[Any, Array]:
        """The results of all products of a group."""
        group, settings = self._groups[index], self._settings[index]
        vector = read(env, group[0].vector)
        wide = jax.lax.dot_general(
            vector,
            weights[index],
            (((vector.ndim - 1,), (0,)), ((), ())),
            precision=settings["precision"],
            preferred_element_type=settings["preferred_element_type"],
        )
        widths = [shape_of(each.out)[-1] for each in group]
        parts = jnp.split(wide, list(itertools.accumulate(widths))[:-1], axis=-1)
        return {each.out: part for each, part in zip(group, parts, strict=True)}


#: The plain scan of the step as it is written, with joined products.
stepwise = Stepwise()
