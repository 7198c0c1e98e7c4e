"""MIDI files to piano rolls and back: exactly, whatever wrote them, and what is refused."""

import io

import mido
import numpy as np
import pytest

from rnnlab.data.made_chorales import made_chorales
from rnnlab.data.midi import BEATS, read_midi, write_midi
from rnnlab.data.piano_roll import (
    KEYS,
    pitch_name,
    pitches,
    roll,
    shifted,
    shifts,
    tops,
    trimmed,
)
from rnnlab.errors import UsageError


def events(*messages):
    """A track of `(beat, kind, pitch)` with further settings, in ticks of 96 to the beat."""
    track, now = mido.MidiTrack(), 0
    for beat, kind, pitch, *more in messages:
        tick = round(beat * 96)
        settings = {"velocity": 64} | (more[0] if more else {})
        track.append(mido.Message(kind, note=pitch, time=tick - now, **settings))
        now = tick
    return track


def saved(path, *tracks, kind=1, ticks=96):
    mido.MidiFile(type=kind, ticks_per_beat=ticks, tracks=list(tracks)).save(path)
    return path


def held(pitch, start, stop, **more):
    return (start, "note_on", pitch, more), (stop, "note_off", pitch, more)


def refused(path):
    with pytest.raises(UsageError) as caught:
        read_midi(path)
    assert "\n" not in str(caught.value) and repr(str(path))[1:-1] in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("share", [0.02, 0.3, 0.9, 1.0])
@pytest.mark.parametrize("beats", [1, 2, 33])
def test_a_roll_comes_back_exactly(tmp_path, beats, share):
    """Silence at both ends, single keys and all 88 at once among them."""
    keys = (np.random.default_rng(beats).random((beats, KEYS)) < share).astype(np.uint8)
    keys[beats // 2, 87] = 1
    keys[beats // 2 + 1 :][:3] = 0
    path = write_midi(tmp_path / "x.mid", keys)
    back = read_midi(path)
    assert back.dtype == np.uint8
    np.testing.assert_array_equal(back, keys)
    assert write_midi(tmp_path / "y.mid", back).read_bytes() == path.read_bytes()


def test_what_is_written_is_what_other_programs_read(tmp_path):
    """Two keys of which one is held over three beats of 480 ticks: as mido plays it."""
    path = write_midi(tmp_path / "x.mid", roll([[60, 64], [60], [60], []]))
    midi = mido.MidiFile(path)
    seconds = 60 / 72
    assert midi.type == 0 and midi.length == pytest.approx(4 * seconds, abs=1e-4)
    found, now = [], 0.0
    for message in midi:
        now += message.time
        if message.type in ("note_on", "note_off"):
            found.append((message.type, message.note, round(now / seconds, 3)))
    assert found == [
        ("note_on", 60, 0),
        ("note_on", 64, 0),
        ("note_off", 64, 1),
        ("note_off", 60, 3),
    ]


def test_a_frame_is_what_sounds_an_eighth_of_a_beat_after_it_begins(tmp_path):
    """Struck a little late or early, let go early; what lies between two beats is left out."""
    notes = held(60, 0.1, 0.9), held(62, 0.5, 1.0), held(64, 0.95, 2.05), held(65, 2.2, 2.8)
    track = events(*sorted((event for note in notes for event in note), key=lambda one: one[0]))
    assert pitches(read_midi(saved(tmp_path / "x.mid", track))) == [[60], [64], []]


@pytest.mark.parametrize("ticks", [1, 24, 96, 480, 960, 32767])
@pytest.mark.parametrize("kind", [0, 1, 2])
def test_types_and_resolutions(tmp_path, kind, ticks):
    """Tracks of type 1 sound together, those of type 2 one after the other."""

    def track(pitch):
        on = mido.Message("note_on", note=pitch, velocity=1, time=ticks)
        return mido.MidiTrack([on, mido.Message("note_off", note=pitch, time=2 * ticks)])

    tracks = [track(60)] if kind == 0 else [track(60), track(67)]
    found = pitches(read_midi(saved(tmp_path / "x.mid", *tracks, kind=kind, ticks=ticks)))
    assert (
        found
        == {
            0: [[], [60], [60]],
            1: [[], [60, 67], [60, 67]],
            2: [[], [60], [60], [], [67], [67]],
        }[kind]
    )


def test_tempi_text_and_other_messages_change_nothing(tmp_path):
    plain = saved(tmp_path / "x.mid", events(*held(60, 0, 1), *held(62, 1, 2)))
    extra = mido.MidiTrack(
        [
            mido.MetaMessage("set_tempo", tempo=123_456),
            mido.MetaMessage("time_signature", numerator=3, denominator=8),
            mido.Message("sysex", data=(1, 2, 3)),
            mido.Message("control_change", control=64, value=127),
            mido.MetaMessage("set_tempo", tempo=999_999, time=96),
            mido.MetaMessage("track_name", name="Größe", time=1),
        ]
    )
    full = saved(tmp_path / "y.mid", extra, events(*held(60, 0, 1), *held(62, 1, 2)))
    np.testing.assert_array_equal(read_midi(full), read_midi(plain))


def test_notes_that_end_by_velocity_or_not_at_all_and_the_same_key_twice(tmp_path):
    track = events(
        (0, "note_on", 60),
        (1, "note_on", 60, {"velocity": 0}),
        (1, "note_on", 62, {"channel": 3}),
        (1, "note_on", 62, {"channel": 4}),
        (2, "note_off", 62, {"channel": 3}),
        (3, "note_off", 62, {"channel": 4}),
        (3, "note_off", 90),
        (3, "note_on", 64),
    )
    track.append(mido.MetaMessage("end_of_track", time=96))
    assert pitches(read_midi(saved(tmp_path / "x.mid", track))) == [[60], [62], [62], [64]]


def test_drums_and_pitches_beyond_a_piano_are_left_out(tmp_path):
    drums = events(*held(40, 0, 2, channel=9))
    beyond = events(*held(5, 0, 1), *held(127, 1, 2))
    both = saved(tmp_path / "x.mid", drums, beyond, events(*held(21, 0, 1), *held(108, 1, 2)))
    assert pitches(read_midi(both)) == [[21], [108]]
    assert "no notes but those of drums" in refused(saved(tmp_path / "d.mid", drums))
    assert "within the pitches 21 .. 108" in refused(saved(tmp_path / "b.mid", drums, beyond))
    assert "has no notes" in refused(saved(tmp_path / "n.mid", mido.MidiTrack()))
    offbeat = events(*held(60, 0.5, 0.9))
    assert "between the beats" in refused(saved(tmp_path / "o.mid", offbeat))


def test_a_file_cut_off_anywhere_or_with_a_wrong_byte_is_refused_or_read(tmp_path):
    path = tmp_path / "x.mid"
    write_midi(path, made_chorales(1, 0)[0][:6])
    whole, draw = path.read_bytes(), np.random.default_rng(0)
    for cut in range(len(whole)):
        path.write_bytes(whole[:cut])
        message = refused(path)
        assert "damaged" in message or "is empty" in message or "is no MIDI file" in message
    for _ in range(300):
        changed = bytearray(whole)
        changed[draw.integers(len(whole))] = draw.integers(256)
        path.write_bytes(bytes(changed))
        try:
            assert read_midi(path).shape[1] == KEYS
        except UsageError as error:
            assert "\n" not in str(error)


def test_what_is_no_midi_file(tmp_path):
    path = tmp_path / "x.mid"
    for raw, message in ((b"", "is empty"), (b"RIFF1234", "is no MIDI file"), (b"x", "is no MIDI")):
        path.write_bytes(raw)
        assert message in refused(path)
    assert "No such file" in refused(tmp_path / "none.mid")
    assert "is no file" in refused(tmp_path)
    assert "is no name of a file" in refused("a\0b")


def test_files_that_would_fill_the_memory(tmp_path):
    path = tmp_path / "x.mid"
    far = mido.Message("note_on", note=60, time=2**27)
    assert f"at most {BEATS:,}" in refused(saved(path, mido.MidiTrack([far]), ticks=1))
    path.write_bytes(b"MThd" + bytes(5 << 20))
    assert "more than 4 MiB" in refused(path)


def test_headers_that_say_nothing_about_beats(tmp_path):
    contents = io.BytesIO()
    mido.MidiFile(ticks_per_beat=480, tracks=[events(*held(60, 0, 1))]).save(file=contents)
    raw = bytearray(contents.getvalue())
    for ticks, kind, message in ((0xE728, 1, "SMPTE"), (0, 1, "SMPTE"), (96, 7, "type 0, 1 or 2")):
        raw[8:10], raw[12:14] = kind.to_bytes(2, "big"), ticks.to_bytes(2, "big")
        (tmp_path / "x.mid").write_bytes(bytes(raw))
        assert message in refused(tmp_path / "x.mid")


def test_rolls_by_their_pitches():
    frames = [[], [21, 108], [60, 64, 67], []]
    keys = roll(frames)
    assert pitches(keys) == frames and keys.shape == (4, KEYS)
    assert pitches(trimmed(keys)) == frames[1:3] and pitches(trimmed(keys[:1])) == []
    assert pitches(tops(keys)) == [[], [108], [67], []]
    assert [pitch_name(pitch) for pitch in (21, 60, 61, 70, 108)] == [
        "A0",
        "C4",
        "C♯4",
        "B♭4",
        "C8",
    ]
    assert pitches(shifted(keys, 3)) == [[], [24], [63, 67, 70], []]
    assert pitches(shifted(keys, -3)) == [[], [105], [57, 61, 64], []]
    np.testing.assert_array_equal(shifted(keys, 0), keys)
    assert shifts(keys) == [0] and shifts(keys[2:]) == list(range(-6, 6)) == shifts(keys[:0])
    assert shifts(roll([[23, 105]])) == [-2, -1, 0, 1, 2, 3]
    with pytest.raises(ValueError, match=r"pitch 109: a piano has 21 \.\. 108"):
        roll([[109]])
