"""Which digit is spoken."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments.lstm_odyssey.config import Listening
from experiments.lstm_odyssey.tasks.base import Model, Task
from rnnlab import cells
from rnnlab.arrays import Array, Float, Int, Key, Params
from rnnlab.data.buckets import pad
from rnnlab.data.recordings import DIGITS, RATE, Recordings, read_recordings
from rnnlab.nn import Functional, SequenceClassifier
from rnnlab.nn.mel import LogMel
from rnnlab.training.cross_entropy import cross_entropy
from rnnlab.training.speech import frames_of, statistics_of

#: Frames of 32 ms, one every 25 ms.
FRONT = LogMel(rate=RATE, window=256, hop=200, transform=256, bands=16)


class Spoken(NamedTuple):
    """Frames of recordings side by side, how many each has, and its digit."""

    frames: Float[Array, "B T bands"]
    lengths: Int[Array, "B"]
    labels: Int[Array, "B"]


class SpeechTask(Task):
    """Nats for each recording; the digit is said after the last frame, by the state alone."""

    unit = "nats a recording"

    def __init__(self, settings: Listening):
        splits = read_recordings(settings.source)
        frames = [frames_of(FRONT, one.samples) for one in splits]
        mean, deviation = statistics_of(frames[0])
        self._settings = settings
        self._train, self.validation, self.test = (
            _padded([(one - mean) / deviation for one in rows], split, settings.frames)
            for rows, split in zip(frames, splits, strict=True)
        )
        self.parameters = settings.parameters
        self.baseline = float(np.log(DIGITS))

    def model(self, cell: str, hidden: int, strategy: str) -> Model:
        """The cell with a linear readout of its last output."""
        model = Functional(
            lambda rngs: SequenceClassifier(
                cells.by_name(cell, hidden),
                FRONT.bands,
                DIGITS,
                pooling="last",
                strategy=strategy,
                rngs=rngs,
            )
        )

        def loss(params: Params, spoken: Spoken) -> Array:
            logits = model.bind(params)(spoken.frames, spoken.lengths)
            return cross_entropy(logits, spoken.labels).mean()

        return Model(model.init, loss)

    def sample(self, key: Key) -> Spoken:
        """Recordings of the training split."""
        shape = (self._settings.batch,)
        rows = jax.random.randint(key, shape, 0, len(self._train.labels), jnp.int32)
        return jax.tree.map(lambda values: values[rows], self._train)


def _padded(rows: list[Float[np.ndarray, "T bands"]], recordings: Recordings, most: int) -> Spoken:
    """Recordings side by side, each cut after that many frames at most."""
    cut = [row[:most].astype(np.float32) for row in rows]
    batch = pad(cut, [most], np.arange(len(cut), dtype=np.int32), time_major=False)
    return Spoken(
        jnp.asarray(batch.values), jnp.asarray(batch.lengths), jnp.asarray(recordings.labels)
    )
