"""The scan over time blocks, forwards and backwards, for `hoisted`."""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from rnnlab.arrays import Array, Params, State
from rnnlab.layer import Cell
from rnnlab.strategies.control import Control
from rnnlab.strategies.hoisted.products import dot, product
from rnnlab.strategies.hoisted.step_columns import Adjoints, StepColumns, Weights


class AllWeights(NamedTuple):
    """What the projection and the step take from the parameters."""

    projection: Weights
    step: Weights


class Kept(NamedTuple):
    """What the forward pass keeps of a time block: leaves `[K, n, N]`.

    The leaf of the state that is the output too is not among them, if there are no flags: the
    outputs have it.
    """

    state: list[Array]
    u: list[Array]
    sums: list[Array]


class TimeBlocks:
    """The scan over time blocks in both directions, with arrays in columns `[n, N]`."""

    def __init__(
        self, cell: Cell, size: int, shared: Params, own: Params, xs: Any, state: State
    ) -> None:
        self.size = size
        self.columns = StepColumns(cell, shared, own, xs, state)
        self.narrow = jax.tree.leaves(state)[0].dtype
        self._initial = cell.initial_state
        self._state_tree = jax.tree.structure(state)

    def weights(self, shared: Params) -> AllWeights:
        """Weights in the dtype of the parameters, constants in that of the computation."""
        wide = jax.tree.map(self._widen, shared)
        parts = (
            Weights(*part.fixed(wide)) for part in (self.columns.projection, self.columns.step)
        )
        return AllWeights(*(p._replace(products=self._narrow(p.products)) for p in parts))

    def _widen(self, a: Array) -> Array:
        return a.astype(self.columns.dtype) if jnp.issubdtype(a.dtype, jnp.floating) else a

    def _narrow(self, tree: Any) -> Any:
        return jax.tree.map(lambda a: a.astype(self.narrow), tree)

    def cut(self, tree: Any) -> Any:
        """Leaves `[T, ...]` as `[T / K, K, ...]`."""
        size = self.size
        return jax.tree.map(lambda a: a.reshape(a.shape[0] // size, size, *a.shape[1:]), tree)

    def project(self, weights: Weights, own: list[Array], xs: list[Array]) -> list[Array]:
        """The leaves `[n, K N]` of `u`, from those `[n, K N]` of the inputs of a time block."""
        projection = self.columns.projection
        known = dict(zip(projection.inputs, [*own, *xs], strict=True))

        def multiply(index: int, x: Array) -> Array:
            return product(weights.products[index], x, self.columns.dtype)

        return projection.evaluate(projection.outputs, weights.constants, known, multiply)

    def own_columns(self, own: Params) -> tuple[list[Array], list[Array]]:
        """The leaves of `own`, for one step `[n, N]` and for a time block `[n, K N]`."""
        columns = [self._widen(a).T for a in jax.tree.leaves(own)]
        return columns, [jnp.tile(a, self.size) for a in columns]

    def columns_of_time_block(self, tree: Any) -> list[Array]:
        """Leaves `[K, N, n]` as `[n, K N]`."""
        return [
            self._widen(a.reshape(a.shape[0] * a.shape[1], a.shape[2]).T)
            for a in jax.tree.leaves(tree)
        ]

    def steps_of_time_block(self, a: Array) -> Array:
        """`[n, K N]` as `[K, n, N]`, each step in one piece."""
        steps = a.reshape(a.shape[0], self.size, a.shape[1] // self.size).transpose(1, 0, 2)
        return jax.lax.optimization_barrier(steps)

    def enter(self, state: list[Array], now: Control) -> list[Array]:
        """The state a step starts from: the initial one where a new sequence starts."""
        if now.fresh is None:
            return state
        initial = jax.tree.leaves(self._initial((), self.columns.dtype))
        return [
            jnp.where(now.fresh, start[:, None], a) for start, a in zip(initial, state, strict=True)
        ]

    def forward(
        self, keep: bool, shared: Params, own: Params, xs: Any, state: State, control: Control
    ) -> Any:
        """Runs the time blocks; returns final state, outputs, and what `keep` asks to keep."""
        weights = self.weights(shared)
        each, tiled = self.own_columns(own)

        def step(state: list[Array], inputs: Any) -> Any:
            u, now = inputs
            before = self.enter(state, now)
            after, y, sums = self.columns.forward(weights.step, each, u, before)
            after, y = _where(now.valid, (after, y), (before, jnp.zeros_like(y)))
            known = self._known(control)
            states = [a for place, a in enumerate(before) if place != known]
            kept = Kept(states, [u[place] for place in self.columns.kept], sums)
            return after, (y.T.astype(self.narrow), self._narrow(kept) if keep else None)

        def block(state: list[Array], inputs: Any) -> Any:
            xs, control = inputs
            us = self.project(weights.projection, tiled, self.columns_of_time_block(xs))
            inputs = [self.steps_of_time_block(u) for u in us], control
            return jax.lax.scan(step, state, inputs, length=self.size)

        start = [self._widen(a).T for a in jax.tree.leaves(state)]
        last, (ys, kept) = jax.lax.scan(block, start, self.cut((xs, control)))
        final = jax.tree.unflatten(self._state_tree, [a.T.astype(self.narrow) for a in last])
        return (final, ys.reshape(ys.shape[0] * ys.shape[1], *ys.shape[2:])), kept

    def _known(self, control: Control) -> int | None:
        """Place of the leaf of the state that is the output of the step before."""
        return self.columns.output if control.valid is None and control.fresh is None else None

    def backward(
        self,
        shared: Params,
        own: Params,
        xs: Any,
        state: State,
        control: Control,
        ys: Array,
        kept: Kept,
        d_final: State,
        d_ys: Array,
    ) -> Any:
        """Gradients of everything that `forward` was given."""
        weights, pull_weights = jax.vjp(self.weights, shared)
        (each, tiled), pull_own = jax.vjp(self.own_columns, own)
        transposed = [jax.lax.optimization_barrier(w.T) for w in weights.step.products]
        run = partial(self._time_block_back, weights, transposed, each, tiled)
        zeros = jax.tree.map(
            lambda a: jnp.zeros(a.shape, self.columns.dtype), (weights, (each, tiled))
        )
        start = [self._widen(a).T for a in jax.tree.leaves(d_final)]
        outputs = None
        known = self._known(control)
        if known is not None:
            first = jax.tree.leaves(state)[known][None]
            outputs = (
                jnp.concatenate([first, ys[self.size - 1 : -1 : self.size]])[
                    : len(ys) // self.size
                ],
                self.cut(ys),
            )
        blocks = (self.cut((xs, control, d_ys)), kept, outputs)
        (d_state, sums), d_xs = jax.lax.scan(run, (start, zeros), blocks, reverse=True)
        d_weights, d_own = sums
        (d_shared,) = pull_weights(jax.tree.map(lambda d, w: d.astype(w.dtype), d_weights, weights))
        d_xs = jax.tree.map(lambda d, x: d.reshape(x.shape).astype(x.dtype), d_xs, xs)
        d_state = jax.tree.unflatten(self._state_tree, [d.T.astype(self.narrow) for d in d_state])
        return d_shared, pull_own(d_own)[0], d_xs, d_state, None

    def _time_block_back(
        self,
        weights: AllWeights,
        transposed: list[Array],
        own: list[Array],
        tiled: list[Array],
        carry: Any,
        inputs: Any,
    ) -> Any:
        """A time block backwards: its steps, then the gradients of weights and inputs at once."""
        d_state, (d_weights, d_own) = carry
        (xs, control, d_ys), kept, outputs = inputs
        count = d_ys.shape[1]
        kept, rows = self._with_output(kept, outputs, self._known(control))
        room = [self._room(w.shape[0], count) for w in weights.step.products]
        room_kept = [self._room(a.shape[1], count) for a in kept.u]
        d_ys = jax.lax.optimization_barrier(self._widen(d_ys).transpose(0, 2, 1))
        step = partial(self._step_back, weights.step, transposed, own)
        steps = (kept, control, d_ys, jnp.arange(self.size, dtype=jnp.int32))
        carry = (d_state, (d_weights.step.constants, d_own[0]), (room, room_kept))
        (d_state, (d_constants, d_each), (room, room_kept)), vectors = jax.lax.scan(
            step, carry, steps, reverse=True
        )
        d_products = [
            d + dot(dz, x, self.columns.dtype)
            for d, dz, x in zip(
                d_weights.step.products, room, self._vectors(rows, kept, vectors), strict=True
            )
        ]
        us = self.columns.adjoints_of_u(room, room_kept)
        _, pull = jax.vjp(self.project, weights.projection, tiled, self.columns_of_time_block(xs))
        d_projection, d_tiled, d_xs = pull(us)
        d_projection = jax.tree.map(
            lambda a, b: a + b.astype(a.dtype), d_weights.projection, d_projection
        )
        d_weights = AllWeights(d_projection, Weights(d_products, d_constants))
        d_own = (d_each, jax.tree.map(jnp.add, d_own[1], d_tiled))
        leaves = [d.T.reshape(*a.shape) for d, a in zip(d_xs, jax.tree.leaves(xs), strict=True)]
        d_xs = jax.tree.unflatten(jax.tree.structure(xs), leaves)
        return (d_state, (d_weights, d_own)), d_xs

    def _with_output(
        self, kept: Kept, outputs: Any, place: int | None
    ) -> tuple[Kept, dict[int, Array]]:
        """What is kept with the leaf of the state that the outputs have; that leaf as rows, too."""
        if place is None:
            return kept, {}
        last, ys = outputs
        before = jnp.concatenate([last[None], ys[:-1]])
        state = [*kept.state]
        state.insert(place, jax.lax.optimization_barrier(before.transpose(0, 2, 1)))
        return kept._replace(state=state), {place: before}

    def _step_back(
        self,
        weights: Weights,
        transposed: list[Array],
        own: list[Array],
        carry: Any,
        inputs: Any,
    ) -> Any:
        d_after, (d_constants, d_own), (room, room_kept) = carry
        kept, now, dy, place = inputs
        room = list(room)

        def write(index: int, parts: list[Array]) -> Array:
            room[index] = _write(room[index], parts, place)
            return jax.lax.dynamic_slice_in_dim(
                room[index], place * parts[0].shape[1], parts[0].shape[1], 1
            )

        nothing = jax.tree.map(jnp.zeros_like, (d_after, dy))
        d_new, dy = _where(now.valid, (d_after, dy), nothing)
        state, u, sums = (jax.tree.map(self._widen, part) for part in kept)
        entered = Adjoints(weights.constants, own, u, state, sums)
        adjoints, vectors = self.columns.backward(weights, transposed, entered, d_new, dy, write)
        d_before = adjoints.state
        if now.valid is not None:
            frozen = _where(now.valid, nothing[0], d_after)
            d_before = [a + b for a, b in zip(d_before, frozen, strict=True)]
        if now.fresh is not None:
            d_before = _where(now.fresh, nothing[0], d_before)
        room_kept = [_write(a, [d], place) for a, d in zip(room_kept, adjoints.kept, strict=True)]
        more = (adjoints.constants, adjoints.own)
        summed = jax.tree.map(jnp.add, (d_constants, d_own), more)
        return (d_before, summed, (room, room_kept)), vectors

    def _room(self, rows: int, count: int) -> Array:
        """Where the adjoints `[n, N]` of the steps of a time block are gathered, as `[n, K N]`."""
        return jnp.zeros((rows, self.size * count), self.columns.dtype)

    def _vectors(self, rows: dict[int, Array], kept: Kept, others: list[Array]) -> list[Array]:
        """The vectors of all products as rows `[K N, n]`."""
        rest = iter(others)
        return [
            _rows((next(rest) if place is None else kept.state[place]).transpose(0, 2, 1))
            if place not in rows
            else _rows(rows[place])
            for place in self.columns.vectors_in_state()
        ]


def _write(room: Array, parts: list[Array], place: Array) -> Array:
    """Puts the rows of `parts [·, N]` into the columns of step `place`."""
    start = 0
    for part in parts:
        corner = jnp.int32(start), place * part.shape[1]
        room = jax.lax.dynamic_update_slice(room, part, corner)
        start += part.shape[0]
    return room


def _rows(a: Array) -> Array:
    """`[K, N, n]` as `[K N, n]`."""
    return a.reshape(a.shape[0] * a.shape[1], a.shape[2])


def _where(flag: Array | None, yes: Any, no: Any) -> Any:
    """`yes` where `flag [N]`, else `no`, for trees of columns; None means yes."""
    if flag is None:
        return yes
    return jax.tree.map(lambda a, b: jnp.where(flag, a, b), yes, no)
