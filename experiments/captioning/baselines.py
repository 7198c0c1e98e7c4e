"""What a caption is worth that was found without looking closely."""

from __future__ import annotations

from itertools import permutations

import numpy as np

from rnnlab.arrays import UInt8
from rnnlab.data.captions import Captioned, mixed

#: Pixels of a side of the squares whose mean colours are compared.
SQUARE = 5


def nearest_sentences(train: Captioned, pixels: UInt8[np.ndarray, "N height width C"]) -> list[str]:
    """The sentence of the training image nearest to each image.

    The distance is Euclidean, between mean colours of squares of 5 by 5 pixels; boxes may come in
    any order, for which sentences are as true.
    """
    known = _coarse(train.pixels)
    best = np.full(len(pixels), np.inf)
    which = np.zeros(len(pixels), int)
    for order in permutations(range(3)):
        asked = _coarse(np.stack([mixed(image, order) for image in pixels]))
        squares = (asked**2).sum(1)[:, None] + (known**2).sum(1) - 2 * asked @ known.T
        nearest = squares.argmin(axis=1)
        distance = squares[np.arange(len(pixels)), nearest]
        which = np.where(distance < best, nearest, which)
        best = np.minimum(best, distance)
    return [train.sentences[row] for row in which]


def _coarse(pixels: np.ndarray) -> np.ndarray:
    count, height, width, numbers = pixels.shape
    squares = pixels.reshape(
        count, height // SQUARE, SQUARE, width // SQUARE, SQUARE, numbers
    ).astype(np.float64)
    return squares.mean(axis=(2, 4)).reshape(count, -1)
