"""Kernels for many units: the CTAs of a launch share them out, and exchange vectors.

Each tile of 16 sequences has a row of CTAs, each of which owns some units and their rows of the
weights for all steps. Arrays are columns `[units, sequences]`, as in `resident`. Before each stage
of products every CTA writes its rows of the vectors, waits for those of the others, and multiplies;
how is said in `exchange`, and in which order the numbers lie in `fragments`.

The first of the four warpgroups of a CTA runs the elementwise part of the step; the others read and
multiply with it, and ask what the first will read into the L2 cache, `FAR` steps before.

What a step has to write for its own sake waits until the next vectors are on their way.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from jax import lax

from rnnlab.arrays import Array
from rnnlab.strategies.hoisted.step_columns import Adjoints
from rnnlab.strategies.persistent import exchange, pallas
from rnnlab.strategies.persistent.exchange import Exchange, Refs, StridedRows
from rnnlab.strategies.persistent.flags import Flags
from rnnlab.strategies.persistent.fragments import SEQUENCES, Share
from rnnlab.strategies.persistent.spread_plan import SpreadPlan
from rnnlab.strategies.persistent.units import Units

#: How many steps before its use an input is asked into the L2 cache.
FAR = 4
#: Units that the lines hold that are asked into it; the least that a CTA has.
ROWS_OF_LINE = 8


@dataclasses.dataclass(frozen=True)
class Spread:
    """The two kernels of a cell for one size.

    Attributes:
      units: the cell's step.
      flags: which flags are given.
      narrow: dtype of parameters, outputs and all that is kept.
      parts: how many 16-bit numbers stand for a number in products.
      plan: how the kernels are cut.
      interpret: whether to run in Pallas' interpreter.
    """

    units: Units
    flags: Flags
    narrow: Any
    parts: int
    plan: SpreadPlan
    interpret: bool = False

    #: Sequences of a tile.
    tile: ClassVar[int] = SEQUENCES
    #: Its CTAs wait for one another, so that no two launches may share the GPU.
    alone: ClassVar[bool] = True

    @property
    def real(self) -> int:
        """Number of units that are no padding."""
        return self.units.hidden

    @property
    def hidden(self) -> int:
        """Number of units with padding."""
        return self.plan.hidden

    @property
    def rows(self) -> int:
        """Rows of the flags."""
        return self.plan.rows

    @property
    def operands(self) -> Any:
        """Dtype of the operands of products."""
        return self.narrow if self.narrow.itemsize == 2 else jnp.dtype(jnp.bfloat16)

    @property
    def exact(self) -> bool:
        """Whether functions are computed to float32."""
        return self.narrow.itemsize > 2

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
          u: `[K, tiles, U, H, 16]` in float32.
          fixed: constants and vectors of each sequence, `[tiles, C, H, 16]` in float32.
          initial: the state in which new sequences start, `[S, H, 16]` in float32.
          flags: 1 or 0, `[K, tiles, flags, rows, 16]` in float32.
          state: `[tiles, S, H, 16]` in float32.

        Returns:
          The outputs `[K, tiles, H, 16]`, the final state, and if `keep` the states that the steps
          started from `[K, tiles, S, H, 16]` and the sums of products `[K, tiles, Z, H, 16]`.
        """
        steps, tiles = u.shape[:2]
        states, sums = state.shape[1], len(self.units.columns.sums)
        shape = partial(jax.ShapeDtypeStruct, dtype=self.narrow)
        outs = [
            shape((steps, tiles, self.hidden, SEQUENCES)),
            jax.ShapeDtypeStruct(state.shape, jnp.float32),
        ]
        if keep:
            outs += [shape((steps, tiles, n, self.hidden, SEQUENCES)) for n in (states, sums)]
        body = partial(self._forward, keep, steps)
        run = self._kernel(body, outs, self.plan.forward, steps, tiles, "rnnlab_spread_forward")
        results = run(
            self._weights(self.plan.forward, weights), u, _lines(u), fixed, initial, flags, state
        )
        return tuple(results) if keep else (*results, None, None)

    def _forward(self, keep: bool, steps: int, refs: Refs) -> None:
        w_refs, u_ref, u_lines, fixed_ref, initial_ref, flags_ref, state_ref = refs.inputs
        y_ref, last_ref, *kept_refs = refs.outputs
        chips = self._exchange(self.plan.forward, refs, w_refs, turns=False)
        rows, tile, row = chips.rows, chips.tile, self._row(chips)
        count = len(self.units.stages)

        def read_step(t: Array) -> Any:
            t = jnp.minimum(t, steps - 1)
            us = [rows.load(u_ref.at[t, tile, i, row]) for i in range(u_ref.shape[2])]
            return us, self._read_flags(rows, flags_ref.at[t, tile])

        def write_step(t: Array, late: Any) -> None:
            t = jnp.maximum(t, 0)  # what is written before the first step, the second writes again
            y, state, sums = late
            y_ref.at[t, tile, row][...] = y.astype(self.narrow)
            for ref, values in zip(kept_refs, (state, sums), strict=False):
                for i, value in enumerate(values):
                    ref.at[t, tile, i, row][...] = value.astype(self.narrow)

        def first() -> None:
            fixed = [rows.load(fixed_ref.at[tile, i, row]) for i in range(fixed_ref.shape[1])]
            start = [rows.load(initial_ref.at[i, row]) for i in range(initial_ref.shape[0])]
            real = self._real(chips)

            def step(t: Array, carry: Any) -> Any:
                (us, flags), state, late = carry
                valid, fresh = self.flags.split(flags)
                ahead: list[Any] = []
                if fresh is not None:
                    state = [rows.where(fresh, a, b) for a, b in zip(start, state, strict=True)]

                def multiply(stage: int, vectors: list[list[Array]]) -> list[list[Array]]:
                    chips.share(stage, t, [[real(a) for a in pieces] for pieces in vectors])
                    if stage == 0:
                        write_step(t - 1, late)
                        ahead.append(read_step(t + 1))
                    chips.multiply(stage, t)
                    return chips.results(stage, t)

                new, y, sums = self.units.forward(rows.apply, fixed, us, state, multiply)
                if valid is not None:
                    new = [rows.where(valid, a, b) for a, b in zip(new, state, strict=True)]
                    y = rows.where(valid, y, rows.full(y.shape))
                late = rows.place(y), *(self._late(rows, a) for a in kept(state, sums))
                return ahead[0], [rows.place(a) for a in new], late

            def kept(state: list[Array], sums: list[Array]) -> list[list[Array]]:
                return [state, sums] if keep else [[], []]

            state = [rows.load(state_ref.at[tile, i, row]) for i in range(state_ref.shape[1])]
            nothing = rows.full(rows.shape)
            none = kept([nothing] * len(state), [nothing] * len(self.units.columns.sums))
            carry = (read_step(jnp.int32(0)), state, (nothing, *none))
            _, last, late = lax.fori_loop(jnp.int32(0), jnp.int32(steps), step, carry)
            write_step(jnp.int32(steps - 1), late)
            for i, value in enumerate(last):
                last_ref.at[tile, i, row][...] = value

        def others() -> None:
            def step(t: Array, _: None) -> None:
                for stage in range(count):
                    chips.follow(stage, t)
                self._prefetch(chips, [u_lines.at[jnp.minimum(t + FAR, steps - 1), tile]])

            lax.fori_loop(jnp.int32(0), jnp.int32(steps), step, None)

        self._divide(refs, first, others)

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
          kept: what is kept of `u`, `[K, tiles, kept, H, 16]`.
          states: as `forward` returned them.
          sums: likewise.
          dy: the adjoints of the outputs `[K, tiles, H, 16]`.
          d_state: that of the final state `[tiles, S, H, 16]` in float32.

        Returns:
          The adjoints of sums and of `kept` together `[K, tiles, Z + kept, H, 16]`; the vectors of
          products that are no part of the state `[K, tiles, V, H, 16]`; the adjoint of the first
          state; and those of `fixed`, for each sequence.
        """
        steps, tiles = dy.shape[:2]
        shape = partial(jax.ShapeDtypeStruct, dtype=self.narrow)
        counts = sums.shape[2] + kept.shape[2], len(self.units.other_pieces())
        outs = [shape((steps, tiles, n, self.hidden, SEQUENCES)) for n in counts]
        outs += [jax.ShapeDtypeStruct(a.shape, jnp.float32) for a in (d_state, fixed)]
        streams = [kept, states, sums, dy]
        lines = [_lines(a if a.ndim == 5 else a[:, :, None]) for a in streams if a.size]
        turned = [w.transpose(0, 4, 3, 2, 1) for w in weights]
        body = partial(self._backward, steps)
        run = self._kernel(body, outs, self.plan.backward, steps, tiles, "rnnlab_spread_backward")
        return tuple(
            run(self._weights(self.plan.backward, turned), lines, fixed, flags, *streams, d_state)
        )

    def _backward(self, steps: int, refs: Refs) -> None:
        w_refs, lines, fixed_ref, flags_ref, kept_ref, states_ref, sums_ref, dy_ref, last_ref = (
            refs.inputs
        )
        dz_ref, vectors_ref, first_ref, d_fixed_ref = refs.outputs
        chips = self._exchange(self.plan.backward, refs, w_refs, turns=True)
        rows, tile, row = chips.rows, chips.tile, self._row(chips)
        columns, count = self.units.columns, self.units.constants + self.units.own
        reads = self.units.reads[count:]
        stages = len(self.units.stages)

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
            flags = self._read_flags(rows, flags_ref.at[t, tile])
            return values, flags, rows.load(dy_ref.at[t, tile, row])

        def write_step(t: Array, adjoints: Adjoints, vectors: Any) -> None:
            for place, d in enumerate([*adjoints.sums, *adjoints.kept]):
                dz_ref.at[t, tile, place, row][...] = d.astype(self.narrow)
            for place, piece in enumerate(self.units.other_pieces()):
                vectors_ref.at[t, tile, place, row][...] = vectors[piece].astype(self.narrow)

        def first() -> None:
            fixed = [rows.load(fixed_ref.at[tile, i, row]) for i in range(count)]
            real = self._real(chips)

            def step(i: Array, carry: Any) -> Any:
                (values, flags, dy), d_state, d_fixed = carry
                t = steps - 1 - i
                valid, fresh = self.flags.split(flags)
                ahead: list[Any] = []
                dy = rows.widen(dy)
                rest = iter([rows.widen(value) for value in values])
                moving = [next(rest) if is_read else dy for is_read in reads]
                d_new, nothing = d_state, rows.full(rows.shape)
                if valid is not None:
                    d_new = [rows.where(valid, d, nothing) for d in d_state]
                    dy = rows.where(valid, dy, nothing)

                def multiply(stage: int, adjoints: list[list[Array]]) -> list[list[Array]]:
                    chips.share(stage, i, [[real(a) for a in results] for results in adjoints])
                    if not ahead:
                        ahead.append(read_step(t - 1))
                    chips.multiply(stage, i)
                    return chips.results(stage, i)

                inputs = self.units.adjoints(fixed, moving)
                adjoints, vectors = self.units.backward(
                    rows.apply, rows.add, inputs, d_new, dy, multiply
                )
                write_step(t, adjoints, vectors)
                d_before = adjoints.state
                if valid is not None:
                    d_before = [
                        rows.add(d, rows.where(valid, nothing, frozen))
                        for d, frozen in zip(d_before, d_state, strict=True)
                    ]
                if fresh is not None:
                    d_before = [rows.where(fresh, nothing, d) for d in d_before]
                more = [*adjoints.constants, *adjoints.own]
                d_fixed = [rows.add(a, b) for a, b in zip(d_fixed, more, strict=True)]
                return ahead[0], [rows.place(d) for d in d_before], d_fixed

            d_state = [rows.load(last_ref.at[tile, i, row]) for i in range(last_ref.shape[1])]
            d_fixed = [rows.full(rows.shape) for _ in range(count)]
            carry = (read_step(jnp.int32(steps - 1)), d_state, d_fixed)
            _, d_state, d_fixed = lax.fori_loop(jnp.int32(0), jnp.int32(steps), step, carry)
            for ref, values in ((first_ref, d_state), (d_fixed_ref, d_fixed)):
                for i, value in enumerate(values):
                    ref.at[tile, i, row][...] = value

        def others() -> None:
            def step(i: Array, _: None) -> None:
                far = jnp.maximum(steps - 1 - i - FAR, 0)
                self._prefetch(chips, [ref.at[far, tile] for ref in lines])
                for stage in reversed(range(stages)):
                    chips.follow(stage, i)

            lax.fori_loop(jnp.int32(0), jnp.int32(steps), step, None)

        self._divide(refs, first, others)

    def _exchange(self, shares: Sequence[Share], refs: Refs, weights: Any, turns: bool) -> Exchange:
        rows = StridedRows(shares[0].rows, self.operands, self.exact, self.interpret)
        slices = jnp.int32(shares[0].slices)
        return Exchange(
            shares,
            self.units.stages,
            rows,
            refs,
            weights,
            lax.div(refs.cta, slices),
            lax.rem(refs.cta, slices),
            turns,
        )

    def _row(self, chips: Exchange) -> Any:
        """This CTA's units."""
        rows = chips.shares[0].rows
        return pallas.slice_of(chips.slice * rows, rows)

    def _divide(self, refs: Refs, first: Callable[[], None], others: Callable[[], None]) -> None:
        """Runs `first` in the first warpgroup, and `others` in all others."""
        if self.interpret:
            first()
            return
        exchange.when(refs.warpgroup == 0, first)
        exchange.when(refs.warpgroup != 0, others)

    def _prefetch(self, chips: Exchange, lines: list[Any]) -> None:
        """Asks this CTA's rows of `[blocks, H / 8, 128]` into the L2 cache."""
        count = chips.shares[0].rows // ROWS_OF_LINE
        piece = pallas.slice_of(chips.slice * count, count)
        pallas.prefetch(chips.refs.warpgroup == 1, [ref.at[:, piece] for ref in lines])

    def _read_flags(self, rows: StridedRows, ref: Any) -> list[Array]:
        piece = pallas.slice_of(0, rows.shape[0])
        return [rows.load(ref.at[i, piece]) for i in range(self.flags.count)]

    def _late(self, rows: StridedRows, values: list[Array]) -> list[Array]:
        return [rows.place(value) for value in values]

    def _real(self, chips: Exchange) -> Callable[[Array], Array]:
        """Sets units of padding to zero, whatever the cell makes of them."""
        if self.real == self.hidden:
            return lambda a: a
        limit = self.real - chips.slice * chips.shares[0].rows
        return lambda a: chips.rows.where_below(limit, a)

    def _weights(self, shares: Sequence[Share], weights: Sequence[Array]) -> list[Array]:
        return [
            share.slabs(w) if self.interpret else share.weights(w)
            for share, w in zip(shares, weights, strict=True)
        ]

    def _kernel(
        self,
        body: Callable[[Refs], None],
        outs: list[Any],
        shares: Sequence[Share],
        steps: int,
        tiles: int,
        name: str,
    ) -> Any:
        stages = self.units.stages
        return exchange.kernel(
            body,
            outs,
            shares,
            stages,
            steps,
            tiles,
            self.operands,
            self.exact,
            self.interpret,
            name,
        )


def _lines(a: Array) -> Array:
    """`[K, tiles, blocks, H, 16]` as `[K, tiles, blocks, H / 8, 128]`, in rows that suit TMA."""
    return a.reshape(*a.shape[:3], -1, ROWS_OF_LINE * SEQUENCES)
