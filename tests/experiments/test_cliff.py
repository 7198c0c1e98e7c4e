"""The cliff: gradients against the recursion by hand, descents against a plain loop, a run."""

import math
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments import cliff
from experiments.cliff.measure import descend, loss
from experiments.cliff.schema import RULES
from experiments.cliff.tables import table_of_paths, update_lengths
from rnnlab.errors import UsageError
from rnnlab.gradients.theory import cliff_valley, cliff_wall, log10_cliff_gradient
from rnnlab.run import results
from rnnlab.run.workdir import open_workdir
from tests.experiments import presets

CONFIG = cliff.Config(points=41, updates=60, neighbours=3)
POINTS = [(5.2, -2.6), (4.3, -2.1), (4.9, -2.55), (4.6, -2.4), (-3.0, 1.0)]


def by_hand(theta, config):
    """E and ∂E/∂(w, b) by the recursion of x_t, ∂x_t/∂w and ∂x_t/∂b forward in time."""
    w, b = theta
    x, dw, db = config.x_0, 0.0, 0.0
    for _ in range(config.length):
        level = 1 / (1 + math.exp(-x))
        slope = w * level * (1 - level)
        x, dw, db = w * level + b, level + slope * dw, 1 + slope * db
    level = 1 / (1 + math.exp(-x))
    outer = 2 * (level - config.target) * level * (1 - level)
    return (level - config.target) ** 2, np.array([outer * dw, outer * db])


@pytest.fixture(scope="module")
def gradient():
    return jax.jit(jax.value_and_grad(lambda theta: loss(theta, CONFIG)))


@pytest.mark.parametrize("point", POINTS)
def test_gradient_is_that_of_the_recursion(gradient, point):
    value, slope = gradient(jnp.array(point))
    expected_value, expected_slope = by_hand(point, CONFIG)
    np.testing.assert_allclose(value, expected_value, rtol=1e-9)
    np.testing.assert_allclose(slope, expected_slope, rtol=1e-8)


@pytest.mark.parametrize("point", POINTS)
def test_gradient_is_the_finite_difference(gradient, point):
    step = 1e-7
    for axis, slope in enumerate(gradient(jnp.array(point))[1]):
        change = step * np.eye(2)[axis]
        ends = [by_hand(np.array(point) + sign * change, CONFIG)[0] for sign in (1, -1)]
        assert slope == pytest.approx((ends[0] - ends[1]) / (2 * step), rel=1e-4, abs=1e-8)


@pytest.mark.parametrize("w", [4.3, 4.8, 5.2])
def test_gradient_on_the_wall_is_the_closed_form(gradient, w):
    b = cliff_wall(w, CONFIG.x_0)
    measured = np.linalg.norm(gradient(jnp.array([w, b]))[1])
    # x_0 is an unstable fixed point: rounding grows as the gradient does.
    exact = log10_cliff_gradient(w, CONFIG.x_0, CONFIG.target, CONFIG.length)
    assert 10**exact == pytest.approx(measured, rel=1e-8)


def test_loss_differs_across_the_wall_and_vanishes_in_the_valley(gradient):
    w = 4.8
    b = float(cliff_wall(w, CONFIG.x_0))
    assert gradient(jnp.array([w, b + 0.01]))[0] < 0.02
    assert gradient(jnp.array([w, b - 0.01]))[0] > 0.2
    w = np.array([4.3, 4.4])
    valley = partial(cliff_valley, x_0=CONFIG.x_0, target=CONFIG.target)
    assert by_hand((4.0, valley(4.0)), CONFIG)[0] < 1e-6
    assert np.all(valley(w) > cliff_wall(w, CONFIG.x_0))
    assert np.all(np.isnan(valley([4.6, 4.9, -1.0])))


@pytest.mark.parametrize("rule", RULES)
def test_descent_is_the_plain_loop(rule):
    config = cliff.Config(updates=17, start=(4.9, -2.4), threshold=0.15)
    path = descend(config, rule, jnp.array([config.start]))
    theta = np.array(config.start)
    for update in range(config.updates + 1):
        value, slope = by_hand(theta, config)
        np.testing.assert_allclose(path["theta"][0, update], theta, rtol=1e-9)
        np.testing.assert_allclose(path["loss"][0, update], value, rtol=1e-7)
        np.testing.assert_allclose(path["grad_norm"][0, update], np.linalg.norm(slope), rtol=1e-7)
        if rule == "by norm":
            slope = slope * min(1, config.threshold / np.linalg.norm(slope))
        elif rule == "by value":
            slope = np.clip(slope, -config.threshold, config.threshold)
        theta = theta - config.learning_rate * slope


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    root = tmp_path_factory.mktemp("cliff") / "run"
    with open_workdir(root, "cliff", CONFIG) as workdir:
        cliff.run(CONFIG, workdir)
    return root, results.load_dataset(root / results.FILE)


def test_run_writes_everything(finished):
    root, data = finished
    made = {path.name for path in root.iterdir()}
    assert made >= {"cliff.png", "descents.png", "gradients.png", "report.html", "results.nc"}
    assert (root / "report.html").read_text().count("data:image/png") == 3
    assert data.loss.shape == (41, 41)
    assert data.path_loss.shape == (3, 1 + CONFIG.neighbours, 1 + CONFIG.updates)


@pytest.mark.slow
def test_the_tiny_preset_draws_the_whole_report(tmp_path):
    made = presets.run_tiny(cliff, tmp_path / "w")
    assert made >= {"report.html", "cliff.png", "descents.png", "gradients.png"}


def test_surface_is_the_loss(finished):
    _, data = finished
    for index in [(0, 0), (20, 20), (40, 3)]:
        value, slope = by_hand((float(data.w[index[1]]), float(data.b[index])), CONFIG)
        assert data.loss.values[index] == pytest.approx(value, rel=1e-9)
        log10_norm = np.log10(np.linalg.norm(slope))
        assert data.log10_grad_norm.values[index] == pytest.approx(log10_norm, abs=1e-8)


def test_updates_are_clipped_and_only_those(finished):
    _, data = finished
    longest = update_lengths(data).max(["start", "update"])
    bound = CONFIG.learning_rate * CONFIG.threshold
    assert longest.sel(rule="by norm") == pytest.approx(bound, rel=1e-9)
    assert longest.sel(rule="by value") == pytest.approx(bound * math.sqrt(2), rel=1e-9)
    assert longest.sel(rule="unclipped") > 10 * bound
    for row, path in zip(table_of_paths(data), data.path_w[:, 0], strict=True):
        assert row["end w"] == path[-1]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("length", 0),
        ("points", 1),
        ("updates", 0),
        ("neighbours", 0),
        ("learning_rate", 0.0),
        ("threshold", math.inf),
        ("spread", -1.0),
        ("x_0", math.nan),
        ("target", 1.0),
        ("w_range", (5.0, 4.0)),
        ("b_range", ()),
        ("start", (0.0, 0.0)),
        ("start", (5.2,)),
    ],
)
def test_bad_values_are_refused_by_name(field, value):
    with pytest.raises(UsageError, match=f"^{field}=") as refused:
        cliff.Config(**{field: value})
    assert "\n" not in str(refused.value)
