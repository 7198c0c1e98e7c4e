"""Strings of spoken digits: recordings of one speaker, joined with pauses, without end."""

from __future__ import annotations

from typing import NamedTuple

import grain
import numpy as np

from rnnlab.arrays import Int
from rnnlab.data.buckets import Padded, pad
from rnnlab.data.recordings import DIGITS, RATE, Recordings, Strings
from rnnlab.errors import UsageError

#: Noise of a whole string, as powers of ten of a full sample.
NOISE = (-4.0, -2.7)


class DigitString(NamedTuple):
    """Digits that one speaker says.

    Attributes:
        samples: int16.
        digits: int32 `[L]`.
    """

    samples: Int[np.ndarray, "T"]
    digits: Int[np.ndarray, "L"]


class Joiner:
    """Draws strings of some recordings.

    Args:
        recordings: of which every speaker has every digit.
        settings: how they are joined.

    Raises:
        UsageError: a speaker lacks a digit, or a recording alone is too long.
    """

    def __init__(self, recordings: Recordings, settings: Strings):
        self._recordings, self._settings = recordings, settings
        self._speakers = sorted(set(recordings.speakers))
        speakers = np.array(recordings.speakers)
        self._rows = {
            (speaker, digit): np.flatnonzero((speakers == speaker) & (recordings.labels == digit))
            for speaker in self._speakers
            for digit in range(DIGITS)
        }
        for (speaker, digit), rows in self._rows.items():
            if not len(rows):
                raise UsageError(f"recordings: {speaker} has none of the digit {digit}")
        most = max(map(len, recordings.samples)) / RATE + 2 * settings.most_pause
        if most > settings.seconds:
            raise UsageError(
                f"seconds={settings.seconds}: a digit alone takes up to {most:.3g} s with pauses"
            )

    def draw(self, random: np.random.Generator) -> DigitString:
        """A string: speaker, length and digits are equally likely, pauses uniform."""
        settings = self._settings
        speaker = self._speakers[random.integers(len(self._speakers))]
        count = random.integers(settings.shortest, settings.longest + 1)
        digits = random.integers(0, DIGITS, count).astype(np.int32)
        rows = [random.choice(self._rows[speaker, digit]) for digit in digits.tolist()]
        pauses = random.uniform(settings.least_pause, settings.most_pause, count + 1) * RATE
        parts = [np.zeros(int(pauses[0]))]
        for row, pause in zip(rows, pauses[1:], strict=True):
            parts += [self._recordings.samples[row].astype(np.float64), np.zeros(int(pause))]
        while sum(map(len, parts)) > settings.seconds * RATE:
            del parts[-2:]
        sound = np.concatenate(parts)
        sound += random.normal(0, 32768 * 10 ** random.uniform(*NOISE), len(sound))
        samples = np.clip(np.rint(sound), -32768, 32767).astype(np.int16)
        return DigitString(samples, digits[: len(parts) // 2])


def fixed_strings(
    recordings: Recordings, settings: Strings, count: int, seed: int
) -> list[DigitString]:
    """That many strings, the same ones for a seed; errors as `Joiner`."""
    joiner = Joiner(recordings, settings)
    return [joiner.draw(np.random.default_rng((seed, number))) for number in range(count)]


def endless_strings(
    recordings: Recordings, settings: Strings, batch: int, seed: int
) -> grain.MapDataset:
    """Batches of strings, each a pure function of its number and the seed; errors as `Joiner`.

    Returns:
        A data set of `Padded` rows `(samples, digits)`, batch first.
    """
    joiner = Joiner(recordings, settings)
    steps = [int(settings.seconds * RATE), settings.longest]

    def make(number: int) -> Padded:
        random = np.random.default_rng((seed, int(number)))
        rows = [tuple(joiner.draw(random)) for _ in range(batch)]
        return pad(rows, steps, np.arange(batch, dtype=np.int32), time_major=False)

    return grain.MapDataset.range(2**62).map(make)
