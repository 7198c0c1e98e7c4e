"""Singular values against NumPy and closed forms, and the files of a run."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from experiments import jacobian_spectra
from experiments._jacobian_spectra_law import fuss_catalan_distribution, kolmogorov_smirnov
from rnnlab import cells, initializers
from rnnlab.errors import UsageError
from rnnlab.gradients import theory
from rnnlab.run import results
from rnnlab.run.workdir import open_workdir
from rnnlab.unroll import unroll

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


def test_orthogonal_matrices_are_a_point(data):
    for length in CONFIG.lengths:
        values = data.log10_sigma.sel(case="orthogonal", length=length).isel(index=slice(0, 4))
        assert np.allclose(values, length * np.log10(1.5), atol=1e-14)


def test_power_and_product_are_what_they_are_called(data):
    gaussian = initializers.Gaussian(1.5)
    for seed, key in enumerate(jacobian_spectra._keys(CONFIG, 4)):
        w = np.asarray(gaussian(key, (4, 4), jnp.float64))
        here = data.log10_sigma.sel(case="Gaussian power", seed=seed).isel(index=slice(0, 4))
        assert np.allclose(here.sel(length=3), log10_svd(np.linalg.matrix_power(w, 3)))
        factors = np.asarray(gaussian(key, (12, 4), jnp.float64)).reshape(3, 4, 4) * 3**0.5
        here = data.log10_sigma.sel(case="Gaussian product", seed=seed).isel(index=slice(0, 4))
        assert np.allclose(here.sel(length=1), log10_svd(factors[0]))
        assert np.allclose(here.sel(length=3), log10_svd(factors[0] @ factors[1] @ factors[2]))


def test_an_lstm_is_differentiated_in_its_joint_state(data):
    cell = cells.by_name("lstm", 4, wh_init=initializers.Orthogonal(1.5))
    key = next(jacobian_spectra._keys(CONFIG, 4))
    key_params, key_inputs = jax.random.split(key)
    params = cell.init(key_params, 4, jnp.float64)
    warm_up = jacobian_spectra.WARM_UP
    xs = CONFIG.input_scale * jax.random.normal(key_inputs, (warm_up + 3, 4), jnp.float64)
    state, _ = unroll(cell, params, xs[:warm_up])

    def final(joint):
        state = cells.CarouselState(h=joint[:4], c=joint[4:])
        return jnp.concatenate(unroll(cell, params, xs[warm_up:], state)[0])

    expected = log10_svd(jax.jacfwd(final)(jnp.concatenate(state)))
    here = data.log10_sigma.sel(case="lstm", seed=0, length=3)
    assert np.allclose(here, expected, atol=1e-9)


def test_one_factor_follows_the_quarter_circle():
    sigma = np.linspace(0.01, 1.99, 50)
    exact = (sigma * np.sqrt(4 - sigma**2) / 2 + 2 * np.arcsin(sigma / 2)) / np.pi
    law = fuss_catalan_distribution(np.log10(3 * sigma), 1, 3.0)
    assert np.allclose(law, exact, atol=1e-5)


@pytest.mark.parametrize("length", [1, 4, 64])
def test_the_law_is_whole_and_has_its_mean(length):
    edge = np.log10(theory.fuss_catalan_edge(length)) / 2
    u = np.linspace(edge - 8 * (length + 1), edge, 20001)
    law = fuss_catalan_distribution(u, length, 1.0)
    assert law[-1] == pytest.approx(1, abs=1e-5) and (np.diff(law) >= 0).all()
    mean_square = np.sum(np.diff(law) * 10 ** (u[1:] + u[:-1]))
    assert mean_square == pytest.approx(theory.fuss_catalan_number(length, 1), rel=0.02)


def test_distance_is_that_of_kolmogorov_and_smirnov():
    samples = np.random.default_rng(0).normal(-0.2, 0.3, 100)
    for length in (1, 3):
        law = lambda u, n=length: fuss_catalan_distribution(u, n, 1.0)  # noqa: E731
        expected = stats.kstest(samples, law).statistic
        assert kolmogorov_smirnov(samples, length, 1.0) == pytest.approx(expected)


def test_wide_products_follow_the_law():
    rng = np.random.default_rng(0)
    factors = 2.0 * rng.normal(size=(4, 200, 200)) / 200**0.5
    product, power = np.linalg.multi_dot(factors), np.linalg.matrix_power(factors[0], 4)
    for matrix in (product, power):
        assert kolmogorov_smirnov(log10_svd(matrix), 4, 2.0) < 0.02
    assert kolmogorov_smirnov(log10_svd(product), 3, 2.0) > 0.1


def test_everything_is_labelled_and_reported(folder, data):
    assert {path.name for path in folder.iterdir() if path.name[0] != "."} == {
        *("config.json", "status.json", "results.nc", "report.html"),
        *("histograms.png", "validity.png"),
    }
    assert all("long_name" in data[name].attrs for name in data.data_vars)
    assert data.log10_edge.sel(length=1) == pytest.approx(np.log10(2 * 1.5))
    page = (folder / "report.html").read_text()
    assert page.count("data:image/png") == 2 and "http" not in page


def test_the_same_command_reads_the_result(folder, monkeypatch, capsys):
    monkeypatch.setattr(
        jacobian_spectra, "measure_linear", lambda *_: pytest.fail("measured again")
    )
    run(folder)
    assert "distance from Fuss-Catalan" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"lengths": (0, 1)}, r"lengths=\(0, 1\): must be integers of at least 1"),
        ({"lengths": (4, 2)}, r"lengths=\(4, 2\): must increase"),
        ({"widths": ()}, r"widths=\(\): must be"),
        ({"widths": (8, 8)}, r"widths=\(8, 8\): must increase"),
        ({"cells": ("gru", "gru")}, "must name each cell once"),
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
