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

import jax.numpy as jnp
from jax import lax

from rnnlab.arrays import Array
from rnnlab.strategies.persistent import launch, pallas
from rnnlab.strategies.persistent.elementwise import Elementwise
from rnnlab.strategies.persistent.exchange import Exchange, StridedRows
from rnnlab.strategies.persistent.fragments import SEQUENCES, Share
from rnnlab.strategies.persistent.kernel import Adjoint, Backward, Forward, Kernel, Ran
from rnnlab.strategies.persistent.launch import Refs
from rnnlab.strategies.persistent.spread_plan import SpreadPlan

#: How many steps before its use an input is asked into the L2 cache.
FAR = 4
#: Units that the lines hold that are asked into it; the least that a CTA has.
ROWS_OF_LINE = 8


@dataclasses.dataclass(frozen=True)
class Spread(Kernel):
    """The kernels of a cell whose units the CTAs of a launch share.

    Attributes:
      plan: how the kernels are cut.
      interpret: whether to run in Pallas' interpreter.
    """

    tile: ClassVar[int] = SEQUENCES

    plan: SpreadPlan
    interpret: bool = False

    @property
    def tiles(self) -> int:
        """How many tiles a launch has at most."""
        return self.plan.tiles

    @property
    def rows(self) -> int:
        """The largest number of units of a CTA, for which the flags are given."""
        return self.plan.rows

    @property
    def hidden(self) -> int:
        """Number of units with padding."""
        return self.plan.hidden

    def forward(self, keep: bool, given: Forward) -> Ran:
        """Runs the steps of a time block in one launch."""
        steps, tiles = given.u.shape[:2]
        body, outs = partial(self._forward, keep, steps), self.shapes_forward(keep, given)
        run = self._kernel(body, outs, self.plan.forward, steps, tiles, "rnnlab_spread_forward")
        weights = self._weights(self.plan.forward, given.weights)
        return Ran(*run(given._replace(weights=weights), _lines(given.u)))

    def _forward(self, keep: bool, steps: int, refs: Refs) -> None:
        given, u_lines = refs.inputs
        y_ref, last_ref, *kept_refs = refs.outputs
        chips = self._exchange(self.plan.forward, refs, given.weights, turns=False)
        rows, tile, row = chips.rows, chips.tile, self._row(chips)
        step_of = self._elementwise(chips)

        def read_step(t: Array) -> Any:
            t = jnp.minimum(t, steps - 1)
            us = [rows.load(given.u.at[t, tile, i, row]) for i in range(given.u.shape[2])]
            return us, self._read_flags(rows, given.flags.at[t, tile])

        def write_step(t: Array, late: Any) -> None:
            t = jnp.maximum(t, 0)  # what is written before the first step, the second writes again
            y, *kept = late
            y_ref.at[t, tile, row][...] = y.astype(self.narrow)
            for ref, values in zip(kept_refs, kept, strict=False):
                step_of.write(ref, t, tile, row, values)

        def first() -> None:
            fixed = [rows.load(given.fixed.at[tile, i, row]) for i in range(given.fixed.shape[1])]
            start = [rows.load(given.initial.at[i, row]) for i in range(given.initial.shape[0])]

            def step(t: Array, carry: Any) -> Any:
                (us, flags), state, late = carry
                ahead: list[Any] = []

                def meanwhile() -> None:
                    write_step(t - 1, late)
                    ahead.append(read_step(t + 1))

                multiply = partial(self._multiply, chips, t, meanwhile)
                done = step_of.forward(us, flags, state, fixed, start, multiply)
                late = done.y, *([rows.place(a) for a in b] for b in kept(done.before, done.sums))
                return ahead[0], done.after, late

            def kept(state: list[Array], sums: list[Array]) -> list[list[Array]]:
                return [state, sums] if keep else [[], []]

            state = [rows.load(given.state.at[tile, i, row]) for i in range(last_ref.shape[1])]
            nothing = rows.full(rows.shape)
            none = kept([nothing] * len(state), [nothing] * len(self.units.columns.sums))
            carry = (read_step(jnp.int32(0)), state, (nothing, *none))
            _, last, late = lax.fori_loop(jnp.int32(0), jnp.int32(steps), step, carry)
            write_step(jnp.int32(steps - 1), late)
            for i, value in enumerate(last):
                last_ref.at[tile, i, row][...] = value

        def others() -> None:
            def step(t: Array, _: None) -> None:
                for stage in range(len(self.units.stages)):
                    chips.follow(stage, t)
                self._prefetch(chips, [u_lines.at[jnp.minimum(t + FAR, steps - 1), tile]])

            lax.fori_loop(jnp.int32(0), jnp.int32(steps), step, None)

        self._divide(refs, first, others)

    def backward(self, given: Backward) -> Adjoint:
        """Runs the steps of a time block backwards in one launch."""
        steps, tiles = given.dy.shape[:2]
        streams = [given.kept, given.states, given.sums, given.dy]
        lines = [_lines(a if a.ndim == 5 else a[:, :, None]) for a in streams if a.size]
        turned = [w.transpose(0, 4, 3, 2, 1) for w in given.weights]
        body, outs = partial(self._backward, steps), self.shapes_backward(given)
        run = self._kernel(body, outs, self.plan.backward, steps, tiles, "rnnlab_spread_backward")
        weights = self._weights(self.plan.backward, turned)
        return Adjoint(*run(given._replace(weights=weights), lines))

    def _backward(self, steps: int, refs: Refs) -> None:
        given, lines = refs.inputs
        dz_ref, vectors_ref, first_ref, d_fixed_ref = refs.outputs
        chips = self._exchange(self.plan.backward, refs, given.weights, turns=True)
        rows, tile, row = chips.rows, chips.tile, self._row(chips)
        step_of = self._elementwise(chips)

        def read_step(t: Array) -> Any:
            t = jnp.maximum(t, 0)
            values = step_of.read((given.kept, given.states, given.sums), t, tile, row)
            flags = self._read_flags(rows, given.flags.at[t, tile])
            return values, flags, rows.load(given.dy.at[t, tile, row])

        def first() -> None:
            fixed = [rows.load(given.fixed.at[tile, i, row]) for i in range(step_of.count)]

            def step(i: Array, carry: Any) -> Any:
                (values, flags, dy), d_state, d_fixed = carry
                t = steps - 1 - i
                ahead: list[Any] = []

                def write(dz: list[Array], vectors: list[Array]) -> None:
                    step_of.write(dz_ref, t, tile, row, dz)
                    step_of.write(vectors_ref, t, tile, row, vectors)

                multiply = partial(self._multiply, chips, i, lambda: ahead.append(read_step(t - 1)))
                d_before, sums = step_of.backward(
                    values, flags, dy, d_state, fixed, d_fixed, multiply, write
                )
                return ahead[0], d_before, sums

            d_state = [rows.load(given.d_state.at[tile, i, row]) for i in range(first_ref.shape[1])]
            d_fixed = [rows.full(rows.shape) for _ in fixed]
            carry = (read_step(jnp.int32(steps - 1)), d_state, d_fixed)
            _, d_state, d_fixed = lax.fori_loop(jnp.int32(0), jnp.int32(steps), step, carry)
            for ref, values in ((first_ref, d_state), (d_fixed_ref, d_fixed)):
                for i, value in enumerate(values):
                    ref.at[tile, i, row][...] = value

        def others() -> None:
            def step(i: Array, _: None) -> None:
                far = jnp.maximum(steps - 1 - i - FAR, 0)
                self._prefetch(chips, [ref.at[far, tile] for ref in lines])
                for stage in reversed(range(len(self.units.stages))):
                    chips.follow(stage, i)

            lax.fori_loop(jnp.int32(0), jnp.int32(steps), step, None)

        self._divide(refs, first, others)

    def _multiply(
        self,
        chips: Exchange,
        step: Array,
        meanwhile: Callable[[], None],
        stage: int,
        vectors: list[list[Array]],
    ) -> list[list[Array]]:
        """The products of a stage; in the first, `meanwhile` runs while its vectors travel."""
        chips.share(stage, step, vectors)
        if stage == self._first_stage(chips):
            meanwhile()
        chips.multiply(stage, step)
        return chips.results(stage, step)

    def _first_stage(self, chips: Exchange) -> int:
        """The stage with which a step begins: backwards the last."""
        return len(self.units.stages) - 1 if chips.turns else 0

    def _elementwise(self, chips: Exchange) -> Elementwise:
        """The steps on this CTA's units."""
        return Elementwise(self, chips.rows, chips.slice * chips.shares[0].rows)

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
        launch.when(refs.warpgroup == 0, first)
        launch.when(refs.warpgroup != 0, others)

    def _prefetch(self, chips: Exchange, lines: list[Any]) -> None:
        """Asks this CTA's rows of `[blocks, H / 8, 128]` into the L2 cache."""
        count = chips.shares[0].rows // ROWS_OF_LINE
        piece = pallas.slice_of(chips.slice * count, count)
        pallas.prefetch(chips.refs.warpgroup == 1, [ref.at[:, piece] for ref in lines])

    def _read_flags(self, rows: StridedRows, ref: Any) -> list[Array]:
        piece = pallas.slice_of(0, rows.shape[0])
        return [rows.load(ref.at[i, piece]) for i in range(self.flags.count)]

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
        return launch.kernel(
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
