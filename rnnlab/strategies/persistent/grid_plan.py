"""Whether a cell of some size can be run by the kernels of `grid`, and how it is cut."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from rnnlab.strategies.persistent.exchange import SHARED_MEMORY, shared_memory
from rnnlab.strategies.persistent.fragments import SEQUENCES, UNITS, WARPGROUPS, WARPS, Share
from rnnlab.strategies.persistent.units import Units

#: Units of a CTA that are tried, in this order. Fewer units are more CTAs with less work each.
ROWS = (8, 16, 32)
#: Registers of a thread that a kernel may fill with weights; of 128.
WEIGHTS = 56
#: And with weights, what a warp waits for, and sums of products, together.
REGISTERS = 104


class GridPlan(NamedTuple):
    """How the two kernels are cut.

    Attributes:
      hidden: number of units with padding.
      forward: what a CTA computes of each product.
      backward: likewise of the transposed products.
    """

    hidden: int
    forward: tuple[Share, ...]
    backward: tuple[Share, ...]

    @property
    def rows(self) -> int:
        """The largest number of units of a CTA."""
        return max(self.forward[0].rows, self.backward[0].rows)


def fits(
    units: Units, hidden: int, batch: int, narrow: Any, parts: int, processors: int
) -> GridPlan | str:
    """How the kernels are cut, or why they cannot be.

    Args:
      units: the cell's step.
      hidden: number of units.
      batch: number of sequences.
      narrow: dtype of the parameters.
      parts: how many 16-bit numbers stand for a number in products.
      processors: number of processors (SMs) of the GPU, which bounds the CTAs: all of them have to
        run at the same time, since they wait for one another.
    """
    del narrow  # operands have 16 bits, whatever the parameters have
    if not units.products:
        return "no product mixes its units, so that there is nothing to exchange"
    tiles = -(-batch // SEQUENCES)
    padded = -(-hidden // UNITS) * UNITS
    sizes = [(len(product.outs), len(product.pieces)) for product in units.products]
    smallest = min(min(size) for size in sizes)
    if smallest * padded < UNITS * WARPGROUPS * WARPS:
        least = -(-UNITS * WARPGROUPS * WARPS // smallest)
        return f"a grid needs at least {least} hidden units, this cell has {hidden}"
    forward = _cut(sizes, padded, tiles, parts, processors)
    if isinstance(forward, str):
        return forward
    turned = [(pieces, outs) for outs, pieces in sizes]
    backward = _cut(turned, forward[0].hidden, tiles, parts, processors)
    if isinstance(backward, str):
        return backward
    hidden = backward[0].hidden
    if hidden != forward[0].hidden:  # more padding, which 32 units of a CTA ask for
        forward = _cut(sizes, hidden, tiles, parts, processors)
        if isinstance(forward, str):
            return forward
    return GridPlan(hidden, forward, backward)


def _cut(
    sizes: Sequence[tuple[int, int]], hidden: int, tiles: int, parts: int, processors: int
) -> tuple[Share, ...] | str:
    """What a CTA computes of each product, given how many results and vectors each has."""
    reason = ""
    for rows in ROWS:
        if rows * max(outs for outs, _ in sizes) < UNITS:
            continue  # rows of the tensor cores' products would be empty
        padded = -(-hidden // max(rows, UNITS)) * max(rows, UNITS)
        ctas = tiles * padded // rows
        if ctas > processors:
            reason = (
                f"{tiles} tiles of {SEQUENCES} sequences with {padded} hidden units need {ctas} "
                f"processors, this GPU has {processors}"
            )
            continue
        shares = [_share(outs, pieces, rows, padded, parts) for outs, pieces in sizes]
        shares = _with_registers(shares)
        needed = sum(map(shared_memory, shares))
        if needed <= SHARED_MEMORY:
            return tuple(shares)
        return (
            f"its weights need {needed // 1024} KiB of shared memory in each of {ctas} processors, "
            f"of {SHARED_MEMORY // 1024}"
        )
    return reason


def _share(outs: int, pieces: int, rows: int, hidden: int, parts: int) -> Share:
    """Staged where there are many results of a short vector: measured for one vector."""
    share = Share(outs, pieces, rows, hidden, parts)
    return Share(outs, pieces, rows, hidden, parts, staged=share.tiles > 1 and pieces == 1)


def _with_registers(shares: Sequence[Share]) -> list[Share]:
    """How many fragments stay in registers, and for how many chunks a warp waits at once."""
    left, found = WEIGHTS // 4, []
    for share in shares:
        registers = min(left, share.fragments)
        left -= registers
        found.append(registers)
    weights = 4 * sum(found)
    cut = []
    for share, registers in zip(shares, found, strict=True):
        sums = 4 * share.tiles_of_warp * (3 if share.staged else 2)
        batch = max(2, (REGISTERS - weights - sums) // 4)
        rounds = -(-share.each // batch)
        batch = -(-share.each // rounds)
        cut.append(
            Share(*_size(share), staged=share.staged, registers=registers, batch=batch)
        )
    return cut


def _size(share: Share) -> tuple[int, int, int, int, int]:
    return share.outs, share.pieces, share.rows, share.hidden, share.parts
