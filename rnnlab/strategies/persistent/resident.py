"""Kernels for few units: a CTA keeps all weights and runs its sequences through all steps.

Everything is in columns, `[units, sequences]`, so that the weights are the left operand of the
products: rows for the units, columns for the sequences of a tile. Each warpgroup owns 64 units and
keeps its rows of the weights in registers; those that do not fit there lie in shared memory. Only
the vectors of the products (backwards the adjoints of their results) travel between warpgroups,
through shared memory, in two slots that take turns: a warpgroup that is ahead writes into the slot
that nobody reads, and cannot be ahead by more, since all meet at the barrier of every stage.

What moves with the steps lies in memory tile by tile, `[K, tiles, blocks, H, 8]`, so that the load
of a warp is one piece of 256 bytes. It is asked into the L2 cache `FAR` steps before its use and
into registers one step before.

Some `parts` of bfloat16 stand for a float32: `w = w_0 + w_1 + ...`, each what those before leave.
A product is the sum of those `w_i x_j` that are larger than what the parts leave out.
"""

from __future__ import annotations

import dataclasses
from functools import partial
from typing import Any, ClassVar

import jax.numpy as jnp
from jax import lax

from rnnlab.arrays import Array
from rnnlab.strategies.persistent import pallas
from rnnlab.strategies.persistent.elementwise import Elementwise
from rnnlab.strategies.persistent.kernel import Adjoint, Backward, Forward, Kernel, Ran
from rnnlab.strategies.persistent.pallas import ROWS, TILE, Rows
from rnnlab.strategies.persistent.weights import Held, Size, places

#: How many steps before its use an input is asked into the L2 cache.
FAR = 8


@dataclasses.dataclass(frozen=True)
class Resident(Kernel):
    """The kernels of a cell whose weights fit on one multiprocessor.

    Attributes:
      registers: how many registers of a thread may hold weights.
      interpret: whether to run in Pallas' interpreter.
    """

    tile: ClassVar[int] = TILE

    registers: int
    interpret: bool = False

    @property
    def rows(self) -> int:
        """Units of a warpgroup, for which the flags are given."""
        return ROWS

    @property
    def hidden(self) -> int:
        """Number of units with padding."""
        return -(-self.units.hidden // ROWS) * ROWS

    def forward(self, keep: bool, given: Forward) -> Ran:
        """Runs the steps of a time block in one launch."""
        weights = [self._by_warpgroup(w) for w in given.weights]
        body = partial(self._forward, len(given.u))
        outs = self.shapes_forward(keep, given)
        run = self._kernel(body, outs, given.u.shape[1])
        return Ran(*run(given._replace(weights=weights), _lines(given.u)))

    def _forward(self, steps: int, refs: Any, scratch: Any) -> None:
        given, u_lines = refs.inputs
        y_ref, last_ref, *kept_refs = refs.outputs
        rows, (wg, tile) = self._arrays(), refs.place
        row = pallas.slice_of(wg * ROWS, ROWS)
        step_of = Elementwise(self, rows, wg * ROWS)
        weights = self._held(rows, self.sizes(), given.weights, scratch, wg)
        fixed = [rows.load(given.fixed.at[tile, i, row]) for i in range(given.fixed.shape[1])]
        start = [rows.load(given.initial.at[i, row]) for i in range(given.initial.shape[0])]

        def read_step(t: Array) -> Any:
            t = jnp.minimum(t, steps - 1)
            us = [rows.load(given.u.at[t, tile, i, row]) for i in range(given.u.shape[2])]
            return us, self._read_flags(rows, given.flags.at[t, tile])

        def step(t: Array, carry: Any) -> Any:
            (us, flags), state = carry
            pallas.prefetch(wg == 0, [u_lines.at[jnp.minimum(t + FAR, steps - 1), tile]])
            ahead = read_step(t + 1)
            multiply = partial(self._multiply, weights, scratch, t)
            done = step_of.forward(us, flags, state, fixed, start, multiply)
            y_ref.at[t, tile, row][...] = done.y.astype(self.narrow)
            for ref, values in zip(kept_refs, (done.before, done.sums), strict=False):
                step_of.write(ref, t, tile, row, values)
            return ahead, done.after

        state = [rows.load(given.state.at[tile, i, row]) for i in range(given.state.shape[1])]
        _, last = lax.fori_loop(0, steps, step, (read_step(jnp.int32(0)), state))
        for i, value in enumerate(last):
            last_ref.at[tile, i, row][...] = value

    def backward(self, given: Backward) -> Adjoint:
        """Runs the steps of a time block backwards in one launch."""
        steps, tiles = given.dy.shape[:2]
        streams = [given.kept, given.states, given.sums, given.dy]
        lines = [_lines(a) for a in streams if a.size]
        turned = [self._by_warpgroup(w.transpose(0, 4, 3, 2, 1)) for w in given.weights]
        body, outs = partial(self._backward, steps), self.shapes_backward(given)
        run = self._kernel(body, outs, tiles, backward=True)
        return Adjoint(*run(given._replace(weights=turned), lines))

    def _backward(self, steps: int, refs: Any, scratch: Any) -> None:
        given, lines = refs.inputs
        dz_ref, vectors_ref, first_ref, d_fixed_ref = refs.outputs
        rows, (wg, tile) = self._arrays(), refs.place
        row = pallas.slice_of(wg * ROWS, ROWS)
        step_of = Elementwise(self, rows, wg * ROWS)
        weights = self._held(rows, self.sizes(backward=True), given.weights, scratch, wg)
        fixed = [rows.load(given.fixed.at[tile, i, row]) for i in range(step_of.count)]

        def read_step(t: Array) -> Any:
            t = jnp.maximum(t, 0)
            values = step_of.read((given.kept, given.states, given.sums), t, tile, row)
            flags = self._read_flags(rows, given.flags.at[t, tile])
            return values, flags, rows.load(given.dy.at[t, tile, row])

        def step(i: Array, carry: Any) -> Any:
            (values, flags, dy), d_state, d_fixed = carry
            t = steps - 1 - i
            far = jnp.maximum(t - FAR, 0)
            pallas.prefetch(wg == 0, [ref.at[far, tile] for ref in lines])
            ahead = read_step(t - 1)

            def write(dz: list[Array], vectors: list[Array]) -> None:
                step_of.write(dz_ref, t, tile, row, dz)
                step_of.write(vectors_ref, t, tile, row, vectors)

            multiply = partial(self._multiply, weights, scratch, i)
            d_before, sums = step_of.backward(
                values, flags, dy, d_state, fixed, d_fixed, multiply, write
            )
            return ahead, d_before, sums

        d_state = [rows.load(given.d_state.at[tile, i, row]) for i in range(first_ref.shape[1])]
        d_fixed = [rows.full(rows.shape) for _ in fixed]
        carry = (read_step(jnp.int32(steps - 1)), d_state, d_fixed)
        _, d_state, d_fixed = lax.fori_loop(0, steps, step, carry)
        for ref, values in ((first_ref, d_state), (d_fixed_ref, d_fixed)):
            for i, value in enumerate(values):
                ref.at[tile, i, row][...] = value

    def _multiply(
        self, weights: Held, scratch: Any, step: Array, stage: int, vectors: list[list[Array]]
    ) -> list[list[Array]]:
        """The products of a stage: shares the vectors, meets the others, multiplies."""
        slot, places = lax.rem(step, 2), self.units.stages[stage]
        for place, pieces in zip(places, vectors, strict=True):
            weights.share(scratch.vectors[place], slot, pieces)
        pallas.meet(scratch.barriers[stage])
        return [weights.results(place, scratch.vectors[place], slot) for place in places]

    def _arrays(self) -> Rows:
        """How arrays are held."""
        return Rows((ROWS, TILE), self.operands, self.exact, self.interpret)

    def _read_flags(self, rows: Rows, ref: Any) -> list[Array]:
        return [rows.load(ref.at[i]) for i in range(self.flags.count)]

    def sizes(self, backward: bool = False) -> list[Size]:
        """The sizes of the products; backwards results and pieces change places."""
        sizes = [Size(len(each.outs), len(each.pieces)) for each in self.units.products]
        return [Size(*size[::-1]) for size in sizes] if backward else sizes

    def _held(self, rows: Rows, sizes: list[Size], refs: Any, scratch: Any, wg: Array) -> Held:
        where = places(sizes, self.hidden, self.parts, self.registers)
        return Held(rows, sizes, where, self.parts, refs, scratch.weights, wg)

    def _by_warpgroup(self, w: Array) -> Array:
        """`[parts, H, results, pieces, H]` as `[parts, groups, results, pieces, 64, H]`."""
        w = w.reshape(w.shape[0], w.shape[1] // ROWS, ROWS, *w.shape[2:])
        return w.transpose(0, 1, 3, 4, 2, 5)

    def _kernel(self, body: Any, outs: list[Any], tiles: int, backward: bool = False) -> Any:
        """The kernel with one CTA for each tile."""
        sizes = self.sizes(backward)
        where = places(sizes, self.hidden, self.parts, self.registers)
        groups = self.hidden // ROWS
        scratch = pallas.Scratch(
            vectors=[(2, self.parts, size.pieces, TILE, self.hidden) for size in sizes],
            weights=[(groups, ROWS, self.hidden) for _ in where.shared],
            barriers=len(self.units.stages),
        )
        name = f"rnnlab_{'backward' if backward else 'forward'}"
        return pallas.kernel(
            body, outs, scratch, tiles, groups, self.operands, self.exact, self.interpret, name
        )


def _lines(a: Array) -> Array:
    """`[K, tiles, ...]` as `[K, tiles, n, 256]`: the memory in the long rows that TMA wants."""
    return a.reshape(*a.shape[:2], -1, 256)
