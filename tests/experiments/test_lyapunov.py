"""Exponents against NumPy and theory, the files of a run, and what a second run does."""

import dataclasses
import json

import numpy as np
import pytest

from experiments import lyapunov
from experiments.lyapunov import measure
from experiments.lyapunov.exponents import draw_networks
from experiments.lyapunov.pictures import plot_spectra
from experiments.lyapunov.tables import spectrum_of, spectrum_rows
from rnnlab import cells, initializers, plots
from rnnlab.errors import RunError, UsageError
from rnnlab.run import results
from rnnlab.run.workdir import open_workdir
from tests.experiments import presets

CONFIG = lyapunov.Config(
    gains=(0.5, 2.0),
    widths=(1, 32),
    input_stds=(0.0, 0.5),
    seeds=2,
    steps=120,
    discard=20,
    spectrum_cells=("tanh",),
    spectrum_gains=(0.8, 1.5),
    spectrum_hidden=5,
    spectrum_seeds=2,
    spectrum_steps=60,
)


def run(folder, config=CONFIG):
    with open_workdir(folder, "lyapunov", config) as workdir:
        lyapunov.run(config, workdir)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lyapunov") / "w"
    run(folder)
    return folder


def log_abs_det(network, seed, gain, std, steps, discard):
    """Mean of ln |det ∂h'/∂h| = ln |det wh| + Σ ln tanh', in a plain loop."""
    params, xs, states = network
    wx, wh = np.asarray(params["wx"])[seed], gain * np.asarray(params["wh"])[seed]
    h, logs = np.asarray(states.h)[seed], []
    for x in std * np.asarray(xs)[seed]:
        h = np.tanh(x @ wx + h @ wh)
        logs.append(np.linalg.slogdet(wh)[1] + np.log(1 - h**2).sum())
    return np.mean(logs[discard:steps])


@pytest.mark.slow
def test_one_unit_has_the_mean_slope(folder):
    data = results.load_dataset(folder / "results.nc")
    cell = cells.Elman(1, wx_init=initializers.Identity(), wh_init=initializers.Gaussian())
    network = draw_networks(CONFIG, cell, 1, CONFIG.seeds, CONFIG.steps)
    for std in CONFIG.input_stds:
        for gain in CONFIG.gains:
            for seed in range(CONFIG.seeds):
                expected = log_abs_det(network, seed, gain, std, CONFIG.steps, CONFIG.discard)
                point = {"width": 1, "input_std": std, "gain": gain, "seed": seed}
                assert float(data.exponent.sel(point)) == pytest.approx(expected, abs=1e-10)


def test_the_spectrum_sums_to_the_volume(folder):
    data = results.load_dataset(folder / "results.nc")
    cell = cells.Elman(5, wh_init=initializers.Gaussian())
    network = draw_networks(CONFIG, cell, 5, CONFIG.spectrum_seeds, CONFIG.spectrum_steps)
    for gain in CONFIG.spectrum_gains:
        for seed in range(CONFIG.spectrum_seeds):
            here = data.spectrum.sel(cell="tanh", spectrum_gain=gain).isel(spectrum_seed=seed)
            expected = log_abs_det(
                network,
                seed,
                gain,
                CONFIG.spectrum_input_std,
                CONFIG.spectrum_steps,
                CONFIG.discard,
            )
            assert float(here.sum()) == pytest.approx(expected, abs=1e-9)
            assert (np.diff(here) <= 0).all()
    assert np.array_equal(data.running.isel(step=-1), data.spectrum.isel(index=0))


def test_a_network_at_rest_follows_its_spectral_radius(folder):
    data = results.load_dataset(folder / "results.nc").sel(width=32, input_std=0.0, gain=0.5)
    resting = np.log(0.5) + data.log_radius
    assert float(abs(data.exponent - resting).max()) < 0.03  # 100 steps; tangents still turn
    assert float(data.mean_field) == pytest.approx(np.log(0.5))


def test_a_driven_network_is_near_mean_field(folder):
    data = results.load_dataset(folder / "results.nc").sel(width=32, input_std=0.5, gain=2.0)
    assert float(abs(data.exponent.mean() - data.mean_field)) < 0.15  # O(1/N), N = 32


def test_everything_is_labelled_and_reported(folder):
    assert {path.name for path in folder.iterdir() if path.name[0] != "."} == {
        *("config.json", "status.json", "results.nc", "report.html"),
        *("exponents.png", "spectra.png"),
    }
    data = results.load_dataset(folder / "results.nc")
    assert json.loads((folder / "status.json").read_text())["precision"] == "float32"
    assert all("units" in data[name].attrs for name in data.data_vars)
    assert data.critical_gain.sel(input_std=0.0) == 1
    page = (folder / "report.html").read_text()
    assert page.count("data:image/png") == 2 and "http" not in page


@pytest.mark.slow
def test_the_tiny_preset_draws_the_whole_report(tmp_path):
    made = presets.run_tiny(lyapunov, tmp_path / "w")
    assert made >= {"report.html", "exponents.png", "spectra.png"}


@pytest.fixture(scope="module")
def lost(tmp_path_factory):
    """Cells of which directions are lost, or whose networks overflow."""
    folder = tmp_path_factory.mktemp("lost") / "w"
    config = dataclasses.replace(
        CONFIG, gains=(0.5,), widths=(1,), spectrum_cells=("relu", "cec"), spectrum_gains=(1e100,)
    )
    run(folder, config)
    return results.load_dataset(folder / "results.nc"), (folder / "report.html").read_text()


def test_what_is_not_finite_is_counted_and_not_drawn(folder):
    data = results.load_dataset(folder / "results.nc").load()
    data.spectrum.loc[{"spectrum_gain": 0.8, "index": slice(3, None)}] = -np.inf
    data.running.loc[{"spectrum_gain": 0.8}] = -np.inf
    data.spectrum.loc[{"spectrum_gain": 1.5, "spectrum_seed": 0}] = np.nan
    lost, overflowed = spectrum_rows(data)
    assert (lost["lost"], lost["smallest"], lost["overflowed"]) == (2, -np.inf, 0)
    assert overflowed["overflowed"] == 1 and np.isfinite(overflowed["median"])
    with plots.style():
        plot_spectra(CONFIG, data).canvas.draw()


@pytest.mark.slow
def test_lost_directions_and_overflows_are_counted(lost):
    data, page = lost
    rows = {(row["cell"], row["gain"]): row for row in spectrum_rows(data)}
    cec, relu = rows["cec", 1e100], rows["relu", 1e100]
    assert (cec["directions"], cec["lost"], cec["smallest"]) == (10, 5, -np.inf)
    assert relu["overflowed"] == 2 and relu["largest"] == "-" and relu["median"] is None
    spectrum = spectrum_of(data, "cec", 1e100)
    assert spectrum.shape == (2, 10) and np.isneginf(spectrum[:, 5:]).all()
    assert "-inf" in page and page.count("data:image/png") == 2


def test_the_same_command_reads_the_result(folder, monkeypatch, capsys):
    monkeypatch.setattr(measure, "measure_width", lambda *_: pytest.fail("measured again"))
    run(folder)
    assert "largest Lyapunov exponent" in capsys.readouterr().out


def test_a_damaged_result_is_named(folder, tmp_path):
    with open_workdir(tmp_path / "w", "lyapunov", CONFIG) as workdir:
        workdir.write("results.nc", (folder / "results.nc").read_bytes()[:-1000])
    with pytest.raises(RunError, match=r"results\.nc: is damaged"):
        run(tmp_path / "w")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"gains": (0.0, 0.5)}, r"gains=\(0.0, 0.5\): must be positive"),
        ({"gains": ()}, r"gains=\(\): must be at least one value"),
        ({"widths": (8, 8)}, r"widths=\(8, 8\): must be at least one value, increasing"),
        ({"spectrum_cells": ("gru", "gru")}, "must be without repetition"),
        ({"widths": (0,)}, r"widths=\(0,\): must be at least 1"),
        ({"input_stds": (-1.0,)}, r"input_stds=\(-1.0,\): must be"),
        ({"spectrum_input_std": float("nan")}, "spectrum_input_std=nan: must be"),
        ({"seeds": 1}, "seeds=1: must be at least 2"),
        ({"steps": 100}, "discard=100: must lie in 0..99"),
        ({"spectrum_cells": ("lstn",)}, "spectrum_cells=lstn: no such cell; did you mean lstm"),
        ({"dtype": "float16"}, "dtype=float16: must be"),
    ],
)
def test_bad_configurations(changes, message):
    with pytest.raises(UsageError, match=message) as error:
        lyapunov.Config(**changes)
    assert "\n" not in str(error.value)
