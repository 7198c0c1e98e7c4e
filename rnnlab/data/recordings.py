"""Recordings of spoken digits: what they are, those that are made, and their splits."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import numpy as np

from rnnlab.arrays import Bool, Int
from rnnlab.data.sentences import Splits
from rnnlab.data.source import MADE, Folders, found
from rnnlab.errors import UsageError
from rnnlab.run import checks

#: Samples of a second, and the digits.
RATE, DIGITS = 8000, 10
FSDD = "spoken_digits"
#: Who speaks in each set.
SPEAKERS = {
    FSDD: ("george", "jackson", "lucas", "nicolas", "theo", "yweweler"),
    MADE: ("high", "low", "middle"),
}
#: Recordings of each digit by each speaker: of those with these numbers, the first ones test and
#: the next ones validate.
TESTED, VALIDATED = 5, 10
#: Of each digit by each speaker that is made.
MADE_COUNT = 18
#: Frequencies in Hz of the two tones of made digits 0 to 4, before the speaker's factor; 5 to 9
#: have the same in the other order.
TONES = ((350.0, 900.0), (350.0, 1900.0), (620.0, 900.0), (620.0, 1300.0), (900.0, 1900.0))
FACTORS = {"high": 1.18, "low": 0.85, "middle": 1.0}


class Recordings(NamedTuple):
    """Recordings of one digit each, 8,000 samples a second.

    Attributes:
        samples: of each recording, int16.
        labels: the digits, int32 `[N]`.
        speakers: who spoke each.
        numbers: of each among those of its speaker and digit, `[N]`.
    """

    samples: list[Int[np.ndarray, "T"]]
    labels: Int[np.ndarray, "N"]
    speakers: tuple[str, ...]
    numbers: Int[np.ndarray, "N"]

    def where(self, chosen: Bool[np.ndarray, "N"]) -> Recordings:
        """Some of the recordings."""
        rows = np.flatnonzero(chosen)
        return Recordings(
            [self.samples[row] for row in rows],
            self.labels[rows],
            tuple(self.speakers[row] for row in rows),
            self.numbers[rows],
        )


@dataclasses.dataclass(frozen=True)
class SpeechSource(Folders):
    """Which recordings are learned and tested."""

    #: spoken_digits (the Free Spoken Digit Dataset), or made (tones for quick runs).
    data: str = MADE
    #: A speaker whose recordings all test, and train nothing; empty for the published split.
    held_out_speaker: str = ""

    def __post_init__(self) -> None:
        """Checks both."""
        checks.one_of(self, "data", (FSDD, MADE))
        checks.one_of(self, "held_out_speaker", ("", *SPEAKERS[self.data]))


@dataclasses.dataclass(frozen=True)
class Strings:
    """How recordings are joined to strings."""

    #: Digits of the shortest strings.
    shortest: int = 3
    #: Digits of the longest strings.
    longest: int = 7
    #: Seconds before, between and after digits, at least.
    least_pause: float = 0.05
    #: Seconds before, between and after digits, at most.
    most_pause: float = 0.3
    #: Seconds of a string at most; of a longer one the last digits are left out.
    seconds: float = 5.5
    #: Strings that validate, always the same ones.
    validation: int = 100
    #: Strings that test, always the same ones.
    test: int = 300

    def __post_init__(self) -> None:
        """Checks every field."""
        checks.at_least(self, shortest=1, validation=1, test=1)
        checks.non_negative(self, "least_pause")
        checks.positive(self, "seconds")
        if self.longest < self.shortest:
            raise UsageError(f"longest={self.longest}: must be at least shortest={self.shortest}")
        if self.most_pause < self.least_pause:
            raise UsageError(
                f"most_pause={self.most_pause}: must be at least least_pause={self.least_pause}"
            )


def read_recordings(source: SpeechSource) -> Splits[Recordings]:
    """The splits of a data set.

    Of each speaker and digit, numbers 0 to 4 test, 5 to 9 validate and the others train. With a
    speaker held out, all recordings of that one test, and of the others 5 to 9 validate.

    Raises:
        UsageError: `manual_dir` is not a folder.
        RunError: the data can be neither found nor downloaded, or are damaged.
    """
    if source.data == MADE:
        return split(made_recordings(MADE_COUNT, 0), source.held_out_speaker)
    load = found("rnnlab.data.spoken_digits", "load_recordings")
    folders = source.data_dir or None, source.manual_dir or None
    train, test = (load(*folders, name) for name in ("train", "test"))
    return split(joined(train, test), source.held_out_speaker)


def split(recordings: Recordings, held_out_speaker: str = "") -> Splits[Recordings]:
    """The splits that `read_recordings` says.

    Raises:
        UsageError: there is no such speaker.
    """
    if held_out_speaker and held_out_speaker not in recordings.speakers:
        raise UsageError(
            f"held_out_speaker={held_out_speaker}: must be one of "
            f"{', '.join(sorted(set(recordings.speakers)))}"
        )
    numbers = recordings.numbers
    validates = (numbers >= TESTED) & (numbers < VALIDATED)
    if held_out_speaker:
        tests = np.array([speaker == held_out_speaker for speaker in recordings.speakers])
        validates &= ~tests
    else:
        tests = numbers < TESTED
    return Splits(*(recordings.where(each) for each in (~tests & ~validates, validates, tests)))


def joined(first: Recordings, second: Recordings) -> Recordings:
    """All recordings of two sets."""
    return Recordings(
        first.samples + second.samples,
        np.concatenate([first.labels, second.labels]),
        first.speakers + second.speakers,
        np.concatenate([first.numbers, second.numbers]),
    )


def made_recordings(count: int, seed: int) -> Recordings:
    """Digits as two tones that follow each other, in noise, by three speakers of other pitches.

    Half of the digits differ from the others in the order of their tones alone.

    Args:
        count: recordings of each digit by each speaker.
        seed: of all that is random.
    """
    random = np.random.default_rng(seed)
    rows = [
        (_tones(digit, FACTORS[speaker], random), digit, speaker, number)
        for speaker in SPEAKERS[MADE]
        for digit in range(DIGITS)
        for number in range(count)
    ]
    samples, labels, speakers, numbers = zip(*rows, strict=True)
    return Recordings(list(samples), np.array(labels, np.int32), speakers, np.array(numbers))


def _tones(digit: int, factor: float, random: np.random.Generator) -> Int[np.ndarray, "T"]:
    length = int(random.uniform(0.12, 0.22) * RATE)
    time = np.arange(length) / RATE
    pair = TONES[digit % len(TONES)][:: 1 if digit < len(TONES) else -1]
    tones = [np.sin(2 * np.pi * factor * each * time + random.uniform(0, 6)) for each in pair]
    fall = np.clip(np.linspace(4, -4, length) + random.uniform(-1, 1), 0, 1)
    sound = fall * tones[0] + (1 - fall) * tones[1]
    edge = np.minimum(1, np.minimum(np.arange(length), np.arange(length)[::-1]) / 80)
    loud = random.uniform(0.1, 0.4)
    noise = random.normal(0, 0.003, length)
    return (32767 * (loud * edge * sound + noise)).astype(np.int16)
