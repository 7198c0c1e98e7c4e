"""A trained network that writes down the words that are said, one after the other.

Its description has the settings of the `front` that turns sound into frames and the `classes`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np

from rnnlab.arrays import Float
from rnnlab.nn.ctc import BLANK, aligned, prefix_beam
from rnnlab.trained.description import Kept
from rnnlab.trained.listening import ListeningModel
from rnnlab.training.speech import frames_of
from rnnlab.training.transcribing import log_probabilities_over_time

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Beginnings that are kept in the search for the likeliest words.
BEAM = 16
#: What the blank is called in pictures.
NOTHING = "–"


def load(kept: Kept) -> Transcriber:
    """The model that a work directory keeps."""
    return Transcriber.load(kept)


class Word(NamedTuple):
    """A word that was heard.

    Attributes:
        word: its name.
        start: seconds at which the network begins to say it.
        end: seconds at which it ends to.
        probability: that it says the word, at the step where this is largest.
    """

    word: str
    start: float
    end: float
    probability: float


class Transcriber(ListeningModel):
    """A trained network that writes down words; attributes as `ListeningModel` has them."""

    more_answers: ClassVar[int] = 1

    def __call__(self, sounds: Sequence[np.ndarray]) -> list[Float[np.ndarray, "T K+1"]]:
        """Log-probabilities of the blank and of each word at each step, float64.

        Args:
            sounds: samples of each, int16 or from -1 to 1, `front.rate` a second.

        Raises:
            UsageError: one is shorter than a step of the network, or no row of samples.
        """
        checked = [self.checked(sound, f"sounds[{row}]") for row, sound in enumerate(sounds)]
        return log_probabilities_over_time(self.model, self.params, checked)

    def predict(self, lines: Sequence[str | os.PathLike[str]]) -> list[dict[str, Any]]:
        """The words that WAV files say, by a search over beginnings (`rnnlab.nn.ctc`).

        Args:
            lines: names of WAV files of any rate, channels and type, of at most a minute.

        Returns:
            For each file `{"line", "answer", "log_probability", "words", "seconds"}`: its name, the
            words with spaces between them, their log-probability, `Word` as a dict for each of
            them, and how long the file lasts. Nothing that was heard is an empty answer.

        Raises:
            UsageError: as `read`.
        """
        sounds = [self.read(line) for line in lines]
        answers = []
        for line, sound, log_p in zip(lines, sounds, self(sounds), strict=True):
            labels, score = prefix_beam(log_p, BEAM)[0]
            words = self._words(log_p, labels)
            answers.append(
                {
                    "line": str(line),
                    "answer": " ".join(one.word for one in words),
                    "log_probability": score,
                    "words": [one._asdict() for one in words],
                    "seconds": len(sound) / self.front.rate,
                }
            )
        return answers

    def listen(self, pieces: Iterable[np.ndarray]) -> Iterator[tuple[str, float]]:
        """Words while the sound comes, each as soon as the network says it.

        A word is said when it becomes the likeliest answer of a step, which is never taken back.

        Args:
            pieces: of the sound, of any length, int16 or from -1 to 1.

        Yields:
            The word, and after how many seconds of sound it was said.

        Raises:
            UsageError: the network reads in both directions.
        """
        stream, hearing = self.stream(), self.hearing
        before, steps = BLANK, 0
        for piece in pieces:
            for row in stream.feed(piece):
                said = int(row.argmax())
                if said not in (BLANK, before):
                    samples = steps * hearing.advance + hearing.samples
                    yield self.classes[said - 1], samples / self.front.rate
                before, steps = said, steps + 1

    def show(self, line: str, path: str | os.PathLike[str]) -> None:
        """Draws the frames of a file, and below them what the network says at each time.

        Args:
            line: the name of the file.
            path: of the picture, which ends in .png, .pdf or .svg.

        Raises:
            UsageError: as `predict`.
        """
        from rnnlab import plots

        with plots.style():
            plots.save(self.plot(self.read(line), os.path.basename(line)), path)

    def plot(self, sound: np.ndarray, name: str) -> Figure:
        """The picture that `show` saves, of a sound of that name."""
        from rnnlab.trained import sound_picture

        front, (log_p,) = self.front.log_mel(), self([sound])
        (frames,) = frames_of(front, [sound])
        said = " ".join(self.classes[label] for label in prefix_beam(log_p, BEAM)[0].labels)
        title, names = f"{name}: heard as {said or 'nothing'}", (NOTHING, *self.classes)
        times = self.times(len(log_p))
        return sound_picture.plot(front, frames, times, np.exp(log_p), names, title)

    def _words(self, log_p: np.ndarray, labels: Sequence[int]) -> list[Word]:
        times = self.times(len(log_p)).tolist()
        return [
            Word(
                self.classes[label],
                times[start],
                times[end],
                float(np.exp(log_p[start:end, label + 1].max())),
            )
            for label, (start, end) in zip(labels, aligned(log_p, labels), strict=True)
        ]
