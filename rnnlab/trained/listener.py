"""A trained network that names a spoken word.

Its description has the settings of the `front` that turns sound into frames and the `classes`.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import jax.numpy as jnp
import numpy as np

from rnnlab.arrays import Float
from rnnlab.trained.description import Kept
from rnnlab.trained.listening import ListeningModel, normalised
from rnnlab.training.classification import log_probabilities
from rnnlab.training.speech import LIMITS, frames_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def load(kept: Kept) -> SpeechModel:
    """The model that a work directory keeps."""
    return SpeechModel.load(kept)


class SpeechModel(ListeningModel):
    """A trained network that names a spoken word; attributes as `ListeningModel` has them."""

    def __call__(self, sounds: Sequence[np.ndarray]) -> Float[np.ndarray, "N K"]:
        """Log-probabilities of the words, float64.

        Args:
            sounds: samples of each, int16 or from -1 to 1, `front.rate` a second.

        Raises:
            UsageError: one is shorter than a step of the network, or no row of samples.
        """
        checked = [self.checked(sound, f"sounds[{row}]") for row, sound in enumerate(sounds)]
        if not checked:
            return np.zeros((0, len(self.classes)))
        return log_probabilities(self.model, self.params, checked, **LIMITS)

    def predict(self, lines: Sequence[str | os.PathLike[str]]) -> list[dict[str, Any]]:
        """The words that WAV files say, one each.

        Args:
            lines: names of WAV files of any rate, channels and type, of at most a minute.

        Returns:
            For each file `{"line", "answer", "probability", "probabilities", "seconds"}`: its name,
            the likeliest word, its probability, those of all words, and how long the file lasts. A
            network that reads forwards alone also says `decided`, after how many seconds it had
            heard enough: from there on its answer stays the same.

        Raises:
            UsageError: as `read`.
        """
        sounds = [self.read(line) for line in lines]
        answers = []
        for line, sound, row in zip(lines, sounds, self(sounds), strict=True):
            p = np.exp(row).tolist()
            answer = {
                "line": str(line),
                "answer": self.classes[row.argmax()],
                "probability": max(p),
                "probabilities": dict(zip(self.classes, p, strict=True)),
                "seconds": len(sound) / self.front.rate,
            }
            if not self.network.bidirectional:
                answer["decided"] = self._decided(sound)
            answers.append(answer)
        return answers

    def show(self, line: str, path: str | os.PathLike[str]) -> None:
        """Draws the frames of a file, and below them the probability of each word over time.

        Of a network that reads forwards alone it is that of what was heard so far; of one that
        reads in both directions, what each step by itself says.

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

        front, (row,) = self.front.log_mel(), self([sound])
        (frames,), log_p = frames_of(front, [sound]), self.over_time(sound)
        answer = f"{self.classes[row.argmax()]} (probability {np.exp(row.max()):.2f})"
        title = f"{name}: heard as {answer}"
        times = self.times(len(log_p))
        return sound_picture.plot(front, frames, times, np.exp(log_p), self.classes, title)

    def over_time(self, sound: np.ndarray) -> Float[np.ndarray, "T K"]:
        """Log-probabilities of the words after each step of a sound; see `show`."""
        if not self.network.bidirectional:
            return self.stream().feed(sound)
        module = self.model.bind(self.params)
        length = jnp.array([len(sound)], jnp.int32)
        return normalised(np.asarray(module.over_time(jnp.asarray(sound[None]), length))[0])

    def _decided(self, sound: np.ndarray) -> float:
        """After how many seconds the likeliest word stays the same."""
        answers = self.over_time(sound).argmax(axis=1)
        others = np.flatnonzero(answers != answers[-1])
        step = int(others[-1]) + 1 if len(others) else 0
        return (step * self.hearing.advance + self.hearing.samples) / self.front.rate
