"""Small chorales that are made, for quick runs: cadences in four voices, all in C major.

A frame alone does not tell which chord comes next: that needs the place within the phrase, and
whether the chord has lasted a beat already.
"""

from __future__ import annotations

import random

from rnnlab.data.piano_roll import Roll, roll

#: Semitones of a major scale.
SCALE = (0, 2, 4, 5, 7, 9, 11)
#: Degrees of the roots of the chords of a phrase.
PHRASES = ((0, 3, 4, 0), (0, 5, 3, 4, 0), (0, 4, 5, 3, 0, 4, 0), (0, 1, 4, 5))
#: Lowest pitch of the range of tenor, alto and soprano, an octave each.
RANGES = (50, 57, 64)


def made_chorales(count: int, seed: int) -> list[Roll]:
    """Chorales of three to five phrases, whose chords last a beat or two."""
    draw = random.Random(seed)
    return [_chorale(draw) for _ in range(count)]


def _chorale(draw: random.Random) -> Roll:
    frames: list[list[int]] = []
    for phrase in [*draw.choices(PHRASES, k=draw.randrange(2, 5)), PHRASES[0]]:
        for degree in phrase:
            frames += [_chord(degree)] * (2 if draw.random() < 0.25 else 1)
        frames.append(frames[-1])  # a phrase rests on its last chord
    return roll(frames)


def _chord(degree: int) -> list[int]:
    """A triad: its root in the bass, and root, third and fifth spread over the voices above."""
    root, third, fifth = (SCALE[(degree + step) % 7] for step in (0, 2, 4))
    above = zip(RANGES, (fifth, root, third), strict=True)
    return [36 + root, *(low + (note - low) % 12 for low, note in above)]
