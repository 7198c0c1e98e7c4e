"""Whether a cell of some size can be run by the kernels of `spread`, and how it is cut."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, NamedTuple

from rnnlab.strategies.persistent.chip import Chip
from rnnlab.strategies.persistent.fragments import SEQUENCES, UNITS, WARPGROUPS, WARPS, Share
from rnnlab.strategies.persistent.units import Units

#: Units of a CTA that are tried, in this order. Fewer units are more CTAs with less work each.
ROWS = (8, 16, 32)
#: Registers of a thread, of 512, and the most of them for weights.
REGISTERS, WEIGHTS = 128, 56
#: Those that addresses and the loop take, and what compilations have shown to be needed besides:
#: for derivatives where functions are computed to float32, and for 32 units of a CTA.
OVERHEAD, EXACT, MANY_ROWS = 20, 28, 16
#: Whether to stage, and how many chunks a warp waits for at once at most, with four registers each;
#: the fastest first, then what takes less memory.
TRIED = ((True, 12), (False, 12), (False, 6), (False, 3))


class SpreadPlan(NamedTuple):
    """How the two kernels are cut.

    Attributes:
      hidden: number of units with padding.
      tiles: number of tiles of a launch, at most.
      forward: what a CTA computes of each product.
      backward: likewise of the transposed products.
    """

    hidden: int
    tiles: int
    forward: tuple[Share, ...]
    backward: tuple[Share, ...]

    @property
    def rows(self) -> int:
        """The largest number of units of a CTA."""
        return max(self.forward[0].rows, self.backward[0].rows)


def fits(
    units: Units, hidden: int, batch: int, narrow: Any, parts: int, chip: Chip, flags: int = 2
) -> SpreadPlan | str:
    """How the kernels are cut, or why they cannot be.

    Where the CTAs of all tiles do not fit on the GPU at the same time, the tiles are shared out
    among as few launches as possible, which run one after the other.

    Args:
      units: the cell's step.
      hidden: number of units.
      batch: number of sequences.
      narrow: dtype of the parameters.
      parts: how many 16-bit numbers stand for a number in products.
      chip: the GPU, whose processors (SMs) bound the CTAs: all of them have to run at the same
        time, since they wait for one another.
      flags: how many flags the kernels read.
    """
    if not units.products:
        return "no product mixes its units, so that there is nothing to exchange"
    tiles = -(-batch // SEQUENCES)
    padded = -(-hidden // UNITS) * UNITS
    sizes = [(len(product.outs), len(product.pieces)) for product in units.products]
    # Each warp reads a chunk of every vector.
    least = -(-UNITS * WARPGROUPS * WARPS // min(min(size) for size in sizes))
    padded = max(padded, -(-least // UNITS) * UNITS)
    found: SpreadPlan | str = ""
    for each in dict.fromkeys(-(-tiles // launches) for launches in range(1, tiles + 1)):
        found = cut(units, padded, each, narrow, parts, chip, flags)
        if isinstance(found, SpreadPlan):
            break
    return found


def cut(
    units: Units, hidden: int, tiles: int, narrow: Any, parts: int, chip: Chip, flags: int
) -> SpreadPlan | str:
    """As `fits`, for whole chunks of units and whole tiles, however few."""
    sizes = [(len(product.outs), len(product.pieces)) for product in units.products]
    turned = [(pieces, outs) for outs, pieces in sizes]
    working = working_registers(units, narrow, flags)
    overheads = OVERHEAD, OVERHEAD + (EXACT if narrow.itemsize > 2 else 0)
    for _ in range(2):  # once more if 32 units of a CTA ask for more padding
        found = []
        for each, overhead, numbers in zip((sizes, turned), overheads, working, strict=True):
            shares = _cut(each, hidden, tiles, parts, chip, overhead, numbers)
            if isinstance(shares, str):
                return shares
            found.append(shares)
            hidden = shares[0].hidden
    return SpreadPlan(hidden, tiles, *found)


def working_registers(units: Units, narrow: Any, flags: int) -> tuple[float, float]:
    """Registers for what a step reads and carries, forward and backward, for 8 units of a CTA.

    Those are one number of each array for each thread of the first warpgroup; of what is kept in 16
    bits two share a register, where there are 16 units.
    """
    columns, fixed = units.columns, units.constants + units.own
    streams, states, sums = len(columns.u), len(columns.state), len(columns.sums)
    forward = 2 * (streams + flags) + 3 * states + sums + 1 + fixed + states * (flags > 1)
    kept = (sum(units.reads[fixed:]) + 1) * narrow.itemsize / 4
    return forward, kept + 2 * flags + states + 3 * fixed


def _cut(
    sizes: Sequence[tuple[int, int]],
    hidden: int,
    tiles: int,
    parts: int,
    chip: Chip,
    overhead: int,
    numbers: float,
) -> tuple[Share, ...] | str:
    """What a CTA computes of each product, given how many results and vectors each has."""
    reason = ""
    for rows in ROWS:
        if rows * max(outs for outs, _ in sizes) < UNITS:
            continue  # rows of the tensor cores' products would be empty
        padded = -(-hidden // max(rows, UNITS)) * max(rows, UNITS)
        ctas = tiles * padded // rows
        if ctas > chip.processors:
            reason = (
                f"{tiles * SEQUENCES} sequences with {padded} hidden units need {ctas} processors, "
                f"this GPU has {chip.processors}"
            )
            continue
        working = overhead + numbers * rows / 8 + (MANY_ROWS if rows > UNITS else 0)
        needed = 0
        for staged, most in TRIED:
            shares = [_share(outs, pieces, rows, padded, parts, staged) for outs, pieces in sizes]
            shares = _with_registers(shares, working, most)
            needed = sum(share.shared_memory for share in shares)
            if needed <= chip.free_memory:
                return tuple(shares)
        return (
            f"its weights need {needed // 1024} KiB of shared memory in each of {ctas} processors, "
            f"of {chip.free_memory // 1024}"
        )
    return reason


def _share(outs: int, pieces: int, rows: int, hidden: int, parts: int, staged: bool) -> Share:
    """Staged where there are many results of a short vector: faster, but it takes more memory."""
    share = Share(outs, pieces, rows, hidden, parts)
    staged = staged and share.tiles > 1 and pieces == 1
    return dataclasses.replace(share, staged=staged)


def _with_registers(shares: Sequence[Share], working: float, most: int) -> list[Share]:
    """How many fragments stay in registers, and for how many chunks a warp waits at once."""
    free = REGISTERS - working - 4 * (len(shares) - 1)
    sums = max(4 * 2 * share.tiles_of_warp for share in shares)
    batch = int(max(2, min(most, max(share.each for share in shares), free // 4)))
    left = int(max(0, min(WEIGHTS, free - max(4 * batch, sums + 8)) // 4))
    cut = []
    for share in shares:
        registers = min(left, share.fragments)
        left -= registers
        rounds = -(-share.each // batch)
        cut.append(dataclasses.replace(share, registers=registers, batch=-(-share.each // rounds)))
    return cut
