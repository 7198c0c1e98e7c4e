"""Music as a piano roll: which of the 88 keys of a piano sound in each beat."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from rnnlab.arrays import UInt8

#: Keys of a piano, and the MIDI pitch of the lowest of them, A0; the highest is C8.
KEYS, LOWEST = 88, 21
NAMES = ("C", "C♯", "D", "E♭", "E", "F", "F♯", "G", "A♭", "A", "B♭", "B")

#: A frame for each beat: 1 where a key sounds.
Roll = UInt8[np.ndarray, "T keys"]


def roll(frames: Sequence[Iterable[int]]) -> Roll:
    """The piano roll of frames that name the MIDI pitches of their keys.

    Raises:
        ValueError: a pitch that a piano does not have.
    """
    keys = np.zeros((len(frames), KEYS), np.uint8)
    for time, pitches in enumerate(frames):
        for pitch in pitches:
            if not LOWEST <= pitch < LOWEST + KEYS:
                raise ValueError(f"pitch {pitch}: a piano has {LOWEST} .. {LOWEST + KEYS - 1}")
            keys[time, pitch - LOWEST] = 1
    return keys


def pitches(keys: Roll) -> list[list[int]]:
    """The MIDI pitches of each frame, ascending."""
    return [(np.flatnonzero(frame) + LOWEST).tolist() for frame in keys]


def tops(keys: Roll) -> Roll:
    """The melody: of each frame the highest key alone."""
    found = np.zeros_like(keys)
    sounding = keys.any(axis=1)
    found[sounding, KEYS - 1 - np.argmax(keys[sounding, ::-1], axis=1)] = 1
    return found


def shifted(keys: Roll, semitones: int) -> Roll:
    """All keys moved up, or down for a negative number; what leaves the piano is left out."""
    found = np.zeros_like(keys)
    low, high = max(semitones, 0), KEYS + min(semitones, 0)
    found[:, low:high] = keys[:, low - semitones : high - semitones]
    return found


def shifts(keys: Roll) -> list[int]:
    """The semitones, of an octave around 0, by which no key leaves the piano."""
    used = np.flatnonzero(keys.any(axis=0))
    low, high = (int(used[0]), int(used[-1])) if len(used) else (KEYS // 2,) * 2
    return [one for one in range(-6, 6) if low + one >= 0 and high + one < KEYS]


def pitch_name(pitch: int) -> str:
    """The name of a MIDI pitch: 60 is C4, the middle C, 61 is C♯4."""
    return f"{NAMES[pitch % 12]}{pitch // 12 - 1}"


def trimmed(keys: Roll) -> Roll:
    """Without the silence before the first and after the last key."""
    sounding = np.flatnonzero(keys.any(axis=1))
    return keys[sounding[0] : sounding[-1] + 1] if len(sounding) else keys[:0]
