"""Precision: every way of computing against NumPy, what counts as wrong, a run."""

import math
from functools import partial

import jax
import numpy as np
import pytest
import xarray as xr

from experiments import precision
from experiments.precision import report
from experiments.precision.accuracy import errors, right_up_to, shifts
from experiments.precision.networks import draw_network
from experiments.precision.norms import log_domain, naive
from experiments.precision.schema import CONTROL, ROUNDINGS, WAYS
from experiments.precision.tables import table_of_failures
from rnnlab import initializers
from rnnlab.errors import UsageError
from rnnlab.run import results
from rnnlab.run.workdir import open_workdir
from tests import quick
from tests.experiments import presets

CONFIG = precision.Config(
    radii=(0.5, 1.5),
    lengths=(1, 20, 100, 1200),
    hidden=5,
    seeds=2,
    chaotic_seeds=3,
    chaotic_length=1200,
)
FLOAT32, FLOAT64, LOG32, LOG64 = WAYS


def log10_norm_by_hand(wh, h, length):
    """log10 ‖∂L/∂h_0‖ of a tanh network without input, normalised by hand after every step."""
    states = [h]
    for _ in range(length):
        states.append(np.tanh(states[-1] @ wh))
    adjoint, exponent = np.full(len(h), len(h) ** -0.5), 0.0
    for state in reversed(states[1:]):
        adjoint = ((1 - state**2) * adjoint) @ wh.T
        scale = np.linalg.norm(adjoint)
        adjoint, exponent = adjoint / scale, exponent + np.log10(scale)
    return exponent


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    root = tmp_path_factory.mktemp("precision") / "run"
    with open_workdir(root, "precision", CONFIG) as workdir:
        precision.run(CONFIG, workdir)
    return root, results.load_dataset(root / results.FILE)


def test_run_writes_everything(finished):
    root, data = finished
    made = {path.name for path in root.iterdir()}
    assert made >= {"values.png", "errors.png", "chaos.png", "report.html", "results.nc"}
    assert (root / "report.html").read_text().count("data:image/png") == 3
    assert data.log10_norm.shape == (2, 2, 2, 4, 4)
    assert data.chaos_log10_norm.shape == (3, 3, 4)


@pytest.mark.slow
def test_the_tiny_preset_draws_the_whole_report(tmp_path):
    made = presets.run_tiny(precision, tmp_path / "w")
    assert made >= {"report.html", "values.png", "errors.png", "chaos.png"}


@pytest.mark.parametrize(("way", "bound"), [(LOG64, 1e-9), (LOG32, 1e-3)])
def test_log_domain_is_right_where_theory_is_exact(finished, way, bound):
    values = finished[1].log10_norm.sel(network=CONTROL, way=way)
    exact = np.multiply.outer(np.log10(CONFIG.radii), CONFIG.lengths)[:, None]
    np.testing.assert_allclose(values, np.broadcast_to(exact, values.shape), rtol=0, atol=bound)


def test_naive_ends_where_squares_leave_the_type(finished):
    values = finished[1].log10_norm.sel(network=CONTROL).isel(seed=0)
    vanishing, exploding = values.sel(radius=0.5), values.sel(radius=1.5)
    # 0.5^100 = 8e-31 and 1.5^100 = 4e17; 0.5^1200 = 6e-362 and 1.5^1200 = 2e211.
    assert np.isneginf(vanishing.sel(way=FLOAT32)).values.tolist() == [False, False, True, True]
    assert np.isfinite(exploding.sel(way=FLOAT32)).values.tolist() == [True, True, True, False]
    assert np.isneginf(vanishing.sel(way=FLOAT64)).values.tolist() == [False, False, False, True]
    assert np.isfinite(exploding.sel(way=FLOAT64)).values.tolist() == [True, True, True, False]


@pytest.mark.parametrize("radius", CONFIG.radii)
def test_tanh_network_is_that_of_numpy(finished, radius):
    values = finished[1].log10_norm.sel(network="tanh", radius=radius).isel(seed=1)
    _, params, _, state = draw_network(CONFIG, "tanh", radius, 1)
    wh, h = np.asarray(params["wh"]), np.asarray(state.h)
    for length in (1, 20):
        expected = log10_norm_by_hand(wh, h, length)
        here = values.sel(length=length)
        np.testing.assert_allclose(here.sel(way=[FLOAT64, LOG64]), expected, atol=1e-11)
        np.testing.assert_allclose(here.sel(way=[FLOAT32, LOG32]), expected, atol=1e-4)
    long = log10_norm_by_hand(wh, h, 1200)
    assert values.sel(length=1200, way=LOG64) == pytest.approx(long, abs=1e-9)


def test_networks_have_the_radius_they_are_asked_for():
    for network in ("tanh", "lstm", CONTROL):
        _, params, xs, state = draw_network(CONFIG, network, 1.5, 0)
        blocks = initializers.gate_blocks(params["wh"])
        np.testing.assert_allclose(initializers.spectral_radius(blocks), 1.5, rtol=1e-12)
        assert xs.shape == (1200, 1)
        assert all(leaf.shape == (CONFIG.hidden,) for leaf in jax.tree.leaves(state))


def test_both_ways_agree_on_a_gated_cell_with_inputs():
    config = precision.Config(cells=("lstm",), hidden=3, lengths=(2, 9), input_scale=1.0)
    cell, params, xs, state = draw_network(config, "lstm", 0.9, 0)
    one, other = (
        quick.jit(partial(way, cell, config.lengths))(params, xs, state)
        for way in (naive, log_domain)
    )
    np.testing.assert_allclose(one, other, rtol=0, atol=1e-12)
    assert np.std(xs) > 0.1


def test_changing_the_last_bit_is_seen_and_small(finished):
    values = finished[1].chaos_log10_norm.isel(chaos_length=0)
    distance = abs(values - values.sel(rounding="float64")).max("chaos_seed").values
    assert 1e-9 < distance[0] < 1e-5
    assert 0 < distance[2] < 1e-13


def test_a_shift_of_the_distribution_is_found_and_said(finished):
    data = finished[1]
    seeds = np.random.default_rng(0).normal(size=(40, 3, 1))
    same = xr.Dataset(
        {"chaos_log10_norm": (data.chaos_log10_norm.dims, seeds)},
        {"rounding": list(ROUNDINGS), "chaos_length": [1200]},
    )
    assert all(p > report.LEVEL for p in shifts(same).values())
    assert "no difference was found" in report.shift_found(CONFIG, same)
    moved = same + xr.DataArray([1.5, 0, 0], {"rounding": list(ROUNDINGS)}, "rounding")
    assert shifts(moved)["float32"] < 1e-4 < shifts(moved)[ROUNDINGS[2]]
    assert "it does for float32." in report.shift_found(CONFIG, moved)
    assert "Wilcoxon" in (finished[0] / "report.html").read_text()


def test_right_up_to_is_before_the_first_wrong_length():
    error = xr.DataArray(
        [[0.0, 0.2, 0.0], [0.05, 0.1, math.inf], [math.inf, 0, 0], [0, 0, 0]],
        dims=("case", "length"),
        coords={"length": [1, 10, 100]},
    )
    assert right_up_to(error, 0.1).values.tolist() == [1, 10, 0, 100]


def test_lost_values_are_infinitely_wrong(finished):
    data = finished[1]
    value, error = data.log10_norm, errors(data)
    assert np.all(np.isinf(error) == ~np.isfinite(value))
    assert np.all(error.sel(network="tanh", way=LOG64) == 0)
    counts = table_of_failures(CONFIG, data)
    for row in counts:
        assert row["right"] + row["0"] + row["inf or nan"] + row["finite and wrong"] == 16
    assert sum(row["0"] for row in counts) == np.sum(np.isneginf(value))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("cells", ()),
        ("cells", ("tahn",)),
        ("cells", ("tanh", "tanh")),
        ("init", "gausian"),
        ("radii", ()),
        ("radii", (0.5, 0.0)),
        ("radii", (0.5, 0.5)),
        ("lengths", ()),
        ("lengths", (0, 1)),
        ("lengths", (10, 5)),
        ("hidden", 0),
        ("seeds", 0),
        ("input_scale", -1.0),
        ("tolerance", 0.0),
        ("chaotic_radius", math.nan),
        ("chaotic_seeds", 0),
        ("chaotic_length", 0),
    ],
)
def test_bad_values_are_refused_by_name(field, value):
    with pytest.raises(UsageError, match=f"^{field}=") as refused:
        precision.Config(**{field: value})
    assert "\n" not in str(refused.value)
