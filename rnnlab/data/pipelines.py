"""Input pipelines of grain: shuffled batches and contiguous streams; `buckets` has one more.

Each function returns a `grain.MapDataset`, in which batch number i is a pure function of i and the
seed. So the position in the data is the number of the next batch, and a resumed run reads the same
batches as an uninterrupted one. `Feed` iterates in a thread of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import grain
import jax
import numpy as np

from rnnlab.arrays import Int
from rnnlab.errors import UsageError

#: Batches that are made ahead of use.
AHEAD = 8


def shuffled(
    arrays: Any, batch: int, seed: int, collate: Callable[[Any], Any] = lambda rows: rows
) -> grain.MapDataset:
    """Batches of rows in an order that is new in every epoch, repeated forever.

    A batch contains no row twice. Rows at the end of an epoch that do not fill a batch are left
    out; they differ from epoch to epoch.

    Args:
        arrays: a tree of arrays with the same number of rows N.
        batch: rows of a batch B.
        seed: of the order.
        collate: what to make of the chosen rows, a tree of arrays `[B, ...]`.

    Raises:
        UsageError: a batch that is not within 1 .. N, or arrays that differ in N.
    """
    counts = {len(array) for array in jax.tree.leaves(arrays)}
    if len(counts) != 1:
        raise UsageError(f"arrays: have {sorted(counts)} rows; they must have as many each")
    (count,) = counts
    _check_batch(batch, count, "rows")

    def gather(rows: np.ndarray) -> Any:
        return collate(jax.tree.map(lambda array: array[rows], arrays))

    order = grain.MapDataset.range(count).seed(seed).shuffle()
    return order.batch(batch, drop_remainder=True).map(gather).repeat()


class Window(NamedTuple):
    """A stretch of a text: `T` steps of its `B` rows.

    Attributes:
        xs: codes, int32 `[T, B]`.
        targets: the code that follows each, int32 `[T, B]`.
        first: whether this is the first window of an epoch, before which the state is the initial
            one; else it continues from the window before.
    """

    xs: Int[np.ndarray, "T B"]
    targets: Int[np.ndarray, "T B"]
    first: Any


class Stream:
    """The windows of one epoch over a corpus, as a grain source.

    The corpus is cut into B contiguous rows of equal length, which are read side by side, T steps
    at a time: `xs[t + 1, b]` follows `xs[t, b]`, and the first step of a window follows the last of
    the window before. Fewer than `B · T + B` codes at the ends of the rows are left out. This is
    the batching of Zaremba, Sutskever and Vinyals (2014).

    Args:
        codes: the corpus, integers `[N]`.
        batch: B.
        length: steps T of a window.

    Raises:
        UsageError: fewer codes than B windows need.
    """

    def __init__(self, codes: Int[np.ndarray, "codes"], batch: int, length: int):
        for name, value in (("batch", batch), ("length", length)):
            if value < 1:
                raise UsageError(f"{name}={value}: must be a positive integer")
        self._row_length = len(codes) // batch
        self._length = length
        if (self._row_length - 1) // length < 1:
            raise UsageError(
                f"batch={batch}, length={length}: a window needs {batch * (length + 1)} codes and "
                f"the corpus has {len(codes)}; take a smaller batch, a smaller length or a longer "
                "text"
            )
        rows = np.asarray(codes[: self._row_length * batch], np.int32).reshape(
            batch, self._row_length
        )
        self._columns = np.ascontiguousarray(rows.T)

    def __len__(self) -> int:
        return (self._row_length - 1) // self._length

    def __getitem__(self, index: Any) -> Window:
        start = int(index) * self._length
        window = self._columns[start : start + self._length + 1]
        return Window(window[:-1], window[1:], np.bool_(index == 0))


def stream(codes: Int[np.ndarray, "codes"], batch: int, length: int) -> grain.MapDataset:
    """The windows of `Stream`, repeated forever; arguments and errors as there."""
    source: Any = Stream(codes, batch, length)
    return grain.MapDataset.source(source).repeat()


class Feed:
    """An iterator over a data set that can be stopped and resumed anywhere."""

    def __init__(self, dataset: grain.MapDataset):
        options = grain.ReadOptions(num_threads=1, prefetch_buffer_size=AHEAD)
        self._iterator = iter(dataset.to_iter_dataset(options))

    def take(self, count: int) -> Any:
        """The next `count` batches, stacked: a tree of arrays `[count, ...]`."""
        batches = [next(self._iterator) for _ in range(count)]
        return jax.tree.map(lambda *leaves: np.stack(leaves), *batches)

    def position(self) -> dict[str, Any]:
        """The position in the data, which `restore` takes, as JSON values."""
        return dict(self._iterator.get_state())

    def restore(self, position: dict[str, Any]) -> None:
        """Resumes at a position."""
        self._iterator.set_state(dict(position))


def _check_batch(batch: int, count: int, what: str) -> None:
    if not 1 <= batch <= count:
        raise UsageError(f"batch={batch}: must be within 1 .. {count}, the number of {what}")
