"""Skip-gram with negative sampling: word vectors, trained by the words around each word.

A centre word w and a word c within its window are a pair, and noise words n are drawn beside it:

    loss = -log σ(v_w · u_c) - k E_n[log σ(-v_w · u_n)],   P(n) ~ count(n)^power

Where the vectors are long enough the optimum is `v_w · u_c = log p(c | w) - log P(c) - log k`, the
pointwise mutual information shifted by log k.

What differs from the program word2vec, in the way it is computed and not in what is expected:

- a pair at a distance of d words has the weight `(W + 1 - d) / W`, instead of windows whose width
  is drawn from 1 .. W;
- the centre words of a group share their noise words, each with the weight that keeps the
  expectation, so that scores are products of matrices;
- the gradient of an update is summed over the words of a stretch of text, and changes only the rows
  of words that occur in it.

Sources: T. Mikolov, I. Sutskever, K. Chen, G. Corrado and J. Dean, "Distributed representations of
words and phrases and their compositionality", NIPS (2013); O. Levy and Y. Goldberg, "Neural word
embedding as implicit matrix factorization", NIPS (2014). Shared noise words: S. Ji, N. Satish,
S. Li and P. Dubey, "Parallelizing word2vec in shared and distributed memory" (2016).
"""

from __future__ import annotations

import dataclasses
import math
from functools import cached_property
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from rnnlab.arrays import Array, Float, Int, Key
from rnnlab.errors import UsageError
from rnnlab.run import checks
from rnnlab.training.update import TrainState

#: Consecutive centre words that share noise words.
GROUP = 32
#: The learning rate falls linearly to this part of it.
LEAST_RATE = 1e-4


@dataclasses.dataclass(frozen=True)
class Settings:
    """What word vectors are, and how they are trained."""

    #: Features of a word, E.
    features: int = 100
    #: Words on each side of a word that are its context, W.
    window: int = 5
    #: Noise words for each pair of words, k.
    noise: int = 5
    #: Noise words are drawn with the frequency of words to this power.
    power: float = 0.75
    #: A word of relative frequency f is read with probability sqrt(s / f) + s / f, for this s; 0
    #: reads every word.
    subsample: float = 1e-3
    #: Words that an update reads, after those left out: a multiple of 32.
    batch: int = 512
    #: Noise words that 32 consecutive words share.
    shared: int = 32
    #: Learning rate of the first update, which falls linearly to nothing.
    learning_rate: float = 0.025

    def __post_init__(self) -> None:
        """Checks every field."""
        checks.at_least(self, features=1, window=1, noise=1, batch=GROUP, shared=1)
        checks.non_negative(self, "power", "subsample")
        checks.positive(self, "learning_rate")
        if self.batch % GROUP:
            raise UsageError(f"batch={self.batch}: must be a multiple of {GROUP}")


class Text(NamedTuple):
    """A text as words of a vocabulary.

    Attributes:
        codes: its words, int32.
        lines: the number of the line of each word; a window does not go beyond its line.
    """

    codes: Int[np.ndarray, "codes"]
    lines: Int[np.ndarray, "codes"]


class Stretch(NamedTuple):
    """Consecutive words of a text, without those left out, and noise words; G groups of them.

    Attributes:
        words: codes, between W empty places on each side.
        lines: of each word; -1 where a place is empty.
        noise: codes of noise words.
    """

    words: Int[Array, "words+2*W"]
    lines: Int[Array, "words+2*W"]
    noise: Int[Array, "G shared"]


class Pairs(NamedTuple):
    """Which rows of the two tables meet, in G groups, and with which weight.

    Attributes:
        centres: codes of the centre words.
        contexts: codes of the words around them, then of noise words.
        positive: weights of the pairs of a centre word and a word around it.
        negative: weight of each noise word, for each centre word.
    """

    centres: Int[Array, "G group"]
    contexts: Int[Array, "G near+shared"]
    positive: Float[Array, "G group near"]
    negative: Float[Array, "G group 1"]


def read_probability(counts: Int[np.ndarray, "V"], subsample: float) -> Float[np.ndarray, "V"]:
    """The probability with which each word is read, by its count; 1 for all if `subsample` is 0."""
    if not subsample:
        return np.ones(len(counts))
    ratio = subsample * counts.sum() / np.maximum(counts, 1)
    return np.minimum(np.sqrt(ratio) + ratio, 1.0)


def noise_distribution(counts: Int[np.ndarray, "V"], power: float) -> Float[np.ndarray, "V"]:
    """The probability with which each word is drawn as noise, by its count."""
    weights = np.where(counts > 0, np.maximum(counts, 1) ** float(power), 0.0)
    return weights / weights.sum()


def window_weights(window: int) -> Float[np.ndarray, "group near"]:
    """The weight of the pair of a centre word of a group and each place from W before the group."""
    distance = np.abs(np.arange(GROUP + 2 * window) - window - np.arange(GROUP)[:, None])
    near = (distance > 0) & (distance <= window)
    return np.where(near, (window + 1 - distance) / window, 0.0)


@dataclasses.dataclass(frozen=True, eq=False)
class SkipGram:
    """Trains the vectors of the words of a text; what `rnnlab.training.loop.train` takes.

    Parameters are `words [V, E]`, the vectors v that one wants, and `contexts [V, E]`, the vectors
    u that predict them.

    Attributes:
        text: the text.
        vocabulary: number of words V.
        settings: see there.
        updates: of the whole training, over which the learning rate falls.
        param_dtype: dtype of the vectors.
    """

    text: Text
    vocabulary: int
    settings: Settings
    updates: int
    param_dtype: DTypeLike = jnp.float32
    in_turn: bool = False

    @cached_property
    def counts(self) -> Int[np.ndarray, "V"]:
        """How often each word occurs."""
        return np.bincount(self.text.codes, minlength=self.vocabulary)

    @cached_property
    def reach(self) -> int:
        """Words of the text that an update reads, those left out among them.

        So many that those left fill the update: in three cases of a thousand there are more, and
        the last ones are not read.
        """
        read = read_probability(self.counts, self.settings.subsample)
        share = float(read @ self.counts / self.counts.sum())
        batch = self.settings.batch
        spare = 0 if share == 1 else 3 * math.sqrt(batch)
        return min(max(int((batch - spare) / share), 1), len(self.text.codes))

    def start(self, key: Key) -> TrainState:
        """Words start uniformly within ±1/(2E), contexts at zero, as in word2vec."""
        key_params, key = jax.random.split(key)
        shape = self.vocabulary, self.settings.features
        bound = 0.5 / self.settings.features
        words = jax.random.uniform(key_params, shape, self.param_dtype, -bound, bound)
        params = {"words": words, "contexts": jnp.zeros(shape, self.param_dtype)}
        zero = jnp.zeros((), jnp.int32)
        return TrainState(zero, params, (), (), key, zero)

    def sample(self, key: Key) -> Stretch:
        """A stretch of the text that begins anywhere; after the end the text begins anew."""
        key_start, key_read, key_noise = jax.random.split(key, 3)
        count, window = self.settings.batch, self.settings.window
        start = jax.random.randint(key_start, (), 0, len(self.text.codes), jnp.int32)
        codes, lines = (
            jax.lax.dynamic_slice(array, (start,), (self.reach,)) for array in self._circular
        )
        chance = jax.random.uniform(key_read, (self.reach,), jnp.float32)
        so_far = jnp.cumsum(chance < jnp.asarray(self._read)[codes], dtype=jnp.int32)
        # Of the words that are read: the first, the second, ...
        places = jnp.searchsorted(so_far, jnp.arange(1, count + 1, dtype=jnp.int32))
        full, places = places < self.reach, jnp.minimum(places, self.reach - 1)
        empty = jnp.full((window,), -1, jnp.int32)
        lines = jnp.where(full, lines[places], -1)
        return Stretch(
            words=jnp.concatenate([empty * 0, jnp.where(full, codes[places], 0), empty * 0]),
            lines=jnp.concatenate([empty, lines, empty]),
            noise=self._draw_noise(key_noise, (count // GROUP, self.settings.shared)),
        )

    def pairs(self, stretch: Stretch) -> Pairs:
        """The pairs of a stretch with their weights."""
        settings = self.settings
        groups, near = settings.batch // GROUP, GROUP + 2 * settings.window
        centres = np.arange(groups)[:, None] * GROUP + settings.window + np.arange(GROUP)
        around = np.arange(groups)[:, None] * GROUP + np.arange(near)
        lines = stretch.lines[centres][:, :, None]
        together = (lines == stretch.lines[around][:, None, :]) & (lines >= 0)
        weights = jnp.asarray(window_weights(settings.window), self.param_dtype)
        positive = jnp.where(together, weights, 0)
        noise = settings.noise / settings.shared
        return Pairs(
            centres=stretch.words[centres],
            contexts=jnp.concatenate([stretch.words[around], stretch.noise], axis=1),
            positive=positive,
            negative=positive.sum(axis=-1, keepdims=True) * jnp.asarray(noise, self.param_dtype),
        )

    def update(
        self, state: TrainState, batch: Stretch | None = None
    ) -> tuple[TrainState, dict[str, Array]]:
        """One update of the rows of the words that occur in a stretch.

        Returns:
            The new training state, and what was measured before the update: the mean loss of a
            pair, the norm of the gradient of all occurrences of words, and the learning rate.
        """
        if batch is None:
            batch = self.sample(jax.random.fold_in(state.key, state.step))
        pairs, tables = self.pairs(batch), state.params
        rows = tables["words"][pairs.centres], tables["contexts"][pairs.contexts]
        total, gradient = jax.value_and_grad(total_loss)(rows, pairs)
        norm = jnp.sqrt(sum(jnp.vdot(one, one) for one in gradient))
        finite = jnp.isfinite(total) & jnp.isfinite(norm)
        good = finite & (state.diverged == 0)
        rate = self._rate(state.step)
        of_words, of_contexts = (jnp.where(good, -rate * one, 0) for one in gradient)
        params = {
            "words": tables["words"].at[pairs.centres].add(of_words),
            "contexts": tables["contexts"].at[pairs.contexts].add(of_contexts),
        }
        step = state.step + jnp.int32(1)
        diverged = jnp.where((state.diverged == 0) & ~finite, step, state.diverged)
        loss = total / jnp.maximum(pairs.positive.sum(), jnp.finfo(total.dtype).tiny)
        metrics = {"loss": loss, "gradient_norm": norm, "learning_rate": rate}
        return TrainState(step, params, (), (), state.key, diverged), metrics

    def _rate(self, step: Int[Array, ""]) -> Float[Array, ""]:
        dtype = self.param_dtype
        left = 1 - step.astype(dtype) / jnp.asarray(self.updates, dtype)
        return jnp.maximum(left, LEAST_RATE) * jnp.asarray(self.settings.learning_rate, dtype)

    def _draw_noise(self, key: Key, shape: tuple[int, ...]) -> Int[Array, "G shared"]:
        ends, drawn = jnp.asarray(self._noise_ends), jax.random.bits(key, shape, jnp.uint32)
        return jnp.searchsorted(ends, drawn, side="right").astype(jnp.int32)

    @cached_property
    def _noise_ends(self) -> np.ndarray:
        """Where the share of each word among all integers of 32 bits ends; the last ends them."""
        ends = np.cumsum(noise_distribution(self.counts, self.settings.power))[:-1]
        return np.minimum(np.round(ends * 2.0**32), 2.0**32 - 1).astype(np.uint32)

    @cached_property
    def _read(self) -> np.ndarray:
        return read_probability(self.counts, self.settings.subsample).astype(np.float32)

    @cached_property
    def _circular(self) -> tuple[np.ndarray, np.ndarray]:
        """Codes and lines, continued from the beginning by as much as an update reads."""
        size = len(self.text.codes) + self.reach
        codes, lines = (np.resize(array, size).astype(np.int32) for array in self.text)
        return codes, lines


def total_loss(
    rows: tuple[Float[Array, "G group E"], Float[Array, "G near+shared E"]], pairs: Pairs
) -> Float[Array, ""]:
    """The loss of rows of the two tables at `centres` and `contexts`, summed over all pairs."""
    scores = jnp.einsum("gie,gje->gij", *rows)
    near = pairs.positive.shape[-1]
    seen = pairs.positive * jax.nn.log_sigmoid(scores[..., :near])
    noise = pairs.negative * jax.nn.log_sigmoid(-scores[..., near:])
    return -seen.sum() - noise.sum()


def optimum(
    pair_counts: Float[np.ndarray, "V V"], noise: Float[np.ndarray, "V"], negatives: int
) -> Float[np.ndarray, "V V"]:
    """The scores `v_w · u_c` of least expected loss, where vectors are long enough to have them.

        log p(c | w) - log P(c) - log k

    With the context words' own distribution as the noise P, this is PMI - log k (Levy and Goldberg
    2014, equation 11). Pairs that never occur have -inf.

    Args:
        pair_counts: how often each word c (columns) is near each word w (rows), by weight.
        noise: probability of each noise word.
        negatives: k.
    """
    with np.errstate(divide="ignore"):
        given = np.log(pair_counts) - np.log(pair_counts.sum(axis=1, keepdims=True))
        return given - np.log(noise) - math.log(negatives)
