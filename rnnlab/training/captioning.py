"""How a network learns to write about images, what it writes, and where it looks meanwhile."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from rnnlab.arrays import Array, Float, Int, Params, UInt8
from rnnlab.data.captions import CaptionBatch, coded_batch
from rnnlab.data.tokens import END_CODE, START_CODE
from rnnlab.nn import Functional
from rnnlab.nn.beam import beam_search
from rnnlab.nn.captioner import Captioner
from rnnlab.training.evaluators import Evaluator
from rnnlab.training.optimisers import Clip
from rnnlab.training.translation import losses_after
from rnnlab.training.update import Learner

Model = Functional[Captioner]
#: Images that are looked at together.
READ = 64


def captioning_learner(
    model: Model,
    *,
    batch: int,
    optimiser: optax.GradientTransformation,
    clip: Clip,
    stochastic: float = 0.0,
    smoothing: float = 0.0,
) -> Learner:
    """What trains a model on batches of images with sentences.

    The loss is the mean cross-entropy of a symbol, the end symbol among them; and with attention
    that many times the mean of `doubly_stochastic`.

    Args:
        model: what is trained.
        batch: images of a batch.
        optimiser: turns gradients into updates.
        clip: bounds of the gradient.
        stochastic: weight of the regulariser.
        smoothing: of the labels.
    """

    def loss(params: Params, carry: Any, images: CaptionBatch, key: Array) -> Any:
        nats, symbols, weights = losses(model, params, images, key, smoothing=smoothing)
        mean = nats.sum() / jnp.maximum(symbols.sum(), 1).astype(nats.dtype)
        if weights is None:
            return mean, (carry, {})
        uneven = doubly_stochastic(weights).mean()
        return mean + stochastic * uneven, (carry, {"nats": mean, "uneven": uneven})

    return Learner(
        init=model.init,
        loss=loss,
        optimiser=optimiser,
        clip=clip,
        axes=CaptionBatch(0, 0, 0),
        batch=batch,
        written_out=True,
    )


def losses(
    model: Model,
    params: Params,
    batch: CaptionBatch,
    key: Array | None = None,
    *,
    smoothing: float = 0.0,
) -> tuple[Float[Array, "B"], Int[Array, "B"], Float[Array, "B T S"] | None]:
    """The cross-entropy in nats of each sentence, its symbols, and the weights of the attention.

    Args:
        model: the model.
        params: its parameters.
        batch: images with sentences.
        key: of dropout; None for none.
        smoothing: of the labels.
    """
    module = model.bind(params)
    memory = module.encode(as_numbers(batch.pixels))
    return losses_after(module, memory, batch.sentences, batch.lengths, key, smoothing=smoothing)


def as_numbers(pixels: Any) -> Float[Array, "B height width C"]:
    """Pixels 0 .. 255 as numbers 0 .. 1, float32."""
    return jnp.asarray(pixels).astype(jnp.float32) / jnp.float32(255)


def doubly_stochastic(weights: Float[Array, "B T S"]) -> Float[Array, "B"]:
    """`Σ_s (1 - Σ_t α_ts)²`: how unevenly the places of an image were attended to.

    K. Xu et al., "Show, attend and tell: neural image caption generation with visual attention"
    (2015), equation 14. Each step spreads a weight of one over the places; this asks that each
    place gets one over all steps. The weights past the end of a sentence must be zero.
    """
    return jnp.square(1 - weights.sum(axis=1)).sum(axis=-1)


class CaptionLoss(Evaluator):
    """The cross-entropy of a symbol of sentences that are known, in nats.

    Args:
        model: the model.
        pixels: images `[N, height, width, C]`.
        codes: of their sentences.
        name: of the number.
    """

    def __init__(
        self,
        model: Model,
        pixels: UInt8[np.ndarray, "N height width C"],
        codes: Sequence[Int[np.ndarray, "T"]],
        name: str = "loss",
    ):
        self._name = name
        whole = coded_batch(pixels, codes)
        self._batches = [
            jax.tree.map(lambda a, s=start: _filled(a[s : s + READ]), whole)
            for start in range(0, len(pixels), READ)
        ]
        self._losses = jax.jit(lambda params, batch: losses(model, params, batch)[:2])

    def __call__(self, params: Params, step: int) -> dict[str, Any]:
        """The number under its name."""
        del step
        nats, symbols = 0.0, 0
        for batch in self._batches:
            found, counts = self._losses(params, batch)
            nats += float(np.sum(np.asarray(found), dtype=np.float64))
            symbols += int(np.sum(np.asarray(counts)))
        return {self._name: nats / max(symbols, 1)}


def _filled(rows: np.ndarray) -> np.ndarray:
    """READ rows, of which the last ones may be zero: sentences without symbols."""
    return np.pad(rows, ((0, READ - len(rows)), *[(0, 0)] * (rows.ndim - 1)))


class Caption(NamedTuple):
    """What a network wrote about an image.

    Attributes:
        codes: of its symbols, `[T]`.
        score: of beam search.
        log_probability: in nats, that of the end symbol included.
    """

    codes: Int[np.ndarray, "T"]
    score: float
    log_probability: float


def write_captions(
    model: Model,
    params: Params,
    pixels: UInt8[np.ndarray, "N height width C"],
    most: int,
    beams: int = 1,
    penalty: float = 1.0,
) -> list[Caption]:
    """A sentence about each image, which does not depend on the other images.

    Args:
        model: the model.
        params: its parameters.
        pixels: the images.
        most: symbols of a sentence at most.
        beams: of beam search; 1 is greedy.
        penalty: of the length, see `rnnlab.nn.beam`.
    """
    found = []
    for start in range(0, len(pixels), READ):
        part = pixels[start : start + READ]
        best = jax.device_get(_search(model, most, beams, penalty, params, _filled(part)))
        for row in range(len(part)):
            symbols, length, score, nats = (leaf[row] for leaf in best)
            found.append(Caption(symbols[:length], float(score), float(nats)))
    return found


@partial(jax.jit, static_argnums=(0, 1, 2, 3))
def _search(
    model: Model, most: int, beams: int, penalty: float, params: Params, pixels: Array
) -> Any:
    module = model.bind(params)
    memory = module.encode(as_numbers(pixels))
    found = beam_search(
        partial(module.step, memory),
        module.begin(memory),
        jnp.full(len(pixels), most, jnp.int32),
        most,
        beams=beams,
        start=START_CODE,
        end=END_CODE,
        penalty=penalty,
    )
    return found.symbols[:, 0], found.lengths[:, 0], found.scores[:, 0], found.log_probability[:, 0]


def attention_of(
    model: Model,
    params: Params,
    pixels: UInt8[np.ndarray, "N height width C"],
    codes: Sequence[Int[np.ndarray, "T"]],
) -> list[Float[np.ndarray, "T+1 h w"]] | None:
    """Where a network looks for each symbol of sentences, and for their ends.

    None for a network without attention.
    """
    batch, found = coded_batch(pixels, codes), []
    for start in range(0, len(pixels), READ):
        part = jax.tree.map(lambda a, s=start: _filled(a[s : s + READ]), batch)
        weights = _weights(model, params, part)
        if weights is None:
            return None
        rows = np.asarray(weights)
        grid = model.bind(params).grid
        for row, one in zip(rows, codes[start : start + READ], strict=False):
            found.append(row[: len(one) + 1].reshape(-1, *grid))
    return found


@partial(jax.jit, static_argnums=0)
def _weights(model: Model, params: Params, batch: CaptionBatch) -> Array | None:
    return losses(model, params, batch)[2]


def mass_in_squares(
    weights: Float[np.ndarray, "N h w"],
    shape: tuple[int, int],
    corners: Int[np.ndarray, "N 2"],
    side: int,
) -> list[float]:
    """The share of the attention at the places whose middle lies in a square of the image.

    Args:
        weights: of the attention, each over h by w places.
        shape: height and width of the image in pixels.
        corners: row and column of the upper left pixel of each square.
        side: its pixels.
    """
    masses = []
    for one, corner in zip(weights, corners, strict=True):
        inside = []
        for places, pixels, start in zip(one.shape, shape, corner, strict=True):
            middles = (np.arange(places) + 0.5) * pixels / places
            inside.append((middles >= start) & (middles < start + side))
        masses.append(float(one[np.ix_(*inside)].sum()))
    return masses
