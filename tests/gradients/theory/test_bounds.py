"""Bounds on the growth of a gradient, against powers and simulated products."""

import numpy as np
import pytest
from scipy import special

from rnnlab.gradients import theory


def tanh_slope(u):
    decay = np.exp(-2 * np.abs(u))  # 1/cosh² would overflow
    return 4 * decay / (1 + decay) ** 2


def sigmoid_slope(u):
    return special.expit(u) * special.expit(-u)


def test_bound_and_radius_are_powers():
    np.testing.assert_allclose(theory.log10_bound(1.1, [0, 1, 10]), np.log10(1.1) * np.r_[0, 1, 10])
    np.testing.assert_allclose(theory.log10_bound(8.0, 3, "sigmoid"), np.log10(8.0))
    np.testing.assert_allclose(
        theory.log10_radius([0.5, 2.0], 10_000), [-3010.2999566, 3010.2999566]
    )
    assert theory.log10_bound(np.ones((3, 1)), np.arange(4)).shape == (3, 4)


@pytest.mark.parametrize("activation", sorted(theory.MAX_SLOPES))
def test_bound_holds_for_a_jacobian_product_and_is_reached_by_one_unit(activation):
    slopes = {
        "identity": lambda z: np.ones_like(z),
        "relu": lambda z: (z > 0).astype(float),
        "sigmoid": sigmoid_slope,
        "tanh": tanh_slope,
    }
    rng = np.random.default_rng(0)
    wh = rng.standard_normal((6, 6))
    product = np.eye(6)
    for _ in range(5):
        product = product @ (wh * slopes[activation](rng.standard_normal(6)))
    sigma_max = np.linalg.norm(wh, 2)
    assert np.log10(np.linalg.norm(product, 2)) <= theory.log10_bound(sigma_max, 5, activation)
    steepest = slopes[activation](np.linspace(-3, 3, 601)).max()
    assert theory.log10_bound(1.0, 1, activation) == pytest.approx(np.log10(steepest), abs=1e-12)
