"""Sequences of many lengths in batches of similar ones, so that little of a batch is padding."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import grain
import jax
import numpy as np
from jax.typing import ArrayLike

from rnnlab.arrays import Int
from rnnlab.errors import UsageError


class Padded(NamedTuple):
    """Rows of similar lengths: sequences, or tuples of sequences that belong together.

    Attributes:
        values: with the structure of a row, arrays `[S, B, ...]`, or `[B, S, ...]` if not time
            first; zero past the end of each sequence. S is the longest of the bucket. A part of a
            row that is a number and no sequence has `[B]`.
        lengths: with the structure of a row, int32 `[B]`; 0 in the rows that fill up the last batch
            of a bucket, and 1 for a number.
        rows: which rows these are, int32 `[B]`; -1 where there is none.
    """

    values: Any
    lengths: Any
    rows: Int[np.ndarray, "B"]


class Buckets:
    """Rows sorted into buckets by length, so that little of a batch is padding.

    Every batch comes from one bucket, and each part of a row is padded to the longest of the
    bucket: a program is compiled for each bucket and no more. In each epoch, rows change their
    batches and batches their order.

    Args:
        lengths: steps of each row, `[N]`, or of each of its P parts, `[N, P]`.
        batch: rows of a batch B.
        boundaries: ascending; a row goes to the first boundary that its longest part does not
            exceed.

    Raises:
        UsageError: boundaries that do not ascend or are below the longest row, no rows, or a batch
            below 1.
    """

    def __init__(self, lengths: ArrayLike, batch: int, boundaries: Sequence[int]):
        self.lengths = _by_parts(lengths)
        if not len(self.lengths):
            raise UsageError("lengths: there must be sequences")
        if batch < 1:
            raise UsageError(f"batch={batch}: must be a positive integer")
        if not len(boundaries) or np.any(np.diff(boundaries) <= 0):
            raise UsageError(f"boundaries={tuple(boundaries)}: must ascend")
        longest = self.lengths.max(1)
        if longest.max() > boundaries[-1]:
            raise UsageError(
                f"boundaries={tuple(boundaries)}: the longest sequence has {longest.max()} steps; "
                "add a boundary"
            )
        self._batch = batch
        bucket = np.searchsorted(boundaries, longest)
        self._members = [np.flatnonzero(bucket == index) for index in np.unique(bucket)]
        #: Steps to which each part is padded, for each bucket that has rows; at least 1.
        self.steps = [np.maximum(self.lengths[members].max(0), 1) for members in self._members]

    def __len__(self) -> int:
        """Batches of an epoch."""
        return sum(-(-len(members) // self._batch) for members in self._members)

    def plan(
        self, seed: int, epoch: int
    ) -> list[tuple[Int[np.ndarray, "P"], Int[np.ndarray, "B"]]]:
        """Steps of each part, and the rows `[B]` of each batch of an epoch, -1 to fill one up."""
        rng = np.random.default_rng((seed, epoch))
        batches = []
        for steps, members in zip(self.steps, self._members, strict=True):
            order = rng.permutation(members)
            order = np.append(order, np.full(-len(order) % self._batch, -1)).astype(np.int32)
            batches += [(steps, rows) for rows in order.reshape(-1, self._batch)]
        return [batches[index] for index in rng.permutation(len(batches))]

    @property
    def padding(self) -> float:
        """Share of the steps of an epoch that are padding, filled-up rows among them."""
        batches = [-(-len(members) // self._batch) for members in self._members]
        steps = np.dot(batches, [steps.sum() for steps in self.steps]) * self._batch
        return float(1 - self.lengths.sum() / steps)

    @property
    def padding_without(self) -> float:
        """The same share, were all rows padded to the longest one."""
        batches = -(-len(self.lengths) // self._batch)
        steps = batches * self._batch * np.maximum(self.lengths.max(0), 1).sum()
        return float(1 - self.lengths.sum() / steps)


def row_lengths(rows: Sequence[Any]) -> Int[np.ndarray, "N P"]:
    """Steps of the parts of each row, `[N, P]`; those of a number are 1."""
    return np.array([[_length(part) for part in jax.tree.leaves(row)] for row in rows], np.int32)


def even_boundaries(lengths: ArrayLike, count: int) -> tuple[int, ...]:
    """At most `count` boundaries that hold about as many rows each; the last is the longest.

    Args:
        lengths: as in `Buckets`.
        count: of boundaries.

    Raises:
        UsageError: a count below 1, or no lengths.
    """
    lengths = _by_parts(lengths)
    if count < 1 or not len(lengths):
        raise UsageError(f"count={count}: must be at least 1, and there must be sequences")
    quantiles = np.quantile(lengths.max(1), np.linspace(0, 1, count + 1)[1:], method="higher")
    return tuple(int(boundary) for boundary in np.unique(quantiles))


def tight_boundaries(lengths: ArrayLike, count: int) -> tuple[int, ...]:
    """At most `count` boundaries with the least padding; the last is the longest.

    Few long rows get a bucket of their own, which `even_boundaries` does not give them. Filled-up
    rows do not count.

    Args:
        lengths: as in `Buckets`.
        count: of boundaries.

    Raises:
        UsageError: a count below 1, or no lengths.
    """
    lengths = _by_parts(lengths)
    if count < 1 or not len(lengths):
        raise UsageError(f"count={count}: must be at least 1, and there must be sequences")
    steps, rows = np.unique(lengths.max(1), return_counts=True)
    upto = np.concatenate([[0], np.cumsum(rows)])
    least = np.concatenate([[0], steps * upto[1:]])  # steps of the first n lengths in one bucket
    chosen: list[tuple[int, ...]] = [(), *((int(step),) for step in steps)]
    for _ in range(count - 1):
        found, taken = least.copy(), list(chosen)
        for last in range(1, len(steps) + 1):
            costs = least[:last] + steps[last - 1] * (upto[last] - upto[:last])
            first = int(costs.argmin())
            if costs[first] < found[last]:
                found[last], taken[last] = costs[first], (*chosen[first], int(steps[last - 1]))
        least, chosen = found, taken
    return chosen[-1]


def bucketed(
    rows: Sequence[Any],
    batch: int,
    boundaries: Sequence[int],
    seed: int,
    *,
    time_major: bool = True,
) -> grain.MapDataset:
    """Batches of rows in buckets of similar lengths, without end.

    Args:
        rows: arrays `[T_i, ...]` that differ in their first axis only, or tuples of such arrays,
            which may differ in length within a row; a scalar is a part without steps.
        batch: rows of a batch.
        boundaries: as in `Buckets`; `even_boundaries` finds some.
        seed: of the order.
        time_major: values are `[S, B, ...]`, else `[B, S, ...]`.

    Returns:
        A data set of `Padded`.

    Raises:
        UsageError: as `Buckets`.
    """
    buckets = Buckets(row_lengths(rows), batch, boundaries)
    epochs: dict[int, list[tuple[np.ndarray, np.ndarray]]] = {}

    def make(index: int) -> Padded:
        epoch, position = divmod(int(index), len(buckets))
        plan = epochs.get(epoch)
        if plan is None:
            plan = buckets.plan(seed, epoch)
            epochs.pop(epoch - 2, None)
            epochs[epoch] = plan
        return pad(rows, *plan[position], time_major=time_major)

    return grain.MapDataset.range(2**62 // len(buckets) * len(buckets)).map(make)


def grouped(
    rows: Sequence[Any], *, most: int, steps: int, shortest: int
) -> Iterator[tuple[list[int], Padded]]:
    """Sequences of similar lengths together, in batches of few shapes: few programs compile.

    Batches are `[B, S, ...]`, and S is a power of two.

    Args:
        rows: arrays `[T_i, ...]` that differ in their first axis only.
        most: sequences of a batch.
        steps: of all sequences of a batch, padding among them, which bounds the memory.
        shortest: the least S.

    Returns:
        Which rows a batch holds, and the batch, which may have rows of zeros after them.
    """
    groups: dict[int, list[int]] = {}
    for row, sequence in enumerate(rows):
        power = 1 << max(len(sequence) - 1, 0).bit_length()
        groups.setdefault(max(shortest, power), []).append(row)
    for length, members in groups.items():
        size = min(most, max(steps // length, 1))
        for start in range(0, len(members), size):
            chosen = members[start : start + size]
            filled = np.array(chosen + [-1] * (size - len(chosen)), np.int32)
            yield chosen, pad(rows, [length], filled, time_major=False)


def pad(
    rows: Sequence[Any],
    steps: Sequence[int] | Int[np.ndarray, "P"],
    chosen: Int[np.ndarray, "B"],
    *,
    time_major: bool = True,
) -> Padded:
    """A batch of the chosen rows, each part padded to its number of steps; -1 is a row of zeros."""
    structure = jax.tree.structure(rows[0])
    parts = [jax.tree.leaves(rows[row]) if row >= 0 else None for row in chosen]
    padded = [
        _pad_part(first, [None if row is None else row[index] for row in parts], steps[index])
        for index, first in enumerate(jax.tree.leaves(rows[0]))
    ]
    values = [v if time_major or v.ndim == 1 else v.swapaxes(0, 1) for v, _ in padded]
    lengths = [lengths for _, lengths in padded]
    return Padded(structure.unflatten(values), structure.unflatten(lengths), chosen)


def _pad_part(first: Any, sequences: list[Any], steps: int) -> tuple[np.ndarray, np.ndarray]:
    """One part of the rows of a batch, time first, and its lengths; `first` tells its type."""
    first, number = np.asarray(first), np.ndim(first) == 0
    shape = () if number else (steps,)
    values = np.zeros((*shape, len(sequences), *first.shape[1:]), first.dtype)
    lengths = np.zeros(len(sequences), np.int32)
    for place, sequence in enumerate(sequences):
        if sequence is not None:
            lengths[place] = _length(sequence)
            values[place if number else (slice(lengths[place]), place)] = sequence
    return values, lengths


def _length(part: Any) -> int:
    return len(part) if np.ndim(part) else 1


def _by_parts(lengths: ArrayLike) -> Int[np.ndarray, "N P"]:
    lengths = np.asarray(lengths, np.int32)
    return lengths.reshape(len(lengths), -1) if lengths.size else lengths.reshape(0, 1)
