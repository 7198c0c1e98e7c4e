"""The time constant of a forget gate, against exact arithmetic."""

import decimal
import math

import numpy as np
import pytest
from scipy import special

from rnnlab.gradients import theory


def test_time_constant_of_a_forget_gate():
    assert theory.forget_time_constant(0.0) == pytest.approx(1 / math.log(2))
    bias = np.array([-800.0, -3.0, 1.0, 5.0, 30.0])
    with decimal.localcontext(prec=40):
        exact = [float(1 / (1 + (-decimal.Decimal(b)).exp()).ln()) for b in bias]
    np.testing.assert_allclose(theory.forget_time_constant(bias), exact, rtol=1e-14)
    assert theory.forget_time_constant(1000.0) == np.inf
    growth = theory.log10_forget_growth(1.0, [0, 1, 10_000])
    np.testing.assert_allclose(growth, np.log10(special.expit(1.0)) * np.r_[0, 1, 10_000])


def test_forget_bias_is_the_inverse_and_chrono_its_approximation():
    tau = np.array([0.001, 0.5, 2.0, 100.0, 1e6])
    np.testing.assert_allclose(
        theory.forget_time_constant(theory.forget_bias(tau)), tau, rtol=1e-12
    )
    tau = np.array([2.0, 100.0, 1e6])
    np.testing.assert_allclose(special.expit(theory.chrono_bias(tau)), 1 - 1 / tau)
    shift = theory.forget_bias(tau[1:]) - theory.chrono_bias(tau[1:])
    np.testing.assert_allclose(shift, 1 / (2 * tau[1:]), rtol=0.02)
    measured = theory.forget_time_constant(theory.chrono_bias(100.0))
    assert measured == pytest.approx(99.5, abs=0.01)
