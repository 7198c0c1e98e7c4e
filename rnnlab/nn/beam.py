"""Beam search: the K likeliest beginnings of a sequence, continued together.

Beginnings are ranked, while they grow and at the end, by

    score = log p(Y) / ((5 + |Y|) / 6)^α

with the length `|Y|` of what was written, the end symbol included (Y. Wu et al., "Google's neural
machine translation system", 2016, equation 14; its coverage penalty is left out). A sequence that
has ended is frozen: it keeps its score and its place until others outrank it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from rnnlab.arrays import Array, Float, Int, State
from rnnlab.errors import UsageError
from rnnlab.nn.decoding import PAD, Step


class Hypotheses(NamedTuple):
    """The K best sequences that were found for each row, best first.

    Attributes:
      symbols: codes, without the end symbol and 0 behind it, int32 `[B, K, L]`.
      lengths: symbols of each, without the end symbol, int32 `[B, K]`.
      scores: by which they are ranked, `[B, K]`; -inf where there are fewer than K sequences.
      log_probability: of the whole sequence, in nats, `[B, K]`.
    """

    symbols: Int[Array, "B K L"]
    lengths: Int[Array, "B K"]
    scores: Float[Array, "B K"]
    log_probability: Float[Array, "B K"]


class _Beams(NamedTuple):
    """Beginnings while they grow, each leaf `[B, K, ...]`."""

    state: State
    symbols: Array
    last: Array
    lengths: Array
    count: Array
    nats: Array
    ended: Array


def beam_search(
    step: Step,
    state: State,
    limits: Int[Array, "B"],
    most: int,
    *,
    beams: int,
    start: int,
    end: int,
    penalty: float = 1.0,
) -> Hypotheses:
    """Finds likely sequences.

    Args:
      step: the decoder, for symbols `[B, K]` and a state of leaves `[B, K, ...]`.
      state: before its first step, leaves `[B, ...]`.
      limits: symbols of each row at most, as `decoding.limits_of` finds.
      most: the largest of them, L.
      beams: K; 1 writes what `decoding.greedy` does.
      start: code that is read first.
      end: code that ends a row.
      penalty: α; 0 ranks by probability, which favours short sequences.

    Raises:
      UsageError: fewer than one beam, or a negative penalty.
    """
    if beams < 1:
        raise UsageError(f"beams={beams}: must be at least 1")
    if not penalty >= 0:
        raise UsageError(f"penalty={penalty}: must be at least 0")
    limits = jnp.minimum(jnp.asarray(limits, jnp.int32), most)
    first = _first(step, state, limits, most, beams, start)

    def going(carry: Any) -> Array:
        return (carry[0] < most) & jnp.any(~carry[1].ended)

    def body(carry: Any) -> Any:
        place, now = carry
        return place + jnp.int32(1), _grow(step, now, place, limits, end, penalty)

    _, found = jax.lax.while_loop(going, body, (jnp.int32(0), first))
    scores = score(found.nats, found.count, penalty)
    order = jnp.argsort(-scores, axis=-1)
    best: Any = _choose((found.symbols, found.lengths, scores, found.nats), order)
    return Hypotheses(*best)


def score(
    nats: Float[Array, "..."], count: Int[Array, "..."], penalty: float
) -> Float[Array, "..."]:
    """`nats / ((5 + count) / 6)^penalty`."""
    return nats / ((5 + count.astype(nats.dtype)) / 6) ** penalty


def _first(step: Step, state: State, limits: Array, most: int, beams: int, start: int) -> _Beams:
    """One beginning for each row, and K - 1 that cannot be chosen."""
    rows = len(limits)
    state = jax.tree.map(
        lambda leaf: jnp.broadcast_to(leaf[:, None], (rows, beams, *leaf.shape[1:])), state
    )
    last = jnp.full((rows, beams), start, jnp.int32)
    dtype = jax.eval_shape(step, state, last)[1].dtype
    only = jnp.arange(beams) == 0
    nothing = jnp.zeros((rows, beams), jnp.int32)
    return _Beams(
        state,
        symbols=jnp.full((rows, beams, most), PAD, jnp.int32),
        last=last,
        lengths=nothing,
        count=nothing,
        nats=jnp.broadcast_to(jnp.where(only, jnp.zeros((), dtype), -jnp.inf), (rows, beams)),
        ended=jnp.broadcast_to(limits[:, None] <= 0, (rows, beams)),
    )


def _grow(step: Step, now: _Beams, place: Array, limits: Array, end: int, penalty: float) -> _Beams:
    """Continues every beginning by every symbol and keeps the K best."""
    state, logits = step(now.state, now.last)
    rows, beams, symbols = logits.shape
    nats = now.nats[..., None] + jax.nn.log_softmax(logits)
    # One that has ended continues in one way only, as it is.
    frozen = jnp.where(jnp.arange(symbols) == PAD, now.nats[..., None], -jnp.inf)
    nats = jnp.where(now.ended[..., None], frozen, nats)
    count = now.count + (~now.ended).astype(jnp.int32)
    ranks = score(nats, count[..., None], penalty).reshape(rows, -1)
    chosen = jax.lax.top_k(ranks, beams)[1]
    parents, last = chosen // symbols, (chosen % symbols).astype(jnp.int32)

    nats = jnp.take_along_axis(nats.reshape(rows, -1), chosen, axis=-1)
    kept, count = _choose((now._replace(state=state), count), parents)
    here = ~kept.ended & (last != end)
    lengths = kept.lengths + here.astype(jnp.int32)
    written = jnp.where(here, last, PAD)
    return _Beams(
        state=kept.state,
        symbols=kept.symbols.at[:, :, place].set(written),
        last=last,
        lengths=lengths,
        count=count,
        nats=nats,
        ended=kept.ended | (last == end) | (lengths >= limits[:, None]),
    )


def _choose(tree: Any, parents: Int[Array, "B K"]) -> Any:
    """The beams `parents` of each row, of a tree of `[B, K, ...]`."""
    return jax.tree.map(
        lambda leaf: jnp.take_along_axis(
            leaf, parents.reshape(*parents.shape, *(1,) * (leaf.ndim - 2)), axis=1
        ),
        tree,
    )
