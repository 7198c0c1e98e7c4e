"""Random windows of labelled videos, as batches without end."""

from __future__ import annotations

from collections.abc import Sequence

import grain
import numpy as np

from rnnlab.data.buckets import Padded, pad
from rnnlab.data.labelled_frames import Video


def frame_windows(
    videos: Sequence[Video], batch: int, length: int, seed: int, *, mirror: bool = False
) -> grain.MapDataset:
    """Batches of windows, each from a random frame of all videos on.

    Args:
        videos: what windows are cut from; a shorter one is a window as a whole.
        batch: windows of a batch B.
        length: frames of a window S.
        seed: of the draws.
        mirror: whether half of the windows are those of a mirror.

    Returns:
        A data set of `Padded` with values `(features [B, S, F], labels [B, S])`.
    """
    counts = np.array([max(len(video.labels) - length, 0) + 1 for video in videos])
    upto = np.cumsum(counts)

    def make(index: int) -> Padded:
        rng = np.random.default_rng((seed, int(index)))
        rows = []
        for place, swap in zip(
            rng.integers(upto[-1], size=batch), rng.random(batch) < 0.5, strict=True
        ):
            which = int(np.searchsorted(upto, place, side="right"))
            chosen, start = videos[which], int(place - upto[which] + counts[which])
            seen = chosen.mirrored if mirror and swap else chosen.features
            window = slice(start, start + length)
            rows.append((seen[window], chosen.labels[window]))
        return pad(rows, (length, length), np.arange(batch, dtype=np.int32), time_major=False)

    return grain.MapDataset.range(2**62).map(make)
