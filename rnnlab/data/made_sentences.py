"""Small corpora that are made, for quick runs and tests: sentences with labels, words with labels.

Both need more than a bag of words: whether a word is good or bad depends on a `not` before it, and
whether a name is a person or a place on the words around it.
"""

from __future__ import annotations

import random

from rnnlab.data.sentences import Labelled, Tagged, codes

NAMES = ("negative", "neutral", "positive")
THINGS = [
    "the film",
    "the plot",
    "this story",
    "every scene",
    "the cast",
    "the music",
    "her voice",
    "that ending",
]
GOOD = ["fine", "lovely", "clever", "funny", "warm", "bright"]
BAD = ["dull", "weak", "boring", "cold", "clumsy", "stale"]
PLAIN = ["long", "short", "new", "old", "quiet", "recent"]
DEGREES = ["very", "really", "all that", "so"]
VERBS = ["is", "was", "seems", "feels", "remains"]

PEOPLE = ["Jordan", "Paris", "Austin", "Florence", "Sydney", "Anna", "Boris", "Peter"]
FAMILIES = ["Lee", "Grant", "Hill", "Stone", "Paris", "Austin"]
PLACES = ["Jordan", "Paris", "Austin", "Florence", "Sydney", "Rome", "Vienna", "Kiel"]
FIRMS = ["Acme", "Stone", "Orion", "Hill", "Globex"]
#: Slots: P a person, L a place, O an organisation; other words are as they are.
PATTERNS = (
    "P wrote to P from L .",
    "in L it rained when P came .",
    "P works for O in L .",
    "O has opened an office in L .",
    "shares of O fell , said P .",
    "the road from L to L was closed .",
    "P met the head of O .",
    "it was late and nobody came .",
)


def made_labelled(count: int, seed: int) -> Labelled:
    """Sentences about films, whose words are negated half of the time."""
    draw = random.Random(seed)
    texts, labels = [], []
    for _ in range(count):
        label = draw.randrange(3)
        negated = draw.random() < 0.5
        words = PLAIN if label == 1 else GOOD if (label == 2) != negated else BAD
        middle = [draw.choice(VERBS), *(["not"] if negated else []), *_degree(draw)]
        before = [draw.choice(("well ,", "yes ,", "again"))] if draw.random() < 0.3 else []
        texts.append(" ".join([*before, draw.choice(THINGS), *middle, draw.choice(words)]))
        labels.append(label)
    return Labelled(texts, codes(labels), NAMES)


def _degree(draw: random.Random) -> list[str]:
    """Words between `not` and what it negates, so that no pair of neighbours holds both."""
    return [draw.choice(DEGREES) for _ in range(draw.randrange(3))]


def made_tagged(count: int, seed: int) -> Tagged:
    """Sentences with people (PER), places (LOC) and organisations (ORG) in IOB2.

    Some names are of all three kinds.
    """
    draw = random.Random(seed)
    tagged = Tagged([], [])
    for _ in range(count):
        words, labels = [], []
        for slot in draw.choice(PATTERNS).split():
            name, kind = _name(draw, slot)
            words += name
            labels += [
                f"{'I' if place else 'B'}-{kind}" if kind else "O" for place in range(len(name))
            ]
        tagged.sentences.append(words)
        tagged.labels.append(labels)
    return tagged


def _name(draw: random.Random, slot: str) -> tuple[list[str], str]:
    """Words for a slot of a pattern, and the type of the entity that they are; empty for none."""
    if slot == "P":
        family = [draw.choice(FAMILIES)] if draw.random() < 0.5 else []
        return [draw.choice(PEOPLE), *family], "PER"
    if slot == "L":
        return [draw.choice(PLACES)], "LOC"
    if slot == "O":
        return [draw.choice(FIRMS), *(["Ltd"] if draw.random() < 0.5 else [])], "ORG"
    return [slot], ""
