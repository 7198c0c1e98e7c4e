"""Images with sentences: scenes that are drawn, as many as one likes, and NLVR's."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, NamedTuple

import grain
import numpy as np

from rnnlab.arrays import Int, UInt8
from rnnlab.data import scenes
from rnnlab.data.images import read_images
from rnnlab.data.scenes import Glyphs, Scenes, cut_out, draw_scenes
from rnnlab.data.source import MADE, Folders, ImageSource, found
from rnnlab.data.tokens import END_CODE, SPECIAL, START_CODE, TokenVocabulary
from rnnlab.errors import UsageError

SCENES, NLVR = "scenes", "nlvr"
SOURCES = (SCENES, NLVR, MADE)
#: Pixels of a side of a digit's square and of a scene; scenes that validate, and that test.
SQUARES, SIZES = {SCENES: 20, MADE: 8}, {SCENES: 64, MADE: 24}
COUNTS = {SCENES: (1000, 5000), MADE: (100, 200)}
#: Height, width and numbers of a pixel.
SHAPES = {SCENES: (64, 64, 1), MADE: (24, 24, 1), NLVR: (50, 200, 3)}
#: Columns of the three boxes of an image of NLVR, of half its size.
BOXES = (slice(0, 50), slice(75, 125), slice(150, 200))
#: How often a word of people must occur to be known, and how long a sentence of theirs may be.
LEAST, WORDS_AT_MOST = 2, 30

Pixels = UInt8[np.ndarray, "N height width C"]


@dataclasses.dataclass(frozen=True)
class CaptionSource(Folders):
    """Where images with sentences come from."""

    #: scenes (of digits of MNIST, drawn without end), nlvr (its images with the sentences that are
    #: true of them), or made (scenes of digits that are made, for quick runs).
    captions: str = SCENES


class Captioned(NamedTuple):
    """Images, each with a sentence.

    Attributes:
        pixels: `[N, height, width, C]`.
        sentences: of each.
        scenes: what they show, where they are scenes.
    """

    pixels: Pixels
    sentences: list[str]
    scenes: Scenes | None = None


class CaptionBatch(NamedTuple):
    """Images with coded sentences.

    Attributes:
        pixels: `[B, height, width, C]`.
        sentences: codes with the start symbol before and the end symbol after them, 0 behind,
            int32 `[B, T + 2]`.
        lengths: symbols of each, start and end among them; 0 where there is no sentence.
    """

    pixels: Any
    sentences: Any
    lengths: Any


@dataclasses.dataclass(frozen=True)
class CaptionData:
    """What a network learns from and is tested with.

    Attributes:
        train: digits of which scenes are drawn, or images with sentences.
        validation: images with sentences.
        test: likewise.
        size: pixels of a side of the scenes that are drawn.
    """

    train: Glyphs | Captioned
    validation: Captioned
    test: Captioned
    size: int = 0

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width and numbers of a pixel."""
        height, width, numbers = self.test.pixels.shape[1:]
        return height, width, numbers

    @cached_property
    def vocabulary(self) -> TokenVocabulary:
        """The words of the sentences."""
        if isinstance(self.train, Glyphs):
            return TokenVocabulary((*SPECIAL, *scenes.WORDS))
        return TokenVocabulary.of(map(words_of, self.train.sentences), least=LEAST)

    @property
    def longest(self) -> int:
        """Words that a network writes at most."""
        return scenes.LONGEST + 2 if isinstance(self.train, Glyphs) else WORDS_AT_MOST

    def coded(self, given: Captioned) -> list[Int[np.ndarray, "T"]]:
        """The sentences as codes."""
        return [self.vocabulary.encode(words_of(sentence)) for sentence in given.sentences]

    def batches(self, batch: int, seed: int, alone: int = 0) -> grain.MapDataset:
        """Batches to train on, `CaptionBatch`, without end; each is a function of seed and number.

        Scenes are new in every batch. Other images come in an order that is new in every epoch,
        with their boxes in any order.

        Args:
            batch: images of a batch.
            seed: of all that is drawn.
            alone: the scenes of so many first batches have one digit.

        Raises:
            UsageError: a batch that is larger than the number of images.
        """
        make: Callable[[int], CaptionBatch]
        if isinstance(self.train, Glyphs):
            make = self._drawn(self.train, batch, seed, alone)
        else:
            make = self._shuffled(self.train, batch, seed)
        return grain.MapDataset.range(2**48).map(lambda index: make(int(index)))

    def _drawn(
        self, glyphs: Glyphs, batch: int, seed: int, alone: int
    ) -> Callable[[int], CaptionBatch]:
        def make(index: int) -> CaptionBatch:
            random = np.random.default_rng((seed, index))
            digits = 1 if index < alone else scenes.MOST
            drawn = draw_scenes(glyphs, self.size, batch, random, digits)
            given = captioned(drawn)
            return coded_batch(given.pixels, self.coded(given), scenes.LONGEST)

        return make

    def _shuffled(self, given: Captioned, batch: int, seed: int) -> Callable[[int], CaptionBatch]:
        if not 1 <= batch <= len(given.pixels):
            raise UsageError(
                f"batch={batch}: must be within 1 .. {len(given.pixels)}, the number of images"
            )
        whole = coded_batch(given.pixels, self.coded(given))
        epoch = len(given.pixels) // batch

        def make(index: int) -> CaptionBatch:
            number, place = divmod(index, epoch)
            order = np.random.default_rng((seed, number)).permutation(len(given.pixels))
            rows = order[place * batch : (place + 1) * batch]
            random = np.random.default_rng((seed, number, place))
            pixels = np.stack([mixed(whole.pixels[row], random.permutation(3)) for row in rows])
            return CaptionBatch(pixels, whole.sentences[rows], whole.lengths[rows])

        return make


def read_captions(source: CaptionSource) -> CaptionData:
    """The data of a source: scenes of digits that were not trained on test, or NLVR's own splits.

    Raises:
        UsageError: `manual_dir` is not a folder.
        RunError: files can be neither found nor downloaded, or are damaged.
    """
    if source.captions == NLVR:
        load = found("rnnlab.data.nlvr", "load_nlvr")
        folders = source.data_dir or None, source.manual_dir or None
        train, validation, test = (
            Captioned(*load(*folders, split)) for split in ("train", "dev", "test")
        )
        return CaptionData(train, validation, test)
    images = "mnist" if source.captions == SCENES else MADE
    splits = read_images(ImageSource(source.data_dir, source.manual_dir, images=images))
    side, size = SQUARES[source.captions], SIZES[source.captions]
    glyphs, *others = (cut_out(split, side) for split in splits)
    validation, test = (
        captioned(draw_scenes(other, size, count, np.random.default_rng(number)))
        for number, (other, count) in enumerate(
            zip(others, COUNTS[source.captions], strict=True), start=1
        )
    )
    return CaptionData(glyphs, validation, test, size)


def captioned(drawn: Scenes) -> Captioned:
    """Scenes with their sentences."""
    return Captioned(drawn.pixels[..., None], scenes.sentences(drawn), drawn)


def words_of(sentence: str) -> list[str]:
    """The words of a sentence in lower case, without punctuation."""
    return re.findall(r"\w+", sentence.lower())


def coded_batch(
    pixels: Pixels, codes: Sequence[Int[np.ndarray, "T"]], longest: int | None = None
) -> CaptionBatch:
    """Images with coded sentences, padded to the longest, or to that many symbols."""
    longest = max(map(len, codes), default=0) if longest is None else longest
    sentences = np.zeros((len(codes), longest + 2), np.int32)
    for row, one in zip(sentences, codes, strict=True):
        row[: len(one) + 2] = (START_CODE, *one, END_CODE)
    return CaptionBatch(pixels, sentences, np.array([len(one) + 2 for one in codes], np.int32))


def mixed(
    pixels: UInt8[np.ndarray, "height width C"], order: Sequence[int] | Int[np.ndarray, "3"]
) -> UInt8[np.ndarray, "height width C"]:
    """An image of NLVR with its boxes in another order, for which its sentence is as true."""
    other = pixels.copy()
    for place, box in zip(order, BOXES, strict=True):
        other[:, BOXES[place]] = pixels[:, box]
    return other
