"""Gradient norms of one network for a loss at each of many lengths, from one run.

The forward pass to the longest length is shared: its states are those of every shorter one. The
adjoints of all losses travel backwards together as the rows of one product,

    λ_n(t) = (∂s_{t+1}/∂s_t)ᵀ λ_n(t+1),    λ_n enters at the end of its own length,

so that a step costs one matrix product with `B n` rows however many lengths there are. Only the
lengths still active take part: time is cut into segments with a fixed number of them. Adjoints are
renormalised by exact powers of two every few steps and the exponents summed as integers, so that
neither 0 nor inf can appear. The recurrent weights' gradient is one product for a time block.

A few steps of saturated units can leave the range of float32 nevertheless. `quick_gradient_norms`
says where that may have happened, and `gradient_norms` renormalises at each step.

Loops carry whole arrays and read and write their time blocks and steps in place. A `scan` would
say so more briefly, but mapped over points it puts time before the points, and copies to get there.
"""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from rnnlab.arrays import Array, Bool, Float, Params, State
from rnnlab.gradients.parts import leaf_names
from rnnlab.gradients.recurrent import RecurrentLeaves, recurrent_leaves
from rnnlab.gradients.scaled import (
    ZERO_EXPONENT,
    Scaled,
    hypot,
    lift,
    log10,
    norm,
    normalise,
    shift,
)
from rnnlab.gradients.slopes import Saturating
from rnnlab.layer import Cell
from rnnlab.sweep.in_place import read, read_one, write_one
from rnnlab.tracing import TracedStep, project_all, trace

#: Steps between two renormalisations where all is well.
STEPS_BETWEEN = 4
#: Steps whose contributions to the recurrent weights' gradient are summed in one product.
TIME_BLOCK = 16
#: Segments of time at most, and one more for each so many lengths; each compiles loops of its own.
MAX_SEGMENTS, LENGTHS_PER_SEGMENT = 3, 16


def gradient_norms(
    cell: Cell,
    params: Params,
    xs: Float[Array, "T B D"],
    readout: Float[Array, "B H"],
    lengths: tuple[int, ...],
) -> dict[str, Float[Array, "n"]]:
    """`log10` gradient norms of `L_T = mean_b <readout_b, y_{T,b}>` for every `T` in `lengths`.

    Adjoints are renormalised at each step, which in float32 may scale them by 1e-57 to 1e19.

    Args:
      cell: a cell.
      params: its parameters.
      xs: inputs `[T, B, D]`, at least as long as the longest length.
      readout: unit vectors `[B, H]`, one for each sequence.
      lengths: the lengths, ascending, without repetition.

    Returns:
      For each length: `state` and one entry for each part of the state (`h`, `c`), that is
      `log10 ‖∂(B L_T)/∂s_0‖` of one sequence, averaged over the batch; `wh`: `log10 ‖∂L_T/∂wh‖` of
      all recurrent weights, if the cell has any.
    """
    up = int(jnp.finfo(xs.dtype).maxexp) // 2  # as `scaled.lift` does
    return _adjoints(cell, params, xs, readout, lengths, 1, up).log10_norms(xs.shape[1])


def quick_gradient_norms(
    cell: Cell,
    params: Params,
    xs: Float[Array, "T B D"],
    readout: Float[Array, "B H"],
    lengths: tuple[int, ...],
) -> tuple[dict[str, Float[Array, "n"]], Bool[Array, ""]]:
    """`gradient_norms`, faster, and whether adjoints may have left the range of their type.

    Where they have not, the norms are right; an adjoint that becomes zero counts as one that has.
    """
    adjoints = _adjoints(cell, params, xs, readout, lengths, STEPS_BETWEEN, 0)
    return adjoints.log10_norms(xs.shape[1]), adjoints.left


def _adjoints(
    cell: Cell,
    params: Params,
    xs: Array,
    readout: Array,
    lengths: tuple[int, ...],
    steps_between: int,
    up: int,
) -> _Adjoints:
    """The adjoints of the first state.

    They are renormalised after every `steps_between` steps, to mantissas near `2 ** up`.
    """
    time_blocks = -(-lengths[-1] // TIME_BLOCK)
    xs = xs[: lengths[-1]]
    xs = jnp.pad(xs, ((0, time_blocks * TIME_BLOCK - lengths[-1]), (0, 0), (0, 0)))
    start = cell.initial_state(xs.shape[1:2], xs.dtype)
    step = trace(Saturating(cell), params, xs, start)
    befores = _forward(step, params, xs, start, lengths[-1])

    weights = _Transposed.of(params, recurrent_leaves(cell))
    carry = _Adjoints.none(weights, start)
    backward = _Backward(step, weights, xs, befores, readout, steps_between, up)
    for low, high, count in _segments(lengths):
        carry = carry.widen(count)
        ends = jnp.array(lengths[len(lengths) - count :][::-1], jnp.int32)
        room = _room(step, params, xs, start, count)
        time_block = partial(backward.time_block, ends, high)
        carry, _ = jax.lax.fori_loop(0, high - low, time_block, (carry, room))
    return carry


def _forward(traced: TracedStep, params: Params, xs: Array, start: State, steps: int) -> State:
    """The states before each step, leaves `[T, B, H]`.

    The state is frozen after `steps`, where the padding begins: an overflow there times a zero
    adjoint would be NaN.
    """

    def time_block(index: Array, carry: Any) -> Any:
        us = project_all(traced, params, read(xs, index * TIME_BLOCK, TIME_BLOCK))

        def step(k: Array, carry: Any) -> Any:
            state, befores = carry
            t = index * TIME_BLOCK + k
            after, _ = traced.advance(params, read_one(us, k), state)
            after = jax.tree.map(lambda a, b: jnp.where(t < steps, a, b), after, state)
            return after, write_one(befores, state, t)

        return jax.lax.fori_loop(0, TIME_BLOCK, step, carry)

    room = jax.tree.map(lambda a: jnp.zeros((len(xs), *a.shape), a.dtype), start)
    _, befores = jax.lax.fori_loop(0, len(xs) // TIME_BLOCK, time_block, (start, room))
    return befores


class _Transposed(NamedTuple):
    """Parameters with the recurrent matrices stored by columns, as the backward pass reads them."""

    rest: Params
    columns: tuple[Array, ...]
    leaves: RecurrentLeaves

    @classmethod
    def of(cls, params: Params, leaves: RecurrentLeaves) -> _Transposed:
        return cls(params, tuple(leaf.T for leaf in leaves.get(params)), leaves)

    @property
    def params(self) -> Params:
        """As the cell takes them."""
        return self.leaves.replace(self.rest, [column.T for column in self.columns])


def _segments(lengths: tuple[int, ...]) -> list[tuple[int, int, int]]:
    """Cuts time into `(first time block, end, active lengths)`, from the end to the start.

    Of all ways to cut behind the end of a length, the one with the least time blocks times lengths.
    """
    ends = [-(-length // TIME_BLOCK) for length in lengths]
    most = min(MAX_SEGMENTS + len(lengths) // LENGTHS_PER_SEGMENT, len(lengths))
    # best[i]: work and segments of the time up to the end of length i, with one more each round.
    best = [(ends[i] * len(lengths), ((0, ends[i], len(lengths)),)) for i in range(len(lengths))]
    for _ in range(most - 1):
        best = [
            min(
                [best[i]]
                + [
                    (
                        work + (ends[i] - ends[j]) * (len(lengths) - 1 - j),
                        (*cut, (ends[j], ends[i], len(lengths) - 1 - j)),
                    )
                    for j, (work, cut) in enumerate(best[:i])
                    if ends[j] < ends[i]
                ]
            )
            for i in range(len(lengths))
        ]
    return list(best[-1][1])[::-1]


class _Adjoints(NamedTuple):
    """Adjoints of the active lengths and the gradients of the weights, each with its exponent.

    `state` leaves `[n, B, H]` times `2 ** exponent[n, B]`; `wh`, a leaf `[n, kH, H]` for each
    recurrent weight, times `2 ** wh_exponent[n]`. The longest length comes first. `left []` says
    whether one of them may have left the range of its type.
    """

    state: State
    exponent: Array
    wh: tuple[Array, ...]
    wh_exponent: Array
    left: Array

    @classmethod
    def none(cls, weights: _Transposed, start: State) -> _Adjoints:
        """Of no length yet."""
        state, wh = jax.tree.map(
            lambda a: jnp.zeros((0, *a.shape), a.dtype), (start, weights.columns)
        )
        batch = jax.tree.leaves(start)[0].shape[0]
        left = jnp.zeros((), bool)
        return cls(state, jnp.zeros((0, batch), jnp.int32), wh, jnp.zeros((0,), jnp.int32), left)

    def widen(self, count: int) -> _Adjoints:
        """Adds lengths, whose adjoints are zero until their last step is reached."""

        def pad(a: Array, value: int = 0) -> Array:
            width = [(0, count - a.shape[0])] + [(0, 0)] * (a.ndim - 1)
            return jnp.pad(a, width, constant_values=value)

        return _Adjoints(
            jax.tree.map(pad, self.state),
            pad(self.exponent, ZERO_EXPONENT),
            jax.tree.map(pad, self.wh),
            pad(self.wh_exponent, ZERO_EXPONENT),
            self.left,
        )

    def log10_norms(self, batch: int) -> dict[str, Array]:
        """The results of `gradient_norms`, in the order of ascending lengths."""
        parts = zip(leaf_names(self.state), jax.tree.leaves(self.state), strict=True)
        norms = {name: norm(Scaled(part, self.exponent)) for name, part in parts}
        norms = {"state": hypot(*norms.values())} | norms
        result = {name: jnp.mean(log10(value), axis=-1)[::-1] for name, value in norms.items()}
        if self.wh:
            norms_wh = [norm(Scaled(wh, self.wh_exponent)) for wh in self.wh]
            total = log10(hypot(*norms_wh))[::-1]
            result["wh"] = total - jnp.log10(jnp.asarray(batch, total.dtype))
        return result


def _room(traced: TracedStep, params: Params, xs: Array, start: State, count: int) -> Any:
    """Where the adjoints of the products of a time block are put, `[count, TIME_BLOCK, B, ·]`.

    Every time block overwrites all of it, so that it need not be cleared.
    """
    us = jax.eval_shape(lambda: traced.project(params, xs[0]))
    products = jax.eval_shape(lambda us: traced.products(params, us, start), us)
    return jax.tree.map(lambda a: jnp.zeros((count, TIME_BLOCK, *a.shape), a.dtype), products)


class _Backward(NamedTuple):
    """What the way back through time reads, and how it renormalises; see `_adjoints`."""

    traced: TracedStep
    weights: _Transposed
    xs: Array
    befores: State
    readout: Array
    steps_between: int
    up: int

    def time_block(
        self, lengths: Array, high: int, index: Array, carry: tuple[_Adjoints, Any]
    ) -> tuple[_Adjoints, Any]:
        """The `index`-th time block before the one `high`: adjoints, then the weights' gradient."""
        adjoints, room = carry
        index = high - 1 - index
        traced, params = self.traced, self.weights.params
        xs, befores = read((self.xs, self.befores), index * TIME_BLOCK, TIME_BLOCK)
        us = project_all(traced, params, xs)
        vs = jax.vmap(traced.products, in_axes=(None, 0, 0))(params, us, befores)
        groups = TIME_BLOCK // self.steps_between
        readout = self.readout * jnp.asarray(2.0**self.up, self.readout.dtype)

        def step(k: Array, carry: Any) -> Any:
            state, exponent, d_products = carry
            ends = lengths == index * TIME_BLOCK + k + 1
            exponent = jnp.where(ends[:, None], -self.up, exponent)
            dy = jnp.where(ends[:, None, None], readout, jnp.zeros_like(readout))
            u, v, before = read_one((us, vs, befores), k)
            state, d_product = _backward_step(traced, self.weights.params, u, v, before, state, dy)
            return state, exponent, write_one(d_products, d_product, k, axis=1)

        def group(g: Array, carry: Any) -> Any:
            state, exponent, d_products, exponents, left = carry
            last = TIME_BLOCK - 1 - g * self.steps_between
            state, exponent, d_products = jax.lax.fori_loop(
                0, self.steps_between, lambda i, c: step(last - i, c), (state, exponent, d_products)
            )
            exponents = write_one(exponents, exponent, groups - 1 - g, axis=1)
            state, moved_to = normalise(state, exponent)
            left = left | _far(moved_to - exponent, readout.dtype)
            return *self._lifted(state, moved_to), d_products, exponents, left

        exponents = jnp.zeros((len(lengths), groups, readout.shape[0]), jnp.int32)
        state, exponent, d_products, exponents, left = jax.lax.fori_loop(
            0, groups, group, (adjoints.state, adjoints.exponent, room, exponents, adjoints.left)
        )
        adjoints = adjoints._replace(state=state, exponent=exponent, left=left)
        if not adjoints.wh:
            return adjoints, d_products
        vectors, shared = normalise(_vectors(traced, params, us, vs, befores), jnp.int32(0))
        exponents = exponents + shared
        top = jnp.maximum(adjoints.wh_exponent, jnp.max(exponents, axis=(1, 2)) + self.up)
        relative = jnp.repeat(exponents - top[:, None, None], self.steps_between, axis=1)

        def add(n: Array, totals: tuple[Array, ...]) -> tuple[Array, ...]:
            d_product, each, old = read_one((d_products, relative, adjoints.wh_exponent - top), n)
            new = _weight_gradient(traced, self.weights, vectors, shift(d_product, each))
            sums = (shift(read_one(a, n), old) + b.T for a, b in zip(totals, new, strict=True))
            return tuple(write_one(a, total, n) for a, total in zip(totals, sums, strict=True))

        wh = jax.lax.fori_loop(0, len(lengths), add, adjoints.wh)
        return adjoints._replace(wh=wh, wh_exponent=top), d_products

    def _lifted(self, state: State, exponent: Array) -> Scaled:
        return lift(Scaled(state, exponent)) if self.up else Scaled(state, exponent)


def _far(moved: Array, dtype: Any) -> Array:
    """Whether a magnitude has changed by so much that it may have left the range on the way.

    The limit leaves a third of the range for what it did between the two renormalisations.
    """
    return jnp.any(jnp.abs(moved) > int(jnp.finfo(dtype).maxexp) * 2 // 3)


def _backward_step(
    traced: TracedStep, params: Params, u: Any, v: Any, before: State, d_after: Any, dy: Array
) -> tuple[Any, Any]:
    """The adjoints before a step, leaves `[n, B, H]`, and those of its recurrent products."""
    _, pull = jax.vjp(lambda v, s: traced.rest(params, u, v, s), v, before)
    d_products, d_before = jax.vmap(pull)((d_after, dy))
    weights = traced.weights(params)
    for group in reversed(traced.products_by_vector()):
        d_vector = sum(d_products[place] @ weights[place].T for place in group)
        _, pull_vector = jax.vjp(
            lambda v, s, first=group[0]: traced.vector(first, params, u, v, s), v, before
        )
        more = jax.vmap(pull_vector)(d_vector)
        d_products, d_before = jax.tree.map(jnp.add, (d_products, d_before), more)
    return d_before, d_products


def _vectors(traced: TracedStep, params: Params, us: Any, vs: Any, befores: State) -> list[Array]:
    """What each recurrent weight is multiplied with, `[TIME_BLOCK, B, ·]`."""

    def one(u: Any, v: Any, before: State) -> list[Array]:
        return [traced.vector(place, params, u, v, before) for place in range(len(v))]

    return jax.vmap(one)(us, vs, befores)


def _weight_gradient(
    traced: TracedStep, weights: _Transposed, vectors: list[Array], d_products: Any
) -> tuple[Array, ...]:
    """`∂L/∂wh` of each recurrent weight, from the adjoints `[TIME_BLOCK, B, ·]` of the products."""
    params = weights.params

    def rows(a: Array) -> Array:
        return a.reshape(-1, a.shape[-1])

    d_weights = tuple(
        rows(vector).T @ rows(d_product)
        for vector, d_product in zip(vectors, d_products, strict=True)
    )
    leaves = weights.leaves
    _, pull = jax.vjp(
        lambda values: traced.weights(leaves.replace(params, values)), leaves.get(params)
    )
    return pull(d_weights)[0]
