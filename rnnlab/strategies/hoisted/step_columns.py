"""A cell's step and its derivative on columns: what a scan runs, one step at a time.

`u`, the state and the results are lists of leaves `[n, N]`, in the order of their trees.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from rnnlab.arrays import Array, Params, State
from rnnlab.layer import Cell
from rnnlab.strategies.hoisted.columns import Columns
from rnnlab.strategies.hoisted.products import dot
from rnnlab.strategies.hoisted.reassociate import Reassociated
from rnnlab.strategies.hoisted.sums import find_sums
from rnnlab.tracing import TracedStep


class Weights(NamedTuple):
    """What the parameters amount to: weights of products `[m, n]`, and constants `[n]`."""

    products: list[Array]
    constants: list[Array]


class Adjoints(NamedTuple):
    """Gradients of the loss with respect to what enters the elementwise rest of a step."""

    constants: list[Array]
    own: list[Array]
    kept: list[Array]
    state: list[Array]
    sums: list[Array]


class CannotRun(Exception):
    """A cell that a strategy cannot run; the message says why."""


class StepColumns:
    """The traced step of a cell, in two parts.

    Attributes:
      dtype: of everything that is computed here; float32 for 16-bit floats.
      own, u, state: variables of the parameters of each sequence, of what is projected of the
        input, and of the state.
      projection: what depends on the input alone, as columns.
      step: the rest of the step, as columns.
      sums: what the forward pass keeps of the products.
      kept: places of the leaves of `u` that are in no sum, and kept themselves.
      output: place of the leaf of the state that is the output of the step; None where none is.
    """

    def __init__(self, cell: Cell, shared: Params, own: Params, xs: Any, state: State) -> None:
        """Traces the cell.

        Args:
          cell: the cell.
          shared: parameters that all sequences share.
          own: parameters `[N, n]` of which every sequence has its own.
          xs: inputs, a tree of `[T, N, n]`.
          state: a tree of `[N, n]`.
        """
        low = jax.tree.leaves(state)[0].dtype
        self.dtype = jnp.dtype(jnp.float32) if low.itemsize < 4 else low
        shapes = jax.tree.map(partial(self._like, 0), shared)
        each = jax.tree.map(partial(self._like, 1), (own, state))
        x = jax.tree.map(partial(self._like, 2), xs)

        traced = TracedStep(Reassociated(cell), _together(shapes, each[0]), x, each[1])

        if traced.opaque:
            raise CannotRun("its step has side effects")

        def project(shared: Params, own: Params, x: Any) -> Any:
            return traced.project(_together(shared, own), x)

        def step(shared: Params, own: Params, u: Any, state: State) -> Any:
            return traced.advance(_together(shared, own), u, state)

        self.projection = Columns(project, shapes, each[0], x)
        u = jax.eval_shape(project, shapes, each[0], x)
        self.step = Columns(step, shapes, each[0], u, each[1])
        counts = [len(jax.tree.leaves(tree)) for tree in (own, u, state)]
        ends = counts[0], counts[0] + counts[1]
        inputs = self.step.inputs
        self.own, self.u, self.state = (
            inputs[: ends[0]],
            inputs[ends[0] : ends[1]],
            inputs[ends[1] :],
        )
        self.sums = find_sums(self.step, self.u)
        summed = {place for each in self.sums for place in each.inputs}
        self.kept = [place for place in range(counts[1]) if place not in summed]
        *after, y = self.step.outputs
        self.output = after.index(y) if y in after else None
        self._homes = {
            out: (index, sum(product.rows[:place]), product.rows[place])
            for index, product in enumerate(self.step.products)
            for place, out in enumerate(product.outs)
        }

    def _like(self, axes: int, a: Any) -> jax.ShapeDtypeStruct:
        """The shape of `a` without its first axes, and what it is computed in."""
        floats = jnp.issubdtype(a.dtype, jnp.floating)
        return jax.ShapeDtypeStruct(a.shape[axes:], self.dtype if floats else a.dtype)

    def forward(
        self, weights: Weights, own: list[Array], u: list[Array], state: list[Array]
    ) -> tuple[list[Array], Array, list[Array]]:
        """One step: the next state, the output, and the sums of products."""
        known = dict(zip(self.step.inputs, [*own, *u, *state], strict=True))
        wanted = [*self.step.outputs, *(each.out for each in self.sums)]
        multiply = partial(self._multiply, weights)
        values = self.step.evaluate(wanted, weights.constants, known, multiply)
        count = len(state)
        return values[:count], values[count], values[count + 1 :]

    def _multiply(self, weights: Weights, index: int, x: Array) -> Array:
        return dot(weights.products[index], x, self.dtype)

    def backward(
        self,
        weights: Weights,
        columns: list[Array],
        inputs: Adjoints,
        d_state: list[Array],
        dy: Array,
        write: Callable[[int, list[Array]], Array],
    ) -> tuple[Adjoints, list[Array]]:
        """One step backwards, as in the docstring of `hoisted`.

        Args:
          weights: as for `forward`.
          columns: the weight `[n, m]` of each product, transposed.
          inputs: what entered the rest of the step, in the places of its gradients.
          d_state: the adjoint of the next state.
          dy: the adjoint of the output.
          write: stores the adjoints of the results of a product and returns them as one `[m, N]`.

        Returns:
          The adjoints, and the vector `[n, N]` of each product that is no part of the state.
        """
        _, pull = jax.vjp(partial(self._rest, self.step.outputs), inputs)
        (adjoints,) = pull([*d_state, dy])
        vectors: list[Array] = []
        for index, product in reversed(list(enumerate(self.step.products))):
            d_x = dot(columns[index], write(index, self._of_product(index, adjoints)), self.dtype)
            if product.x in self.state:
                place = self.state.index(product.x)
                adjoints.state[place] += d_x
            else:
                (x,), pull = jax.vjp(partial(self._rest, [product.x]), inputs)
                (more,) = pull([d_x])
                adjoints = jax.tree.map(jnp.add, adjoints, more)
                vectors.insert(0, x)
        return adjoints, vectors

    def _rest(self, wanted: Sequence[Any], inputs: Adjoints) -> list[Array]:
        """The elementwise rest of the step, given the products."""
        known = dict(zip(self.own, inputs.own, strict=True))
        known |= dict(zip((self.u[place] for place in self.kept), inputs.kept, strict=True))
        known |= dict(zip(self.state, inputs.state, strict=True))
        known |= dict(zip((each.out for each in self.sums), inputs.sums, strict=True))
        return self.step.evaluate(wanted, inputs.constants, known)

    def _of_product(self, index: int, adjoints: Adjoints) -> list[Array]:
        """The adjoints of the results of a product, which are those of their sums."""
        return [
            next(
                d for each, d in zip(self.sums, adjoints.sums, strict=True) if out in each.products
            )
            for out in self.step.products[index].outs
        ]

    def adjoints_of_u(self, products: list[Array], kept: list[Array]) -> list[Array]:
        """The adjoints of the leaves of `u`, from those of the products and of what is kept."""
        found: dict[int, Array] = dict(zip(self.kept, kept, strict=True))
        for each in self.sums:
            index, start, rows = self._homes[each.products[0]]
            block = jax.lax.slice_in_dim(products[index], start, start + rows)
            found |= dict.fromkeys(each.inputs, block)
        return [found[place] for place in range(len(self.u))]

    def vectors_in_state(self) -> list[int | None]:
        """For each product, the leaf of the state that it multiplies; None for anything else."""
        return [
            self.state.index(product.x) if product.x in self.state else None
            for product in self.step.products
        ]


def _together(shared: Params, own: Params) -> Params:
    """The parameters as the cell takes them."""
    return shared | own if own else shared
