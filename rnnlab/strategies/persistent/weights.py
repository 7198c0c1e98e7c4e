"""Where the weights of the resident kernels lie, and the products with them.

The weights of a product are cut into square blocks, for each result, each piece of the vector and
each part of the numbers; a warpgroup has its own 64 rows of each. Blocks are kept in registers as
long as there are some, the largest parts first, and the others in shared memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from rnnlab.arrays import Array
from rnnlab.strategies.persistent import pallas
from rnnlab.strategies.persistent.pallas import ROWS, TILE, Rows


class Size(NamedTuple):
    """Of a product: how many vectors of `H` units result, and of how many its vector consists."""

    results: int
    pieces: int


class Block(NamedTuple):
    """The weights of one result of a product and one piece of its vector, for one part."""

    part: int
    product: int
    result: int
    piece: int


class Places(NamedTuple):
    """Blocks by where they lie."""

    registers: list[Block]
    shared: list[Block]


def places(sizes: Sequence[Size], hidden: int, parts: int, registers: int) -> Places:
    """Shares the blocks out, for so many registers of a thread."""
    blocks = [
        Block(part, product, result, piece)
        for part in range(parts)
        for product, size in enumerate(sizes)
        for result in range(size.results)
        for piece in range(size.pieces)
    ]
    count = min(registers // (hidden // 4), len(blocks))
    return Places(blocks[:count], blocks[count:])


def shared_memory(sizes: Sequence[Size], hidden: int, parts: int, registers: int) -> int:
    """Bytes of shared memory for weights and vectors."""
    rest = places(sizes, hidden, parts, registers).shared
    vectors = sum(2 * parts * TILE * size.pieces * hidden for size in sizes)
    return 2 * (len(rest) * hidden**2 + vectors)


class Held:
    """A warpgroup's rows of the weights of all products, in a kernel."""

    def __init__(
        self,
        rows: Rows,
        sizes: Sequence[Size],
        where: Places,
        parts: int,
        references: Any,
        shared: Any,
        warpgroup: Array,
    ) -> None:
        """Loads them.

        Args:
          rows: how arrays are held.
          sizes: of the products.
          where: where the blocks lie.
          parts: how many 16-bit numbers stand for a number.
          references: to the weights of each product, `[parts, groups, results, pieces, 64, H]`.
          shared: shared memory for the blocks that lie there, `[groups, 64, H]` each.
          warpgroup: number of the warpgroup.
        """
        self._rows, self._sizes, self._parts, self._warpgroup = rows, sizes, parts, warpgroup
        load = partial(self._load, references)
        self._registers = {block: load(block) for block in where.registers}
        self._shared = dict(zip(where.shared, shared, strict=True))
        for block, reference in self._shared.items():
            reference.at[warpgroup][...] = load(block)

    def _load(self, references: Any, block: Block) -> Array:
        place = block.part, self._warpgroup, block.result, block.piece
        return self._rows.weight(references[block.product].at[place])

    def share(self, vectors: Any, slot: Array, pieces: Iterable[Array]) -> None:
        """Writes this warpgroup's rows of a vector into shared memory, in parts.

        Args:
          vectors: shared memory `[2, parts, pieces, 8, H]`.
          slot: which of the two it is the turn of.
          pieces: of the vector, the rows of this warpgroup.
        """
        row = pallas.slice_of(self._warpgroup * ROWS, ROWS)
        for place, left in enumerate(pieces):
            for part in range(self._parts):
                narrow = left.astype(self._rows.operands)
                vectors.at[slot, part, place].T.at[row, :][...] = narrow
                left = left - narrow.astype(jnp.float32)

    def results(self, product: int, vectors: Any, slot: Array) -> list[Array]:
        """This warpgroup's rows of the results of a product, smallest summands first."""
        size = self._sizes[product]
        pairs = [(i, j) for i in range(self._parts) for j in range(self._parts - i)]
        totals: list[Array | None] = [None] * size.results
        for i, j in sorted(pairs, key=sum, reverse=True):
            for piece in range(size.pieces):
                right = self._rows.vectors(vectors.at[slot, j, piece].T)
                for result, total in enumerate(totals):
                    weight = self._block(Block(i, product, result, piece))
                    summand = self._rows.product(weight, right)
                    totals[result] = summand if total is None else self._rows.add(total, summand)
        return [total for total in totals if total is not None]

    def _block(self, block: Block) -> Array:
        if block in self._registers:
            return self._registers[block]
        return self._rows.weight(self._shared[block].at[self._warpgroup])


def in_parts(a: Array, parts: int) -> Array:
    """`[parts, ...]`: `a` in bfloat16, the rest that it leaves in bfloat16, and so on.

    One part is `a` itself.
    """
    if parts == 1:
        return a[None]
    found = []
    for _ in range(parts):
        # XLA may drop a conversion to bfloat16 and back; this it may not.
        found.append(jax.lax.reduce_precision(a, 8, 7))
        a = a - found[-1]
    return jnp.stack(found).astype(jnp.bfloat16)
