"""Sounds as they might have been: faster or slower, louder or softer, later, in noise."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp

from rnnlab.arrays import Array, Float, Int, Key
from rnnlab.nn.hearing import unit
from rnnlab.nn.masks import valid_steps
from rnnlab.training.speech_settings import Augmentation


def augmented(
    samples: Array, lengths: Int[Array, "B"], key: Key, settings: Augmentation, rate: int
) -> tuple[Float[Array, "B N+more"], Int[Array, "B"]]:
    """Sounds changed at random, each in its own way, with room for the slowest and latest.

    Speed changes as that of a tape does, with the pitch, by linear interpolation between samples
    (T. Ko et al., "Audio augmentation for speech recognition", 2015). The tilt of other voices and
    microphones is `x_n + a x_{n-1}`: high frequencies are softer where a is positive.

    Args:
        samples: int16 or numbers from -1 to 1, `[B, N]`.
        lengths: samples of each.
        key: of the changes.
        settings: how much is changed.
        rate: samples of a second.
    """
    keys = jax.random.split(key, 7)
    xs = unit(samples, jnp.float32)
    lengths = jnp.asarray(lengths, jnp.int32)
    rows, most = len(lengths), round(settings.shift * rate)
    room = math.ceil(xs.shape[1] / (1 - settings.speed)) + 2 * most
    factor = 1 + _uniform(keys[0], rows, -settings.speed, settings.speed)
    before, after = (jax.random.randint(k, (rows,), 0, most + 1, jnp.int32) for k in keys[1:3])
    xs, played = _played(xs, lengths, factor, before, room)
    if settings.tilt:
        share = _uniform(keys[6], rows, -settings.tilt, settings.tilt)[:, None]
        xs = xs + share * jnp.pad(xs, ((0, 0), (1, 0)))[:, :-1]
    lengths = jnp.where(lengths > 0, before + played + after, 0)
    loudness = jnp.sqrt(jnp.square(xs).sum(axis=1) / jnp.maximum(played, 1).astype(xs.dtype))
    xs = xs * jnp.power(10.0, _uniform(keys[3], rows, -1, 1) * settings.gain_db / 20)[:, None]
    if settings.most_snr_db:
        snr = _uniform(keys[4], rows, settings.least_snr_db, settings.most_snr_db)
        noise = jax.random.normal(keys[5], xs.shape, xs.dtype)
        xs = xs + noise * (loudness * jnp.power(10.0, -snr / 20))[:, None]
    return jnp.where(valid_steps(lengths, room), xs, 0), lengths


def _uniform(key: Key, rows: int, low: float, high: float) -> Float[Array, "rows"]:
    return jax.random.uniform(key, (rows,), jnp.float32, low, high)


def _played(
    xs: Float[Array, "B N"],
    lengths: Int[Array, "B"],
    factor: Float[Array, "B"],
    before: Int[Array, "B"],
    room: int,
) -> tuple[Float[Array, "B room"], Int[Array, "B"]]:
    """Sounds at other speeds after some silence, and the samples of each without it."""
    ends = (lengths - 1).astype(xs.dtype)
    played = jnp.where(lengths > 0, jnp.floor(ends / factor).astype(jnp.int32) + 1, 0)
    time = jnp.arange(room, dtype=jnp.int32) - before[:, None]
    there = (time >= 0) & (time < played[:, None])
    place = jnp.clip(time.astype(xs.dtype) * factor[:, None], 0, jnp.maximum(ends, 0)[:, None])
    left = jnp.floor(place).astype(jnp.int32)
    right = jnp.minimum(left + 1, jnp.maximum(lengths - 1, 0)[:, None])
    share = place - left.astype(xs.dtype)
    low, high = (jnp.take_along_axis(xs, at, axis=1) for at in (left, right))
    return jnp.where(there, (1 - share) * low + share * high, 0), played
