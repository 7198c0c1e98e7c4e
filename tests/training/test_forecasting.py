"""Forecasters: what they are taught, how they run on, what is fitted, how they are judged."""

import dataclasses
import hashlib
import io

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from sklearn.linear_model import Ridge

from rnnlab.cells import Elman
from rnnlab.combinators import Feedback
from rnnlab.errors import RunError, UsageError
from rnnlab.training.fitted_forecasters import (
    DelayLine,
    Reservoir,
    autoregression,
    persistence,
    ridge_regression,
)
from rnnlab.training.forecast_scores import (
    hellinger,
    histogram_distance,
    normalised_errors,
    spectra,
    spectrum_distance,
    valid_steps,
)
from rnnlab.training.forecast_spread import ensemble
from rnnlab.training.forecasting import (
    Forecaster,
    Windows,
    following,
    forecast_learner,
    forecasts,
    free_run,
    starts_of,
    warmed,
)
from rnnlab.training.forecasting_settings import ForecastNetwork
from rnnlab.training.optimisers import Clip
from rnnlab.training.series import SeriesSource, read

#: A rotation that shrinks, one step of a linear system of two variables.
TURN = 0.99 * np.array([[np.cos(0.3), np.sin(0.3)], [-np.sin(0.3), np.cos(0.3)]])


@pytest.fixture(scope="module")
def spiral():
    """A series of the linear system, with noise."""
    rng, rows = np.random.default_rng(0), [np.ones(2)]
    for _ in range(2000):
        rows.append(rows[-1] @ TURN + 0.1 * rng.normal(size=2))
    return np.array(rows)


# --- what is taught ---


@pytest.mark.parametrize(
    ("every", "flags"),
    [(1, "1111111"), (0, "1110000"), (2, "1110101"), (3, "1110010"), (9, "1110000")],
)
def test_what_is_shown_of_a_window(every, flags):
    """First the warm-up of 2; the first step after it is always shown."""
    assert "".join(map(str, Windows(7, 2, every).flags().astype(int))) == flags


def test_the_loss_is_the_squared_error_after_the_warm_up():
    """Of a network whose cell hands on its input: with every second one shown, by hand."""
    rng = np.random.default_rng(1)
    series = rng.normal(size=(40, 2)).astype(np.float32)
    cell = Feedback(DelayLine(1, 2), 2, residual=False)
    learner = forecast_learner(
        cell, series, Windows(5, 1, 2), batch=3, optimiser=optax.sgd(0.1), clip=Clip()
    )
    assert learner.sample is not None
    drawn = np.asarray(learner.sample(jax.random.key(0)))
    assert drawn.shape == (6, 3, 2)
    (start,) = {int(np.flatnonzero((series == row).all(axis=1))[0]) for row in drawn[0, :1]}
    np.testing.assert_array_equal(drawn[:, 0], series[start : start + 6])
    w = rng.normal(size=(2, 2)).astype(np.float32)
    params = {"cell": {}, "w": jnp.asarray(w), "b": jnp.zeros(2, jnp.float32)}
    loss, _ = learner.loss(params, (), jnp.asarray(drawn), jax.random.key(0))
    first, second = drawn[:-1] @ w, drawn[:-1] @ w @ w  # after one that is shown, and one later
    predicted = np.stack([first[0], first[1], second[1], first[3], second[3]])
    assert float(loss) == pytest.approx(np.square(predicted - drawn[1:])[1:].mean(), rel=1e-5)


def test_a_window_fits_into_the_series():
    with pytest.raises(UsageError, match="length=5: a window and the step after it need 6 steps"):
        forecast_learner(
            Feedback(Elman(2), 1),
            np.zeros((5, 1), np.float32),
            Windows(5, 1, 1),
            batch=1,
            optimiser=optax.sgd(0.1),
            clip=Clip(),
        )


# --- what is fitted ---


def test_ridge_regression_is_that_of_another_library():
    rng = np.random.default_rng(2)
    ys, targets = rng.normal(size=(50, 6)) + 1, rng.normal(size=(50, 2))
    w, b = ridge_regression(ys, targets, 0.3)
    other = Ridge(alpha=0.3 * 50).fit(ys, targets)
    np.testing.assert_allclose(w, other.coef_.T, rtol=1e-9)
    np.testing.assert_allclose(b, other.intercept_, rtol=1e-9)


def test_autoregression_finds_a_linear_system_and_forecasts_it(spiral):
    found = autoregression(spiral, lags=2, ridge=1e-12, warmup=5)
    np.testing.assert_allclose(found.params["w"][:2], TURN, atol=0.06)
    exact = Forecaster(found.cell, found.params | {"w": jnp.asarray(np.vstack([TURN, 0 * TURN]))})
    exact = exact._replace(params=exact.params | {"b": jnp.zeros(2)})
    starts = starts_of(spiral, 3, 4, 6)
    predicted = forecasts(exact, spiral, starts, 4, 6)
    for row, start in enumerate(starts):
        want = [spiral[start - 1] @ np.linalg.matrix_power(TURN, n) for n in range(1, 7)]
        np.testing.assert_allclose(predicted[:, row], want, rtol=1e-9)


@pytest.mark.slow
def test_persistence_repeats_the_last_observation(spiral):
    predicted = forecasts(persistence(2), spiral, np.array([7, 30]), 3, 4)
    np.testing.assert_allclose(predicted, np.tile(spiral[[6, 29]], (4, 1, 1)), rtol=1e-6)


@pytest.mark.slow
def test_a_reservoir_is_its_equation(spiral):
    """The states in NumPy; its readout is the regression on them."""
    settings = Reservoir(hidden=12, radius=0.8, scale=0.4, leak=0.6, ridge=1e-6)
    found = settings.forecaster(spiral[:200], warmup=20, key=jax.random.key(0))
    inside = jax.tree.map(np.asarray, found.params["cell"])
    assert np.abs(np.linalg.eigvals(inside["wh"])).max() == pytest.approx(0.8, rel=1e-5)
    h, states = np.zeros(12), []
    for x in spiral[:199]:
        h = 0.4 * h + 0.6 * np.tanh(x @ inside["wx"] + h @ inside["wh"] + inside["b"])
        states.append(h)
    w, b = ridge_regression(np.array(states)[20:], spiral[21:200], 1e-6)
    np.testing.assert_allclose(found.params["w"], w, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(warmed(found, spiral[:199])[1], np.array(states) @ w + b, atol=1e-9)


# --- how long it goes on ---


def test_starts_lie_evenly_and_are_followed_by_the_truth(spiral):
    starts = starts_of(spiral[:101], 3, 20, 31)
    assert starts.tolist() == [20, 45, 70]
    np.testing.assert_array_equal(following(spiral, starts, 31)[4, 1], spiral[49])
    with pytest.raises(UsageError, match="warmup=80: with 31 steps of a forecast needs 111 steps"):
        starts_of(spiral[:101], 3, 80, 31)


@pytest.mark.slow
def test_noise_is_added_before_a_prediction_is_read(spiral):
    found = autoregression(spiral, lags=1, ridge=1e-12, warmup=5)
    w, b = (np.asarray(found.params[name]) for name in ("w", "b"))
    noise = np.random.default_rng(3).normal(size=(3, 2))
    state, _ = warmed(found, spiral[:9])
    after, predicted = free_run(found, state, 3, noise)
    x = spiral[8]
    for step in range(3):
        x = x @ w + b + noise[step]
        np.testing.assert_allclose(predicted[step], x, rtol=1e-9)
    np.testing.assert_allclose(after.prediction, x @ w + b, rtol=1e-9)


@pytest.mark.slow
def test_the_band_of_a_linear_system_holds_nine_tenths(spiral):
    found = autoregression(spiral[:1000], lags=1, ridge=1e-12, warmup=5)
    starts = starts_of(spiral[1000:], 60, 5, 10)
    before = spiral[1000:][np.arange(-5, 0)[:, None] + starts]
    members = ensemble(found, spiral[:1000], 5)
    low, high = members.band(before, 10, members=200, level=0.9)
    truth = following(spiral[1000:], starts, 10)
    assert 0.85 < ((low <= truth) & (truth <= high)).mean() < 0.95
    assert members.members(before, 10, 3, 0).shape == (3, 10, 60, 2)
    with pytest.raises(UsageError, match="warmup=5: needs a series of 7 steps or more"):
        ensemble(found, spiral[:6], 5)


# --- how it is judged ---


def test_valid_steps_by_hand():
    truth = np.zeros((4, 3, 2))
    predicted = truth.copy()
    predicted[1, 0] = [0.3, 0.4]  # √(0.25 / 2) = 0.354
    predicted[2, 1] = [1.0, np.nan]
    errors = normalised_errors(predicted, truth)
    assert errors[1, 0] == pytest.approx(0.125**0.5) and errors[2, 1] == np.inf
    assert valid_steps(errors, 0.35).tolist() == [1, 2, 4]
    assert valid_steps(errors, 0.36).tolist() == [4, 2, 4]


def test_distances_of_histograms():
    a = np.linspace(0, 1, 400)[:, None]
    assert histogram_distance(a, a) == 0
    assert histogram_distance(np.full((9, 1), np.nan), a) == 1
    assert histogram_distance(a * 0, a) == pytest.approx((1 - (1 / 40) ** 0.5) ** 0.5, rel=1e-2)
    assert hellinger(np.array([0.5, 0.5]), np.array([1.0, 0.0])) == pytest.approx(
        (1 - 0.5**0.5) ** 0.5
    )


def test_distances_of_spectra():
    times = np.arange(4096)
    slow, fast = (np.sin(2 * np.pi * f * times)[:, None] for f in (0.05, 0.2))
    power = spectra(slow, 1024)
    assert power.sum() == pytest.approx(1) and abs(power.argmax() + 1 - 0.05 * 1024) <= 5
    assert spectrum_distance(slow, slow) < 1e-7 and spectrum_distance(slow, fast) > 0.99
    assert spectrum_distance(0 * slow, slow) == 1 and spectrum_distance(slow + np.inf, slow) == 1


# --- settings, and where series come from ---


def test_a_file_is_cut_in_time_and_standardised_by_its_first_part(tmp_path):
    path = tmp_path / "a.csv"
    values = np.random.default_rng(4).normal(3, 2, size=(200, 2))
    np.savetxt(path, values, delimiter=",", header="u,v", comments="")
    series = read(SeriesSource(series=str(path), columns=("v",), lyapunov_steps=5))
    assert [len(part) for part in series[1:4]] == [140, 30, 30] and series.names == ("v",)
    np.testing.assert_allclose(series.mean, values[:140, 1].mean(), rtol=1e-12)
    want = (values[140:170, 1] - series.mean) / series.scale
    np.testing.assert_allclose(series.validation[:, 0], want, rtol=1e-5)
    assert series.lyapunov_steps == 5 and series.exponent is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("u,v\n" + "1,2\n2,2\n" * 9, "v is constant; there is nothing to forecast"),
        ("u\n1\n", "has too few rows to train on"),
    ],
)
def test_files_that_teach_nothing(tmp_path, text, message):
    path = tmp_path / "a.csv"
    path.write_text(text)
    with pytest.raises(UsageError, match=message):
        read(SeriesSource(series=str(path)))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["lorenz", "mackey_glass", "kuramoto_sivashinsky"])
def test_series_of_systems(name):
    series = read(SeriesSource(series=name, samples=400))
    assert [len(part) for part in series[1:4]] == [400, 200, 200]
    assert series.train.dtype == np.float32 and series.exponent is not None
    np.testing.assert_allclose(series.train.std(axis=0), 1, rtol=1e-4)
    assert series.lyapunov_steps == pytest.approx(1 / series.exponent / series.interval)


@pytest.mark.slow
def test_networks_of_settings():
    cell = ForecastNetwork(cell="gru", layers=2, hidden=5).forecaster(3)
    params = cell.init(jax.random.key(0), 4)
    assert params["w"].shape == (5, 3)
    for wrong in ({"hidden": 0}, {"cell": "nothing"}, {"layers": 0}, {"strategy": "none"}):
        with pytest.raises(UsageError, match=next(iter(wrong))):
            ForecastNetwork(**wrong)


@pytest.fixture
def laser(tmp_path, monkeypatch):
    """A folder with a laser of our own, as if it were what upstream serves."""
    pytest.importorskip("tensorflow_datasets")
    from rnnlab.data.santa_fe_laser import SantaFeLaser

    file = io.BytesIO()
    np.save(file, np.arange(100)[:, None] % 9)
    (url,) = SantaFeLaser.URLS.values()
    checksum = hashlib.sha256(file.getvalue()).hexdigest()
    info = SantaFeLaser.registered(url)
    info = dataclasses.replace(info, size=len(file.getvalue()), checksum=checksum)
    monkeypatch.setattr(SantaFeLaser, "url_infos", {url: info})
    (tmp_path / "santafe_laser.npy").write_bytes(file.getvalue())
    return tmp_path


def test_the_laser_of_a_folder_and_then_without(laser, tmp_path):
    source = SeriesSource("", str(laser), series="santa_fe_laser")
    source = dataclasses.replace(source, data_dir=str(tmp_path / "data"))
    for again in (source, dataclasses.replace(source, manual_dir="")):
        series = read(again)
        assert series.names == ("intensity",) and len(series.train) == 70
        whole = np.concatenate([series.train, series.validation, series.test])[:, 0]
        restored = whole * series.scale + series.mean
        np.testing.assert_allclose(restored, np.arange(100) % 9, atol=1e-5)
    damaged = laser / "other"
    damaged.mkdir()
    (damaged / "santafe_laser.npy").write_bytes(b"x")
    source = dataclasses.replace(source, data_dir=str(tmp_path / "d"), manual_dir=str(damaged))
    with pytest.raises(RunError, match=r"santafe_laser\.npy is not the one of sha256"):
        read(source)
