"""A text for quick runs: sentences of few words, with speech in quotes and lines of even width."""

from __future__ import annotations

import re
import textwrap

import numpy as np

NAMES = ("Anna", "Peter", "Natasha", "Boris")
VERBS = ("saw", "followed", "answered", "remembered", "watched")
THINGS = ("the river", "an old house", "the garden", "a letter", "the winter road")
SPEECH = ("said", "asked", "whispered")


def made_text(sentences: int, seed: int = 0) -> str:
    """A text of that many sentences, in paragraphs of lines of at most 60 characters."""
    random = np.random.default_rng(seed)

    def one(words: tuple[str, ...]) -> str:
        return words[random.integers(len(words))]

    def sentence() -> str:
        name, told = one(NAMES), f"{one(VERBS)} {one(THINGS)}"
        if random.random() < 0.4:
            return f'"I {told} and {one(VERBS)} {one(THINGS)}," {one(SPEECH)} {name}.'
        return f"{name} {told}."

    paragraphs = []
    while sentences > 0:
        count = min(sentences, int(random.integers(4, 9)))
        paragraphs.append(textwrap.fill(" ".join(sentence() for _ in range(count)), 60))
        sentences -= count
    return "\n\n".join(paragraphs) + "\n"


def made_lines(sentences: int) -> str:
    """The sentences of `made_text`, one a line, with spaces around punctuation."""
    text = re.sub(r'([",.])', r" \1 ", made_text(sentences))
    return " ".join(text.split()).replace(" . ", " .\n") + "\n"
