"""Sequences of many lengths in batches of similar ones, so that little of a batch is padding."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import grain
import numpy as np

from rnnlab.arrays import Int
from rnnlab.errors import UsageError


class Padded(NamedTuple):
    """Sequences of similar lengths, time first.

    Attributes:
        values: a tree of arrays `[S, B, ...]`, zero past the end of each sequence; S is the
            boundary of the bucket.
        lengths: int32 `[B]`; 0 in the rows that fill up the last batch of a bucket.
        rows: which sequences these are, int32 `[B]`; -1 where there is none.
    """

    values: Any
    lengths: Int[np.ndarray, "B"]
    rows: Int[np.ndarray, "B"]


class Buckets:
    """Sequences sorted into buckets by length, so that little of a batch is padding.

    Every batch comes from one bucket and is padded to its boundary: a program is compiled for each
    boundary and no more. In each epoch, sequences change their batches and batches their order.

    Args:
        lengths: steps of each sequence, `[N]`, at least 1.
        batch: sequences of a batch B.
        boundaries: ascending; a sequence goes to the first boundary that it does not exceed.

    Raises:
        UsageError: boundaries that do not ascend or are below the longest sequence, no sequences,
            or a batch below 1.
    """

    def __init__(self, lengths: Sequence[int], batch: int, boundaries: Sequence[int]):
        self.lengths = np.asarray(lengths, np.int32)
        self.boundaries = np.asarray(boundaries, np.int32)
        if not len(self.lengths) or self.lengths.min() < 1:
            raise UsageError("lengths: there must be sequences, of at least 1 step each")
        if batch < 1:
            raise UsageError(f"batch={batch}: must be a positive integer")
        if not len(boundaries) or np.any(np.diff(self.boundaries) <= 0):
            raise UsageError(f"boundaries={tuple(boundaries)}: must ascend")
        if self.lengths.max() > self.boundaries[-1]:
            raise UsageError(
                f"boundaries={tuple(boundaries)}: the longest sequence has {self.lengths.max()} "
                "steps; add a boundary"
            )
        self._batch = batch
        bucket = np.searchsorted(self.boundaries, self.lengths)
        self._members = [np.flatnonzero(bucket == i) for i in range(len(boundaries))]

    def __len__(self) -> int:
        """Batches of an epoch."""
        return sum(-(-len(members) // self._batch) for members in self._members)

    def plan(self, seed: int, epoch: int) -> list[tuple[int, Int[np.ndarray, "B"]]]:
        """Boundary and rows `[B]` of each batch of an epoch, -1 where a batch is filled up."""
        rng = np.random.default_rng((seed, epoch))
        batches = []
        for boundary, members in zip(self.boundaries, self._members, strict=True):
            order = rng.permutation(members)
            order = np.append(order, np.full(-len(order) % self._batch, -1)).astype(np.int32)
            batches += [(int(boundary), rows) for rows in order.reshape(-1, self._batch)]
        return [batches[index] for index in rng.permutation(len(batches))]

    @property
    def padding(self) -> float:
        """Share of the steps of an epoch that are padding, filled-up rows among them."""
        return 1 - self.lengths.sum() / self._steps(
            [-(-len(m) // self._batch) for m in self._members]
        )

    @property
    def padding_without(self) -> float:
        """The same share, were all sequences padded to the longest one."""
        batches = -(-len(self.lengths) // self._batch)
        return 1 - float(self.lengths.sum() / (batches * self._batch * self.lengths.max()))

    def _steps(self, batches: list[int]) -> float:
        return float(np.dot(batches, self.boundaries) * self._batch)


def even_boundaries(lengths: Sequence[int], count: int) -> tuple[int, ...]:
    """At most `count` boundaries that hold about as many sequences each; the last is the longest.

    Raises:
        UsageError: a count below 1, or no lengths.
    """
    if count < 1 or not len(lengths):
        raise UsageError(f"count={count}: must be at least 1, and there must be sequences")
    quantiles = np.quantile(lengths, np.linspace(0, 1, count + 1)[1:], method="higher")
    return tuple(int(boundary) for boundary in np.unique(quantiles))


def bucketed(
    sequences: Sequence[np.ndarray], batch: int, boundaries: Sequence[int], seed: int
) -> grain.MapDataset:
    """Batches of sequences `[T_i, ...]` in buckets of similar lengths, without end.

    Args:
        sequences: arrays that differ in their first axis only.
        batch: sequences of a batch.
        boundaries: as in `Buckets`; `even_boundaries` finds some.
        seed: of the order.

    Raises:
        UsageError: as `Buckets`.
    """
    buckets = Buckets([len(sequence) for sequence in sequences], batch, boundaries)
    epochs: dict[int, list[tuple[int, np.ndarray]]] = {}

    def make(index: int) -> Padded:
        epoch, position = divmod(int(index), len(buckets))
        plan = epochs.get(epoch)
        if plan is None:
            plan = buckets.plan(seed, epoch)
            epochs.pop(epoch - 2, None)
            epochs[epoch] = plan
        boundary, rows = plan[position]
        return _pad(sequences, boundary, rows)

    return grain.MapDataset.range(2**62 // len(buckets) * len(buckets)).map(make)


def _pad(sequences: Sequence[np.ndarray], boundary: int, rows: np.ndarray) -> Padded:
    first = sequences[0]
    values = np.zeros((boundary, len(rows), *first.shape[1:]), first.dtype)
    lengths = np.zeros(len(rows), np.int32)
    for place, row in enumerate(rows):
        if row >= 0:
            lengths[place] = len(sequences[row])
            values[: lengths[place], place] = sequences[row]
    return Padded(values, lengths, rows)
