"""Scenes of one to four digits, as many as one likes, each with the sentence that describes it.

Digits stand in one row or in two, one or two to a row. The sentence names them row by row, from the
left: "a seven left of an eight above a two". Digits of one row overlap in height and those of two
rows do not, so that each scene has one sentence.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from rnnlab.arrays import Int, UInt8
from rnnlab.data.images import Images
from rnnlab.errors import UsageError

NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
#: All words of the sentences.
WORDS = ("a", "an", "left", "of", "above", *NAMES)
#: Digits in each row, for each layout; every number of digits is as frequent, and among those of a
#: number every layout.
LAYOUTS = ((1, 0), (2, 0), (1, 1), (2, 1), (1, 2), (2, 2))
OF_COUNT = ((0,), (1, 2), (3, 4), (5,))
#: Digits of a scene, and words of a sentence, at most.
MOST, LONGEST = 4, 13
#: Above this, a pixel is ink.
INK = 0

#: Row, place in the row and number in the row of each digit, for each layout; -1 where is none.
_PLACES = np.array(
    [
        [(row, place, count) for row, count in enumerate(layout) for place in range(count)]
        + [(-1, -1, -1)] * (MOST - sum(layout))
        for layout in LAYOUTS
    ]
)


class Glyphs(NamedTuple):
    """Digits, cut out.

    Attributes:
        ink: `[N, S, S]`, 0 is paper, with what has ink in the middle.
        labels: the digits, int32 `[N]`.
    """

    ink: UInt8[np.ndarray, "N S S"]
    labels: Int[np.ndarray, "N"]

    @property
    def side(self) -> int:
        """Pixels of a side S."""
        return self.ink.shape[1]


class Scenes(NamedTuple):
    """Scenes; digits are in the order in which the sentence names them.

    Attributes:
        pixels: `[B, size, size]`, 0 is paper.
        layouts: of each scene, an index into `LAYOUTS`, `[B]`.
        labels: the digits, -1 where there is none, `[B, 4]`.
        corners: row and column of the upper left pixel of each digit's square, `[B, 4, 2]`.
    """

    pixels: UInt8[np.ndarray, "B size size"]
    layouts: Int[np.ndarray, "B"]
    labels: Int[np.ndarray, "B 4"]
    corners: Int[np.ndarray, "B 4 2"]


def cut_out(images: Images, side: int) -> Glyphs:
    """Digits with what has ink in the middle of squares; MNIST's fit 20 by 20 pixels.

    Raises:
        UsageError: the ink of an image is larger than the square.
    """
    pixels, labels = np.asarray(images.pixels), np.asarray(images.labels, np.int32)
    if pixels.shape[1] == side:
        return Glyphs(pixels, labels)
    starts = []
    for axis in (2, 1):  # first the rows that have ink in any column
        has: Any = (pixels > INK).any(axis=axis)
        first = has.argmax(axis=1)
        last = has.shape[1] - 1 - has[:, ::-1].argmax(axis=1)
        if np.any(last - first >= side):
            raise UsageError(f"side={side}: the ink of a digit is larger")
        starts.append(np.clip((first + last + 1 - side) // 2, 0, pixels.shape[1] - side))
    rows, columns = (start[:, None] + np.arange(side) for start in starts)
    which = np.arange(len(pixels))[:, None, None]
    return Glyphs(pixels[which, rows[:, :, None], columns[:, None]], labels)


def draw_scenes(
    glyphs: Glyphs, size: int, count: int, random: np.random.Generator, digits: int = MOST
) -> Scenes:
    """New scenes, each of `size` by `size` pixels; at least 2 S, and more for digits to move.

    Args:
        glyphs: the digits that are drawn from.
        size: pixels of a side of a scene.
        count: of scenes B.
        random: draws everything.
        digits: of a scene at most.

    Raises:
        UsageError: two digits do not fit beside each other.
    """
    side = glyphs.side
    if size < 2 * side:
        raise UsageError(f"size={size}: must be at least {2 * side}, two digits")
    layouts = _draw_layouts(count, random, digits)
    row, place, in_row = np.moveaxis(_PLACES[layouts], -1, 0)
    there = row >= 0
    which = random.integers(0, len(glyphs.labels), (count, MOST))
    labels = np.where(there, glyphs.labels[which], -1).astype(np.int32)

    band = size // 2  # of the height, which a row takes
    alone = there[:, :1] & (row.max(axis=1, keepdims=True) == 0)
    top = np.where(alone, random.integers(0, size - band + 1, (count, 1)), row * band)
    down = top + random.integers(0, band - side + 1, (count, MOST))
    # In a row of two, both are moved by sorted amounts, and the second by a digit more.
    moves = np.sort(random.integers(0, size - 2 * side + 1, (count, 2, 2)), axis=-1)
    pair = np.take_along_axis(
        moves.reshape(count, -1), np.maximum(2 * row + place, 0), axis=1
    ) + side * np.maximum(place, 0)
    right = np.where(in_row == 2, pair, random.integers(0, size - side + 1, (count, MOST)))
    corners = np.where(there[..., None], np.stack([down, right], axis=-1), 0).astype(np.int32)

    pixels = np.zeros((count, size, size), np.uint8)
    offsets = np.arange(side)
    for digit in range(MOST):
        has = np.flatnonzero(there[:, digit])
        rows, columns = (corners[has, digit, axis][:, None] + offsets for axis in (0, 1))
        pixels[has[:, None, None], rows[:, :, None], columns[:, None]] = glyphs.ink[
            which[has, digit]
        ]
    return Scenes(pixels, layouts.astype(np.int32), labels, corners)


def sentence(layout: int, labels: Int[np.ndarray, "4"]) -> str:
    """What a scene shows."""
    named = [f"{'an' if label == 8 else 'a'} {NAMES[label]}" for label in labels if label >= 0]
    first = LAYOUTS[layout][0]
    rows = [" left of ".join(row) for row in (named[:first], named[first:]) if row]
    return " above ".join(rows)


def sentences(scenes: Scenes) -> list[str]:
    """What each scene shows."""
    return [sentence(*one) for one in zip(scenes.layouts, scenes.labels, strict=True)]


def _draw_layouts(count: int, random: np.random.Generator, most: int) -> np.ndarray:
    digits = random.integers(0, most, count)
    which = random.random(count)
    return np.array([OF_COUNT[n][int(w * len(OF_COUNT[n]))] for n, w in zip(digits, which)])  # noqa: B905
