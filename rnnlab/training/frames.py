"""A network that labels the frames of videos, and its loss."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
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
from rnnlab.training.label_scores import label_nats, likeliest_labels
from rnnlab.training.optimisers import Clip
from rnnlab.training.update import Learner

#: Videos that are read together at most, frames of them, and of the shortest batch.
VIDEOS, FRAMES, SHORTEST = 8, 1 << 15, 64


class Scaling(NamedTuple):
    """Makes the mean of each number of a frame 0 and its standard deviation 1, in training.

    Attributes:
        mean: of each number.
        scale: their standard deviations; 1 of those that never change.
    """

    mean: tuple[float, ...]
    scale: tuple[float, ...]

    @staticmethod
    def of(frames: Float[np.ndarray, "N features"]) -> Scaling:
        """That of some frames."""
        scale = frames.std(axis=0, dtype=np.float64)
        scale = np.where(scale > 1e-8, scale, 1.0)
        return Scaling(tuple(frames.mean(axis=0, dtype=np.float64).tolist()), tuple(scale.tolist()))

    def __call__(self, frames: Float[Array | np.ndarray, "... features"]) -> Any:
        """The scaled numbers."""
        mean, scale = (np.asarray(part, np.float32) for part in self)
        return (frames - mean) / scale


class FrameTagger(nnx.Module):
    """Scores of the labels of each frame, `s_t = y_t W + b` with the outputs `y` of a network.

    Labels are judged each by `softmax(s_t)`, or together by a CRF. A network that reads forwards
    only labels a frame by what has been so far.

    Attributes:
        network: its settings.
        scaling: of the numbers of a frame.
        labels: how many there are.
        rngs: where the keys come from that draw the parameters.
    """

    def __init__(
        self, network: FrameNetwork, scaling: Scaling, labels: int, *, rngs: nnx.Rngs
    ) -> None:
        features, cell = len(scaling.mean), network.stack()
        self.scaling, self.noise, self.shift = scaling, network.noise, network.shift
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
            frames: videos side by side.
            lengths: frames of each.
            key: of dropout and noise; None for neither.
        """
        xs = self.scaling(jnp.asarray(frames))
        if key is not None:
            key, *keys = jax.random.split(key, 3)
            shift = self.shift * jax.random.normal(keys[0], (len(xs), 1, POSITIONS), xs.dtype)
            xs = xs.at[..., :POSITIONS].add(shift)
            xs = xs + self.noise * jax.random.normal(keys[1], xs.shape, xs.dtype)
        return self.judge(self.read(xs, lengths=lengths, key=key)[1])

    def answers(
        self, frames: Float[Array, "B T features"], lengths: Int[Array, "B"]
    ) -> tuple[Int[Array, "B T"], Float[Array, "B T K"]]:
        """The likeliest labels of each video, and the probability of each label at each frame."""
        return likeliest_labels(self.scores(frames, lengths), lengths, self.crf)


def frame_tagger(network: FrameNetwork, scaling: Scaling, labels: int) -> Functional[FrameTagger]:
    """The network as pure functions of its parameters."""
    return Functional(lambda rngs: FrameTagger(network, scaling, labels, rngs=rngs))


def frame_learner(
    model: Functional[FrameTagger],
    *,
    batch: int,
    optimiser: optax.GradientTransformation,
    clip: Clip,
    weights: Sequence[float],
) -> Learner:
    """What trains a network on `Padded` batches of `(features, labels)`, batch first.

    The loss is `-log p` of all labels of a batch, divided by the number of frames.

    Args:
        model: what is trained.
        batch: windows of a batch.
        optimiser: turns gradients into updates.
        clip: bounds of the gradient.
        weights: by which each label counts; a CRF takes no notice of them.
    """

    def loss(params: Params, carry: Any, videos: Padded, key: Array) -> Any:
        frames, labels = videos.values
        lengths, module = videos.lengths[0], model.bind(params)
        scores = module.scores(frames, lengths, key)
        nats = label_nats(scores, jnp.asarray(labels), lengths, module.crf, weights)
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
    model: Functional[FrameTagger], params: Params, videos: Sequence[Float[np.ndarray, "T F"]]
) -> list[Answer]:
    """The labels of videos; noise is off.

    Args:
        model: the network.
        params: its parameters.
        videos: what it reads of their frames, `[T, features]` each.
    """
    found: list[Any] = [None] * len(videos)
    for rows, batch in grouped(videos, most=VIDEOS, steps=FRAMES, shortest=SHORTEST):
        labels, shares = map(np.asarray, _label(model, params, batch.values, batch.lengths))
        for place, row in enumerate(rows):
            length = len(videos[row])
            found[row] = Answer(labels[place, :length], shares[place, :length])
    return found


@partial(jax.jit, static_argnums=0)
def _label(model: Functional[FrameTagger], params: Params, frames: Any, lengths: Any) -> Any:
    return model.bind(params).answers(frames, lengths)
