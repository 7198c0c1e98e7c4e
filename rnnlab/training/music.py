"""A network that predicts the next frame of a piano roll, and its loss."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from rnnlab.arrays import Array, Float, Int, Key, Params, State, UInt8
from rnnlab.data.buckets import Padded, grouped
from rnnlab.data.piano_roll import KEYS, Roll
from rnnlab.layer import output_size
from rnnlab.nn import Functional, Recurrent
from rnnlab.nn.masks import valid_steps
from rnnlab.training.music_settings import MusicNetwork
from rnnlab.training.optimisers import Clip
from rnnlab.training.sizing import count_parameters, widest
from rnnlab.training.update import Learner
from rnnlab.unroll import step as stream_step

#: Chorales that are read together at most, frames of them, and of the shortest batch.
CHORALES, FRAMES, SHORTEST = 16, 4096, 32


class Composer(nnx.Module):
    """`p(x_t | x_1 … x_{t-1}) = Π_k Bernoulli(x_tk; σ([y_t, x_{t-1}] W + b)_k)`.

    Here `y_t` is the network's output after `x_{t-1}`; beside it the readout may see that frame
    itself, which tells what only moves by a step without a place in the state (A. Graves,
    "Generating sequences with recurrent neural networks", 2013, section 2).

    The frames `x_t` have a 1 for each key that sounds. The network reads a silent frame and then
    each frame, and after each of them says how likely each key of the next is, independently of the
    others. The loss is `-log p`, summed over keys: in nats for each frame.

    Source: N. Boulanger-Lewandowski, Y. Bengio and P. Vincent, "Modeling temporal dependencies in
    high-dimensional sequences" (2012), section 3, without the NADE or RBM.

    Attributes:
        network: its settings, with a number of hidden units.
        rngs: where the keys come from that draw the parameters.
    """

    def __init__(self, network: MusicNetwork, *, rngs: nnx.Rngs) -> None:
        cell = network.stack()
        self.read = Recurrent(cell, KEYS, strategy=network.strategy, rngs=rngs)
        self.skip = network.skip
        features = (output_size(cell) or KEYS) + (KEYS if network.skip else 0)
        self.judge = nnx.Linear(features, KEYS, rngs=rngs)

    def logits(
        self, frames: UInt8[Array, "B T keys"], lengths: Int[Array, "B"], key: Key | None = None
    ) -> Float[Array, "B T keys"]:
        """Log-odds of the keys of each frame, given the frames before it.

        Args:
            frames: piano rolls side by side.
            lengths: frames of each.
            key: of dropout; None for none.
        """
        before = self._after_silence(frames)[:, :-1]
        return self._judged(self.read(before, lengths=lengths, key=key)[1], before)

    def nats(
        self, frames: UInt8[Array, "B T keys"], lengths: Int[Array, "B"], key: Key | None = None
    ) -> Float[Array, "B T"]:
        """`-log p` of each frame, 0 past the end; arguments as in `logits`."""
        logits = self.logits(frames, lengths, key)
        nats = -log_p(logits, jnp.asarray(frames)).sum(axis=-1)
        return jnp.where(valid_steps(lengths, nats.shape[1]), nats, 0)

    def after(
        self, frames: UInt8[Array, "B T keys"], lengths: Int[Array, "B"]
    ) -> tuple[State, Float[Array, "B keys"]]:
        """The state after the silent frame and these, and the log-odds of the frame to come."""
        xs = self._after_silence(frames)
        state, ys = self.read(xs, lengths=lengths + 1)
        y, x = (jnp.take_along_axis(a, lengths[:, None, None], axis=1)[:, 0] for a in (ys, xs))
        return state, self._judged(y, x)

    def initial_state(self, batch: int) -> State:
        """The state before the silent frame of that many rolls."""
        return self.read.cell.initial_state((batch,), self.judge.param_dtype)

    def step(
        self, frame: UInt8[Array, "B keys"], state: State
    ) -> tuple[State, Float[Array, "B keys"]]:
        """Reads a frame: the next state, and the log-odds of the keys of the next frame."""
        x = frame.astype(self.judge.param_dtype)
        state, y = stream_step(self.read.cell, self.read.params, x, state)
        return state, self._judged(y, x)

    def _judged(self, y: Float[Array, "... H"], x: Float[Array, "... keys"]) -> Any:
        return self.judge(jnp.concatenate([y, x], axis=-1) if self.skip else y)

    def _after_silence(self, frames: UInt8[Array, "B T keys"]) -> Float[Array, "B T+1 keys"]:
        xs = jnp.asarray(frames).astype(self.judge.param_dtype)
        return jnp.pad(xs, ((0, 0), (1, 0), (0, 0)))


def log_p(logits: Float[Array, "..."], keys: Array) -> Float[Array, "..."]:
    """`log Bernoulli(key; σ(logit))` of each key, from which no logit loses its digits."""
    return jax.nn.log_sigmoid(jnp.where(keys != 0, logits, -logits))


def composer(network: MusicNetwork) -> Functional[Composer]:
    """The network as pure functions of its parameters."""
    return Functional(lambda rngs: Composer(network, rngs=rngs))


def fitted(network: MusicNetwork) -> MusicNetwork:
    """The settings with a number of hidden units: where it is 0, the most that `parameters` allows.

    Raises:
        UsageError: one unit has more parameters than allowed.
    """
    if network.hidden:
        return network

    def sized(hidden: int) -> MusicNetwork:
        return dataclasses.replace(network, hidden=hidden)

    return sized(widest(lambda hidden: parameters(sized(hidden)), network.parameters))


def parameters(network: MusicNetwork) -> int:
    """Parameters of a network, which are not drawn."""
    return count_parameters(composer(network).init)


@dataclasses.dataclass(frozen=True)
class Transposition:
    """Chorales in other keys: each moves by a random number of semitones, all voices together.

    Attributes:
        most: semitones up or down.
        lowest: the lowest key to which a chorale may move.
        highest: the highest one.
    """

    most: int
    lowest: int = 0
    highest: int = KEYS - 1

    @staticmethod
    def within(rolls: Sequence[Roll], most: int) -> Transposition:
        """By that many semitones, within the keys that some chorales use."""
        used = np.flatnonzero(np.any([roll.any(axis=0) for roll in rolls], axis=0))
        return Transposition(most, int(used[0]), int(used[-1])) if len(used) else Transposition(0)

    def __call__(self, frames: UInt8[Array, "B T keys"], key: Key) -> UInt8[Array, "B T keys"]:
        """Moves each chorale by a number of semitones that keeps it in range, all as likely."""
        used = frames.any(axis=1)
        low = jnp.argmax(used, axis=-1).astype(jnp.int32)
        high = KEYS - 1 - jnp.argmax(used[:, ::-1], axis=-1).astype(jnp.int32)
        down = jnp.clip(low - self.lowest, 0, self.most)
        up = jnp.clip(self.highest - high, 0, self.most)
        semitones = jax.random.randint(key, low.shape, -down, up + 1, jnp.int32)
        source = jnp.arange(KEYS, dtype=jnp.int32) - semitones[:, None]
        there = (source >= 0) & (source < KEYS)
        moved = jnp.take_along_axis(frames, jnp.clip(source, 0, KEYS - 1)[:, None, :], axis=-1)
        return jnp.where(there[:, None, :], moved, 0)


def music_learner(
    model: Functional[Composer],
    *,
    batch: int,
    optimiser: optax.GradientTransformation,
    clip: Clip,
    transposition: Transposition,
) -> Learner:
    """What trains a composer on `Padded` batches of piano rolls, batch first.

    The loss is `-log p` of all frames of a batch, divided by their number.

    Args:
        model: what is trained.
        batch: chorales of a batch.
        optimiser: turns gradients into updates.
        clip: bounds of the gradient.
        transposition: of the chorales.
    """

    def loss(params: Params, carry: Any, rolls: Padded, key: Array) -> Any:
        key_dropout, key_moves = jax.random.split(key)
        frames = jnp.asarray(rolls.values)
        if transposition.most:
            frames = transposition(frames, key_moves)
        nats = model.bind(params).nats(frames, rolls.lengths, key_dropout)
        return nats.sum() / jnp.maximum(rolls.lengths.sum(), 1).astype(nats.dtype), (carry, {})

    rows: Any = 0
    axes = Padded(values=0, lengths=0, rows=rows)
    return Learner(
        init=model.init, loss=loss, optimiser=optimiser, clip=clip, axes=axes, batch=batch
    )


def frame_nats(
    model: Functional[Composer], params: Params, rolls: Sequence[Roll], most: int = CHORALES
) -> list[Float[np.ndarray, "T"]]:
    """`-log p` of each frame of some chorales, given those before it; noise is off.

    Args:
        model: the network.
        params: its parameters.
        rolls: the chorales.
        most: how many are read together, which changes nothing but rounding.
    """
    found: list[Any] = [None] * len(rolls)
    for rows, batch in grouped(rolls, most=most, steps=FRAMES, shortest=SHORTEST):
        nats = np.asarray(_nats(model, params, batch.values, batch.lengths), np.float64)
        for row, one in zip(rows, nats, strict=False):
            found[row] = one[: len(rolls[row])]
    return found


@partial(jax.jit, static_argnums=0)
def _nats(model: Functional[Composer], params: Params, frames: Any, lengths: Any) -> Array:
    return model.bind(params).nats(frames, lengths)
