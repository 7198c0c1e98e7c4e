"""A cell's step as a kernel runs it: for some of the units of some of the sequences.

Every array of the step has one row for each hidden unit, so that the rows can be shared out. What
mixes the units are the products alone. A product is run for all its results at once; those whose
vectors are known at the same time make a stage, before which the rows have to meet once:

    stage 0    vectors made of the state           h @ w of most cells
    stage 1    vectors made of those products      (r * h) @ w of the reset gate before the product
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property, partial
from typing import Any, NamedTuple

import jax
from jax.extend.core import Literal, Var

from rnnlab.arrays import Array
from rnnlab.strategies.hoisted.columns import ELEMENTWISE
from rnnlab.strategies.hoisted.step_columns import Adjoints, CannotRun, StepColumns
from rnnlab.tracing import bind, read, shape_of

#: Runs one elementwise operation on the rows that a kernel holds.
Apply = Callable[[Any, Sequence[Any]], Sequence[Any]]


class Product(NamedTuple):
    """All products with one vector.

    Attributes:
      pieces: the parts of the vector, each of as many rows as there are units.
      outs: the results, of as many rows each.
    """

    pieces: tuple[Var, ...]
    outs: tuple[Var, ...]


class Units:
    """The step of a cell, divided by units.

    Attributes:
      columns: the traced step.
      hidden: number of units.
      products: the products, in the order of computation.
      stages: places of the products that run together.
      constants: number of vectors made of the parameters that the step reads.
      own: number of vectors of each sequence that it reads.
    """

    def __init__(self, columns: StepColumns) -> None:
        """Raises CannotRun where an operation is not elementwise, or rows differ."""
        self.columns = columns
        step = columns.step
        self.hidden = shape_of(columns.state[0])[0]
        self.eqns = step.eqns
        whole = self._concatenations()
        self.products = [
            Product(whole.get(product.x, (product.x,)), product.outs) for product in step.products
        ]
        self._results = {out for product in self.products for out in product.outs}
        self._check(whole)
        self.constants, self.own = len(step.constants), len(columns.own)
        self._fixed = [*step.constants, *columns.own]
        self.stages = self._stages()

    @property
    def matrices(self) -> int:
        """Number of square matrices `[H, H]` that the weights consist of."""
        return sum(len(each.pieces) * len(each.outs) for each in self.products)

    def forward(
        self,
        apply: Apply,
        fixed: Sequence[Array],
        u: Sequence[Array],
        state: Sequence[Array],
        multiply: Callable[[int, list[list[Array]]], list[list[Array]]],
    ) -> tuple[list[Array], Array, list[Array]]:
        """One step: the next state, the output, and the sums of products.

        Args:
          apply: runs an operation.
          fixed: what is the same in all steps: constants, then vectors of each sequence.
          u: what is projected of the input.
          state: the state.
          multiply: maps a stage and the pieces of the vectors of its products to their results.
        """
        env: dict[Any, Any] = dict(zip(self._fixed, fixed, strict=True))
        env |= dict(zip((*self.columns.u, *self.columns.state), (*u, *state), strict=True))
        for stage, places in enumerate(self.stages):
            products = [self.products[place] for place in places]
            vectors = [self._evaluate(apply, env, product.pieces) for product in products]
            for product, results in zip(products, multiply(stage, vectors), strict=True):
                env |= dict(zip(product.outs, results, strict=True))
        sums = [each.out for each in self.columns.sums]
        values = self._evaluate(apply, env, [*self.columns.step.outputs, *sums])
        count = len(state)
        return values[:count], values[count], values[count + 1 :]

    def backward(
        self,
        apply: Apply,
        add: Callable[[Array, Array], Array],
        inputs: Adjoints,
        d_state: Sequence[Array],
        dy: Array,
        multiply: Callable[[int, list[list[Array]]], list[list[Array]]],
    ) -> tuple[Adjoints, dict[Var, Array]]:
        """One step backwards.

        Args:
          apply: runs an operation.
          add: adds two arrays.
          inputs: what entered the elementwise rest of the step, in the places of its gradients.
          d_state: the adjoint of the next state.
          dy: the adjoint of the output.
          multiply: maps a stage and the adjoints of the results of its products to those of the
            pieces of their vectors.

        Returns:
          The adjoints, and the pieces that are no part of the state by variable.
        """
        values = list(jax.tree.leaves(inputs))
        outputs = self.columns.step.outputs
        adjoints = list(self._pull(apply, outputs, values, [*d_state, dy]))
        first_of_state = len(values) - len(self.columns.state) - len(self.columns.sums)
        first_of_sums = len(values) - len(self.columns.sums)
        vectors: dict[Var, Array] = {}
        for stage, places in reversed(list(enumerate(self.stages))):
            products = [self.products[place] for place in places]
            d_results = [
                [adjoints[first_of_sums + self.sum_of(out)] for out in product.outs]
                for product in products
            ]
            d_vectors = multiply(stage, d_results)
            for product, parts in zip(products, d_vectors, strict=True):
                for piece, d_piece in zip(product.pieces, parts, strict=True):
                    if piece in self.columns.state:
                        place = first_of_state + self.columns.state.index(piece)
                        adjoints[place] = add(adjoints[place], d_piece)
                        continue
                    vectors[piece] = self._rest(apply, [piece], values)[0]
                    more = self._pull(apply, [piece], values, [d_piece])
                    adjoints = [add(*pair) for pair in zip(adjoints, more, strict=True)]
        tree = jax.tree.structure(inputs)
        return jax.tree.unflatten(tree, adjoints), vectors

    def other_pieces(self) -> list[Var]:
        """The pieces of vectors that are no part of the state, which the backward pass writes."""
        pieces = [piece for product in self.products for piece in product.pieces]
        return [piece for piece in pieces if piece not in self.columns.state]

    @cached_property
    def reads(self) -> list[bool]:
        """Which of the leaves of the inputs of `backward` it reads."""
        leaves = self._inputs()
        found: set[int] = set()
        others = [[piece] for piece in self.other_pieces()]
        for wanted in (self.columns.step.outputs, *others):
            count = len(leaves)
            found |= _read(self._pullback(wanted).jaxpr, count)
        for wanted in others:
            rest = jax.make_jaxpr(partial(self._rest, bind, wanted))(self._like(leaves))
            found |= _read(rest.jaxpr, len(leaves))
        return [place in found for place in range(len(leaves))]

    def _inputs(self) -> list[Any]:
        columns = self.columns
        kept = [columns.u[place] for place in columns.kept]
        return [*self._fixed, *kept, *columns.state, *(each.out for each in columns.sums)]

    def _rest(self, apply: Apply, wanted: Sequence[Any], values: Sequence[Array]) -> list[Array]:
        """The elementwise rest of the step, given the products."""
        return self._evaluate(apply, dict(zip(self._inputs(), values, strict=True)), wanted)

    def _pull(
        self,
        apply: Apply,
        wanted: Sequence[Any],
        values: Sequence[Array],
        adjoints: Sequence[Array],
    ) -> list[Array]:
        """The adjoints of `values` from those of the variables `wanted` of the rest."""
        closed = self._pullback(wanted)
        env: dict[Any, Any] = dict(zip(closed.jaxpr.constvars, closed.consts, strict=True))
        env |= dict(zip(closed.jaxpr.invars, [*values, *adjoints], strict=True))
        for eqn in _needed(closed.jaxpr):
            env |= zip(eqn.outvars, apply(eqn, [read(env, v) for v in eqn.invars]), strict=True)
        return [read(env, var) for var in closed.jaxpr.outvars]

    def _pullback(self, wanted: Sequence[Any]) -> Any:
        """The trace of the adjoints of the inputs from those of the variables `wanted`."""

        def back(values: list[Array], adjoints: list[Array]) -> list[Array]:
            _, pull = jax.vjp(partial(self._rest, bind, wanted), values)
            return pull(adjoints)[0]

        with jax.disable_jit():
            return jax.make_jaxpr(back)(self._like(self._inputs()), self._like(wanted))

    def _like(self, variables: Sequence[Any]) -> list[jax.ShapeDtypeStruct]:
        return [jax.ShapeDtypeStruct((self.hidden,), self.columns.dtype)] * len(variables)

    def operations(self) -> list[str]:
        """Names of the elementwise operations of the step and of its derivative."""
        others = [[piece] for piece in self.other_pieces()]
        traces = [self._pullback(wanted).jaxpr for wanted in (self.columns.step.outputs, *others)]
        left = [eqn for eqn in self.eqns if eqn.outvars[0] not in self._results]
        left += [eqn for jaxpr in traces for eqn in jaxpr.eqns]
        names: dict[str, None] = {}
        while left:
            eqn = left.pop()
            if eqn.primitive.name == "custom_jvp_call":
                left += eqn.params["call_jaxpr"].jaxpr.eqns
            elif eqn.primitive.name != "concatenate":  # of parts of a vector
                names[eqn.primitive.name] = None
        return list(names)

    def _evaluate(self, apply: Apply, env: dict[Any, Any], wanted: Sequence[Any]) -> list[Array]:
        """The values of the variables `wanted`; what is computed on the way is left in `env`."""
        needed = {var for var in wanted if not isinstance(var, Literal) and var not in env}
        run = []
        for eqn in reversed(self.eqns):
            if not needed.isdisjoint(eqn.outvars) and eqn.outvars[0] not in self._results:
                run.append(eqn)
                needed |= {v for v in eqn.invars if not isinstance(v, Literal) and v not in env}
        for eqn in reversed(run):
            values = [read(env, var) for var in eqn.invars]
            env |= zip(eqn.outvars, apply(eqn, values), strict=True)
        return [read(env, var) for var in wanted]

    def sum_of(self, out: Var) -> int:
        """Place of the sum that the result of a product is part of."""
        return next(i for i, each in enumerate(self.columns.sums) if out in each.products)

    def _concatenations(self) -> dict[Any, tuple[Var, ...]]:
        """The parts of those vectors of products that are put together of several."""
        vectors = {product.x for product in self.columns.step.products}
        return {
            eqn.outvars[0]: tuple(eqn.invars)
            for eqn in self.eqns
            if eqn.primitive.name == "concatenate" and eqn.outvars[0] in vectors
        }

    def _check(self, whole: dict[Any, tuple[Var, ...]]) -> None:
        """Raises CannotRun unless everything but the products has one row for each unit."""
        rows = (self.hidden,)
        columns = self.columns
        for name, variables in (
            ("a part of the state", columns.state),
            ("what is projected of the input", columns.u),
            ("a result of a product", list(self._results)),
            ("a part of a vector", [piece for each in self.products for piece in each.pieces]),
            ("the output", columns.step.outputs),
        ):
            for var in variables:
                if shape_of(var) != rows:
                    raise CannotRun(f"{name} has the shape {shape_of(var)}, not {rows}")
        for var in [*columns.step.constants, *columns.own]:
            if shape_of(var) not in ((), rows):
                raise CannotRun(f"a parameter has the shape {shape_of(var)}, not {rows}")
        for eqn in self.eqns:
            out, name = eqn.outvars[0], eqn.primitive.name
            if out in self._results or out in whole:
                continue
            if not _elementwise(eqn, rows):
                raise CannotRun(f"{name} mixes the units")

    def _stages(self) -> list[list[int]]:
        """Products in groups, each of which needs no more than the results of those before."""
        stages: list[list[int]] = []
        done: set[Any] = set()
        left = list(range(len(self.products)))
        while left:
            ready = [place for place in left if self._waits_for(self.products[place]) <= done]
            stages.append(ready)
            done |= {out for place in ready for out in self.products[place].outs}
            left = [place for place in left if place not in ready]
        return stages

    def _waits_for(self, product: Product) -> set[Any]:
        """The results of products that the vector of a product is made of."""
        needed = {var for var in product.pieces if not isinstance(var, Literal)}
        for eqn in reversed(self.eqns):
            if not needed.isdisjoint(eqn.outvars) and eqn.outvars[0] not in self._results:
                needed |= {var for var in eqn.invars if not isinstance(var, Literal)}
        return needed & self._results


def _elementwise(eqn: Any, rows: tuple[int, ...]) -> bool:
    """Whether an operation has one result for each unit, from the same unit of its operands."""
    shapes = {shape_of(var) for var in [*eqn.invars, *eqn.outvars]}
    if not shapes <= {(), rows}:
        return False
    if eqn.primitive.name == "custom_jvp_call":  # such as relu
        return all(_elementwise(each, rows) for each in eqn.params["call_jaxpr"].jaxpr.eqns)
    return eqn.primitive.name in ELEMENTWISE


def _needed(jaxpr: Any) -> list[Any]:
    """The equations that lead to the results."""
    needed = {var for var in jaxpr.outvars if not isinstance(var, Literal)}
    run = []
    for eqn in reversed(jaxpr.eqns):
        if not needed.isdisjoint(eqn.outvars):
            run.append(eqn)
            needed |= {var for var in eqn.invars if not isinstance(var, Literal)}
    return run[::-1]


def _read(jaxpr: Any, count: int) -> set[int]:
    """Places of the first `count` arguments that the results depend on."""
    used = {var for eqn in _needed(jaxpr) for var in eqn.invars if not isinstance(var, Literal)}
    used |= {var for var in jaxpr.outvars if not isinstance(var, Literal)}
    return {place for place, var in enumerate(jaxpr.invars[:count]) if var in used}
