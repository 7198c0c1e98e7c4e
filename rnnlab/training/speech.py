"""Networks that listen: from samples to the word that they are, or to what is said at each time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from rnnlab.arrays import Array, Float, Int, Key, State
from rnnlab.data.buckets import grouped
from rnnlab.nn import SequenceClassifier
from rnnlab.nn.hearing import Hearing, unit
from rnnlab.nn.masks import blanked, valid_steps
from rnnlab.nn.mel import LogMel
from rnnlab.unroll import step as stream_step

#: Of batches that are listened to: sounds, samples of all and of the shortest, see `grouped`.
LIMITS = {"most": 64, "steps": 1 << 19, "shortest": 4096}


class Heard(NamedTuple):
    """What has been heard of sounds that are not over yet.

    Attributes:
        state: of the recurrent network.
        pooled: of its outputs, `[B, H]`.
        steps: that were read.
    """

    state: State
    pooled: Float[Array, "B H"]
    steps: Int[Array, ""]


class Listener(nnx.Module):
    """A network that listens: `SequenceClassifier` of what its `Hearing` makes of sounds.

    It answers once for a whole sound (a call), or at each step of it (`over_time`), also while the
    sound comes (`begin`, `step`).

    Attributes:
        hear: from samples to steps.
        name: from steps to answers.
    """

    def __init__(self, hear: Hearing, name: SequenceClassifier) -> None:
        self.hear, self.name = hear, name

    def __call__(
        self, samples: Array, lengths: Int[Array, "B"], *, key: Key | None = None
    ) -> Float[Array, "B K"]:
        """Logits of the answers to whole sounds.

        Args:
            samples: of sounds side by side, int16 or from -1 to 1, `[B, N]`.
            lengths: samples of each.
            key: of dropout; None for none.
        """
        steps = self.hear.steps(lengths)
        return self.name(self._heard(samples, steps), steps, key=key)

    def over_time(
        self, samples: Array, lengths: Int[Array, "B"], *, key: Key | None = None
    ) -> Float[Array, "B T K"]:
        """What each step says: logits of its output alone; arguments as in a call.

        The logits of a call are their mean, where outputs are pooled by their mean.
        """
        steps = self.hear.steps(lengths)
        return self.name.judge(self.name.outputs(self._heard(samples, steps), steps, key=key))

    def begin(self, sounds: int = 1) -> Heard:
        """Before the first step of that many sounds, which come piece by piece."""
        dtype, cell = self.hear.param_dtype, self.name.read.cell
        features = self.name.judge.in_features
        least = jnp.finfo(dtype).min if self.name.pooling == "max" else 0
        pooled = jnp.full((sounds, features), least, dtype)
        return Heard(cell.initial_state((sounds,), dtype), pooled, jnp.zeros((), jnp.int32))

    def step(self, samples: Array, heard: Heard) -> tuple[Heard, Float[Array, "B K"]]:
        """Hears the samples of one step: logits of the answers, of what was heard so far.

        After the last step they are those of a call; with the pooling last, they are those of
        `over_time` after each.

        Args:
            samples: `hear.samples` of them, of which all but the first `hear.advance` are the first
                of the next step, too; int16 or from -1 to 1, `[B, N]`.
            heard: what was heard before.

        Raises:
            UsageError: the network reads in both directions.
        """
        read, pooling = self.name.read, self.name.pooling
        state, y = stream_step(read.cell, read.params, self.hear(samples)[:, 0], heard.state)
        count = heard.steps + jnp.int32(1)
        if pooling == "last":
            pooled = y
        elif pooling == "max":
            pooled = jnp.maximum(heard.pooled, y)
        else:
            pooled = heard.pooled + (y - heard.pooled) / count.astype(y.dtype)
        return Heard(state, pooled, count), self.name.judge(pooled)

    def _heard(self, samples: Array, steps: Int[Array, "B"]) -> Float[Array, "B T D"]:
        heard = self.hear(samples)
        return blanked(heard, valid_steps(steps, heard.shape[1]))


def frames_of(
    front: LogMel, sounds: Sequence[Int[np.ndarray, "N"]]
) -> list[Float[np.ndarray, "T bands"]]:
    """The log-mel frames of each of some sounds, int16, as float64."""
    found: list[Any] = [None] * len(sounds)
    make = jax.jit(lambda samples: front(unit(samples, jnp.float32)))
    for rows, batch in grouped(sounds, **LIMITS):
        frames = np.asarray(make(batch.values), np.float64)
        for row, one in zip(rows, frames, strict=False):
            found[row] = one[: front.frames(len(sounds[row]))]
    return found


def statistics_of(
    frames: Sequence[Float[np.ndarray, "T bands"]],
) -> Float[np.ndarray, "2 bands"]:
    """Mean and standard deviation of each band over all frames of some sounds."""
    every = np.concatenate(frames)
    return np.stack([every.mean(axis=0), np.maximum(every.std(axis=0), 1e-3)])
