"""Spoken digits: their splits, those that are made, and the builder on an archive made here."""

import io
import wave
import zipfile
from pathlib import Path

import numpy as np
import pytest

from rnnlab.data.recordings import RATE, SpeechSource, made_recordings, read_recordings, split
from rnnlab.errors import RunError, UsageError
from tests.data.test_sets import register

SHARED = Path(__file__).parents[2] / "../shared/data/spoken_digits"


def test_splits_are_by_number_or_by_speaker():
    made = made_recordings(12, 0)
    assert len(made.samples) == 3 * 10 * 12 and made.labels.dtype == np.int32
    train, validation, test = split(made)
    assert set(test.numbers) == set(range(5)) and set(validation.numbers) == set(range(5, 10))
    assert set(train.numbers) == {10, 11} and len(train.speakers) == len(train.samples) == 60
    train, validation, test = split(made, "low")
    assert set(test.speakers) == {"low"} and len(test.samples) == 120
    assert "low" not in {*train.speakers, *validation.speakers}
    assert set(validation.numbers) == set(range(5, 10)) and len(train.samples) == 2 * 10 * 7
    with pytest.raises(UsageError, match="held_out_speaker=theo: must be one of high, low, middle"):
        split(made, "theo")


def test_made_digits_differ_in_the_order_of_their_tones():
    made, again = made_recordings(2, 3), made_recordings(2, 3)
    assert all(np.array_equal(*pair) for pair in zip(made.samples, again.samples, strict=True))
    halves = {}
    for samples, label, speaker in zip(made.samples, made.labels, made.speakers, strict=True):
        parts = samples[: len(samples) // 3], samples[-(len(samples) // 3) :]
        halves[label, speaker] = [
            np.abs(np.fft.rfft(part)).argmax() * RATE / len(part) for part in parts
        ]
    for digit in range(5):
        for speaker in set(made.speakers):
            first, second = halves[digit, speaker], halves[digit + 5, speaker]
            np.testing.assert_allclose(first, second[::-1], atol=35)
            assert second[0] > first[0]


def test_settings_are_checked():
    with pytest.raises(UsageError, match="data=timit: must be spoken_digits or made"):
        SpeechSource(data="timit")
    with pytest.raises(UsageError, match="held_out_speaker=low: must be"):
        SpeechSource(data="spoken_digits", held_out_speaker="low")


def archive(rate=RATE):
    """Numbers 0, 4, 5 and 11 of two digits by two speakers, as a zip of WAV files."""
    packed, random = io.BytesIO(), np.random.default_rng(0)
    sounds = {}
    with zipfile.ZipFile(packed, "w") as files:
        for digit, speaker, number in np.ndindex(2, 2, 4):
            name = f"{digit}_{('george', 'theo')[speaker]}_{(0, 4, 5, 11)[number]}.wav"
            sounds[name] = random.integers(-3000, 3000, random.integers(20, 40), np.int16)
            raw = io.BytesIO()
            with wave.open(raw, "wb") as file:
                file.setparams((1, 2, rate, 0, "NONE", ""))
                file.writeframes(sounds[name].astype("<i2").tobytes())
            files.writestr(f"recordings/{name}", raw.getvalue())
    return packed.getvalue(), sounds


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with that archive, which stands for the real one."""
    pytest.importorskip("tensorflow_datasets")
    from rnnlab.data.spoken_digits import FreeSpokenDigits

    raw, sounds = archive()
    (tmp_path / "in").mkdir()
    (tmp_path / "in/recordings.zip").write_bytes(raw)
    register(monkeypatch, FreeSpokenDigits, {FreeSpokenDigits.URLS["recordings"]: raw})
    return tmp_path, sounds


def read(folder, manual="in"):
    data_dir, manual_dir = str(folder / "tfds"), str(folder / manual) if manual else ""
    return read_recordings(
        SpeechSource(data="spoken_digits", data_dir=data_dir, manual_dir=manual_dir)
    )


def test_the_archive_from_a_folder_and_then_without(folder, offline):
    folder, sounds = folder
    for manual in ("in", ""):
        splits = read(folder, manual)
        assert [len(one.samples) for one in splits] == [4, 4, 8]
        for one in splits:
            for samples, *name in zip(*one, strict=True):
                expected = sounds["_".join(map(str, name)) + ".wav"]
                assert samples.dtype == np.int16
                np.testing.assert_array_equal(samples, expected)
    assert not offline


def test_a_broken_archive_is_one_line(folder, offline):
    folder, _ = folder
    path = folder / "in/recordings.zip"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(RunError, match=r"recordings\.zip is not the one of sha256") as error:
        read(folder)
    assert "\n" not in str(error.value)
    path.unlink()
    with pytest.raises(RunError, match=r"found no recordings\.zip .*manual_dir") as error:
        read(folder)
    assert "\n" not in str(error.value) and not offline


@pytest.mark.slow
@pytest.mark.skipif(not SHARED.exists(), reason="the recordings are not near")
def test_the_real_recordings(tmp_path):
    pytest.importorskip("tensorflow_datasets")
    source = SpeechSource(data="spoken_digits", data_dir=str(tmp_path), manual_dir=str(SHARED))
    splits = read_recordings(source)
    assert [len(one.samples) for one in splits] == [2400, 300, 300]
    assert all(np.bincount(one.labels).tolist() == [len(one.labels) // 10] * 10 for one in splits)
    lengths = [len(samples) for one in splits for samples in one.samples]
    assert (min(lengths), max(lengths)) == (1148, 18262)
