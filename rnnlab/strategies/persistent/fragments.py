"""Where the numbers of a product lie when the CTAs of one launch share it out.

A product `[outs, H] = w @ [pieces, H]` of 16 sequences is cut by the units of its results: a CTA
computes `rows` of them, of all `outs`, and so reads the whole vector. Its 16 warps cut the vector:
what travels between the CTAs are (vector) *chunks* of 16 units x 16 sequences, 512 bytes. Warp `w`
reads the chunks `w`, `w + 16`, `w + 32`, ...

A chunk lies in memory as the right operands of two `mma.m16n8k16` lie in the registers of a warp,
16 bytes for each lane, so that a load of 16 bytes by every lane needs no further arrangement:

    lane = 4 (sequence % 8) + unit // 4      in the lane: [sequence // 8][unit % 4]

An `mma` pairs the units of both operands, whatever their order; hence the weights are permuted in
the same way, and a CTA that owns 8 units writes pieces of 32 bytes. The left operand of an `mma` is
16 rows of the weights and one chunk of units, also 16 bytes for each lane: a *fragment*.

The last of a warp's chunks may be padding: zeros in memory, which nobody has to write.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import jax.numpy as jnp

from rnnlab.arrays import Array

#: Sequences of a tile: the columns of two products of the tensor cores.
SEQUENCES = 16
#: Units of a chunk: what one instruction of the tensor cores sums over.
UNITS = 16
#: Warpgroups of a CTA, and warps of a warpgroup.
WARPGROUPS, WARPS = 4, 4
#: Numbers of a chunk, which are as many as those of a fragment.
CHUNK = UNITS * SEQUENCES
#: Numbers of the fragments of the four warps of a warpgroup.
FRAGMENT = WARPS * CHUNK


@dataclasses.dataclass(frozen=True)
class Share:
    """What a CTA computes of one product.

    Attributes:
      outs: number of results.
      pieces: number of the parts of the vector.
      rows: units of each result that the CTA computes.
      hidden: units, a multiple of 16 and of `rows`.
      parts: how many 16-bit numbers stand for a number.
      staged: whether the warps of a warpgroup read the chunks of all four, through shared memory,
        and divide the rows of the results: fewer partial sums, where there are many rows.
      registers: how many of the fragments of a warp stay in registers; the rest lies in shared
        memory.
      batch: how many chunks a warp waits for at once.
    """

    outs: int
    pieces: int
    rows: int
    hidden: int
    parts: int = 1
    staged: bool = False
    registers: int = 0
    batch: int = 12

    @property
    def slices(self) -> int:
        """CTAs of a tile."""
        return self.hidden // self.rows

    @property
    def height(self) -> int:
        """Rows of the results, with padding."""
        return -(-self.outs * self.rows // UNITS) * UNITS

    @property
    def real_chunks(self) -> int:
        """Chunks of the vector."""
        return self.pieces * self.hidden // UNITS

    @property
    def each(self) -> int:
        """Chunks that a warp reads."""
        return -(-self.real_chunks // (WARPGROUPS * WARPS))

    @property
    def chunks(self) -> int:
        """Chunks of the vector with padding."""
        return WARPGROUPS * WARPS * self.each

    @property
    def tiles(self) -> int:
        """Fragments on top of each other."""
        return self.height // UNITS

    @property
    def cuts(self) -> tuple[int, int, int]:
        """In how many ways the warps of a warpgroup divide rows, sequences and chunks."""
        if not self.staged:
            return 1, 1, WARPS
        return (2, 2, 1) if self.tiles % 2 == 0 else (1, 2, 2)

    @property
    def partial_sums(self) -> int:
        """How many there are of each number."""
        return WARPGROUPS * self.cuts[2]

    @property
    def chunks_of_warp(self) -> int:
        """Chunks that a warp multiplies."""
        return WARPS * self.each // self.cuts[2]

    @property
    def tiles_of_warp(self) -> int:
        """Fragments on top of each other that a warp multiplies."""
        return self.tiles // self.cuts[0]

    @property
    def fragments_of_part(self) -> int:
        """Fragments of a warp of one part of the weights: `[chunks_of_warp, tiles_of_warp]`."""
        return self.chunks_of_warp * self.tiles_of_warp

    @property
    def fragments(self) -> int:
        """All fragments of a warp."""
        return self.parts * self.fragments_of_part

    @property
    def width(self) -> int:
        """Numbers of a fragment of a warpgroup in shared memory.

        Staged, two warps have the same, for different sequences: the second two as the first.
        """
        return FRAGMENT // 2 if self.staged else FRAGMENT

    @property
    def shared_memory(self) -> int:
        """Bytes of shared memory."""
        left = self.fragments - self.registers
        sums = 2 * self.partial_sums * self.height * SEQUENCES * 4
        staged = 2 * self.parts * self.chunks * CHUNK * 2 if self.staged else 0
        return sums + staged + left * WARPGROUPS * self.width * 2

    def slabs(self, w: Array) -> Array:
        """`[parts, H, outs, pieces, H]` cut for the CTAs: `[slices, parts, height, 16 chunks]`.

        The rows of the first result come first.
        """
        vector = self.pieces * self.hidden
        w = w.reshape(self.parts, self.slices, self.rows, self.outs, vector)
        w = w.transpose(1, 0, 3, 2, 4).reshape(self.slices, self.parts, -1, vector)
        below, right = self.height - w.shape[2], self.chunks * UNITS - vector
        return jnp.pad(w, ((0, 0), (0, 0), (0, below), (0, right)))

    def weights(self, w: Array) -> Array:
        """`[parts, H, outs, pieces, H]` as `[slices, warpgroups, fragments, 1024]`.

        Warp by warp, lane by lane, and of each lane the 8 numbers of a fragment:
        `[unit // 2 % 2][row // 8][unit % 2]` of `row % 8 = lane // 4`, `unit // 4 = lane % 4`.
        """
        rows, sequences, depth = self.cuts
        of_row = rows, self.tiles_of_warp, 2, 8  # upper, row
        of_unit = self.each, WARPGROUPS, WARPS, 4, 2, 2  # lane, half, in the pair
        a = self.slabs(w).reshape(self.slices, self.parts, *of_row, *of_unit)
        a = a.transpose(0, 7, 1, 6, 8, 2, 3, 5, 9, 10, 4, 11)
        # slice, warpgroup, part, each, warp, rows, tile, row, lane, half, upper, in the pair
        if self.staged:  # the chunks of all four warps, cut again
            a = a.reshape(*a.shape[:3], depth, self.chunks_of_warp, *a.shape[5:])
            a = a.transpose(0, 1, 2, 4, 6, 5, 3, 7, 8, 9, 10, 11)
            # slice, warpgroup, part, chunk, tile, rows, depth, row, lane, half, upper, in the pair
            shape = *a.shape[:5], sequences, *a.shape[5:]
            a = jnp.broadcast_to(a[:, :, :, :, :, None], shape)
        else:
            a = a.transpose(0, 1, 2, 3, 6, 5, 4, 7, 8, 9, 10, 11)
        return a.reshape(self.slices, WARPGROUPS, self.fragments, FRAGMENT)

    # What follows is index arithmetic of one thread. It takes numbers, arrays of numbers, or what
    # stands for a number in a kernel.

    def first_number(self, piece: int, first: Any) -> Any:
        """Place in a vector of the first of a CTA's rows, that of unit `first`; in numbers."""
        return piece * self.hidden * SEQUENCES + first // UNITS * CHUNK + first % UNITS // 4 * 8

    def partial_sum(self, thread: Any) -> Any:
        """Place of a thread's first result in the partial sums `[partial_sums, height, 16]`."""
        warp, lane = thread >> 5, thread & 31
        first = (lane >> 2) * SEQUENCES + (lane & 3) * 2
        one = self.height * SEQUENCES
        if not self.staged:
            return first + warp * one
        first = first + ((warp >> 1) & 1) * 8
        if self.cuts[2] == 2:
            return first + ((warp >> 2) * 2 + (warp & 1)) * one
        return first + (warp >> 2) * one + (warp & 1) * (self.tiles_of_warp * UNITS * SEQUENCES)

    def staged_chunk(self, thread: Any) -> Any:
        """Place of a thread's operands in the staged chunks `[chunks][half][lane][4]`.

        A half is that of the sequences.
        """
        warp, lane = thread >> 5, thread & 31
        first = lane * 4 + ((warp >> 1) & 1) * (CHUNK // 2)
        return first + (warp & 1) * (self.chunks_of_warp * CHUNK) if self.cuts[2] == 2 else first


def loaded(thread: Any) -> Any:
    """Place in a vector of the first 8 numbers that a thread reads."""
    return (thread >> 5) * CHUNK + (thread & 31) * 8


#: How far it is to the next chunk of the same warp; in numbers.
NEXT = WARPGROUPS * WARPS * CHUNK


def stored(number: Any) -> Any:
    """Place in a vector of a number of `[units, 16]`, counted row by row, from the first one."""
    unit, sequence = number >> 4, number & 15
    lane = (sequence & 7) * 4 + ((unit & 15) >> 2)
    return (unit >> 4) * CHUNK + lane * 8 + (sequence >> 3) * 4 + (unit & 3)


def as_chunk(thread: Any) -> Any:
    """Place in the staged chunks `[chunks][half][lane][4]` of what a thread reads first.

    Of the 8 numbers the second four go to the other half, 128 numbers further on.
    """
    return ((thread >> 5) & 3) * CHUNK + (thread & 31) * 4
