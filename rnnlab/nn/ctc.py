"""Connectionist temporal classification: labels of a sequence that does not say where they are.

At every step a network says one of K labels or nothing, the blank. A path says something at every
step; the labels of a path are what is left when repetitions are merged and blanks dropped:
`1 1 _ 1 2 2` says `1 1 2`. The probability of labels is that of all paths that say them.

Source: A. Graves et al., "Connectionist temporal classification: labelling unsegmented sequence
data with recurrent neural networks" (2006). Logits have the blank first, and label k at k + 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from rnnlab.arrays import Array, Bool, Float, Int
from rnnlab.nn.masks import valid_steps

#: The place of the blank among the logits.
BLANK = 0


def ctc_nats(
    logits: Float[Array, "B T K+1"],
    lengths: Int[Array, "B"],
    labels: Int[Array, "B L"],
    counts: Int[Array, "B"],
) -> tuple[Float[Array, "B"], Bool[Array, "B"]]:
    """`-log p` of the labels of each sequence, and whether they fit into its steps.

    Labels that do not fit have no path at all: their probability is 0, and no gradient can raise
    it. `optax.ctc_loss` gives about 1e5 for them, which drowns the others; here they have 0 nats
    and no gradient, for the caller to leave out and to count.

    Args:
        logits: of the blank and each label at each step.
        lengths: steps of each sequence.
        labels: 0 .. K - 1.
        counts: how many labels each has.
    """
    labels, counts = jnp.asarray(labels, jnp.int32), jnp.asarray(counts, jnp.int32)
    lengths = jnp.asarray(lengths, jnp.int32)
    there = valid_steps(counts, labels.shape[1])
    fits = needed(labels, counts) <= lengths
    past_steps, past_labels = (
        1 - valid_steps(n, size).astype(logits.dtype)
        for n, size in ((lengths, logits.shape[1]), (counts, labels.shape[1]))
    )
    # What is past the end is made finite, and what does not fit is made to fit, so that neither
    # values nor gradients that are thrown away are NaN.
    steps = valid_steps(lengths, logits.shape[1])
    logits = jnp.where((steps & fits[:, None])[..., None], logits, 0)
    past_labels = jnp.where(fits[:, None], past_labels, 1)
    with jax.numpy_dtype_promotion("standard"):  # optax mixes Python numbers and arrays
        nats = optax.ctc_loss(
            logits, past_steps, jnp.where(there, labels + 1, 0), past_labels, blank_id=BLANK
        )
    return jnp.where(fits, nats, 0).astype(logits.dtype), fits


def needed(labels: Int[Array, "B L"], counts: Int[Array, "B"]) -> Int[Array, "B"]:
    """The least steps that labels fit into: one each, and a blank between two that are the same."""
    pairs = valid_steps(counts, labels.shape[1])[:, 1:]
    same = (labels[:, 1:] == labels[:, :-1]) & pairs
    return counts + same.sum(axis=1).astype(counts.dtype)


class Said(NamedTuple):
    """Labels with their probability.

    Attributes:
        labels: 0 .. K - 1.
        log_p: of all paths that say them, or of those that the search has kept.
    """

    labels: tuple[int, ...]
    log_p: float


def merged(path: Sequence[int] | Int[np.ndarray, "T"]) -> tuple[int, ...]:
    """The labels of a path: repetitions merged, blanks dropped."""
    said, before = [], BLANK
    for symbol in np.asarray(path).tolist():
        if symbol not in (BLANK, before):
            said.append(symbol - 1)
        before = symbol
    return tuple(said)


def greedy(log_p: Float[np.ndarray, "T K+1"]) -> Said:
    """The labels of the likeliest path, which may not be the likeliest labels.

    Args:
        log_p: log-probabilities of the blank and each label at each step.

    Returns:
        The labels, with the probability of that one path.
    """
    return Said(merged(log_p.argmax(axis=1)), float(log_p.max(axis=1).sum()))


def prefix_beam(log_p: Float[np.ndarray, "T K+1"], width: int = 16) -> list[Said]:
    """The likeliest labels, the best first: a search over beginnings of labels.

    Of each beginning two probabilities are kept, of the paths that end with a blank and of those
    that end with its last label, for only after a blank the same label can follow as another one.
    With a width of all beginnings it is exact.

    Source: A. Graves et al. (2006), section 3.2; A. Hannun et al., "First-pass large vocabulary
    continuous speech recognition using bi-directional recurrent DNNs" (2014), algorithm 1.

    Args:
        log_p: as in `greedy`.
        width: beginnings that are kept after each step.
    """
    beams = {(): (0.0, -np.inf)}
    for row in np.asarray(log_p, np.float64):
        found: dict[tuple[int, ...], list[float]] = {}

        def add(labels: tuple[int, ...], kind: int, value: float, found: Any = found) -> None:
            pair = found.setdefault(labels, [-np.inf, -np.inf])
            pair[kind] = np.logaddexp(pair[kind], value)

        for labels, (blank, label) in beams.items():
            either = np.logaddexp(blank, label)
            add(labels, 0, either + row[BLANK])
            if labels:
                add(labels, 1, label + row[labels[-1] + 1])
            for new in range(len(row) - 1):
                before = blank if labels and labels[-1] == new else either
                if before > -np.inf:
                    add((*labels, new), 1, before + row[new + 1])
        best = sorted(found.items(), key=lambda item: -np.logaddexp(item[1][0], item[1][1]))[:width]
        beams = {labels: (pair[0], pair[1]) for labels, pair in best}
    said = [Said(labels, float(np.logaddexp(pair[0], pair[1]))) for labels, pair in beams.items()]
    return sorted(said, key=lambda one: -one.log_p)


def aligned(log_p: Float[np.ndarray, "T K+1"], labels: Sequence[int]) -> list[tuple[int, int]]:
    """Where the likeliest path that says these labels says each of them.

    Args:
        log_p: as in `greedy`.
        labels: as `greedy` or `prefix_beam` finds them, which fit into the steps.

    Returns:
        For each label its first step, and the one after its last.
    """
    symbols = [BLANK]
    for label in labels:
        symbols += [label + 1, BLANK]
    steps, places = len(log_p), len(symbols)
    score, came = np.full(places, -np.inf), np.zeros((steps, places), int)
    score[:2] = log_p[0, symbols[:2]] if steps else 0
    for step in range(1, steps):
        stay, one = score, np.append(-np.inf, score[:-1])
        two = np.append([-np.inf] * min(2, places), score[:-2])
        for place in range(places):  # a blank may be left out between labels that differ
            if place < 2 or symbols[place] in (BLANK, symbols[place - 2]):
                two[place] = -np.inf
        choices = np.stack([stay, one, two])
        came[step] = choices.argmax(axis=0)
        score = choices.max(axis=0) + log_p[step, symbols]
    place = places - 1 if places == 1 or score[-1] >= score[-2] else places - 2
    spans: dict[int, list[int]] = {}
    for step in range(steps - 1, -1, -1):
        if place % 2:
            spans.setdefault(place, []).append(step)
        place -= int(came[step, place])
    return [(min(spans[at]), max(spans[at]) + 1) for at in sorted(spans)]


def edits(said: Sequence[int], wanted: Sequence[int]) -> int:
    """Labels that were inserted, left out or exchanged, at least (V. Levenshtein, 1966)."""
    row = list(range(len(wanted) + 1))
    for count, label in enumerate(said, 1):
        before, row = row, [count]
        for place, other in enumerate(wanted):
            row.append(min(before[place] + (label != other), before[place + 1] + 1, row[-1] + 1))
    return row[-1]
