"""What surrounds the kernels: time blocks, the layout in tiles, and the large products."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from rnnlab.arrays import Array, Params, State
from rnnlab.layer import Cell
from rnnlab.strategies.control import Control
from rnnlab.strategies.hoisted.products import dot
from rnnlab.strategies.hoisted.scan import AllWeights, TimeBlocks
from rnnlab.strategies.persistent.chip import Chip
from rnnlab.strategies.persistent.flags import Flags
from rnnlab.strategies.persistent.kernel import (
    ADJOINT_TILES,
    BACKWARD_TILES,
    FORWARD_TILES,
    RAN_TILES,
    Adjoint,
    Backward,
    Forward,
    Ran,
)
from rnnlab.strategies.persistent.large_batches import in_turn
from rnnlab.strategies.persistent.plan import choose
from rnnlab.strategies.persistent.units import Units
from rnnlab.strategies.persistent.weights import in_parts


class Kept(NamedTuple):
    """What the forward pass keeps of a time block, `[K, tiles, blocks, H, N]` each."""

    u: Array
    states: Array
    sums: Array


class KernelBlocks(TimeBlocks):
    """Time blocks whose steps are run by one kernel each.

    In the layout of the kernels the batch is cut into tiles of so many sequences, `N` in shapes of
    tiles, and units and sequences are filled up with zeros.
    """

    def __init__(
        self,
        cell: Cell,
        size: int,
        shared: Params,
        own: Params,
        xs: Any,
        state: State,
        control: Control,
        chip: Chip,
    ) -> None:
        """Raises CannotRun, with the reason, where no kernel runs the cell."""
        super().__init__(cell, size, shared, own, xs, state)
        self.units = Units(self.columns)
        flags = Flags(control.valid is not None, control.fresh is not None)
        batch = jax.tree.leaves(state)[0].shape[0]
        self.kernel = choose(self.units, self.narrow, batch, flags, chip)
        self.hidden, self.tile = self.kernel.hidden, self.kernel.tile
        tiles = -(-batch // self.tile)
        most = self.kernel.tiles or tiles
        self.tiles = -(-tiles // most) * most  # those of whole launches

    def _launch(self, keep: bool, given: Forward) -> Ran:
        """Runs the kernel of the steps."""
        run = partial(self.kernel.forward, keep)
        if self.kernel.tiles is None:
            return run(given)
        return Ran(*in_turn(run, self.kernel.tiles, FORWARD_TILES, RAN_TILES)(given))

    def _launch_backward(self, given: Backward) -> Adjoint:
        """Runs the kernel of the steps backwards."""
        run = self.kernel.backward
        if self.kernel.tiles is None:
            return run(given)
        return Adjoint(*in_turn(run, self.kernel.tiles, BACKWARD_TILES, ADJOINT_TILES)(given))

    def kernel_weights(self, weights: AllWeights) -> list[Array]:
        """The weight of each product as `[parts, H, outs, pieces, H]`, and the padding."""
        count, found = self.units.hidden, []
        for product, w in zip(self.units.products, weights.step.products, strict=True):
            w = w.reshape(len(product.outs), count, len(product.pieces), count)
            w = self._fill(self._fill(w.transpose(1, 0, 2, 3), 0), 3)
            found.append(in_parts(w, self.kernel.parts))
        return found

    def fixed(self, weights: AllWeights, own: list[Array]) -> Array:
        """Constants, and the vectors of each sequence, as `[tiles, C, H, N]`."""
        shape = (self.units.hidden, self.tiles * self.tile)
        constants = [
            jnp.broadcast_to(c[..., None] if c.ndim else c, shape) for c in weights.step.constants
        ]
        return self._stack([*constants, *(self._fill(a, 1, shape[1]) for a in own)], 1)[0]

    def _stack(self, columns: Sequence[Array], steps: int) -> Array:
        """Columns `[n, K count]` as `[K, tiles, blocks, H, N]`."""
        if not columns:
            return jnp.zeros((steps, self.tiles, 0, self.hidden, self.tile), self.columns.dtype)
        return jnp.stack([self._tiles(a, steps) for a in columns], 2)

    def _tiles(self, a: Array, steps: int) -> Array:
        """Columns `[n, K count]` as `[K, tiles, H, N]`."""
        a = a.reshape(a.shape[0], steps, a.shape[1] // steps)
        a = self._fill(self._fill(a, 0), 2, self.tiles * self.tile)
        return a.reshape(*a.shape[:2], -1, self.tile).transpose(1, 2, 0, 3)

    def _columns(self, a: Array, count: int) -> Array:
        """`[K, tiles, H, N]` as columns `[n, K count]` of `count` sequences."""
        a = a.transpose(2, 0, 1, 3).reshape(self.hidden, a.shape[0], -1)
        return a[: self.units.hidden, :, :count].reshape(self.units.hidden, -1)

    def _fill(self, a: Array, axis: int, size: int | None = None) -> Array:
        """`a` with zeros at the end of an axis, up to the units of the kernel or a given size."""
        missing = (self.hidden if size is None else size) - a.shape[axis]
        widths = [(0, missing if i == axis else 0) for i in range(a.ndim)]
        return jnp.pad(a, widths) if missing else a

    def flags(self, control: Control) -> Array:
        """The flags `[K, count]` as `[K, tiles, flags, rows, N]`."""
        given = [flag for flag in control if flag is not None]
        if not given:
            return jnp.zeros((self.size, self.tiles, 0, self.kernel.rows, self.tile), jnp.float32)
        a = jnp.stack(given, 1).astype(jnp.float32)
        a = self._fill(a, 2, self.tiles * self.tile)
        a = a.reshape(*a.shape[:2], -1, self.tile).transpose(0, 2, 1, 3)
        return jnp.broadcast_to(a[:, :, :, None], (*a.shape[:3], self.kernel.rows, self.tile))

    def initial(self, control: Control) -> Array:
        """The state in which new sequences start, `[S, H, N]`; empty where none does."""
        if control.fresh is None:
            return jnp.zeros((0, self.hidden, self.tile), self.columns.dtype)
        leaves = jax.tree.leaves(self._initial((), self.columns.dtype))
        starts = [jnp.broadcast_to(a[:, None], (a.shape[0], self.tile)) for a in leaves]
        return self._stack(starts, 1)[0, 0]  # of all tiles the same

    def forward(
        self, keep: bool, shared: Params, own: Params, xs: Any, state: State, control: Control
    ) -> Any:
        """Runs the time blocks; returns final state and outputs, and what `keep` asks to keep."""
        weights = self.weights(shared)
        each, tiled = self.own_columns(own)
        count = jax.tree.leaves(state)[0].shape[0]
        in_kernel = self.kernel_weights(weights)
        fixed, initial = self.fixed(weights, each), self.initial(control)

        def block(state: Array, inputs: Any) -> Any:
            xs, control = inputs
            us = self.project(weights.projection, tiled, self.columns_of_time_block(xs))
            u = self._stack(us, self.size)
            given = Forward(in_kernel, u, fixed, initial, self.flags(control), state)
            ran = self._launch(keep, given)
            ys = self._columns(ran.y, count).reshape(-1, self.size, count).transpose(1, 2, 0)
            if not keep:
                return ran.state, (ys, None)
            kept = self._stack([us[place] for place in self.columns.kept], self.size)
            return ran.state, (ys, Kept(kept.astype(self.narrow), ran.states, ran.sums))

        start = self._stack([self._widen(a).T for a in jax.tree.leaves(state)], 1)[0]
        last, (ys, kept) = jax.lax.scan(block, start, self.cut((xs, control)))
        return (self._state(last, count), ys.reshape(-1, *ys.shape[2:])), kept

    def _state(self, tiles: Array, count: int) -> State:
        """`[tiles, S, H, N]` as a state."""
        leaves = [
            self._columns(tiles[None, :, place], count).T.astype(self.narrow)
            for place in range(tiles.shape[1])
        ]
        return jax.tree.unflatten(self._state_tree, leaves)

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
        count = d_ys.shape[1]
        in_kernel = self.kernel_weights(weights)
        fixed, pull_fixed = jax.vjp(self.fixed, weights, each)

        def block(carry: Any, inputs: Any) -> Any:
            d_state, (d_products, d_projection, d_tiled, d_fixed) = carry
            xs, control, d_ys, kept = inputs
            dy = self._tiles(d_ys.transpose(2, 0, 1).reshape(d_ys.shape[2], -1), self.size)
            given = Backward(
                in_kernel, fixed, self.flags(control), kept.u, kept.states, kept.sums, dy, d_state
            )
            found = self._launch_backward(given)
            dz = [self._columns(found.dz[:, :, i], count) for i in range(found.dz.shape[2])]
            d_products = [
                d + dot(d_results, x, self.columns.dtype)
                for d, (d_results, x) in zip(
                    d_products, self._factors(dz, kept, found.vectors, count), strict=True
                )
            ]
            sums = len(self.columns.sums)
            columns = self.columns_of_time_block(xs)
            _, pull = jax.vjp(self.project, weights.projection, tiled, columns)
            wide = [a.astype(self.columns.dtype) for a in dz]
            more, more_tiled, d_xs = pull(self._adjoints_of_u(wide[:sums], wide[sums:]))
            d_projection = jax.tree.map(lambda a, b: a + b.astype(a.dtype), d_projection, more)
            d_tiled = jax.tree.map(jnp.add, d_tiled, more_tiled)
            d_xs = [d.T.reshape(*a.shape) for d, a in zip(d_xs, jax.tree.leaves(xs), strict=True)]
            totals = (d_products, d_projection, d_tiled, d_fixed + found.d_fixed)
            return (found.d_state, totals), jax.tree.unflatten(jax.tree.structure(xs), d_xs)

        zeros = jax.tree.map(
            lambda a: jnp.zeros(a.shape, self.columns.dtype),
            (weights.step.products, weights.projection, tiled, fixed),
        )
        start = self._stack([self._widen(a).T for a in jax.tree.leaves(d_final)], 1)[0]
        inputs = (*self.cut((xs, control, d_ys)), kept)
        (d_state, totals), d_xs = jax.lax.scan(block, (start, zeros), inputs, reverse=True)
        d_products, d_projection, d_tiled, d_fixed = totals
        d_weights, d_each = pull_fixed(d_fixed)
        d_step = d_weights.step._replace(
            products=[
                a + b
                for a, b in zip(d_products, map(self._widen, d_weights.step.products), strict=True)
            ]
        )
        d_all = AllWeights(d_projection, d_step)
        (d_shared,) = pull_weights(jax.tree.map(lambda d, w: d.astype(w.dtype), d_all, weights))
        d_xs = jax.tree.map(lambda d, x: d.reshape(x.shape).astype(x.dtype), d_xs, xs)
        return d_shared, pull_own((d_each, d_tiled))[0], d_xs, self._state(d_state, count), None

    def _factors(
        self, dz: list[Array], kept: Kept, vectors: Array, count: int
    ) -> list[tuple[Array, Array]]:
        """For each product the adjoints of its results as columns, and its vectors as rows."""
        others = iter(range(vectors.shape[2]))
        found = []
        for product in self.units.products:
            d_results = jnp.concatenate([dz[self.units.sum_of(out)] for out in product.outs])
            pieces = [
                kept.states[:, :, self.columns.state.index(piece)]
                if piece in self.columns.state
                else vectors[:, :, next(others)]
                for piece in product.pieces
            ]
            x = jnp.concatenate([self._columns(piece, count) for piece in pieces])
            found.append((d_results, x.T))
        return found

    def _adjoints_of_u(self, sums: list[Array], kept: list[Array]) -> list[Array]:
        """The adjoints of the leaves of `u`, from those of the sums and of what is kept."""
        found: dict[int, Array] = dict(zip(self.columns.kept, kept, strict=True))
        for each, d in zip(self.columns.sums, sums, strict=True):
            found |= dict.fromkeys(each.inputs, d)
        return [found[place] for place in range(len(self.columns.u))]
