"""Singular values against NumPy and closed forms, and the files of a run."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments import jacobian_spectra
from experiments.jacobian_spectra import measure
from experiments.jacobian_spectra.spectra import WARM_UP, keys_of
from rnnlab import cells, initializers
from rnnlab.errors import UsageError
from rnnlab.run import results
from rnnlab.run.workdir import open_workdir
from rnnlab.unroll import unroll
from tests.experiments import presets

CONFIG = jacobian_spectra.Config(
    lengths=(1, 3), hidden=4, widths=(4,), cells=("lstm",), seeds=2, gain=1.5
)


def run(folder, config=CONFIG):
    with open_workdir(folder, "jacobian_spectra", config) as workdir:
        jacobian_spectra.run(config, workdir)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("spectra") / "w"
    run(folder)
    return folder


@pytest.fixture
def data(folder):
    return results.load_dataset(folder / "results.nc")


def log10_svd(matrix):
    return np.log10(np.linalg.svd(matrix, compute_uv=False))


@pytest.mark.slow
def test_orthogonal_matrices_are_a_point(data):
    for length in CONFIG.lengths:
        values = data.log10_sigma.sel(case="orthogonal", length=length).isel(index=slice(0, 4))
        assert np.allclose(values, length * np.log10(1.5), atol=1e-14)


def test_power_and_product_are_what_they_are_called(data):
    gaussian = initializers.Gaussian(1.5)
    for seed, key in enumerate(keys_of(CONFIG, 4)):
        w = np.asarray(gaussian(key, (4, 4), jnp.float64))
        here = data.log10_sigma.sel(case="Gaussian power", seed=seed).isel(index=slice(0, 4))
        assert np.allclose(here.sel(length=3), log10_svd(np.linalg.matrix_power(w, 3)))
        factors = np.asarray(gaussian(key, (12, 4), jnp.float64)).reshape(3, 4, 4) * 3**0.5
        here = data.log10_sigma.sel(case="Gaussian product", seed=seed).isel(index=slice(0, 4))
        assert np.allclose(here.sel(length=1), log10_svd(factors[0]))
        assert np.allclose(here.sel(length=3), log10_svd(factors[0] @ factors[1] @ factors[2]))


def test_an_lstm_is_differentiated_in_its_joint_state(data):
    cell = cells.by_name("lstm", 4, wh_init=initializers.Orthogonal(1.5))
    key = next(keys_of(CONFIG, 4))
    key_params, key_inputs = jax.random.split(key)
    params = cell.init(key_params, 4, jnp.float64)
    xs = CONFIG.input_scale * jax.random.normal(key_inputs, (WARM_UP + 3, 4), jnp.float64)
    state, _ = unroll(cell, params, xs[:WARM_UP])

    def final(joint):
        state = cells.CarouselState(h=joint[:4], c=joint[4:])
        return jnp.concatenate(unroll(cell, params, xs[WARM_UP:], state)[0])

    expected = log10_svd(jax.jacfwd(final)(jnp.concatenate(state)))
    here = data.log10_sigma.sel(case="lstm", seed=0, length=3)
    assert np.allclose(here, expected, atol=1e-9)


def test_everything_is_labelled_and_reported(folder, data):
    assert {path.name for path in folder.iterdir() if path.name[0] != "."} == {
        *("config.json", "status.json", "results.nc", "report.html"),
        *("histograms.png", "validity.png"),
    }
    assert all("long_name" in data[name].attrs for name in data.data_vars)
    assert data.log10_edge.sel(length=1) == pytest.approx(np.log10(2 * 1.5))
    page = (folder / "report.html").read_text()
    assert page.count("data:image/png") == 2 and "http" not in page


@pytest.mark.slow
def test_the_tiny_preset_draws_the_whole_report(tmp_path):
    made = presets.run_tiny(jacobian_spectra, tmp_path / "w")
    assert made >= {"report.html", "histograms.png", "validity.png"}


def test_the_same_command_reads_the_result(folder, monkeypatch, capsys):
    monkeypatch.setattr(measure, "measure_linear", lambda *_: pytest.fail("measured again"))
    run(folder)
    assert "distance from Fuss-Catalan" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"lengths": (0, 1)}, r"lengths=\(0, 1\): must be at least 1"),
        ({"lengths": (4, 2)}, r"lengths=\(4, 2\): must be at least one value, increasing"),
        ({"widths": ()}, r"widths=\(\): must be"),
        ({"widths": (8, 8)}, r"widths=\(8, 8\): must be at least one value, increasing"),
        ({"cells": ("gru", "gru")}, "must be without repetition"),
        ({"hidden": 0}, "hidden=0: must be at least 1"),
        ({"cells": ("gruu",)}, "cells=gruu: no such cell; did you mean gru"),
        ({"gain": -1.0}, "gain=-1.0: must be positive"),
        ({"input_scale": -0.5}, "input_scale=-0.5: must be"),
        ({"dtype": "half"}, "dtype=half: must be"),
    ],
)
def test_bad_configurations(changes, message):
    with pytest.raises(UsageError, match=message) as error:
        jacobian_spectra.Config(**changes)
    assert "\n" not in str(error.value)
