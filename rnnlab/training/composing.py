"""Music from a trained network: what follows a prompt, and the voices below a melody."""

from __future__ import annotations

import math
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from rnnlab.arrays import Array, Float, Int, Key, Params, State, UInt8
from rnnlab.data.piano_roll import KEYS, Roll
from rnnlab.errors import UsageError
from rnnlab.nn import Functional
from rnnlab.training.music import Composer, log_p

#: The key of a melody that rests.
REST = -1
#: Below it, draws are those of temperature 0: quotients might leave float32.
COLD = 1e-6


class Setting(NamedTuple):
    """A melody with the voices that were written below it.

    Attributes:
        keys: the piano roll, whose highest keys are the melody.
        log_p: estimate of `log p(melody)`, in nats; nan at temperature 0.
        particles: how many of them still counted where it was least, `(Σ w)² / Σ w²`.
    """

    keys: Roll
    log_p: float
    particles: float


def check_temperature(temperature: float) -> float:
    """The temperature; UsageError unless it is a number of at least 0."""
    if not (temperature >= 0 and math.isfinite(temperature)):
        raise UsageError(f"temperature={temperature}: must be a number of at least 0")
    return temperature


def continued(
    model: Functional[Composer],
    params: Params,
    prompt: Roll,
    beats: int,
    key: Key,
    temperature: float = 1.0,
) -> Roll:
    """A prompt and the frames that are drawn after it.

    Args:
        model: the network.
        params: its parameters.
        prompt: the first frames; none lets it begin by itself.
        beats: frames to draw.
        key: of the draws; frame number n is drawn with `fold_in(key, n)`.
        temperature: log-odds are divided by it; 0 takes the keys with odds above 1.
    """
    check_temperature(temperature)
    size = _power(len(prompt))
    read = np.zeros((size, KEYS), np.uint8)
    read[: len(prompt)] = prompt
    start = model, params, read, np.int32(len(prompt)), key
    drawn = _draw_frames(*start, np.float32(temperature), _power(beats))
    return np.concatenate([prompt, np.asarray(drawn)[:beats]])


def harmonised(
    model: Functional[Composer],
    params: Params,
    melody: Roll,
    key: Key,
    *,
    particles: int = 64,
    temperature: float = 1.0,
) -> Setting:
    """A melody with voices below it, drawn from `p(frames | their highest keys are the melody)`.

    Drawing each frame with the melody's key held down is not that: the voices know nothing of the
    melody to come, and where they lead away from it nothing brings them back. So several chorales
    are written side by side (particles). Each frame multiplies the weight of each by the
    probability of the melody's key as the highest, given the frames before; where few of them have
    all the weight, those with little are replaced by copies of those with much. One is drawn by
    weight in the end. That is sequential Monte Carlo: exact for infinitely many particles. One
    particle is the melody held down and no more. In a rest of the melody nothing sounds.

    Source: A. Doucet and A. M. Johansen, "A tutorial on particle filtering and smoothing" (2009),
    section 3.5, with systematic resampling below half of the particles.

    Args:
        model: the network.
        params: its parameters.
        melody: a piano roll, of which the highest key of each frame is taken.
        key: of the draws.
        particles: how many chorales.
        temperature: log-odds are divided by it; 0 takes the keys with odds above 1.
    """
    check_temperature(temperature)
    if particles < 1:
        raise UsageError(f"particles={particles}: must be at least 1")
    count = len(melody)
    padded = np.full(_power(count), REST, np.int32)
    padded[:count] = np.where(melody.any(axis=1), KEYS - 1 - melody[:, ::-1].argmax(axis=1), REST)
    key_frames, key_choice = jax.random.split(key)
    start = model, params, padded, np.int32(count), key_frames
    frames, ancestors, log_w, log_z, least = _filter(*start, np.float32(temperature), particles)
    frames, ancestors = np.asarray(frames)[:count], np.asarray(ancestors)[:count]
    one = int(jax.random.categorical(key_choice, log_w))
    keys = np.zeros((count, KEYS), np.uint8)
    for time in range(count - 1, -1, -1):
        keys[time] = frames[time, one]
        one = ancestors[time, one]
    return Setting(keys, float(log_z) if temperature else math.nan, float(least))


@partial(jax.jit, static_argnums=(0, 6))
def _draw_frames(
    model: Functional[Composer],
    params: Params,
    prompt: UInt8[Array, "S keys"],
    length: Int[Array, ""],
    key: Key,
    temperature: Float[Array, ""],
    beats: int,
) -> UInt8[Array, "beats keys"]:
    composer = model.bind(params)
    state, logits = composer.after(prompt[None], length[None])

    def draw(before: tuple[State, Array], number: Array) -> tuple[tuple[State, Array], Array]:
        state, logits = before
        frame = _drawn(jax.random.fold_in(key, number), logits, temperature)
        return composer.step(frame, state), frame[0]

    return jax.lax.scan(draw, (state, logits), jnp.arange(beats, dtype=jnp.int32))[1]


@partial(jax.jit, static_argnums=(0, 6))
def _filter(
    model: Functional[Composer],
    params: Params,
    melody: Int[Array, "S"],
    length: Int[Array, ""],
    key: Key,
    temperature: Float[Array, ""],
    particles: int,
) -> tuple[Any, Any, Any, Any, Any]:
    """The frames of all particles and whose they continue, weights, log p, least effective number.

    The frame number t of particle n continues that of number t - 1 of particle `ancestors[t, n]`.
    """
    composer = model.bind(params)
    silence = jnp.zeros((particles, KEYS), jnp.uint8)
    state, logits = composer.step(silence, composer.initial_state(particles))
    same = jnp.arange(particles, dtype=jnp.int32)
    even = jnp.full(particles, -math.log(particles), logits.dtype)

    def one(before: Any, given: Any) -> Any:
        state, logits, log_w, log_z, least = before
        time, top = given
        key_keys, key_copies = jax.random.split(jax.random.fold_in(key, time))
        effective = 1 / jnp.square(jnp.exp(log_w)).sum()
        few = (effective < particles / 2) & (time < length)
        ancestors = jnp.where(few, _systematic(key_copies, log_w), same)
        state, logits = jax.tree.map(lambda leaf: leaf[ancestors], (state, logits))
        log_w = jnp.where(few, even, log_w)
        frame, log_melody = _below(key_keys, logits, top, temperature)
        joint = log_w + jnp.where(time < length, log_melody, 0)
        total = jax.nn.logsumexp(joint)
        log_w = joint - total
        effective = 1 / jnp.square(jnp.exp(log_w)).sum()
        state, logits = composer.step(frame, state)
        least = jnp.minimum(least, effective)
        return (state, logits, log_w, log_z + total, least), (frame, ancestors)

    zero = jnp.zeros((), logits.dtype)
    start = state, logits, even, zero, zero + particles
    times = jnp.arange(len(melody), dtype=jnp.int32)
    (_, _, log_w, log_z, least), (frames, ancestors) = jax.lax.scan(one, start, (times, melody))
    return frames, ancestors, log_w, log_z, least


def _drawn(
    key: Key, logits: Float[Array, "B keys"], temperature: Float[Array, ""]
) -> UInt8[Array, "B keys"]:
    """Keys of a frame, each by itself."""
    drawn = jax.random.bernoulli(key, jax.nn.sigmoid(_sharpened(logits, temperature)))
    return jnp.where(temperature < COLD, logits > 0, drawn).astype(jnp.uint8)


def _sharpened(logits: Float[Array, "B keys"], temperature: Float[Array, ""]) -> Any:
    return logits / jnp.maximum(temperature, COLD).astype(logits.dtype)


def _below(
    key: Key, logits: Float[Array, "N keys"], top: Int[Array, ""], temperature: Float[Array, ""]
) -> tuple[UInt8[Array, "N keys"], Float[Array, "N"]]:
    """Frames whose highest key is given, and the log-probability that it is."""
    place = jnp.arange(KEYS, dtype=jnp.int32)
    held, melody = place >= top, (place == top).astype(jnp.uint8)
    frame = jnp.where(held, melody, _drawn(key, logits, temperature))
    log_melody = jnp.where(held, log_p(_sharpened(logits, temperature), melody), 0).sum(axis=-1)
    return frame, jnp.where(temperature < COLD, 0, log_melody)


def _systematic(key: Key, log_w: Float[Array, "N"]) -> Int[Array, "N"]:
    """Particles drawn by weight, each as often as N times its weight says, up or down to 1."""
    count = len(log_w)
    at = (jnp.arange(count, dtype=log_w.dtype) + jax.random.uniform(key, (), log_w.dtype)) / count
    found = jnp.searchsorted(jnp.cumsum(jnp.exp(log_w)), at)
    return jnp.minimum(found, count - 1).astype(jnp.int32)


def _power(count: int) -> int:
    """The least power of two that is at least `count`, and at least 16: for few programs."""
    return 1 << max(count - 1, 15).bit_length()
