"""The wall, the valley and the gradient of one logistic unit against its recursion by hand."""

import math

import numpy as np
import pytest

from rnnlab.errors import UsageError
from rnnlab.gradients import theory

X_0, TARGET = 0.5, 0.7


def logistic(x):
    return 1 / (1 + math.exp(-x))


def loss_and_gradient(w, b, steps):
    """E and ∂E/∂(w, b), by ∂x_t/∂w and ∂x_t/∂b forward in time."""
    x, dw, db = X_0, 0.0, 0.0
    for _ in range(steps):
        level = logistic(x)
        slope = w * level * (1 - level)
        x, dw, db = w * level + b, level + slope * dw, 1 + slope * db
    outer = 2 * (logistic(x) - TARGET) * logistic(x) * (1 - logistic(x))
    return (logistic(x) - TARGET) ** 2, outer * np.array([dw, db])


@pytest.mark.parametrize("w", [-4.0, 0.0, 2.0, 4.8])
def test_the_unit_rests_on_the_wall(w):
    b = theory.cliff_wall(w, X_0)
    assert w * logistic(X_0) + b == pytest.approx(X_0, abs=1e-15)


@pytest.mark.parametrize("w", [-5.0, 0.0, 3.0, 4.3, 5.2])
@pytest.mark.parametrize("steps", [1, 2, 20])
def test_the_gradient_on_the_wall_is_that_of_the_recursion(w, steps):
    _, gradient = loss_and_gradient(w, theory.cliff_wall(w, X_0), steps)
    expected = np.log10(np.linalg.norm(gradient))
    assert theory.log10_cliff_gradient(w, X_0, TARGET, steps) == pytest.approx(expected, abs=1e-9)


def test_the_gradient_on_the_wall_after_many_steps_grows_as_the_slope():
    slope = 8.0 * logistic(X_0) * (1 - logistic(X_0))
    logs = [theory.log10_cliff_gradient(8.0, X_0, TARGET, steps) for steps in (10_000, 10_001)]
    assert logs[1] - logs[0] == pytest.approx(math.log10(slope), abs=1e-9)
    assert math.isfinite(logs[1]) and logs[1] > 1000


def test_the_gradient_of_a_saturated_unit_keeps_its_digits():
    """At x_0 = 40, 1 - σ(x_0) is 4e-18; E = (1 - y)² and σ'(x_0) = e^-40 to 17 digits."""
    expected = math.log10(2 * (1 - TARGET) * math.sqrt(2)) - 40 * math.log10(math.e)
    found = theory.log10_cliff_gradient(1.0, 40.0, TARGET, 1)
    assert found == pytest.approx(expected, abs=1e-12)


def test_a_target_that_the_unit_starts_at_has_no_gradient():
    assert theory.log10_cliff_gradient(4.8, X_0, logistic(X_0), 50) == -math.inf


def test_the_loss_vanishes_in_the_valley():
    b = theory.cliff_valley(4.0, X_0, TARGET)
    assert loss_and_gradient(4.0, b, 50)[0] < 1e-6
    w = np.array([4.3, 4.4])
    assert np.all(theory.cliff_valley(w, X_0, TARGET) > theory.cliff_wall(w, X_0))
    assert np.all(np.isnan(theory.cliff_valley([4.6, 4.9, -1.0], X_0, TARGET)))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: theory.cliff_wall(1.0, math.inf), "x_0=inf"),
        (lambda: theory.cliff_valley(1.0, 0.5, 1.0), "target=1.0"),
        (lambda: theory.log10_cliff_gradient(math.nan, 0.5, 0.7, 3), "w=nan"),
        (lambda: theory.log10_cliff_gradient(1.0, 0.5, 0.7, 0), "steps=0"),
    ],
)
def test_wrong_use_is_told_in_one_line(call, message):
    with pytest.raises(UsageError, match=f"^{message}") as error:
        call()
    assert "\n" not in str(error.value)
