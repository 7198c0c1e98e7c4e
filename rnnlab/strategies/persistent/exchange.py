"""What the CTAs of a launch do together: exchange vectors through the L2 cache, and multiply.

*Exchange.* Every step has memory of its own for its vectors, so that nothing is used twice. Before
the kernel starts, all of it is `SENTINEL`, a NaN that no conversion gives: those of NVIDIA's are
0x7FFF, in bfloat16 and in float16, and whoever writes replaces a sentinel by another NaN. A warp
repeats its loads until none of the numbers is a sentinel. So the data is its own flag: there is no
order of memory to keep, and the loads that find it need not follow a flag that they waited for.

*Product.* Each warp multiplies the chunks that it read with fragments of the weights, as said in
`fragments`, and writes its sums into shared memory. The first warpgroup adds them up.

*How far warps can be apart.* A warp waits for a chunk of the vector of every step. The CTA that
writes it did so after it had read all of the vector before, this CTA's part as well, which the
first warpgroup wrote after it had met all others at the barrier of the step before. So no warp is
ahead of another of its CTA by two steps: two slots of shared memory suffice, and two barriers.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp
from jax import lax

from rnnlab.arrays import Array
from rnnlab.strategies.persistent import pallas
from rnnlab.strategies.persistent.fragments import (
    FRAGMENT,
    SEQUENCES,
    UNITS,
    Share,
)
from rnnlab.strategies.persistent.instructions import Machine, Multiplication, store
from rnnlab.strategies.persistent.launch import Refs
from rnnlab.strategies.persistent.pallas import THREADS, Rows


class StridedRows(Rows):
    """`[rows, 16]` in the registers of a warpgroup, element by element."""

    def __init__(self, rows: int, operands: Any, exact: bool, interpret: bool) -> None:
        super().__init__((rows, SEQUENCES), operands, exact, interpret)
        self.vector = min(2, rows * SEQUENCES // THREADS)
        layouts = pallas.mosaic().Layout
        self._result = layouts.WG_STRIDED(self.shape, vec_size=self.vector)

    @property
    def layout(self) -> Any:
        """The layout of these arrays."""
        return self._result


@dataclasses.dataclass
class Exchange:
    """What a warpgroup does with the vectors and weights of all products.

    Attributes:
      shares: of each product, what this CTA computes.
      stages: places of the products that run together.
      rows: how arrays are held.
      refs: what the kernel was given.
      weights: `Share.weights` of each product in memory; in the interpreter `Share.slabs`.
      tile: number of the tile.
      slice: number of the CTA in the tile.
      turns: whether the other warpgroups begin to read only when the first has written.
    """

    shares: Sequence[Share]
    stages: Sequence[Sequence[int]]
    rows: StridedRows
    refs: Refs
    weights: Sequence[Any]
    tile: Any
    slice: Any
    turns: bool

    def __post_init__(self) -> None:
        """Loads the weights."""
        self.interpret = self.rows.interpret
        self._staged = _at(self.refs.shared.staged, [each.staged for each in self.shares])
        self._left = _at(
            self.refs.shared.weights, [each.fragments > each.registers for each in self.shares]
        )
        if not self.interpret:
            self._registers = [self._load(place) for place in range(len(self.shares))]

    def _load(self, place: int) -> Any:
        """Loads those fragments that stay in registers, and copies the others.

        What one warp copies for another, that one reads after the barrier of its first stage.
        """
        plgpu, share, wg = pallas.mosaic(), self.shares[place], self.refs.warpgroup
        source = self.weights[place].at[self.slice, wg]
        one = plgpu.Layout.WG_STRIDED((share.width,), vec_size=share.width // THREADS)
        some = pallas.slice_of(0, share.width)
        left = self._left[place]
        if left is not None:

            def copy(i: Array, _: None) -> None:
                fragment = source.at[share.registers + i, some]
                left.at[i, wg][...] = plgpu.load(fragment, layout=one, optimized=False)

            count = share.fragments - share.registers
            lax.fori_loop(jnp.int32(0), jnp.int32(count), copy, None)
        if not share.registers:
            return None
        shape = (share.registers, FRAGMENT)
        layout = plgpu.Layout.WG_STRIDED(shape, vec_size=8)
        piece = source.at[pallas.slice_of(0, share.registers)]
        return plgpu.load(piece, layout=layout, optimized=False)

    def share(self, stage: int, step: Array, vectors: Sequence[Sequence[Array]]) -> None:
        """Writes this CTA's rows of the vectors of a stage, each in parts."""
        for place, pieces in zip(self.stages[stage], vectors, strict=True):
            for number, piece in enumerate(pieces):
                left = piece
                for part in range(self.shares[place].parts):
                    narrow = left.astype(self.rows.operands)
                    self._store(place, step, part, number, narrow)
                    if part + 1 < self.shares[place].parts:
                        left = self.rows.place(left - narrow.astype(jnp.float32))
        if self.turns and not self.interpret:
            pallas.mosaic().barrier_arrive(self.refs.shared.turns[stage])

    def _store(self, place: int, step: Array, part: int, piece: int, a: Array) -> None:
        share, ref = self.shares[place], self.refs.vectors[place].at[step, self.tile, part]
        first = self.slice * share.rows
        if not self.interpret:
            start = share.first_number(piece, first)
            _store(self.rows)(ref.at[pallas.slice_of(start, UNITS)], a)
            return
        chunk = piece * (share.hidden // UNITS) + first // UNITS
        lanes = min(share.rows, UNITS) // 4
        for i in range(0, share.rows, UNITS):
            some = a[i : i + UNITS].reshape(lanes, 4, 2, 8).transpose(3, 0, 2, 1)
            where = pallas.slice_of(first % UNITS // 4, lanes)
            ref.at[chunk + i // UNITS, :, where][...] = some

    def multiply(self, stage: int, step: Array) -> None:
        """Waits for the vectors of a stage, multiplies, and leaves the sums in shared memory."""
        plgpu, slot = pallas.mosaic(), lax.rem(step, jnp.int32(2))
        if not self.interpret:
            for place in self.stages[stage]:
                self._multiply(place, step, slot)
        plgpu.barrier_arrive(self.refs.shared.barriers[stage].at[slot])

    def _multiply(self, place: int, step: Array, slot: Array) -> None:
        shared, wg = self.refs.shared, self.refs.warpgroup
        arguments = [
            self.refs.vectors[place].at[step, self.tile],
            self._registers[place],
            None if self._left[place] is None else self._left[place],
            None if self._staged[place] is None else self._staged[place].at[slot, wg],
            shared.sums[place].at[slot],
        ]
        _multiply(self.shares[place], self.rows.operands)(*arguments)

    def follow(self, stage: int, step: Array) -> None:
        """What a warpgroup does at a stage that is not the first."""
        if self.turns:
            pallas.mosaic().barrier_wait(self.refs.shared.turns[stage])
        self.multiply(stage, step)

    def results(self, stage: int, step: Array) -> list[list[Array]]:
        """This CTA's rows of the results of a stage, when all warpgroups have multiplied."""
        slot = lax.rem(step, jnp.int32(2))
        pallas.mosaic().barrier_wait(self.refs.shared.barriers[stage].at[slot])
        if self.interpret:
            return [self._product(place, step) for place in self.stages[stage]]
        sums = self.refs.shared.sums
        return [
            list(total(self.shares[place], self.rows)(sums[place].at[slot]))
            for place in self.stages[stage]
        ]

    def _product(self, place: int, step: Array) -> list[Array]:
        """A product in the interpreter."""
        share, ref = self.shares[place], self.refs.vectors[place]
        chunks = ref.at[step, self.tile][...].astype(jnp.float32)
        vector = chunks.transpose(0, 1, 3, 5, 4, 2).reshape(share.parts, -1, SEQUENCES)
        weights = self.weights[place].at[self.slice][...].astype(jnp.float32)
        found = jnp.zeros((share.height, SEQUENCES), jnp.float32)
        for i in range(share.parts):
            for j in range(share.parts - i):
                found += weights[i, :, : vector.shape[1]] @ vector[j]
        return [found[k * share.rows : (k + 1) * share.rows] for k in range(share.outs)]


def _at(refs: Sequence[Any], present: Sequence[bool]) -> list[Any]:
    """The references in the places where they are present."""
    rest = iter(refs)
    return [next(rest, None) if here else None for here in present]


def _store(rows: StridedRows) -> Callable[..., None]:
    """Writes `[rows, 16]` into a vector, whose first number is the first of a reference."""
    plgpu = pallas.mosaic()

    @plgpu.inline_mgpu(arg_types=(plgpu.RefType(), rows.layout))
    def write(_: Any, ref: Any, a: Any) -> None:
        store(Machine(), ref, a.registers.flat, rows.vector)

    return write


def _multiply(share: Share, operands: Any) -> Callable[..., None]:
    """One warp's part of a product.

    Takes the vector `[parts, numbers]`, the fragments in registers, those in shared memory, the
    staged chunks, and the partial sums; None for what a product has not.
    """
    plgpu = pallas.mosaic()
    shape = (share.registers, FRAGMENT)
    kinds = (
        plgpu.RefType(),
        plgpu.Layout.WG_STRIDED(shape, vec_size=8) if share.registers else None,
        plgpu.RefType() if share.fragments > share.registers else None,
        plgpu.RefType() if share.staged else None,
        plgpu.RefType(),
    )
    present = [kind is not None for kind in kinds]

    @plgpu.inline_mgpu(arg_types=tuple(kind for kind in kinds if kind is not None))
    def body(_: Any, *some: Any) -> None:
        vector, registers, left, staged, sums = _at(some, present)
        here = registers.registers.flat if share.registers else ()
        Multiplication(Machine(), share, operands, vector, here, left, staged, sums).run()

    def run(*arguments: Any) -> None:
        body(*(a for a, here in zip(arguments, present, strict=True) if here))

    return run


def total(share: Share, rows: StridedRows) -> Callable[..., Any]:
    """The results of a product, from the partial sums `[partial_sums, height, 16]`.

    Inlined, since Mosaic infers the layouts of so many slices slowly or not at all.
    """
    plgpu = pallas.mosaic()
    shape = plgpu.ShapeDtypeStruct(rows.shape, jnp.float32, layout=rows.layout)

    @plgpu.inline_mgpu(arg_types=(plgpu.RefType(),), return_type=(shape,) * share.outs)
    def add(_: Any, ref: Any) -> Any:
        from jax.experimental.mosaic import gpu
        from jax.experimental.mosaic.gpu import utils

        def result(out: int) -> Any:
            place = slice(out * share.rows, (out + 1) * share.rows)
            found = [
                gpu.FragmentedArray.load_strided(
                    utils.memref_slice(ref, (number, place)), vec_size=rows.vector
                )
                for number in range(share.partial_sums)
            ]
            while len(found) > 1:
                found = [a + b for a, b in zip(found[::2], found[1::2], strict=True)]
            return found[0]

        return tuple(result(out) for out in range(share.outs))

    return add
