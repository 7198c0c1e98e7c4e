"""A linear-chain conditional random field: the probability of a whole sequence of labels.

With scores `s_t[k]` of labels, a start `a`, transitions `A` and an end `e`,

    score(l_1 … l_T) = a[l_1] + Σ_t s_t[l_t] + Σ_t A[l_{t-1}, l_t] + e[l_T]
    log p(l) = score(l) - log Σ_{l'} exp score(l')

Source: J. Lafferty, A. McCallum and F. Pereira, "Conditional random fields" (2001); over a
recurrent network as in Lample et al. (2016), section 2.2.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.typing import DTypeLike

from rnnlab.arrays import Array, Bool, Float, Int
from rnnlab.errors import UsageError
from rnnlab.nn.masks import blanked, valid_steps

#: The score of what is not allowed, in the likelihood: exp of it is zero, and it is a number.
FORBIDDEN = -1e4


class Allowed(NamedTuple):
    """Which labels may begin a sequence, and which may follow which.

    Attributes:
        start: `[K]`.
        transition: from each label, by rows, to each: `[K, K]`.
    """

    start: Bool[np.ndarray, "labels"]
    transition: Bool[np.ndarray, "labels labels"]


def bio(labels: Sequence[str]) -> Allowed:
    """What IOB2 allows: `I-X` continues `B-X` or `I-X`, and nothing else; labels may be any others.

    Source: L. Ramshaw and M. Marcus, "Text chunking using transformation-based learning" (1995).
    """
    inside = np.array([label.startswith("I-") for label in labels])
    kinds = [label[2:] if label.startswith(("B-", "I-")) else None for label in labels]
    same = np.array([[a is not None and a == b for b in kinds] for a in kinds])
    return Allowed(~inside, ~inside[None, :] | same)


class CRF(nnx.Module):
    """A linear-chain conditional random field over scores `[B, T, K]`.

    Parameters are `start [K]`, `transition [K, K]`, from rows to columns, and `end [K]`, zero at
    the beginning. What is not allowed has probability zero, and `viterbi` never answers it; labels
    of the data that are not allowed have a log-likelihood near -10⁴ for each break.

    Attributes:
      labels: number of labels K.
      allowed: constraints, such as `bio(names)`; None for none.
      param_dtype: of the parameters, and of the scores.

    Raises:
      UsageError: constraints of other labels.
    """

    def __init__(
        self, labels: int, *, allowed: Allowed | None = None, param_dtype: DTypeLike = jnp.float32
    ) -> None:
        self.labels = labels
        if allowed is None:
            allowed = Allowed(np.ones(labels, bool), np.ones((labels, labels), bool))
        if allowed.start.shape != (labels,) or allowed.transition.shape != (labels, labels):
            raise UsageError(f"allowed: is of {len(allowed.start)} labels, not of {labels}")
        # Tuples, so that they are part of the module's structure and no parameters.
        self._may_start = tuple(map(bool, allowed.start))
        self._may_follow = tuple(tuple(map(bool, row)) for row in allowed.transition)
        self.start = nnx.Param(jnp.zeros((labels,), param_dtype))
        self.transition = nnx.Param(jnp.zeros((labels, labels), param_dtype))
        self.end = nnx.Param(jnp.zeros((labels,), param_dtype))

    def log_likelihood(
        self,
        scores: Float[Array, "B T K"],
        labels: Int[Array, "B T"],
        lengths: Int[Array, "B"],
    ) -> Float[Array, "B"]:
        """`log p` of the labels of each sequence; 0 for one of length 0.

        Args:
          scores: of each label at each step.
          labels: in 0 .. K - 1; past the end they may be anything.
          lengths: steps of each sequence, 0 .. T.
        """
        return self.score(scores, labels, lengths) - self.log_normaliser(scores, lengths)

    def score(
        self,
        scores: Float[Array, "B T K"],
        labels: Int[Array, "B T"],
        lengths: Int[Array, "B"],
    ) -> Float[Array, "B"]:
        """The score of the labels of each sequence; arguments as in `log_likelihood`."""
        if not scores.shape[1]:
            return jnp.zeros(len(scores), scores.dtype)
        start, transition = self._penalised(FORBIDDEN)
        valid = valid_steps(lengths, scores.shape[1])
        labels = jnp.where(valid, labels, 0)
        at_steps = jnp.take_along_axis(blanked(scores, valid), labels[..., None], axis=-1)[..., 0]
        between = jnp.where(valid[:, 1:], transition[labels[:, :-1], labels[:, 1:]], 0)
        ends = jnp.take_along_axis(labels, jnp.maximum(lengths - 1, 0)[:, None], axis=1)[:, 0]
        borders = start[labels[:, 0]] + self.end.get_value()[ends]
        inside = jnp.where(valid, at_steps, 0).sum(axis=1) + between.sum(axis=1)
        return jnp.where(lengths > 0, borders + inside, 0)

    def log_normaliser(
        self, scores: Float[Array, "B T K"], lengths: Int[Array, "B"]
    ) -> Float[Array, "B"]:
        """The log of the sum over all sequences, by the forward algorithm; 0 for length 0.

        `α_t[j] = s_t[j] + log Σ_i exp(α_{t-1}[i] + A[i, j])`
        """
        if not scores.shape[1]:
            return jnp.zeros(len(scores), scores.dtype)
        start, transition = self._penalised(FORBIDDEN)
        valid = valid_steps(lengths, scores.shape[1])
        scores = blanked(scores, valid)

        def forward(alpha: Array, step: tuple[Array, Array]) -> tuple[Array, None]:
            score, inside = step
            after = score + jax.nn.logsumexp(alpha[:, :, None] + transition, axis=1)
            return jnp.where(inside[:, None], after, alpha), None

        steps = jnp.swapaxes(scores, 0, 1)[1:], valid.T[1:]
        alpha, _ = jax.lax.scan(forward, start + scores[:, 0], steps)
        total = jax.nn.logsumexp(alpha + self.end.get_value(), axis=-1)
        return jnp.where(lengths > 0, total, 0)

    def viterbi(
        self, scores: Float[Array, "B T K"], lengths: Int[Array, "B"]
    ) -> tuple[Int[Array, "B T"], Float[Array, "B"]]:
        """The likeliest labels of each sequence, int32, 0 past its end; and their score.

        Source: A. Viterbi, "Error bounds for convolutional codes" (1967).
        """
        if not scores.shape[1]:
            return jnp.zeros(scores.shape[:2], jnp.int32), jnp.zeros(len(scores), scores.dtype)
        start, transition = self._penalised(-jnp.inf)
        valid = valid_steps(lengths, scores.shape[1])
        scores = blanked(scores, valid)
        stay = jnp.arange(self.labels, dtype=jnp.int32)

        def forward(best: Array, step: tuple[Array, Array]) -> tuple[Array, Array]:
            score, inside = step
            paths = best[:, :, None] + transition
            before = jnp.argmax(paths, axis=1).astype(jnp.int32)
            after = score + jnp.max(paths, axis=1)
            inside = inside[:, None]
            return jnp.where(inside, after, best), jnp.where(inside, before, stay)

        def back(label: Array, before: Array) -> tuple[Array, Array]:
            return jnp.take_along_axis(before, label[:, None], axis=1)[:, 0], label

        steps = jnp.swapaxes(scores, 0, 1)[1:], valid.T[1:]
        best, before = jax.lax.scan(forward, start + scores[:, 0], steps)
        best = best + self.end.get_value()
        end = jnp.argmax(best, axis=-1).astype(jnp.int32)
        first, rest = jax.lax.scan(back, end, before, reverse=True)
        labels = jnp.concatenate([first[None], rest]).T
        return jnp.where(valid, labels, 0), jnp.where(lengths > 0, best.max(axis=-1), 0)

    def marginals(
        self, scores: Float[Array, "B T K"], lengths: Int[Array, "B"]
    ) -> Float[Array, "B T K"]:
        """The probability of each label at each step, zero past the end.

        They are the derivatives of the normaliser with respect to the scores.
        """
        return jax.grad(lambda scores: self.log_normaliser(scores, lengths).sum())(scores)

    def _penalised(self, penalty: float) -> tuple[Array, Array]:
        """Start and transitions, with the penalty where they are not allowed."""
        start, transition = self.start.get_value(), self.transition.get_value()
        penalty_array = jnp.asarray(penalty, start.dtype)
        start = jnp.where(np.array(self._may_start), start, penalty_array)
        return start, jnp.where(np.array(self._may_follow), transition, penalty_array)
