"""A trained network that writes about pictures.

Its description has the `vocabulary`, the `shape` of the images (height, width, numbers of a pixel),
and how it writes: `most` words, with `beams` and `penalty` of beam search.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from rnnlab.arrays import Float, Params, UInt8
from rnnlab.data.picture_files import ENDINGS, ink_of, letterboxed, read_picture
from rnnlab.data.tokens import TokenVocabulary
from rnnlab.errors import UsageError
from rnnlab.nn import Functional
from rnnlab.nn.captioner import Captioner
from rnnlab.run.workdir import Workdir
from rnnlab.trained.description import Kept, write_description
from rnnlab.trained.kinds import STRATEGY
from rnnlab.training import captioning
from rnnlab.training.captioner_settings import CaptionerNetwork


def describe(
    workdir: Workdir,
    network: CaptionerNetwork,
    vocabulary: TokenVocabulary,
    shape: tuple[int, int, int],
    most: int,
    beams: int,
    penalty: float,
) -> None:
    """Writes the description of a network that writes about pictures."""
    write_description(
        workdir,
        "captions",
        network,
        vocabulary=list(vocabulary.tokens),
        shape=list(shape),
        most=most,
        beams=beams,
        penalty=penalty,
    )


def load(kept: Kept) -> PictureCaptioner:
    """The model that a work directory keeps."""
    given, description = kept.description["network"], kept.description
    network = CaptionerNetwork(**given | {"channels": tuple(given["channels"])})
    vocabulary = TokenVocabulary(tuple(description["vocabulary"]))
    height, width, numbers = map(int, description["shape"])
    plain = dataclasses.replace(network, strategy=STRATEGY)
    model = plain.model((height, width, numbers), vocabulary.size)
    step, params = kept.parameters(model.init)
    return PictureCaptioner(
        model,
        params,
        vocabulary,
        (height, width, numbers),
        int(description["most"]),
        int(description["beams"]),
        float(description["penalty"]),
        network,
        kept.config,
        step,
    )


@dataclasses.dataclass(frozen=True, eq=False)
class PictureCaptioner:
    """A trained network that writes about pictures.

    Attributes:
        model: the network.
        params: its parameters.
        vocabulary: the words that it writes.
        shape: height, width and numbers of a pixel of what it looks at.
        most: words of a sentence at most.
        beams: of beam search; 1 is greedy.
        penalty: of the length, see `rnnlab.nn.beam`.
        network: settings of the network.
        config: configuration of the run, as JSON values.
        step: training steps after which the checkpoint was taken.
    """

    model: Functional[Captioner] = dataclasses.field(repr=False)
    params: Params = dataclasses.field(repr=False)
    vocabulary: TokenVocabulary = dataclasses.field(repr=False)
    shape: tuple[int, int, int]
    most: int
    beams: int
    penalty: float
    network: CaptionerNetwork
    config: dict[str, Any] = dataclasses.field(repr=False)
    step: int

    #: Of the files that its lines name.
    endings: ClassVar[tuple[str, ...]] = ENDINGS

    def predict(
        self,
        pictures: Sequence[str | os.PathLike[str]] | UInt8[np.ndarray, "N height width C"],
        beams: int | None = None,
        penalty: float | None = None,
    ) -> list[dict[str, Any]]:
        """A sentence about each picture.

        Args:
            pictures: names of files, of any mode and size, which are put into the middle of what
                the network looks at, as a whole; or pixels 0 .. 255 as the network sees them.
            beams: of beam search; None for those of the training run.
            penalty: likewise.

        Returns:
            For each picture `{"line", "answer", "score", "log_probability"}`, the latter in nats;
            `line` is the name of the file, or the number of the picture.

        Raises:
            UsageError: a file that is no picture or shows nothing, or pixels of another shape or
                type.
        """
        if isinstance(pictures, np.ndarray):
            pixels, names = self._checked(pictures), [str(row) for row in range(len(pictures))]
        else:
            names = [str(name) for name in pictures]
            pixels = np.stack([self.read(name) for name in names]) if names else self._none()
        found = captioning.write_captions(
            self.model,
            self.params,
            pixels,
            self.most,
            self.beams if beams is None else beams,
            self.penalty if penalty is None else penalty,
        )
        return [
            {
                "line": name,
                "answer": " ".join(self.vocabulary.decode(one.codes)),
                "score": one.score,
                "log_probability": one.log_probability,
            }
            for name, one in zip(names, found, strict=True)
        ]

    def read(self, name: str | os.PathLike[str]) -> UInt8[np.ndarray, "height width C"]:
        """The pixels that the network sees of a file.

        Where it sees gray only, these are of the ink: the paper is 0, whether it is light or dark.

        Raises:
            UsageError: it is no picture, or of one colour.
        """
        picture = letterboxed(read_picture(name), *self.shape[:2])
        ink = ink_of(picture)
        if not ink.any():
            raise UsageError(f"{name}: is of one colour, it shows nothing")
        return picture if self.shape[2] == 3 else np.rint(ink).astype(np.uint8)[..., None]

    def attention(
        self, pixels: UInt8[np.ndarray, "height width C"], words: Sequence[str]
    ) -> Float[np.ndarray, "T+1 h w"] | None:
        """Where it looks in what it sees for each word of a sentence, and for the end.

        None for a network without attention.
        """
        codes = [self.vocabulary.encode(words)]
        found = captioning.attention_of(self.model, self.params, self._checked(pixels[None]), codes)
        return None if found is None else found[0]

    def show(self, line: str, path: str | os.PathLike[str]) -> None:
        """Draws the picture as the network sees it, and what it looks at for each word.

        Args:
            line: the name of the file.
            path: of the drawing, which ends in .png, .pdf or .svg.

        Raises:
            UsageError: as `predict`.
        """
        from rnnlab import plots
        from rnnlab.trained import caption_picture

        pixels = self.read(line)
        (answer,) = self.predict(pixels[None])
        words = answer["answer"].split()
        with plots.style():
            plots.save(caption_picture.plot(pixels, words, self.attention(pixels, words)), path)

    def _none(self) -> np.ndarray:
        return np.zeros((0, *self.shape), np.uint8)

    def _checked(self, pixels: np.ndarray) -> np.ndarray:
        if pixels.shape[1:] != self.shape or pixels.dtype != np.uint8:
            raise UsageError(
                f"pictures: have the shape {list(pixels.shape)} and type {pixels.dtype}; they must "
                f"be names of files, or uint8 of the shape [N, {', '.join(map(str, self.shape))}]"
            )
        return pixels
