"""MIDI files to piano rolls of a frame for each beat, and back.

A frame holds the keys that sound an eighth of a beat after its beginning: what is struck a little
late counts, and what lies between two beats does not. Channel 10, drums, and pitches that a piano
does not have are left out. Tempi change nothing, for beats are counted and not seconds.
"""

from __future__ import annotations

import io
import os
import pathlib
from typing import Any, NamedTuple

import numpy as np

from rnnlab.data.piano_roll import KEYS, LOWEST, Roll
from rnnlab.errors import UsageError
from rnnlab.run.files import atomic_write, expanded

#: Bytes of a file and beats of it that are read, at most.
BYTES, BEATS = 4 << 20, 10_000
#: The channel of drums, counted from 0.
DRUMS = 9
#: What is written: ticks of a beat, beats of a minute, and the instrument, a church organ.
TICKS, TEMPO, ORGAN = 480, 72, 19


class Note(NamedTuple):
    """A key, and the ticks at which it is struck and let go."""

    pitch: int
    start: int
    end: int


def read_midi(path: str | os.PathLike[str]) -> Roll:
    """The piano roll of a MIDI file, with silence where it begins or ends with silence.

    The tracks of type 0 and 1 sound together, those of type 2 one after the other.

    Raises:
        UsageError: no such file, or none of MIDI; it is damaged, too long, counts time in seconds,
            or has no note that a frame can hold.
    """
    where = f"{os.fspath(path)!r}"
    raw = _contents(expanded(path), where)
    import mido

    try:
        midi = mido.MidiFile(file=io.BytesIO(raw), clip=True)
    except Exception as error:  # mido has no exception of its own for what is damaged
        if raw[:4] == b"MThd":
            raise UsageError(f"{where}: is damaged or cut off") from error
        raise UsageError(f"{where}: is no MIDI file") from error
    if midi.type not in (0, 1, 2) or not midi.tracks:
        raise UsageError(f"{where}: has no tracks of type 0, 1 or 2")
    if midi.ticks_per_beat <= 0:
        raise UsageError(
            f"{where}: counts time in seconds (SMPTE) or in nothing, so that its beats are unknown"
        )
    notes, drums, end = _notes(midi)
    frames = _frame(end, midi.ticks_per_beat)
    if frames > BEATS:
        raise UsageError(f"{where}: has {frames:,} beats; at most {BEATS:,} are read")
    keys = np.zeros((frames, KEYS), np.uint8)
    for note in notes:
        if LOWEST <= note.pitch < LOWEST + KEYS:
            start, stop = (_frame(tick, midi.ticks_per_beat) for tick in note[1:])
            keys[start:stop, note.pitch - LOWEST] = 1
    if not keys.any():
        raise UsageError(f"{where}: {_nothing(notes, drums)}")
    return keys


def write_midi(path: str | os.PathLike[str], keys: Roll) -> pathlib.Path:
    """Writes a piano roll, whose reading gives the same roll, as a whole or not at all.

    A key that sounds in several frames in a row is held.

    Raises:
        OSError: it cannot be written.
    """
    import mido

    track = mido.MidiTrack()
    track.append(mido.MetaMessage("set_tempo", tempo=mido.bpm2tempo(TEMPO)))
    track.append(mido.Message("program_change", program=ORGAN))
    silence = np.zeros((1, KEYS), np.int8)
    changes = np.diff(np.concatenate([silence, keys.astype(np.int8), silence]), axis=0)
    ticks = 0
    for time, change in enumerate(changes):
        for kind, sign in (("note_off", -1), ("note_on", 1)):
            for key in np.flatnonzero(change == sign):
                wait = time * TICKS - ticks
                track.append(mido.Message(kind, note=int(key) + LOWEST, velocity=80, time=wait))
                ticks = time * TICKS
    track.append(mido.MetaMessage("end_of_track", time=len(keys) * TICKS - ticks))
    contents = io.BytesIO()
    mido.MidiFile(type=0, ticks_per_beat=TICKS, tracks=[track]).save(file=contents)
    path = expanded(path)
    atomic_write(path, contents.getvalue())
    return path


def _contents(path: pathlib.Path, where: str) -> bytes:
    try:
        if path.exists() and not path.is_file():  # a pipe might never end
            raise OSError(0, "is no file")
        with path.open("rb") as file:
            raw = file.read(BYTES + 1)
    except OSError as error:
        raise UsageError(f"{where}: {error.strerror}") from error
    except ValueError as error:  # a text may be no name of a file at all
        raise UsageError(f"{where}: is no name of a file") from error
    if len(raw) > BYTES:
        raise UsageError(f"{where}: has more than {BYTES >> 20} MiB, which are read at most")
    if not raw:
        raise UsageError(f"{where}: is empty")
    return raw


def _notes(midi: Any) -> tuple[list[Note], int, int]:
    """The notes without those of drums, the number of these, and the tick at which all is over."""
    notes: list[Note] = []
    drums = begin = last = 0
    for track in midi.tracks:
        tick, held = begin, {}
        for message in track:
            tick += message.time
            if message.type not in ("note_on", "note_off"):
                continue
            struck = message.type == "note_on" and message.velocity > 0
            if message.channel == DRUMS:
                drums += struck
                continue
            key = message.channel, message.note
            if struck:
                held.setdefault(key, []).append(tick)
            elif held.get(key):
                notes.append(Note(message.note, held[key].pop(0), tick))
        notes += [Note(pitch, start, tick) for (_, pitch), on in held.items() for start in on]
        last = max(last, tick)
        begin = last if midi.type == 2 else 0
    return notes, drums, last


def _frame(tick: int, ticks: int) -> int:
    """The first frame whose keys are those that sound at a tick or later."""
    return max(-((ticks - 8 * tick) // (8 * ticks)), 0)


def _nothing(notes: list[Note], drums: int) -> str:
    """Why there is nothing to read."""
    if any(LOWEST <= note.pitch < LOWEST + KEYS for note in notes):
        return "all of its notes lie between the beats"
    if notes:
        return f"none of its notes is within the pitches {LOWEST} .. {LOWEST + KEYS - 1} of a piano"
    return "has no notes but those of drums" if drums else "has no notes"
