"""A step with the same sums in another order, in which more of it leaves the loop.

    (x @ wx + h @ wh) + b    ->  (x @ wx + b) + h @ wh           the bias joins what is projected
    split(x @ wx + h @ wh)   ->  x @ wx_i + h @ wh_i, ...        a product for each gate

Sums of equal shapes are put off until something else than a sum or a cut reads them. Then they are
added in the order of what they depend on: the parameters, the input, the state. The cells here are
written in that order, and keep it to the bit.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
from jax.extend.core import JaxprEqn, Literal

from rnnlab.arrays import Array, Input, Output, Params, State
from rnnlab.tracing import STATE, Rewritten, TracedStep, bind, read, shape_of


class Term(NamedTuple):
    """A summand: an array, or a vector times a weight `[n, m]`.

    Attributes:
      latest: what it depends on at the latest, as in `rnnlab.tracing`.
      value: the array, or the vector.
      weight: the weight; None for an array.
      place: where the product stands in the step: its number, and that of the first column.
    """

    latest: int
    value: Array
    weight: Array | None = None
    place: tuple[int, int] = (0, 0)

    def cut(self, start: int, stop: int) -> Term:
        """The entries from `start` to `stop` of the last axis."""
        whole = self.value if self.weight is None else self.weight
        part = jax.lax.slice_in_dim(whole, start, stop, axis=whole.ndim - 1)
        if self.weight is None:
            return self._replace(value=part)
        return self._replace(weight=part, place=(self.place[0], self.place[1] + start))

    def array(self) -> Array:
        """The summand as an array."""
        return self.value if self.weight is None else self.value @ self.weight


@dataclasses.dataclass(frozen=True)
class Sum:
    """A sum that is put off."""

    terms: tuple[Term, ...]

    def array(self) -> Array:
        """Adds the terms in the order of what they depend on."""
        first, *rest = sorted(self.terms, key=lambda term: term.latest)
        total = first.array()
        for term in rest:
            total = total + term.array()
        return total


@dataclasses.dataclass(frozen=True)
class Reassociated(Rewritten):
    """A cell whose step adds in another order.

    Attributes:
      cell: the cell.
    """

    def step(self, params: Params, x: Input, state: State) -> tuple[State, Output]:
        """The cell's step."""
        traced = TracedStep(self.cell, params, x, state)
        if traced.opaque:
            return self.cell.step(params, x, state)
        return _Evaluation(traced, (params, x, state)).run()


class _Evaluation:
    """One evaluation of a traced step."""

    def __init__(self, traced: TracedStep, arguments: tuple[Params, Input, State]) -> None:
        self._traced = traced
        self._products = {each.out: each for each in traced.inner}
        #: How often variables are read, where cutting one into pieces counts as once.
        self._uses = Counter(
            var
            for eqn in traced.eqns
            for var in eqn.invars
            if not isinstance(var, Literal) and _cuts(eqn) is None
        )
        self._uses.update(var for var in traced.outputs if not isinstance(var, Literal))
        self._cut: set[Any] = {eqn.invars[0] for eqn in traced.eqns if _cuts(eqn) is not None}
        self._uses.update(list(self._cut))
        self._env: dict[Any, Any] = traced.known(*arguments)
        self._sums: dict[Any, Sum] = {}

    def run(self) -> tuple[State, Output]:
        """The next state and the output."""
        for eqn in self._traced.eqns:
            results = self._put_off(eqn)
            if results is None:
                values = [self._value(var) for var in eqn.invars]
                self._env.update(zip(eqn.outvars, bind(eqn, values), strict=True))
                continue
            for var, each in zip(eqn.outvars, results, strict=True):
                if self._uses[var] == 1:
                    self._sums[var] = each
                else:  # read more than once, and to be computed once
                    self._env[var] = each.array()
        return self._traced.results([self._value(var) for var in self._traced.outputs])

    def _value(self, var: Any) -> Any:
        if not isinstance(var, Literal) and var in self._sums:
            self._multiply_like(self._sums[var])
            self._env[var] = self._sums.pop(var).array()
        return read(self._env, var)

    def _multiply_like(self, wanted: Sum) -> None:
        """Forms the products of all sums with the vectors of one, in the order of the step.

        They become one product, whose gates then stand in that order.
        """
        vectors = {id(term.value) for term in wanted.terms if term.weight is not None}
        found = [
            (term.place, var, term)
            for var, each in self._sums.items()
            for term in each.terms
            if var not in self._cut and term.weight is not None and id(term.value) in vectors
        ]
        for _, var, term in sorted(found, key=lambda each: each[0]):
            done = Term(term.latest, term.array())
            terms = (done if each is term else each for each in self._sums[var].terms)
            self._sums[var] = Sum(tuple(terms))

    def _put_off(self, eqn: JaxprEqn) -> list[Sum] | None:
        """The sums that an operation with the state makes; None where it makes none."""
        name, out = eqn.primitive.name, eqn.outvars[0]
        if self._traced.latest(out) != STATE:
            return None
        product = self._products.get(out)
        if product is not None:
            weight = self._value(product.weight)
            weight = weight.T if product.axis else weight
            place = self._traced.inner.index(product), 0
            return [Sum((Term(STATE, self._value(product.vector), weight, place),))]
        if name in ("add", "add_any") and len({shape_of(v) for v in [*eqn.invars, out]}) == 1:
            return [Sum(tuple(term for var in eqn.invars for term in self._terms(var)))]
        cuts = _cuts(eqn)
        if cuts is None or eqn.invars[0] not in self._sums:
            return None
        terms = self._sums[eqn.invars[0]].terms
        return [Sum(tuple(term.cut(*cut) for term in terms)) for cut in cuts]

    def _terms(self, var: Any) -> tuple[Term, ...]:
        if not isinstance(var, Literal) and var in self._sums:
            return self._sums.pop(var).terms
        return (Term(self._traced.latest(var), read(self._env, var)),)


def _cuts(eqn: JaxprEqn) -> Sequence[tuple[int, int]] | None:
    """Where an operation cuts the last axis of its operand; None where it does something else."""
    shape = shape_of(eqn.invars[0]) if eqn.invars else ()
    if not shape:
        return None
    if eqn.primitive.name == "split" and eqn.params["axis"] == len(shape) - 1:
        sizes = eqn.params["sizes"]
        stops = [sum(sizes[: i + 1]) for i in range(len(sizes))]
        return [(stop - size, stop) for size, stop in zip(sizes, stops, strict=True)]
    if eqn.primitive.name == "slice" and not any(s != 1 for s in eqn.params["strides"] or ()):
        starts, limits = eqn.params["start_indices"], eqn.params["limit_indices"]
        if tuple(starts[:-1]) == (0,) * (len(shape) - 1) and tuple(limits[:-1]) == shape[:-1]:
            return [(starts[-1], limits[-1])]
    return None
