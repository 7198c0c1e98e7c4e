"""The next frame of a chorale."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments.lstm_odyssey.config import Playing
from experiments.lstm_odyssey.tasks.base import Model, Task
from rnnlab.arrays import Array, Int, Key, Params, UInt8
from rnnlab.data.buckets import pad, row_lengths
from rnnlab.data.music import read_music
from rnnlab.data.piano_roll import Roll
from rnnlab.training.music import composer
from rnnlab.training.music_settings import MusicNetwork


class Rolls(NamedTuple):
    """Piano rolls side by side, and how many frames each has."""

    frames: UInt8[Array, "B T keys"]
    lengths: Int[Array, "B"]


class MusicTask(Task):
    """Nats for each frame, summed over its keys; whole chorales validate and test."""

    unit = "nats a frame"

    def __init__(self, settings: Playing):
        splits = read_music(settings.source)
        self._settings = settings
        self._train, self.validation, self.test = (_padded(rolls) for rolls in splits)
        keys = np.concatenate(splits.train)
        shares = (keys.sum(axis=0) + 1) / (len(keys) + 2)
        heard = np.concatenate(splits.test) != 0
        self.parameters = settings.parameters
        self.baseline = float(-np.log(np.where(heard, shares, 1 - shares)).sum(axis=1).mean())

    def model(self, cell: str, hidden: int, strategy: str) -> Model:
        """A composer whose readout sees the cell alone, and not the last frame beside it."""
        model = composer(MusicNetwork(cell=cell, hidden=hidden, strategy=strategy, skip=False))

        def loss(params: Params, rolls: Rolls) -> Array:
            nats = model.bind(params).nats(rolls.frames, rolls.lengths)
            return nats.sum() / rolls.lengths.sum().astype(nats.dtype)

        return Model(model.init, loss)

    def sample(self, key: Key) -> Rolls:
        """Stretches that begin anywhere in chorales; of shorter ones the whole."""
        key_rolls, key_starts = jax.random.split(key)
        shape, length = (self._settings.batch,), self._settings.frames
        rows = jax.random.randint(key_rolls, shape, 0, len(self._train.lengths), jnp.int32)
        frames = self._train.lengths[rows]
        last = jnp.maximum(frames - length, 0)
        starts = jax.random.randint(key_starts, shape, 0, last + 1, jnp.int32)
        steps = starts[:, None] + jnp.arange(length, dtype=jnp.int32)
        return Rolls(self._train.frames[rows[:, None], steps], jnp.minimum(frames, length))


def _padded(rolls: Sequence[Roll]) -> Rolls:
    """All rolls side by side."""
    longest = row_lengths(rolls).max()
    batch = pad(rolls, [longest], np.arange(len(rolls), dtype=np.int32), time_major=False)
    return Rolls(jnp.asarray(batch.values), jnp.asarray(batch.lengths))
