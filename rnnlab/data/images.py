"""Images of digits: their splits, and the orders in which a network reads their pixels."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from rnnlab.arrays import Float, Int, UInt8
from rnnlab.data.source import MADE, ImageSource
from rnnlab.errors import RunError

CLASSES = 10
#: Images to train on, to validate on and to test with, by the name of the data.
COUNTS = {"mnist": (55_000, 5_000, 10_000), MADE: (1_200, 200, 200)}
#: Pixels of a side.
SIDES = {"mnist": 28, MADE: 8}
ORDERS = ("rows", "pixels", "permuted")
#: Of the permutation, which is `RandomState(SEED).permutation(784)` for MNIST. The public code of
#: K. Helfrich, D. Willmott and Q. Ye, "Orthogonal recurrent neural networks with scaled Cayley
#: transform" (2018) draws it so.
SEED = 92916

#: Segments that are lit in each made digit, as a display of seven shows them: top, upper left and
#: right, middle, lower left and right, bottom.
LIT = ("1110111", "0010010", "1011101", "1011011", "0111010")
LIT += ("1101011", "1101111", "1010010", "1111111", "1111011")
#: Rows and columns of each segment in a glyph of 7 by 4 pixels.
SEGMENTS = (
    *((slice(0, 1), slice(0, 4)), (slice(0, 4), slice(0, 1)), (slice(0, 4), slice(3, 4))),
    (slice(3, 4), slice(0, 4)),
    *((slice(3, 7), slice(0, 1)), (slice(3, 7), slice(3, 4)), (slice(6, 7), slice(0, 4))),
)


#: Images of gray values, 0 is paper and 255 ink.
Pixels = UInt8[jax.Array | np.ndarray, "images side side"]


class Images(NamedTuple):
    """Some images.

    Attributes:
        pixels: uint8 `[N, S, S]`, 0 is paper and 255 ink.
        labels: the digits, int32 `[N]`.
    """

    pixels: Any
    labels: Any


class Splits(NamedTuple):
    """Images to train on, to validate on and to test with."""

    train: Images
    validation: Images
    test: Images


def read_images(source: ImageSource) -> Splits:
    """The splits of `mnist` or `made`; the last of the training images validate.

    Raises:
        UsageError: `manual_dir` is not a folder.
        RunError: MNIST can be neither found nor downloaded, or is damaged.
    """
    if source.images == MADE:
        train, validation, test = (
            made_images(count, seed) for seed, count in enumerate(COUNTS[MADE])
        )
        return Splits(train, validation, test)
    try:  # TFDS costs half a second and may be absent
        from rnnlab.data import mnist
    except ModuleNotFoundError as error:
        raise RunError(
            f"images={source.images}: the package {error.name} is missing; install "
            "tensorflow-datasets and importlib_resources"
        ) from error

    def load(split: str) -> Images:
        return Images(*mnist.load_images(source.data_dir or None, source.manual_dir or None, split))

    known, count = load("train"), COUNTS[source.images][0]
    train = Images(*(array[:count] for array in known))
    return Splits(train, Images(*(array[count:] for array in known)), load("test"))


def made_images(count: int, seed: int) -> Images:
    """Digits of a seven-segment display at random places in a square of 8 by 8, with noise."""
    random, side = np.random.default_rng(seed), SIDES[MADE]
    labels = random.integers(0, CLASSES, count).astype(np.int32)
    pixels = random.uniform(0, 40, (count, side, side))
    for image, label in zip(pixels, labels, strict=True):
        top, left = random.integers(0, side - 7 + 1), random.integers(0, side - 4 + 1)
        glyph = image[top : top + 7, left : left + 4]
        for lit, segment in zip(LIT[label], SEGMENTS, strict=True):
            if lit == "1":
                glyph[segment] = random.uniform(180, 255)
    return Images(pixels.astype(np.uint8), labels)


def permutation(count: int) -> Int[np.ndarray, "count"]:
    """The places of the pixels in the order in which `permuted` reads them, `[count]`."""
    return np.random.RandomState(SEED).permutation(count)


def sequences(pixels: Pixels, order: str) -> Float[jax.Array, "T images D"]:
    """Images as sequences of numbers from 0 to 1, float32.

    Args:
        pixels: the images, of S by S pixels.
        order: rows, S steps of the S pixels of a row; pixels, S² steps of one pixel, row by row
            from the upper left; permuted, the same after `permutation`.
    """
    count, side, _ = pixels.shape
    xs = jnp.asarray(pixels).astype(jnp.float32) / jnp.float32(255)
    if order == "rows":
        return xs.transpose(1, 0, 2)
    xs = xs.reshape(count, side * side)
    if order == "permuted":
        xs = xs[:, permutation(side * side)]
    return xs.T[..., None]
