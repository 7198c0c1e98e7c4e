"""How well the segments of a labelling match: F1 at an overlap, and the edit score.

A segment is a run of frames of one label. Labels of frames may be nearly all right, and still
flicker; these scores tell.

Source: C. Lea, M. D. Flynn, R. Vidal, A. Reiter and G. D. Hager, "Temporal convolutional networks
for action segmentation and detection" (CVPR 2017), section 4.1.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from rnnlab.arrays import Float, Int

#: Labels of the frames of a video.
Labels = Int[np.ndarray, "T"]


class Segment(NamedTuple):
    """A run of frames of one label: `start`, and `stop`, the first frame that is not in it."""

    label: int
    start: int
    stop: int

    def seconds(self, times: Float[np.ndarray, "T"]) -> tuple[float, float]:
        """When it starts, and ends as the next one starts; `times` are those of all frames."""
        return float(times[self.start]), float(frame_ends(times)[self.stop - 1])


def frame_ends(times: Float[np.ndarray, "T"]) -> Float[np.ndarray, "T"]:
    """When each frame gives way to the next one; the last lasts as long as is usual."""
    usual = float(np.median(np.diff(times))) if len(times) > 1 else 0.0
    return np.append(times[1:], times[-1] + usual)


def segments(labels: Labels) -> list[Segment]:
    """The segments of a video, in the order of time."""
    ends = [*(np.flatnonzero(np.diff(labels)) + 1).tolist(), len(labels)]
    starts = [0, *ends[:-1]]
    return [Segment(int(labels[a]), a, b) for a, b in zip(starts, ends, strict=True) if a < b]


def segment_f1(gold: Sequence[Labels], found: Sequence[Labels], overlap: float = 0.5) -> float:
    """`F1 = 2 tp / (2 tp + fp + fn)` of the segments of some videos together.

    A found segment is right (tp) if the gold segment of its label with which it overlaps most, by
    intersection over union, overlaps by `overlap` at least and no segment before was right by it;
    else it is wrong (fp). Gold segments by which none was right are missed (fn).

    Args:
        gold: right labels of each video.
        found: the answered ones.
        overlap: the intersection over union, 0.5 for F1@50.

    Returns:
        F1 in 0 .. 1; 1 where there is nothing to find, and nothing was.
    """
    right = wrong = missed = 0
    for a, b in zip(gold, found, strict=True):
        hits = _hits(segments(a), segments(b), overlap)
        right += hits
        wrong += len(segments(b)) - hits
        missed += len(segments(a)) - hits
    every = 2 * right + wrong + missed
    return 2 * right / every if every else 1.0


def _hits(gold: list[Segment], found: list[Segment], overlap: float) -> int:
    taken: set[int] = set()
    for one in found:
        shares = [_overlap(one, other) if one.label == other.label else 0.0 for other in gold]
        best = int(np.argmax(shares)) if shares else 0
        if shares and shares[best] >= overlap and best not in taken:
            taken.add(best)
    return len(taken)


def _overlap(a: Segment, b: Segment) -> float:
    """Intersection over union of the frames of two segments."""
    both = max(min(a.stop, b.stop) - max(a.start, b.start), 0)
    return both / ((a.stop - a.start) + (b.stop - b.start) - both)


def edit_score(gold: Sequence[Labels], found: Sequence[Labels]) -> float:
    """The mean over videos of `1 - d / max(n, m)`: whether the order of segments is right.

    Here `d` is the least number of segments to insert, leave out or rename (Levenshtein) that makes
    the n labels of the segments found the m right ones; how long segments are does not count.
    """
    return float(np.mean([_edit(a, b) for a, b in zip(gold, found, strict=True)]))


def _edit(gold: Labels, found: Labels) -> float:
    a, b = ([one.label for one in segments(labels)] for labels in (gold, found))
    if not a and not b:
        return 1.0
    row = np.arange(len(b) + 1)
    for place, label in enumerate(a, 1):
        before, row = row, np.empty_like(row)
        row[0] = place
        for other, name in enumerate(b, 1):
            row[other] = min(
                before[other] + 1, row[other - 1] + 1, before[other - 1] + (label != name)
            )
    return 1 - float(row[-1]) / max(len(a), len(b))
