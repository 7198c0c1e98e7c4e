"""A trained network that names spoken words.

Its description has the settings of the `front` that turns sound into frames and the `classes`.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from rnnlab.arrays import Float, Params
from rnnlab.data.sound_files import ENDINGS, read_sound
from rnnlab.errors import UsageError
from rnnlab.nn import Functional
from rnnlab.run.workdir import Workdir
from rnnlab.trained.description import Kept, write_description
from rnnlab.trained.kinds import STRATEGY
from rnnlab.training.classification import log_probabilities
from rnnlab.training.speech import LIMITS, Listener, frames_of
from rnnlab.training.speech_settings import Front, SpeechNetwork

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Seconds of a file at most.
SECONDS = 60.0


def describe(
    workdir: Workdir, network: SpeechNetwork, front: Front, classes: Sequence[str]
) -> None:
    """Writes the description of a network that names spoken words.

    Args:
        workdir: of the run.
        network: settings of the network.
        front: how sound becomes frames.
        classes: names of the words.
    """
    more = {"front": dataclasses.asdict(front), "classes": [*classes]}
    write_description(workdir, "speech", network, SpeechNetwork, **more)


def load(kept: Kept) -> SpeechModel:
    """The model that a work directory keeps."""
    network = SpeechNetwork(**kept.description["network"])
    front, classes = Front(**kept.description["front"]), tuple(kept.description["classes"])
    plain = dataclasses.replace(network, strategy=STRATEGY)
    model = plain.listener(front, len(classes))
    step, params = kept.parameters(model.init)
    return SpeechModel(model, params, classes, front, network, kept.config, step)


@dataclasses.dataclass(frozen=True, eq=False)
class SpeechModel:
    """A trained network that names spoken words.

    Attributes:
        model: the network.
        params: its parameters, the statistics of the training frames among them.
        classes: names of the words.
        front: how sound becomes frames.
        network: settings of the network.
        config: configuration of the run, as JSON values.
        step: training steps after which the checkpoint was taken.
    """

    model: Functional[Listener] = dataclasses.field(repr=False)
    params: Params = dataclasses.field(repr=False)
    classes: tuple[str, ...]
    front: Front
    network: SpeechNetwork
    config: dict[str, Any] = dataclasses.field(repr=False)
    step: int

    #: Of the files that its lines name.
    endings: ClassVar[tuple[str, ...]] = ENDINGS

    def __call__(self, sounds: Sequence[np.ndarray]) -> Float[np.ndarray, "N K"]:
        """Log-probabilities of the words, float64.

        Args:
            sounds: samples of each, int16 or from -1 to 1, `front.rate` a second.

        Raises:
            UsageError: one is shorter than a step of the network, or no row of samples.
        """
        checked = [self._checked(sound, f"sounds[{row}]") for row, sound in enumerate(sounds)]
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
            UsageError: a file that cannot be read (`rnnlab.data.sound_files`), is silent, too
                short or too long.
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

    def read(self, name: str | os.PathLike[str]) -> Float[np.ndarray, "T"]:
        """The samples of a WAV file as the network hears them.

        Raises:
            UsageError: as `predict`.
        """
        return self._checked(read_sound(name, self.front.rate, SECONDS), str(name))

    def stream(self) -> Stream:
        """What hears a sound while it comes.

        Raises:
            UsageError: the network reads in both directions.
        """
        return Stream(self)

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
        return sound_picture.plot(
            front,
            frames,
            self._times(len(log_p)),
            np.exp(log_p),
            self.classes,
            f"{name}: heard as {answer}",
        )

    def over_time(self, sound: np.ndarray) -> Float[np.ndarray, "T K"]:
        """Log-probabilities of the words after each step of a sound; see `show`."""
        if not self.network.bidirectional:
            return self.stream().feed(sound)
        module = self.model.bind(self.params)
        length = jnp.array([len(sound)], jnp.int32)
        logits = module.over_time(jnp.asarray(sound[None]), length)
        return _normalised(np.asarray(logits)[0])

    def _decided(self, sound: np.ndarray) -> float:
        """After how many seconds the likeliest word stays the same."""
        answers = self.over_time(sound).argmax(axis=1)
        others = np.flatnonzero(answers != answers[-1])
        step = others[-1] + 1 if len(others) else 0
        return float(step * self._hearing.advance + self._hearing.samples) / self.front.rate

    @property
    def _hearing(self) -> Any:
        return self.model.bind(self.params).hear

    def _times(self, steps: int) -> Float[np.ndarray, "steps+1"]:
        """When each step begins and the last one ends, in seconds."""
        overlap = (self._hearing.samples - self._hearing.advance) / 2
        return (np.arange(steps + 1) * self._hearing.advance + overlap) / self.front.rate

    def _checked(self, sound: Any, name: str) -> np.ndarray:
        sound = np.asarray(sound)
        if sound.ndim != 1 or not (sound.dtype == np.int16 or sound.dtype.kind == "f"):
            raise UsageError(
                f"{name}: is {sound.dtype}{list(sound.shape)}; must be a row of samples, int16 or "
                "from -1 to 1"
            )
        if len(sound) < self._hearing.samples:
            least = self._hearing.samples / self.front.rate
            raise UsageError(
                f"{name}: lasts {len(sound) / self.front.rate:.4g} s; a step of the network needs "
                f"{least:g} s"
            )
        return sound if sound.dtype == np.int16 else sound.astype(np.float32)


class Stream:
    """A sound that comes in pieces of any length; memory does not grow with it.

    Args:
        model: what hears it.

    Raises:
        UsageError: the network of the model reads in both directions.
    """

    def __init__(self, model: SpeechModel):
        if model.network.bidirectional:
            raise UsageError(
                "bidirectional=true: the network reads backwards, too, and waits for the end; "
                "train one with --config.bidirectional=false"
            )
        self._model = model
        module = model.model.bind(model.params)
        self._needed, self._advance = module.hear.samples, module.hear.advance
        self._heard, self._rest = module.begin(), np.zeros(0, np.float32)

    def feed(self, samples: np.ndarray) -> Float[np.ndarray, "T K"]:
        """Log-probabilities of the words after each step that is now complete.

        Args:
            samples: that follow those before, int16 or from -1 to 1.
        """
        samples = np.asarray(samples)
        if samples.dtype == np.int16:
            samples = samples / np.float32(32768)
        self._rest = np.concatenate([self._rest, samples.astype(np.float32)])
        found = []
        while len(self._rest) >= self._needed:
            window = self._rest[None, : self._needed]
            self._heard, logits = _step(self._model.model, self._model.params, window, self._heard)
            self._rest = self._rest[self._advance :]
            found.append(np.asarray(logits)[0])
        return _normalised(np.array(found).reshape(-1, len(self._model.classes)))


def _normalised(logits: np.ndarray) -> Float[np.ndarray, "T K"]:
    logits = logits.astype(np.float64)
    return logits - np.logaddexp.reduce(logits, axis=-1, keepdims=True)


@partial(jax.jit, static_argnums=0)
def _step(model: Functional[Listener], params: Params, samples: Any, heard: Any) -> Any:
    return model.bind(params).step(samples, heard)
