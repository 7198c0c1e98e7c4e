"""Kernels for few units: a CTA keeps all weights and runs its sequences through all steps.

Everything is in columns, `[units, sequences]`, so that the weights are the left operand of the
products: rows for the units, columns for the sequences of a tile. Each warpgroup owns 64 units and
keeps its rows of the weights in registers; those parts of float32 weights that do not fit there lie
in shared memory. Only the vectors of the products (backwards the adjoints of their results) travel
between warpgroups, through shared memory, in two slots that take turns: a warpgroup that is ahead
writes into the slot that nobody reads, and cannot be ahead by more, since all meet at the barrier
of every stage.

What moves with the steps lies in memory tile by tile, `[K, tiles, blocks, H, 8]`, so that the load
of a warp is one piece of 256 bytes. It is asked into the L2 cache `FAR` steps before its use and
into registers one step before.

Some `parts` of bfloat16 stand for a float32: `w = w_0 + w_1 + ...`, each what those before leave.
A product is the sum of those `w_i x_j` that are larger than what the parts leave out.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from rnnlab.arrays import Array
from rnnlab.strategies.hoisted.step_columns import Adjoints
from rnnlab.strategies.persistent import pallas
from rnnlab.strategies.persistent.pallas import ROWS, TILE, Rows
from rnnlab.strategies.persistent.units import Units

#: How many steps before its use an input is asked into the L2 cache.
FAR = 8


class Flags(NamedTuple):
    """Which of the flags a kernel reads, in this order."""

    valid: bool
    fresh: bool

    @property
    def count(self) -> int:
        """How many."""
        return self.valid + self.fresh


@dataclasses.dataclass(frozen=True)
class Resident:
    """The two kernels of a cell for one size.

    Attributes:
      units: the cell's step.
      flags: which flags are given.
      narrow: dtype of parameters, outputs and all that is kept.
      parts: how many 16-bit numbers stand for a number in products.
      registers: how many of the parts of the weights are kept in registers.
      interpret: whether to run in Pallas' interpreter.
      tile: number of sequences of a CTA.
      rows: number of units of a warpgroup, of which their number has to be a multiple.
    """

    tile: ClassVar[int] = TILE
    rows: ClassVar[int] = ROWS

    units: Units
    flags: Flags
    narrow: Any
    parts: int
    registers: int
    interpret: bool = False

    @property
    def hidden(self) -> int:
        """Number of units with padding."""
        return -(-self.units.hidden // ROWS) * ROWS

    @property
    def operands(self) -> Any:
        """Dtype of the operands of products."""
        return self.narrow if self.narrow.itemsize == 2 else jnp.dtype(jnp.bfloat16)

    def _arrays(self) -> Rows:
        """How arrays are held."""
        return Rows((ROWS, TILE), self.operands, self.narrow.itemsize > 2, self.interpret)

    def forward(
        self,
        keep: bool,
        weights: Sequence[Array],
        u: Array,
        fixed: Array,
        initial: Array,
        flags: Array,
        state: Array,
    ) -> tuple[Array, Array, Any, Any]:
        """Runs the steps of a time block.

        Args:
          keep: whether to return what the backward pass needs.
          weights: of each product `[parts, H, outs, pieces, H]`.
          u: `[K, tiles, U, H, 8]` in float32.
          fixed: constants and vectors of each sequence, `[tiles, C, H, 8]` in float32.
          initial: the state in which new sequences start, `[S, H, 8]` in float32.
          flags: 1 or 0, `[K, tiles, flags, 64, 8]` in float32.
          state: `[tiles, S, H, 8]` in float32.

        Returns:
          The outputs `[K, tiles, H, 8]`, the final state, and if `keep` the states that the steps
          started from `[K, tiles, S, H, 8]` and the sums of products `[K, tiles, Z, H, 8]`.
        """
        steps, tiles = u.shape[:2]
        states, sums = state.shape[1], len(self.units.columns.sums)
        shape = partial(jax.ShapeDtypeStruct, dtype=self.narrow)
        like = partial(self._stream, steps, tiles)
        outs = [
            shape((steps, tiles, self.hidden, TILE)),
            jax.ShapeDtypeStruct(state.shape, jnp.float32),
        ]
        if keep:
            outs += [shape(like(states)), shape(like(sums))]
        body = partial(self._forward, keep, steps)
        results = self._kernel(body, outs, tiles)(
            [self._by_warpgroup(w) for w in weights], u, _lines(u), fixed, initial, flags, state
        )
        y, last, *kept = results
        return (y, last, *kept) if keep else (y, last, None, None)

    def _forward(self, keep: bool, steps: int, refs: Any, scratch: Any) -> None:
        w_refs, u_ref, u_lines, fixed_ref, initial_ref, flags_ref, state_ref = refs.inputs
        y_ref, last_ref, *kept_refs = refs.outputs
        rows, (wg, tile) = self._arrays(), refs.place
        row = pallas.slice_of(wg * ROWS, ROWS)
        weights = _WeightsHere(self, rows, w_refs, scratch, wg)
        fixed = [rows.load(fixed_ref.at[tile, i, row]) for i in range(fixed_ref.shape[1])]
        start = [rows.load(initial_ref.at[i, row]) for i in range(initial_ref.shape[0])]
        real = self._real(rows, wg)

        def read_step(t: Array) -> Any:
            t = jnp.minimum(t, steps - 1)
            us = [rows.load(u_ref.at[t, tile, i, row]) for i in range(u_ref.shape[2])]
            return us, [rows.load(flags_ref.at[t, tile, i]) for i in range(self.flags.count)]

        def step(t: Array, carry: Any) -> Any:
            (us, flags), state = carry
            pallas.prefetch(wg == 0, [u_lines.at[jnp.minimum(t + FAR, steps - 1), tile]])
            ahead = read_step(t + 1)
            valid, fresh = self._split(flags)
            if fresh is not None:
                state = [rows.where(fresh, a, b) for a, b in zip(start, state, strict=True)]

            def multiply(stage: int, vectors: list[list[Array]]) -> list[list[Array]]:
                slot = lax.rem(t, 2)
                places = self.units.stages[stage]
                for place, pieces in zip(places, vectors, strict=True):
                    weights.share(scratch.vectors[place], slot, map(real, pieces))
                pallas.meet(scratch.barriers[stage])
                return [weights.results(place, scratch.vectors[place], slot) for place in places]

            new, y, sums = self.units.forward(rows.apply, fixed, us, state, multiply)
            if valid is not None:
                new = [rows.where(valid, a, b) for a, b in zip(new, state, strict=True)]
                y = rows.where(valid, y, rows.full(y.shape))
            y_ref.at[t, tile, row][...] = y.astype(self.narrow)
            for ref, values in zip(kept_refs, (state, sums), strict=False):
                for i, value in enumerate(values):
                    ref.at[t, tile, i, row][...] = value.astype(self.narrow)
            return ahead, new

        state = [rows.load(state_ref.at[tile, i, row]) for i in range(state_ref.shape[1])]
        _, last = lax.fori_loop(0, steps, step, (read_step(jnp.int32(0)), state))
        for i, value in enumerate(last):
            last_ref.at[tile, i, row][...] = value

    def backward(
        self,
        weights: Sequence[Array],
        fixed: Array,
        flags: Array,
        kept: Array,
        states: Array,
        sums: Array,
        dy: Array,
        d_state: Array,
    ) -> tuple[Array, Array, Array, Array]:
        """Runs the steps of a time block backwards.

        Args:
          weights: of each product `[parts, H, outs, pieces, H]`.
          fixed: as for `forward`.
          flags: as for `forward`.
          kept: what is kept of `u`, `[K, tiles, kept, H, 8]`.
          states: as `forward` returned them.
          sums: likewise.
          dy: the adjoints of the outputs `[K, tiles, H, 8]`.
          d_state: that of the final state `[tiles, S, H, 8]` in float32.

        Returns:
          The adjoints of sums and of `kept` together `[K, tiles, Z + kept, H, 8]`; the vectors of
          products that are no part of the state `[K, tiles, V, H, 8]`; the adjoint of the first
          state; and those of `fixed`, for each sequence.
        """
        steps, tiles = dy.shape[:2]
        others = len(self.units.other_pieces())
        shape = partial(jax.ShapeDtypeStruct, dtype=self.narrow)
        like = partial(self._stream, steps, tiles)
        outs = [
            shape(like(sums.shape[2] + kept.shape[2])),
            shape(like(others)),
            jax.ShapeDtypeStruct(d_state.shape, jnp.float32),
            jax.ShapeDtypeStruct(fixed.shape, jnp.float32),
        ]
        streams = [kept, states, sums, dy]
        lines = [_lines(a) for a in streams if a.size]
        body = partial(self._backward, steps)
        turned = [self._by_warpgroup(w.transpose(0, 4, 3, 2, 1)) for w in weights]
        return self._kernel(body, outs, tiles, backward=True)(
            turned, lines, fixed, flags, *streams, d_state
        )

    def _backward(self, steps: int, refs: Any, scratch: Any) -> None:
        w_refs, lines, fixed_ref, flags_ref, kept_ref, states_ref, sums_ref, dy_ref, last_ref = (
            refs.inputs
        )
        dz_ref, vectors_ref, first_ref, d_fixed_ref = refs.outputs
        rows, (wg, tile) = self._arrays(), refs.place
        row = pallas.slice_of(wg * ROWS, ROWS)
        weights = _WeightsHere(self, rows, w_refs, scratch, wg)
        columns = self.units.columns
        real = self._real(rows, wg)
        count = len(columns.step.constants) + len(columns.own)
        fixed = [rows.load(fixed_ref.at[tile, i, row]) for i in range(count)]
        reads = self.units.reads[count:]

        def read_step(t: Array) -> Any:
            t = jnp.maximum(t, 0)
            refs = [
                ref.at[t, tile, i, row]
                for ref, n in (
                    (kept_ref, len(columns.kept)),
                    (states_ref, len(columns.state)),
                    (sums_ref, len(columns.sums)),
                )
                for i in range(n)
            ]
            values = [rows.load(ref) for ref, is_read in zip(refs, reads, strict=True) if is_read]
            flags = [rows.load(flags_ref.at[t, tile, i]) for i in range(self.flags.count)]
            return values, flags, rows.load(dy_ref.at[t, tile, row])

        def step(i: Array, carry: Any) -> Any:
            (values, flags, dy), d_state, d_fixed = carry
            t = steps - 1 - i
            far = jnp.maximum(t - FAR, 0)
            pallas.prefetch(wg == 0, [ref.at[far, tile] for ref in lines])
            ahead = read_step(t - 1)
            valid, fresh = self._split(flags)
            dy = rows.widen(dy)
            rest = iter([rows.widen(value) for value in values])
            moving = [next(rest) if is_read else dy for is_read in reads]
            d_new = d_state
            if valid is not None:
                nothing = rows.full(dy.shape)
                d_new = [rows.where(valid, d, nothing) for d in d_state]
                dy = rows.where(valid, dy, nothing)

            def multiply(stage: int, adjoints: list[list[Array]]) -> list[list[Array]]:
                slot = lax.rem(i, 2)
                places = self.units.stages[stage]
                for place, results in zip(places, adjoints, strict=True):
                    weights.share(scratch.vectors[place], slot, map(real, results))
                pallas.meet(scratch.barriers[stage])
                return [weights.results(place, scratch.vectors[place], slot) for place in places]

            inputs = self._adjoints(fixed, moving)
            adjoints, vectors = self.units.backward(
                rows.apply, rows.add, inputs, d_new, dy, multiply
            )
            for place, d in enumerate([*adjoints.sums, *adjoints.kept]):
                dz_ref.at[t, tile, place, row][...] = d.astype(self.narrow)
            for place, piece in enumerate(self.units.other_pieces()):
                vectors_ref.at[t, tile, place, row][...] = vectors[piece].astype(self.narrow)
            d_before = adjoints.state
            if valid is not None:
                d_before = [
                    rows.add(d, rows.where(valid, nothing, frozen))
                    for d, frozen in zip(d_before, d_state, strict=True)
                ]
            if fresh is not None:
                d_before = [rows.where(fresh, rows.full(d.shape), d) for d in d_before]
            more = [*adjoints.constants, *adjoints.own]
            d_fixed = [rows.add(a, b) for a, b in zip(d_fixed, more, strict=True)]
            return ahead, [rows.place(d) for d in d_before], d_fixed

        d_state = [rows.load(last_ref.at[tile, i, row]) for i in range(last_ref.shape[1])]
        d_fixed = [rows.full((ROWS, TILE)) for _ in range(count)]
        carry = (read_step(jnp.int32(steps - 1)), d_state, d_fixed)
        _, d_state, d_fixed = lax.fori_loop(0, steps, step, carry)
        for ref, values in ((first_ref, d_state), (d_fixed_ref, d_fixed)):
            for i, value in enumerate(values):
                ref.at[tile, i, row][...] = value

    def _adjoints(self, fixed: list[Array], moving: list[Array]) -> Adjoints:
        columns = self.units.columns
        ends = len(columns.kept), len(columns.kept) + len(columns.state)
        count = len(columns.step.constants)
        return Adjoints(
            fixed[:count],
            fixed[count:],
            moving[: ends[0]],
            moving[ends[0] : ends[1]],
            moving[ends[1] :],
        )

    def _split(self, flags: list[Array]) -> tuple[Array | None, Array | None]:
        rest = iter(flags)
        valid = next(rest) if self.flags.valid else None
        return valid, next(rest) if self.flags.fresh else None

    def _real(self, rows: Rows, wg: Array) -> Callable[[Array], Array]:
        """Sets units of padding to zero, whatever the cell makes of them."""
        if self.units.hidden == self.hidden:
            return lambda a: a
        return lambda a: rows.where_below(self.units.hidden - wg * ROWS, a)

    def _stream(self, steps: int, tiles: int, blocks: int) -> tuple[int, ...]:
        return steps, tiles, blocks, self.hidden, TILE

    def _by_warpgroup(self, w: Array) -> Array:
        """`[parts, H, outs, pieces, H]` with the rows of each warpgroup together."""
        parts, hidden, outs, pieces, n = w.shape
        w = w.reshape(parts, hidden // ROWS, ROWS, outs, pieces * n).transpose(0, 1, 3, 2, 4)
        return w.reshape(parts, hidden // ROWS, outs * ROWS, pieces * n)

    def _kernel(self, body: Any, outs: list[Any], tiles: int, backward: bool = False) -> Any:
        """The kernel with one CTA for each tile."""
        sizes = [(len(p.outs), len(p.pieces)) for p in self.units.products]
        if backward:
            sizes = [(pieces, outs) for outs, pieces in sizes]
        groups = self.hidden // ROWS
        scratch = pallas.Scratch(
            vectors=[(2, self.parts, TILE, n * self.hidden) for _, n in sizes],
            weights=[
                (self.parts - self.registers, groups, m * ROWS, n * self.hidden) for m, n in sizes
            ]
            if self.parts > self.registers
            else [],
            barriers=len(self.units.stages),
        )
        name = f"rnnlab_{'backward' if backward else 'forward'}"
        return pallas.kernel(
            body,
            outs,
            scratch,
            tiles,
            groups,
            self.operands,
            self.narrow.itemsize > 2,
            self.interpret,
            name,
        )


class _WeightsHere:
    """A warpgroup's rows of the weights of all products."""

    def __init__(self, kernel: Resident, rows: Rows, refs: Any, scratch: Any, wg: Array) -> None:
        self._kernel, self._rows, self._wg = kernel, rows, wg
        self._row = partial(_row, kernel.hidden, wg)
        self._registers = [
            [rows.weight(ref.at[part, wg]) for part in range(kernel.registers)] for ref in refs
        ]
        self._shared = scratch.weights
        for ref, shared in zip(refs, self._shared, strict=False):
            for part in range(kernel.registers, kernel.parts):
                shared.at[part - kernel.registers, wg][...] = rows.weight(ref.at[part, wg])

    def share(self, ref: Any, slot: Array, pieces: Any) -> None:
        """Writes this warpgroup's rows of a vector into shared memory, in parts."""
        for place, piece in enumerate(pieces):
            left = piece
            for part in range(self._kernel.parts):
                narrow = left.astype(self._rows.operands)
                ref.at[slot, part].T.at[self._row(place), :][...] = narrow
                left = left - narrow.astype(jnp.float32)

    def results(self, place: int, ref: Any, slot: Array) -> list[Array]:
        """This warpgroup's rows of the results of a product, smallest summands first."""
        parts = self._kernel.parts
        pairs = [(i, j) for i in range(parts) for j in range(parts - i)]
        total = None
        for i, j in sorted(pairs, key=sum, reverse=True):
            part = self._rows.product(self._weight(place, i), ref.at[slot, j].T)
            total = part if total is None else self._rows.add(total, part)
        assert total is not None
        return [total[k : k + ROWS] for k in range(0, total.shape[0], ROWS)]

    def _weight(self, place: int, part: int) -> Array:
        if part < self._kernel.registers:
            return self._registers[place][part]
        return self._rows.weight(self._shared[place].at[part - self._kernel.registers, self._wg])


def _row(hidden: int, wg: Array, piece: int) -> Any:
    return pallas.slice_of(piece * hidden + wg * ROWS, ROWS)


def _lines(a: Array) -> Array:
    """`[K, tiles, ...]` as `[K, tiles, n, 256]`: the memory in the long rows that TMA wants."""
    return a.reshape(*a.shape[:2], -1, 256)
