"""Log-mel frames: against SciPy, against the definition in NumPy, and librosa where it is there."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import signal

from rnnlab.errors import UsageError
from rnnlab.nn import Functional
from rnnlab.nn.hearing import Hearing
from rnnlab.nn.mel import LogMel, hertz_to_mel, mel_to_hertz

SMALL = LogMel(rate=1000, window=40, hop=16, transform=64, bands=6, lowest=30, highest=500)
NOISE = np.random.default_rng(0).normal(0, 0.1, (2, 203))


def by_definition(front, samples):
    """The frames of one sound, number by number."""
    w = [np.sin(np.pi * n / front.window) ** 2 for n in range(front.window)]
    mel = np.linspace(
        2595 * np.log10(1 + front.lowest / 700),
        2595 * np.log10(1 + front.highest / 700),
        front.bands + 2,
    )
    corners = 700 * (10 ** (mel / 2595) - 1)
    frames = []
    for start in range(0, len(samples) - front.window + 1, front.hop):
        x = np.zeros(front.transform)
        x[: front.window] = samples[start : start + front.window] * w
        n = np.arange(front.transform)
        row = []
        for band in range(front.bands):
            low, middle, high = corners[band : band + 3]
            energy = 0.0
            for k in range(front.transform // 2 + 1):
                hertz = k * front.rate / front.transform
                f = 0.0
                if low < hertz <= middle:
                    f = (hertz - low) / (middle - low)
                elif middle < hertz < high:
                    f = (high - hertz) / (high - middle)
                phase = -2 * np.pi * k * n / front.transform
                energy += f * ((x @ np.cos(phase)) ** 2 + (x @ np.sin(phase)) ** 2)
            row.append(np.log(energy / np.sum(np.square(w)) + front.floor))
        frames.append(row)
    return np.array(frames)


def test_frames_are_those_of_the_definition():
    found = np.asarray(SMALL(jnp.asarray(NOISE)))
    assert found.shape == (2, SMALL.frames(203), 6) and SMALL.frames(203) == 11
    for one, samples in zip(found, NOISE, strict=True):
        np.testing.assert_allclose(one, by_definition(SMALL, samples), rtol=1e-9)


def test_spectra_are_those_of_scipy():
    front = LogMel()
    samples = np.random.default_rng(1).normal(size=1000)
    window = signal.get_window("hann", front.window)
    transform = signal.ShortTimeFFT(window, front.hop, front.rate, mfft=front.transform)
    # SciPy's windows are centred on their times; ours begin there.
    first = front.window // 2
    expected = transform.stft_detrend(samples, None, p0=0, p1=front.frames(1000), k_offset=first)
    power = np.abs(expected.T) ** 2 / np.sum(window**2)
    np.testing.assert_allclose(np.asarray(front.spectra(jnp.asarray(samples))), power, rtol=1e-9)


@pytest.mark.slow
def test_energy_of_a_frame_is_that_of_its_samples():
    """Parseval: the sum of |X_k|² over all frequencies is `transform` times that of (w x)²."""
    (spectra,) = np.asarray(SMALL.spectra(jnp.asarray(NOISE[:1])))
    whole = 2 * spectra.sum(axis=1) - spectra[:, 0] - spectra[:, -1]
    w = SMALL.weights()
    for frame, start in zip(whole, range(0, 200, SMALL.hop), strict=False):
        weighted = NOISE[0, start : start + SMALL.window] * w
        assert frame == pytest.approx(64 * np.sum(weighted**2) / np.sum(w**2), rel=1e-12)


@pytest.mark.slow
def test_noise_has_its_variance_at_any_window_and_twice_the_amplitude_four_times_the_energy():
    noise = jnp.asarray(np.random.default_rng(2).normal(0, 0.3, 60_000))
    for front in (SMALL, LogMel()):
        assert float(front.spectra(noise).mean()) == pytest.approx(0.09, rel=0.03)
    louder = np.exp(SMALL(2 * noise)) - SMALL.floor
    np.testing.assert_allclose(louder, 4 * (np.exp(SMALL(noise)) - SMALL.floor), rtol=1e-6)
    silence = np.asarray(SMALL(jnp.zeros(100)))
    np.testing.assert_allclose(silence, np.log(SMALL.floor))


@pytest.mark.slow
def test_a_tone_is_in_its_band():
    front = LogMel()
    mel = np.linspace(*hertz_to_mel(np.array([60.0, 4000.0])), 42)[1:-1]
    time = np.arange(2000) / 8000
    for band in (3, 20, 38):
        tone = np.sin(2 * np.pi * float(mel_to_hertz(mel[band])) * time)
        assert set(np.asarray(front(jnp.asarray(tone))).argmax(axis=1)) == {band}
    np.testing.assert_allclose(mel_to_hertz(hertz_to_mel(np.array([0.0, 440.0]))), [0, 440])


@pytest.mark.peers
def test_filters_are_those_of_librosa():
    librosa = pytest.importorskip("librosa")
    front = LogMel(lowest=20, highest=3800)
    theirs = librosa.filters.mel(
        sr=8000, n_fft=256, n_mels=40, fmin=20, fmax=3800, htk=True, norm=None, dtype=np.float64
    )
    np.testing.assert_allclose(front.filters(), theirs, atol=1e-12)
    samples = np.random.default_rng(3).normal(size=2000)
    stft = librosa.stft(samples, n_fft=256, hop_length=80, win_length=256, center=False)
    ours = LogMel(window=256, lowest=20, highest=3800)
    power = np.abs(stft.T) ** 2 / np.sum(ours.weights() ** 2)
    np.testing.assert_allclose(np.asarray(ours.spectra(jnp.asarray(samples))), power, rtol=1e-6)


@pytest.mark.slow
def test_steps_are_normalised_frames_side_by_side():
    statistics = np.random.default_rng(4).uniform(0.5, 2, (2, 6))
    model = Functional(lambda rngs: Hearing(SMALL, stacked=3, statistics=statistics))
    hear = model.bind(model.init(jax.random.key(0)))
    assert (hear.features, hear.samples, hear.advance) == (18, 72, 48)
    found = np.asarray(hear(NOISE))
    frames = (np.asarray(SMALL(jnp.asarray(NOISE))) - statistics[0]) / statistics[1]
    np.testing.assert_allclose(found, frames[:, :9].reshape(2, 3, 18), rtol=1e-5, atol=1e-6)
    lengths = np.arange(0, 204, dtype=np.int32)
    steps = [len(range(0, max(n - 72 + 1, 0), 48)) for n in lengths]
    assert np.asarray(hear.steps(lengths)).tolist() == steps
    # Steps of pieces are those of the whole, and 16 bits are numbers from -1 to 1.
    one = hear(NOISE[:, 48 : 48 + 72])
    np.testing.assert_allclose(one[:, 0], found[:, 1], rtol=1e-5, atol=1e-6)
    whole = np.round(NOISE * 32768).astype(np.int16)
    np.testing.assert_allclose(hear(whole), hear(whole / 32768), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hop": 0}, "hop=0: must be a positive integer"),
        ({"transform": 100}, "transform=100: must be at least window=200"),
        ({"highest": 5000.0}, "lowest=60.0, highest=5000.0: must ascend within 0 .. 4000"),
        ({"floor": 0.0}, "floor=0.0: must be positive"),
        ({"bands": 200}, "bands=200: are narrower than 31.25 Hz"),
    ],
)
def test_wrong_settings_are_refused(changes, message):
    with pytest.raises(UsageError, match=f"^{message}"):
        LogMel(**changes)


def test_wrong_hearing_is_refused():
    with pytest.raises(UsageError, match="stacked=0"):
        Hearing(SMALL, stacked=0)
    with pytest.raises(UsageError, match=r"statistics: have the shape \[6, 2\]"):
        Hearing(SMALL, statistics=np.zeros((6, 2)))
