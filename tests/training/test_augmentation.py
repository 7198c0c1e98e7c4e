"""Sounds changed at random: speed, loudness, noise and the silence around them."""

import jax
import numpy as np
import pytest

from rnnlab.errors import UsageError
from rnnlab.training.augmentation import augmented
from rnnlab.training.speech_settings import Augmentation
from tests import quick

NOTHING = Augmentation(speed=0, tilt=0, gain_db=0, least_snr_db=0, most_snr_db=0, shift=0)
LENGTHS = np.array([400, 301, 0], np.int32)


def change(seed=0, **settings):
    import dataclasses
    from functools import partial

    xs = np.sin(2 * np.pi * 50 * np.arange(400) / 1000)[None] * [[0.5], [0.25], [0]]
    xs[np.arange(400) >= LENGTHS[:, None]] = 0
    made = dataclasses.replace(NOTHING, **settings)
    run = quick.jit(partial(augmented, settings=made, rate=1000))
    return xs, *map(np.asarray, run(xs.astype(np.float32), LENGTHS, jax.random.key(seed)))


@pytest.mark.slow
def test_without_settings_nothing_changes():
    xs, found, lengths = change()
    assert lengths.tolist() == LENGTHS.tolist() and found.dtype == np.float32
    np.testing.assert_allclose(found, xs, atol=1e-7)


def test_speed_is_that_of_a_tape():
    _, found, lengths = change(speed=0.2)
    assert lengths[2] == 0 and lengths[0] != 400
    for row, amplitude in ((0, 0.5), (1, 0.25)):
        factor = (LENGTHS[row] - 1) / (lengths[row] - 1)
        assert 0.8 <= factor <= 1.21
        time = np.arange(lengths[row] - 2)
        fitted = min(
            np.abs(found[row, : len(time)] - amplitude * np.sin(0.1 * np.pi * time * f)).max()
            for f in np.linspace(factor - 0.005, factor + 0.005, 101)
        )
        assert fitted < 0.01 * amplitude / 0.25
        assert not found[row, lengths[row] :].any()


@pytest.mark.slow
def test_gain_silence_and_noise():
    xs, found, lengths = change(gain_db=12)
    ratios = [np.abs(found[row]).max() / np.abs(xs[row]).max() for row in (0, 1)]
    assert all(10 ** (-12 / 20) <= ratio <= 10 ** (12 / 20) for ratio in ratios)
    assert ratios[0] != pytest.approx(ratios[1])
    xs, found, lengths = change(shift=0.05)
    for row in (0, 1):
        more = lengths[row] - LENGTHS[row]
        fits = [
            first
            for first in range(more + 1)
            if np.allclose(
                found[row, first : first + LENGTHS[row]], xs[row, : LENGTHS[row]], atol=1e-6
            )
        ]
        assert 0 < more <= 100 and len(fits) == 1 and lengths[2] == 0
    xs, found, lengths = change(least_snr_db=20, most_snr_db=20)
    for row in (0, 1):
        noise = (found - xs)[row, : LENGTHS[row]]
        assert noise.std() / xs[row, : LENGTHS[row]].std() == pytest.approx(0.1, rel=0.1)
    assert not found[1, 301:].any() and not found[2].any()


@pytest.mark.slow
def test_tilt_adds_a_share_of_the_sample_before():
    xs, found, _ = change(tilt=0.5)
    for row in (0, 1):
        more, before = (found - xs)[row, 1 : LENGTHS[row]], xs[row, : LENGTHS[row] - 1]
        share = float(more @ before / (before @ before))
        assert 0 < abs(share) <= 0.5
        np.testing.assert_allclose(more, share * before, atol=1e-6)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"speed": 0.5}, "speed=0.5: must be below 0.5"),
        ({"tilt": 1.0}, "tilt=1.0: must be below 1"),
        ({"shift": -1.0}, "shift=-1.0"),
        ({"least_snr_db": 50.0}, "least_snr_db=50.0: must be at most most_snr_db=45.0"),
    ],
)
def test_wrong_settings_are_refused(changes, message):
    with pytest.raises(UsageError, match=f"^{message}"):
        Augmentation(**changes)
