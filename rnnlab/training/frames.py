"""A network that labels the frames of videos, and its loss."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from functools import cached_property, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from rnnlab.arrays import Array, Float, Int, Key, Params
from rnnlab.data.buckets import Padded, grouped
from rnnlab.data.motion import POSITIONS
from rnnlab.layer import output_size
from rnnlab.nn import CRF, Functional, Recurrent
from rnnlab.training.frame_settings import FrameNetwork
from rnnlab.training.label_scores import label_nats, label_shares
from rnnlab.training.optimisers import Clip
from rnnlab.training.update import Learner

#: The least variance of a number, in units of its variance in training.
LEAST = 1e-6
#: Videos that are read together at most, frames of them, and of the shortest batch.
VIDEOS, FRAMES, SHORTEST = 8, 1 << 15, 64


class Scaling(NamedTuple):
    """Makes the mean of each number of a frame about 0 and its standard deviation about 1.

    Mean `m` and variance `v` are those of training at the start of a video, and follow what has
    been seen of it, so that the posture and the habits of a new person matter less:

        m_t = (n m + Σ_{s ≤ t} x_s) / (n + t),  v_t + m_t² = (n (v + m²) + Σ_{s ≤ t} x_s²) / (n + t)

    with `n` the frames by which training counts. No frame to come is used.

    Attributes:
        mean: of each number, in training.
        scale: their standard deviations; 1 of those that never change.
        prior: n.
    """

    mean: tuple[float, ...]
    scale: tuple[float, ...]
    prior: int

    @staticmethod
    def of(frames: Float[np.ndarray, "N features"], prior: int) -> Scaling:
        """That of the frames of training."""
        scale = frames.std(axis=0, dtype=np.float64)
        scale = np.where(scale > 1e-8, scale, 1.0)
        mean = frames.mean(axis=0, dtype=np.float64)
        return Scaling(tuple(mean.tolist()), tuple(scale.tolist()), prior)

    def __call__(self, video: Float[np.ndarray, "T features"]) -> Float[np.ndarray, "T features"]:
        """The scaled numbers of a whole video, float32."""
        xs = (video - np.array(self.mean)) / np.array(self.scale)  # so that m = 0 and v = 1
        weight = self.prior + np.arange(1, len(xs) + 1)[:, None]
        mean = np.cumsum(xs, axis=0) / weight
        variance = (self.prior + np.cumsum(xs**2, axis=0)) / weight - mean**2
        return ((xs - mean) / np.sqrt(np.maximum(variance, LEAST))).astype(np.float32)


class FrameTagger(nnx.Module):
    """Scores of the labels of each frame, `s_t = y_t W + b` with the outputs `y` of a network.

    Labels are judged each by `softmax(s_t)`, or together by a CRF, of whose marginals the likeliest
    is answered. A network that reads forwards only labels a frame by what has been so far.

    Attributes:
        network: its settings.
        features: numbers of a frame.
        labels: how many there are.
        rngs: where the keys come from that draw the parameters.
    """

    def __init__(
        self, network: FrameNetwork, features: int, labels: int, *, rngs: nnx.Rngs
    ) -> None:
        cell = network.stack()
        self.noise, self.shift = network.noise, network.shift
        self.read = Recurrent(cell, features, strategy=network.strategy, rngs=rngs)
        self.judge = nnx.Linear(output_size(cell) or features, labels, rngs=rngs)
        self.crf = nnx.data(CRF(labels) if network.crf else None)

    def scores(
        self,
        frames: Float[Array, "B T features"],
        lengths: Int[Array, "B"],
        key: Key | None = None,
    ) -> Float[Array, "B T K"]:
        """Scores of the K labels of each frame.

        Args:
            frames: videos side by side, scaled.
            lengths: frames of each.
            key: of dropout and noise; None for neither.
        """
        xs = jnp.asarray(frames)
        if key is not None:
            key, *keys = jax.random.split(key, 3)
            shift = self.shift * jax.random.normal(keys[0], (len(xs), 1, POSITIONS), xs.dtype)
            xs = xs.at[..., :POSITIONS].add(shift)
            xs = xs + self.noise * jax.random.normal(keys[1], xs.shape, xs.dtype)
        return self.judge(self.read(xs, lengths=lengths, key=key)[1])


@dataclasses.dataclass(frozen=True)
class Committee:
    """Networks that differ in nothing but their parameters, whose probabilities are averaged.

    They learn side by side from the same windows, each with noise of its own. Few videos leave much
    to chance; the mean of several networks is better than most of them.

    Attributes:
        network: settings of each, with the number of members.
        features: numbers of a frame.
        labels: how many there are.
    """

    network: FrameNetwork
    features: int
    labels: int

    @cached_property
    def member(self) -> Functional[FrameTagger]:
        """One network as pure functions of its parameters."""
        return Functional(
            lambda rngs: FrameTagger(self.network, self.features, self.labels, rngs=rngs)
        )

    def init(self, key: Key) -> Params:
        """Draws the parameters of all members, with a leading axis `members`."""
        return jax.vmap(self.member.init)(jax.random.split(key, self.network.members))

    def nats(
        self,
        params: Params,
        frames: Float[Array, "B T features"],
        labels: Int[Array, "B T"],
        lengths: Int[Array, "B"],
        key: Key,
        weights: Sequence[float] | None = None,
    ) -> Float[Array, "B"]:
        """`-log p` of the labels of each video, a mean over members; weights as in `label_nats`."""

        def one(params: Params, key: Key) -> Array:
            module = self.member.bind(params)
            scores = module.scores(frames, lengths, key)
            return label_nats(scores, labels, lengths, module.crf, weights)

        return jax.vmap(one)(params, jax.random.split(key, self.network.members)).mean(axis=0)

    def shares(
        self, params: Params, frames: Float[Array, "B T features"], lengths: Int[Array, "B"]
    ) -> Float[Array, "B T K"]:
        """The probability of each label at each frame, a mean over members; noise is off."""

        def one(params: Params) -> Array:
            module = self.member.bind(params)
            return label_shares(module.scores(frames, lengths), lengths, module.crf)

        return jax.vmap(one)(params).mean(axis=0)


def frame_learner(
    model: Committee,
    *,
    batch: int,
    optimiser: optax.GradientTransformation,
    clip: Clip,
    weights: Sequence[float],
) -> Learner:
    """What trains networks on `Padded` batches of `(features, labels)`, batch first.

    The loss is `-log p` of all labels of a batch, divided by the number of frames.

    Args:
        model: what is trained.
        batch: windows of a batch.
        optimiser: turns gradients into updates.
        clip: bounds of the gradient.
        weights: by which each label counts; a CRF takes no notice of them.
    """

    def loss(params: Params, carry: Any, videos: Padded, key: Array) -> Any:
        (frames, labels), lengths = map(jnp.asarray, videos.values), videos.lengths[0]
        nats = model.nats(params, frames, labels, lengths, key, weights)
        return nats.sum() / jnp.maximum(lengths.sum(), 1).astype(nats.dtype), (carry, {})

    rows: Any = 0
    return Learner(
        init=model.init,
        loss=loss,
        optimiser=optimiser,
        clip=clip,
        axes=Padded(values=(0, 0), lengths=(0, 0), rows=rows),
        batch=batch,
    )


class Answer(NamedTuple):
    """What a network says of a video: the label of each frame, and probabilities of all labels."""

    labels: Int[np.ndarray, "T"]
    probabilities: Float[np.ndarray, "T K"]


def label_frames(
    model: Committee, params: Params, videos: Sequence[Float[np.ndarray, "T features"]]
) -> list[Answer]:
    """The likeliest label of each frame of videos; noise is off.

    Args:
        model: the networks.
        params: their parameters.
        videos: what they read of the frames, scaled.
    """
    found: list[Any] = [None] * len(videos)
    for rows, batch in grouped(videos, most=VIDEOS, steps=FRAMES, shortest=SHORTEST):
        shares = np.asarray(_shares(model, params, batch.values, batch.lengths))
        for place, row in enumerate(rows):
            one = shares[place, : len(videos[row])]
            found[row] = Answer(one.argmax(axis=1), one)
    return found


@partial(jax.jit, static_argnums=0)
def _shares(model: Committee, params: Params, frames: Any, lengths: Any) -> Array:
    return model.shares(params, frames, lengths)
