"""A small text that is made: a Markov chain of few words, in which every pair of words occurs."""

from __future__ import annotations

import numpy as np

WORDS = ("sun", "rain", "wind", "snow", "fog", "hail")
#: Words of a line.
LINE = 20


def made_chain(lines: int, seed: int = 0) -> str:
    """Lines of a chain whose probabilities are drawn, each between 0.05 and 0.45 or so."""
    draw = np.random.default_rng(seed)
    chances = 0.2 + draw.random((len(WORDS), len(WORDS)))
    ends = np.cumsum(chances / chances.sum(axis=1, keepdims=True), axis=1)
    text = []
    for _ in range(lines):
        word = int(draw.integers(len(WORDS)))
        line = [word]
        for chance in draw.random(LINE - 1):
            word = min(int(np.searchsorted(ends[word], chance)), len(WORDS) - 1)
            line.append(word)
        text.append(" ".join(WORDS[code] for code in line))
    return "\n".join(text) + "\n"
