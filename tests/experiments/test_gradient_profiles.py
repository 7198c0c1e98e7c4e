"""Profiles against `jax.grad` and closed forms, the files of a run, and what a second run does."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr

from experiments import gradient_profiles
from experiments.gradient_profiles import measure
from experiments.gradient_profiles.config import has_forget_gate
from experiments.gradient_profiles.forgetting import set_forget_bias
from experiments.gradient_profiles.growth import growth_per_step, half_life, time_constant
from experiments.gradient_profiles.pictures import FAMILIES, plot_profiles, plot_together
from experiments.gradient_profiles.profiles import draw, make_cell
from rnnlab import cells
from rnnlab.errors import UsageError
from rnnlab.gradients import theory
from rnnlab.run import results
from rnnlab.run.workdir import open_workdir
from rnnlab.unroll import unroll
from tests.experiments import presets

CONFIG = gradient_profiles.Config(
    cells=("linear", "lstm"),
    hidden=5,
    length=12,
    batch=2,
    seeds=3,
    radius=0.9,
    forget_cells=("lstm",),
    forget_biases=(-1.0, 2.0),
    forget_radii=(0.0, 0.5),
    forget_input_scale=0.0,
)


def run(folder, config=CONFIG):
    with open_workdir(folder, "gradient_profiles", config) as workdir:
        gradient_profiles.run(config, workdir)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("profiles") / "w"
    run(folder)
    return folder


@pytest.fixture
def data(folder):
    return results.load_dataset(folder / "results.nc")


@pytest.mark.slow
def test_an_orthogonal_linear_network_loses_its_radius_at_every_step(data):
    exact = np.log10(0.9) * np.arange(13)
    for part in ("h", "joint"):
        profile = data.log10_norm.sel(cell="linear", part=part)
        assert np.allclose(profile.transpose("seed", ...), exact, atol=1e-12)
    assert np.allclose(data.growth.sel(cell="linear", part="h"), np.log10(0.9), atol=1e-12)
    assert np.isnan(data.log10_norm.sel(cell="linear", part="c")).all()


@pytest.mark.slow
def test_several_cells_are_in_one_panel_and_many_by_family(data):
    figure = plot_together(data)
    (ax,) = figure.axes
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["linear", "lstm"]
    many = xr.concat([data.log10_norm] * 5, "cell").to_dataset()
    names = ["tanh", "lstm", "gru", "mgu", "mut1", "mut2", "mut3", "cec", "relu", "my:Cell"]
    figure = plot_together(many.assign_coords(cell=names))
    assert [ax.get_title() for ax in figure.axes] == [
        *("Simple recurrent networks", "Memories that never forget", "Long short-term memory"),
        *("Gated recurrent units and their relatives", "Others"),
    ]


def test_few_cells_fill_the_page_and_the_legend_names_their_parts(data):
    figure = plot_profiles(data.sel(cell=["linear"]))
    assert len(figure.axes) == 1
    legends = [legend for box in figure.subfigs for legend in box.legends]
    assert [text.get_text() for text in legends[0].get_texts()] == ["joint", "h"]


def test_an_lstm_is_differentiated_as_jax_does(data):
    cell = make_cell(CONFIG, "lstm")
    params, xs = draw(CONFIG, cell)
    seed, time = 1, 7
    params, xs = jax.tree.map(lambda a: a[seed], params), xs[seed]
    state, _ = unroll(cell, params, xs[:time])

    def loss(state):
        return jnp.sum(unroll(cell, params, xs[time:], state)[1][-1]) / 5**0.5

    gradient = jax.grad(loss)(state)
    logs = {part: np.log10(np.linalg.norm(a, axis=-1)) for part, a in gradient._asdict().items()}
    logs["joint"] = np.log10(np.hypot(10 ** logs["h"], 10 ** logs["c"]))
    for part, expected in logs.items():
        point = {"cell": "lstm", "part": part, "seed": seed, "steps_before_loss": 12 - time}
        assert float(data.log10_norm.sel(point)) == pytest.approx(expected.mean(), abs=1e-10)


def test_without_recurrence_only_the_forget_gate_forgets(data):
    growth = data.forget_growth.sel(forget_radius=0.0).transpose(..., "forget_bias")
    exact = np.log10(1 / (1 + np.exp([1.0, -2.0])))
    assert np.allclose(growth, exact, atol=1e-12)
    assert np.allclose(time_constant(exact), data.forget_theory, rtol=1e-12)


def test_an_lstm_at_rest_multiplies_by_its_gate_and_its_candidate(data):
    # Where h = c = 0, f and the candidate alone move c: λ_t = (f + i o W_g) λ_{t+1}, i = o = ½.
    cell = make_cell(CONFIG, "lstm")
    params, _ = draw(CONFIG, cell)
    for seed in range(3):
        candidate = 0.5 / 0.9 * np.asarray(params["wh"])[seed, :, 10:15]
        for bias in (-1.0, 2.0):
            matrix = np.eye(5) / (1 + np.exp(-bias)) + candidate / 4
            powers = [np.linalg.matrix_power(matrix, t) for t in range(5, 12)]  # the far half
            norms = np.linalg.norm(powers @ np.ones(5), axis=-1)
            slope = np.polyfit(np.arange(7), np.log10(norms), 1)[0]
            point = {"forget_radius": 0.5, "forget_cell": "lstm", "forget_bias": bias, "seed": seed}
            assert float(data.forget_growth.sel(point)) == pytest.approx(slope, abs=1e-10)


@pytest.mark.parametrize("name", [*filter(has_forget_gate, cells.CELLS)])
def test_forget_bias_is_that_of_the_cell(name):
    cell = cells.by_name(name, 3)
    assert isinstance(cell, cells.StandardCell)
    expected = cells.by_name(name, 3, forget_bias=2.5).init(jax.random.key(0), 1, jnp.float64)
    b = cell.init(jax.random.key(0), 1, jnp.float64)["b"]
    changed = set_forget_bias(cell, b[None], 2.5)
    assert np.array_equal(changed[0], expected["b"])


def test_growth_is_the_slope_far_from_the_loss():
    steps = np.arange(21.0)
    line = np.where(steps < 8, 5.0, -0.25 * steps)
    assert growth_per_step(line) == pytest.approx(-0.25)
    assert np.isnan(growth_per_step(np.where(steps < 15, line, -np.inf)))
    assert half_life(-np.log10(2) / 3) == "3"
    assert half_life(np.log10(2) / 3) == "doubles in 3"
    assert half_life(1e-17) == "constant"
    assert half_life(float("nan")) == "exactly zero"
    tau = time_constant(np.log10(np.exp(-1 / 7.0)))
    assert tau == pytest.approx(7)
    assert time_constant(0.1) == np.inf
    assert theory.forget_time_constant(0.0) == pytest.approx(1 / np.log(2))


def test_every_cell_has_a_family():
    named = [name for names in FAMILIES.values() for name in names]
    assert sorted(named) == sorted(cells.CELLS)
    assert gradient_profiles.Config().cells == tuple(cells.CELLS)


def test_everything_is_labelled_and_reported(folder, data):
    assert {path.name for path in folder.iterdir() if path.name[0] != "."} == {
        *("config.json", "status.json", "results.nc", "report.html"),
        *("profiles.png", "together.png", "forget_bias.png"),
    }
    assert all("units" in data[name].attrs for name in data.data_vars)
    page = (folder / "report.html").read_text()
    assert page.count("data:image/png") == 3 and "http" not in page


@pytest.mark.slow
def test_the_tiny_preset_draws_the_whole_report(tmp_path):
    made = presets.run_tiny(gradient_profiles, tmp_path / "w")
    assert made >= {"report.html", "profiles.png", "forget_bias.png"}


def test_the_same_command_reads_the_result(folder, monkeypatch, capsys):
    monkeypatch.setattr(measure, "measure_cell", lambda *_: pytest.fail("measured again"))
    run(folder)
    assert "growth of" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"cells": ("tan",)}, "cells=tan: no such cell; did you mean tanh"),
        ({"cells": ()}, r"cells=\(\): must be at least one value"),
        ({"cells": ("gru", "gru")}, "must be without repetition"),
        ({"forget_biases": (1.0, 0.0)}, r"forget_biases=\(1.0, 0.0\): must be"),
        ({"forget_cells": ("gru",)}, "forget_cells=gru: has no forget gate; those that have: lstm"),
        ({"hidden": 0}, "hidden=0: must be at least 1"),
        ({"length": 0}, "length=0: must be at least 4"),
        ({"radius": 0.0}, "radius=0.0: must be positive"),
        ({"input_scale": float("inf")}, "input_scale=inf: must be finite"),
        ({"forget_radii": (-1.0,)}, r"forget_radii=\(-1.0,\): must be"),
        ({"forget_biases": (float("nan"),)}, r"forget_biases=\(nan,\): must be"),
        ({"init": "orthogonl"}, "init=orthogonl: no such initialiser; did you mean orthogonal"),
        ({"dtype": "bfloat16"}, "dtype=bfloat16: must be"),
    ],
)
def test_bad_configurations(changes, message):
    with pytest.raises(UsageError, match=message) as error:
        gradient_profiles.Config(**changes)
    assert "\n" not in str(error.value)
