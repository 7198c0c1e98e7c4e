"""WAV files of any rate, channels and type, and those that cannot be read."""

import io
import struct
import wave

import numpy as np
import pytest
from scipy.io import wavfile

from rnnlab.data.sound_files import read_sound, resampled
from rnnlab.errors import UsageError

TONE = 0.5 * np.sin(2 * np.pi * 440 * np.arange(1600) / 8000)


def pcm(path, samples, bits, rate=8000):
    """A WAV file by the format's description, `samples [T, channels]` from -1 to 1."""
    width, scale = bits // 8, 2 ** (bits - 1)
    values = np.clip(np.round(samples * scale), -scale, scale - 1).astype(np.int64)
    if bits == 8:
        values = values + 128
    raw = b"".join(int(v).to_bytes(width, "little", signed=bits > 8) for v in values.ravel())
    with wave.open(str(path), "wb") as file:
        file.setparams((samples.shape[1], width, rate, 0, "NONE", ""))
        file.writeframes(raw)
    return path


@pytest.mark.parametrize("bits", [8, 16, 24, 32])
@pytest.mark.parametrize("channels", [1, 2])
def test_pcm_of_all_widths(tmp_path, bits, channels):
    """The second channel is silent, so the mean is half of the first."""
    samples = np.stack([TONE, 0 * TONE], axis=1)[:, :channels]
    found = read_sound(pcm(tmp_path / "x.wav", samples, bits), 8000)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, TONE / channels, atol=2.0 ** (1 - bits) + 1e-6)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_floating_point_and_a_constant_part(tmp_path, kind):
    wavfile.write(tmp_path / "x.wav", 8000, (TONE + 0.2).astype(kind))
    np.testing.assert_allclose(read_sound(tmp_path / "x.wav", 8000), TONE, atol=1e-6)


@pytest.mark.parametrize("rate", [4000, 11025, 16000, 44100])
def test_another_rate_is_the_same_sound(tmp_path, rate):
    time = np.arange(rate // 5) / rate
    tone = 0.5 * np.sin(2 * np.pi * 440 * time) + (0.4 * np.sin(2 * np.pi * 6000 * time)) * (
        rate > 12000
    )
    found = read_sound(pcm(tmp_path / "x.wav", tone[:, None], 16, rate), 8000)
    assert len(found) == 1600
    # What 8,000 samples a second cannot hold is gone; both ends are of the filter.
    np.testing.assert_allclose(found[80:-80], TONE[80:-80], atol=0.02)


def test_lengths_after_resampling():
    assert len(resampled(np.ones(1), 48000, 8000)) == 1
    assert len(resampled(np.ones(10), 44100, 8000)) == 2


def test_files_that_cannot_be_read(tmp_path):
    good = pcm(tmp_path / "good.wav", TONE[:, None], 16).read_bytes()
    mulaw = bytearray(good)
    mulaw[20:22] = struct.pack("<H", 7)
    not_a_number = io.BytesIO()
    wavfile.write(not_a_number, 8000, np.array([0.1, np.nan], np.float32))
    contents = {
        "cut": (good[:1000], "is cut off"),
        "head": (good[:30], "is damaged, or no WAV file"),
        "empty": (b"", "is damaged, or no WAV file"),
        "text": (b"hello, this is a text and no sound at all", "is damaged, or no WAV file"),
        "mulaw": (bytes(mulaw), "is damaged, or no WAV file"),
        "nan": (not_a_number.getvalue(), "samples that are not finite"),
    }
    for name, (raw, message) in contents.items():
        (tmp_path / f"{name}.wav").write_bytes(raw)
        with pytest.raises(UsageError, match=rf"{name}\.wav: .*{message}") as error:
            read_sound(tmp_path / f"{name}.wav", 8000)
        assert "\n" not in str(error.value)
    for samples, message in (
        (np.zeros((100, 1)), "is silent"),
        (np.full((100, 1), 0.7), "is silent"),
        (np.zeros((0, 1)), "is no sound, it has 0 samples"),
    ):
        with pytest.raises(UsageError, match=message):
            read_sound(pcm(tmp_path / "x.wav", samples, 16), 8000)
    with pytest.raises(UsageError, match=r"lasts 0\.2 s; at most 0\.1 s are read"):
        read_sound(tmp_path / "good.wav", 8000, 0.1)
    with pytest.raises(UsageError, match="has 500 samples a second"):
        read_sound(pcm(tmp_path / "x.wav", TONE[:, None], 16, 500), 8000)
    with pytest.raises(UsageError, match=r"none\.wav: No such file"):
        read_sound(tmp_path / "none.wav", 8000)
    with pytest.raises(UsageError, match="Is a directory"):
        read_sound(tmp_path, 8000)
    with pytest.raises(UsageError, match="an empty line"):
        read_sound("  ", 8000)
