"""The step of a cell divided into its products and the rest, by tracing it once.

A cell is one function, `step(params, x, state) -> (state, y)`. Its trace says for every variable
whether it depends on the state, else on the input, else on the parameters alone, and so sorts the
operations:

    project    what depends on `x` but not on the state: `u`, computed for all steps at once
    products   a weight times a vector that depends on the state: `v`, the only products in the loop
    rest       everything else that depends on the state: elementwise in the usual cells

so that `step(params, x, state) = rest(params, u, v, state)`, with `u = project(params, x)` and
`v = products(params, u, state)`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.extend.core import JaxprEqn, Literal, Var
from jax.typing import DTypeLike

from rnnlab.arrays import Array, Input, Key, Output, Params, State
from rnnlab.layer import Cell

#: What a variable depends on, at the latest.
PARAMS, INPUT, STATE = 0, 1, 2


@dataclasses.dataclass(frozen=True)
class Rewritten:
    """The parameters and states of a cell, for a class that writes its traced step in another form.

    Attributes:
      cell: the cell.
    """

    cell: Cell

    def init(self, key: Key, features_in: int, dtype: DTypeLike = jnp.float32) -> Params:
        """Draws the cell's parameters."""
        return self.cell.init(key, features_in, dtype)

    def initial_state(
        self, batch_shape: tuple[int, ...] = (), dtype: DTypeLike = jnp.float32
    ) -> State:
        """The cell's initial state."""
        return self.cell.initial_state(batch_shape, dtype)


class Product(NamedTuple):
    """A vector times a weight that depends on the parameters alone.

    Attributes:
      out: the result `[..., m]`.
      vector: the vector `[..., n]`.
      weight: the matrix.
      axis: the axis of the matrix, 0 or 1, that meets the vector.
    """

    out: Var
    vector: Var
    weight: Var
    axis: int


class TracedStep:
    """The step of a cell for inputs and states of certain shapes, which may have leading axes.

    For more leading axes map the methods (`jax.vmap`).

    Attributes:
      opaque: whether the step has side effects, such as `jax.debug.print`; it is then run as it
        is, and `u` is the input itself.
      inner: the products with vectors that depend on the state, in the order of computation.
      outer: the products with vectors that depend on the input alone.
      eqns: the operations, in the order of computation.
      outputs: the variables of the results.
    """

    def __init__(self, cell: Cell, params: Params, x: Any, state: State) -> None:
        """Traces `cell.step`; the arguments may be arrays or their shapes."""
        with jax.disable_jit():  # so that jitted helpers such as the sigmoid are traced inline
            closed, shapes = jax.make_jaxpr(cell.step, return_shape=True)(params, x, state)
        self.opaque = bool(closed.effects)
        self._cell, self._x = cell, jax.tree.structure(x)
        jaxpr = closed.jaxpr
        self._results = jax.tree.structure(shapes)
        self.eqns: list[JaxprEqn] = jaxpr.eqns
        self._constants = dict(zip(jaxpr.constvars, closed.consts, strict=True))
        counts = [len(jax.tree.leaves(tree)) for tree in (params, x, state)]
        ends = counts[0], counts[0] + counts[1]
        self._params = jaxpr.invars[: ends[0]]
        self._inputs = jaxpr.invars[ends[0] : ends[1]]
        self._state = jaxpr.invars[ends[1] :]
        self.outputs: list[Any] = jaxpr.outvars
        self._depends = dict.fromkeys(self._inputs, INPUT) | dict.fromkeys(self._state, STATE)
        if self.opaque:
            self.eqns, self.outputs = [], []
        for eqn in self.eqns:
            latest = max(map(self.latest, eqn.invars), default=PARAMS)
            self._depends |= dict.fromkeys(eqn.outvars, latest)
        products = [found for eqn in self.eqns if (found := self._product(eqn)) is not None]
        self.inner = [each for each in products if self.latest(each.vector) == STATE]
        self.outer = [each for each in products if self.latest(each.vector) == INPUT]
        self._u = self._frontier()

    def latest(self, var: Any) -> int:
        """What a variable depends on at the latest: `PARAMS`, `INPUT` or `STATE`."""
        return PARAMS if isinstance(var, Literal) else self._depends.get(var, PARAMS)

    def known(self, params: Params, x: Input, state: State) -> dict[Any, Any]:
        """The values of the variables of the arguments, and the constants of the trace."""
        return self._known(params, inputs=x, state=state)

    def results(self, values: Sequence[Array]) -> tuple[State, Output]:
        """The next state and the output, from the values of `outputs`."""
        return jax.tree.unflatten(self._results, values)

    def project(self, params: Params, x: Input) -> tuple[Array, ...]:
        """`u`: what the rest of the step reads of the input."""
        return tuple(self._evaluate(self._u, self._known(params, inputs=x)))

    def advance(self, params: Params, u: Sequence[Array], state: State) -> tuple[State, Output]:
        """The step from `u`: the next state and the output."""
        if self.opaque:
            return self._cell.step(params, jax.tree.unflatten(self._x, u), state)
        known = self._known(params, u=u, state=state)
        return jax.tree.unflatten(self._results, self._evaluate(self.outputs, known))

    def products(self, params: Params, u: Sequence[Array], state: State) -> tuple[Array, ...]:
        """`v`: the results of the `inner` products."""
        known = self._known(params, u=u, state=state)
        return tuple(self._evaluate([each.out for each in self.inner], known))

    def rest(
        self, params: Params, u: Sequence[Array], v: Sequence[Array], state: State
    ) -> tuple[State, Output]:
        """The step from `u` and the results `v` of the inner products."""
        known = self._known(params, u=u, state=state) | self._products_known(v)
        return jax.tree.unflatten(self._results, self._evaluate(self.outputs, known))

    def vector(
        self, index: int, params: Params, u: Sequence[Array], v: Sequence[Array], state: State
    ) -> Array:
        """The vector of the `index`-th inner product, given the results `v` of those before."""
        known = self._known(params, u=u, state=state) | self._products_known(v)
        return self._evaluate([self.inner[index].vector], known)[0]

    def weights(
        self, params: Params, products: Sequence[Product] | None = None
    ) -> tuple[Array, ...]:
        """The weight `[n, m]` of some products, by default the inner: `vector @ weight`."""
        products = self.inner if products is None else products
        found = self._evaluate([each.weight for each in products], self._known(params))
        return tuple(
            weight.T if each.axis else weight for each, weight in zip(products, found, strict=True)
        )

    def with_products(
        self,
        change: Callable[[int, Array], Array],
        params: Params,
        x: Input,
        state: State,
        entering: State | None = None,
    ) -> tuple[State, Output]:
        """The whole step, with the result of every product changed.

        Args:
          change: maps the index of a product in `[*outer, *inner]` and its result to what the step
            uses instead.
          params: the parameters.
          x: the input.
          state: the state.
          entering: the state that vectors of products are made of, where that is not `state`. What
            a cell carries over elementwise is made of `state` all the same.
        """
        env = self._known(params, inputs=x, state=state)
        other = {} if entering is None else self._leaves(self._state, entering)
        places = {each.out: place for place, each in enumerate([*self.outer, *self.inner])}
        for eqn in self.eqns:
            out = eqn.outvars[0]
            if out in places:
                (result,) = bind(eqn, [read(env | other, var) for var in eqn.invars])
                env[out] = change(places[out], result)
                continue
            env.update(zip(eqn.outvars, bind(eqn, [read(env, v) for v in eqn.invars]), strict=True))
            if any(not isinstance(var, Literal) and var in other for var in eqn.invars):
                results = bind(eqn, [read(env | other, var) for var in eqn.invars])
                other.update(zip(eqn.outvars, results, strict=True))
        return jax.tree.unflatten(self._results, [read(env, var) for var in self.outputs])

    def products_by_vector(self) -> list[list[int]]:
        """Places of the inner products, together where they have the vector in common."""
        vectors = dict.fromkeys(each.vector for each in self.inner)
        return [[i for i, p in enumerate(self.inner) if p.vector is vector] for vector in vectors]

    def products_follow(self) -> bool:
        """Whether the vector of an inner product is made of the result of another one."""
        results = {each.out for each in self.inner}
        vectors = [each.vector for each in self.inner]
        return not results.isdisjoint(self._walk_back(vectors, {}))

    def recurrent_leaves(self) -> tuple[int, ...]:
        """Places of the leaves of the parameters that the weights of inner products are made of."""
        seen = self._walk_back([each.weight for each in self.inner], {})
        return tuple(i for i, var in enumerate(self._params) if var in seen)

    def _product(self, eqn: JaxprEqn) -> Product | None:
        """The product that an operation is: of a weight `[n, m]` and a vector's last axis."""
        if eqn.primitive.name != "dot_general":
            return None
        contract, batch = eqn.params["dimension_numbers"]
        fixed = [self.latest(var) == PARAMS for var in eqn.invars]
        if fixed[0] == fixed[1] or batch != ((), ()) or len(contract[0]) != 1:
            return None
        place = fixed.index(True)
        weight, vector = eqn.invars[place], eqn.invars[1 - place]
        last = len(shape_of(vector)) - 1
        if len(shape_of(weight)) != 2 or contract[1 - place][0] != last:
            return None
        if place == 0 and last > 0:  # the result is [m, ...], with the units first
            return None
        assert isinstance(vector, Var) and isinstance(weight, Var)
        return Product(eqn.outvars[0], vector, weight, contract[place][0])

    def _frontier(self) -> list[Var]:
        """The variables made of the input that what depends on the state reads."""
        if self.opaque:
            return self._inputs
        readers = [eqn.invars for eqn in self.eqns if self.latest(eqn.outvars[0]) == STATE]
        read = [var for invars in [*readers, self.outputs] for var in invars]
        return list(dict.fromkeys(var for var in read if self.latest(var) == INPUT))

    def _known(self, params: Params, **trees: Any) -> dict[Any, Any]:
        known = self._constants | self._leaves(self._params, params)
        places = {"inputs": self._inputs, "u": self._u, "state": self._state}
        for name, tree in trees.items():
            known |= self._leaves(places[name], tree)
        return known

    def _leaves(self, variables: Sequence[Var], tree: Any) -> dict[Any, Any]:
        return dict(zip(variables, jax.tree.leaves(tree), strict=True))

    def _products_known(self, v: Sequence[Array]) -> dict[Any, Any]:
        return {each.out: result for each, result in zip(self.inner, v, strict=False)}

    def _evaluate(self, wanted: Sequence[Any], known: dict[Any, Any]) -> list[Array]:
        """The values of the variables `wanted`, by running what leads from `known` to them."""
        env = dict(known)
        needed = self._walk_back(wanted, known)
        for eqn in self.eqns:
            if not needed.isdisjoint(eqn.outvars):
                results = bind(eqn, [read(env, var) for var in eqn.invars])
                env.update(zip(eqn.outvars, results, strict=True))
        return [read(env, var) for var in wanted]

    def _walk_back(self, wanted: Iterable[Any], known: dict[Any, Any]) -> set[Any]:
        """All variables that `wanted` depend on and themselves, not looking behind `known`."""
        seen = {var for var in wanted if not isinstance(var, Literal) and var not in known}
        for eqn in reversed(self.eqns):
            if not seen.isdisjoint(eqn.outvars):
                seen.update(v for v in eqn.invars if not isinstance(v, Literal) and v not in known)
        return seen


def trace(cell: Cell, params: Params, xs: Any, state: State) -> TracedStep:
    """The traced step for `xs [T, *batch, D]` and a state `[*batch, ...]` of such a sequence."""
    x = jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape[1:], a.dtype), xs)
    return TracedStep(cell, jax.tree.map(_shape, params), x, jax.tree.map(_shape, state))


def project_all(step: TracedStep, params: Params, xs: Any) -> tuple[Array, ...]:
    """`u` of all steps, `[T, ...]` each."""
    return jax.vmap(step.project, in_axes=(None, 0))(params, xs)


def _shape(a: Any) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(a.shape, a.dtype)


def shape_of(var: Any) -> tuple[int, ...]:
    """The shape of a variable or literal."""
    return var.aval.shape


def read(env: dict[Any, Any], var: Any) -> Any:
    """The value of a variable or literal."""
    if isinstance(var, Literal):
        return jnp.asarray(var.val, getattr(var.aval, "dtype", None))
    return env[var]


def bind(eqn: JaxprEqn, values: Sequence[Any]) -> Sequence[Any]:
    """The results of an operation."""
    results = eqn.primitive.bind(*values, **eqn.primitive.get_bind_params(eqn.params))
    return results if eqn.primitive.multiple_results else [results]
