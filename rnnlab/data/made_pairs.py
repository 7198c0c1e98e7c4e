"""A small parallel corpus for quick runs: German sentences whose words change places in English."""

from __future__ import annotations

import itertools

import numpy as np

ADVERBS = (("Heute", "today"), ("Oft", "often"), ("Jetzt", "now"), ("Am Abend", "in the evening"))
VERBS = (("sieht", "sees"), ("sucht", "seeks"), ("malt", "paints"), ("findet", "finds"))
SUBJECTS = (
    *(("der Hund", "the dog"), ("die Frau", "the woman"), ("ein Kind", "a child")),
    *(("mein Bruder", "my brother"), ("Anna", "Anna")),
)
OBJECTS = (
    *(
        ("den {} Ball", "the {} ball"),
        ("die {} Katze", "the {} cat"),
        ("das {} Haus", "the {} house"),
    ),
    *(("jeden {} Baum", "every {} tree"),),
)
#: An adjective with the endings that follow den, die, das and jeden.
ADJECTIVES = (
    *((("roten", "rote", "rote", "roten"), "red"), (("alten", "alte", "alte", "alten"), "old")),
    *((("kleinen", "kleine", "kleine", "kleinen"), "small"),),
)


def made_pairs(count: int, seed: int = 0) -> tuple[list[str], list[str]]:
    """German and English sentences, all different; there are 960 at most.

    The verb is second in German and third in English: `Oft sucht Anna den roten Ball.` is `Anna
    often seeks the red ball.` for one word of time, and `In the evening Anna …` at its beginning.
    """
    choices = list(itertools.product(ADVERBS, VERBS, SUBJECTS, range(len(OBJECTS)), ADJECTIVES))
    order = np.random.default_rng(seed).permutation(len(choices))[:count]
    pairs = [_pair(*choices[index]) for index in order]
    return [german for german, _ in pairs], [english for _, english in pairs]


def _pair(adverb, verb, subject, thing, adjective) -> tuple[str, str]:
    german = OBJECTS[thing][0].format(adjective[0][thing])
    english = OBJECTS[thing][1].format(adjective[1])
    told = f"{subject[1]} {adverb[1]} {verb[1]} {english}."
    if " " in adverb[1]:
        told = f"{adverb[1]} {subject[1]} {verb[1]} {english}."
    return f"{adverb[0]} {verb[0]} {subject[0]} {german}.", told[0].upper() + told[1:]
