"""What trained networks that listen have in common: files that they read, and sounds that come."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from functools import partial
from typing import Any, ClassVar, TypeVar

import jax
import numpy as np

from rnnlab.arrays import Float, Params
from rnnlab.data.sound_files import ENDINGS, read_sound
from rnnlab.errors import UsageError
from rnnlab.nn import Functional
from rnnlab.run.workdir import Workdir
from rnnlab.trained.description import Kept, write_description
from rnnlab.trained.kinds import STRATEGY
from rnnlab.training.speech import Listener
from rnnlab.training.speech_settings import Front, SpeechNetwork

#: Seconds of a file at most.
SECONDS = 60.0

Made = TypeVar("Made", bound="ListeningModel")


def describe(
    workdir: Workdir, kind: str, network: SpeechNetwork, front: Front, classes: Sequence[str]
) -> None:
    """Writes the description of a network that listens.

    Args:
        workdir: of the run.
        kind: of the model, one of `rnnlab.trained.kinds.KINDS`.
        network: settings of the network.
        front: how sound becomes frames.
        classes: names of the words.
    """
    more = {"front": dataclasses.asdict(front), "classes": [*classes]}
    write_description(workdir, kind, network, SpeechNetwork, **more)


@dataclasses.dataclass(frozen=True, eq=False)
class ListeningModel:
    """A trained network that listens to words.

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
    #: Answers at each step besides the words.
    more_answers: ClassVar[int] = 0

    @classmethod
    def load(cls: type[Made], kept: Kept) -> Made:
        """The model that a work directory keeps."""
        network = SpeechNetwork(**kept.description["network"])
        front, classes = Front(**kept.description["front"]), tuple(kept.description["classes"])
        plain = dataclasses.replace(network, strategy=STRATEGY)
        model = plain.listener(front, len(classes) + cls.more_answers)
        step, params = kept.parameters(model.init)
        return cls(model, params, classes, front, network, kept.config, step)

    def read(self, name: str | os.PathLike[str]) -> Float[np.ndarray, "T"]:
        """The samples of a WAV file as the network hears them.

        Raises:
            UsageError: it cannot be read (`rnnlab.data.sound_files`), is silent, or is too short or
                too long.
        """
        return self.checked(read_sound(name, self.front.rate, SECONDS), str(name))

    def stream(self) -> Stream:
        """What hears a sound while it comes.

        Raises:
            UsageError: the network reads in both directions.
        """
        return Stream(self)

    def checked(self, sound: Any, name: str) -> np.ndarray:
        """A sound of at least one step, int16 or float32; UsageError for anything else."""
        sound = np.asarray(sound)
        if sound.ndim != 1 or not (sound.dtype == np.int16 or sound.dtype.kind == "f"):
            raise UsageError(
                f"{name}: is {sound.dtype}{list(sound.shape)}; must be a row of samples, int16 or "
                "from -1 to 1"
            )
        if len(sound) < self.hearing.samples:
            least = self.hearing.samples / self.front.rate
            raise UsageError(
                f"{name}: lasts {len(sound) / self.front.rate:.4g} s; a step of the network needs "
                f"{least:g} s"
            )
        return sound if sound.dtype == np.int16 else sound.astype(np.float32)

    @property
    def hearing(self) -> Any:
        """What makes steps of sounds."""
        return self.model.bind(self.params).hear

    def times(self, steps: int) -> Float[np.ndarray, "steps+1"]:
        """When each step begins and the last one ends, in seconds."""
        overlap = (self.hearing.samples - self.hearing.advance) / 2
        return (np.arange(steps + 1) * self.hearing.advance + overlap) / self.front.rate


class Stream:
    """A sound that comes in pieces of any length; memory does not grow with it.

    Args:
        model: what hears it.

    Raises:
        UsageError: the network of the model reads in both directions.
    """

    def __init__(self, model: ListeningModel):
        if model.network.bidirectional:
            raise UsageError(
                "bidirectional=true: the network reads backwards, too, and waits for the end; "
                "train one with --config.bidirectional=false"
            )
        self._model = model
        module = model.model.bind(model.params)
        self._needed, self._advance = module.hear.samples, module.hear.advance
        self._heard, self._rest = module.begin(), np.zeros(0, np.float32)

    def feed(self, samples: np.ndarray) -> Float[np.ndarray, "T answers"]:
        """Log-probabilities of the answers after each step that is now complete, float64.

        Args:
            samples: that follow those before, int16 or from -1 to 1.
        """
        samples = np.asarray(samples)
        if samples.dtype == np.int16:
            samples = samples / np.float32(32768)
        self._rest = np.concatenate([self._rest, samples.astype(np.float32)])
        found, model = [], self._model
        while len(self._rest) >= self._needed:
            window = self._rest[None, : self._needed]
            self._heard, logits = _step(model.model, model.params, window, self._heard)
            self._rest = self._rest[self._advance :]
            found.append(np.asarray(logits)[0])
        answers = len(model.classes) + model.more_answers
        return normalised(np.array(found).reshape(-1, answers))


def normalised(logits: np.ndarray) -> Float[np.ndarray, "*T answers"]:
    """Log-probabilities of logits, float64."""
    logits = logits.astype(np.float64)
    return logits - np.logaddexp.reduce(logits, axis=-1, keepdims=True)


@partial(jax.jit, static_argnums=0)
def _step(model: Functional[Listener], params: Params, samples: Any, heard: Any) -> Any:
    return model.bind(params).step(samples, heard)
