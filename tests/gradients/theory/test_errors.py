"""What is refused by the functions of the theory."""

from typing import Any

import numpy as np
import pytest

from rnnlab.errors import UsageError
from rnnlab.gradients import theory

SIZES: Any = [2, 3]  # one size per call
WRONG = [
    (lambda: theory.log10_bound(np.nan, 3), "sigma_max=nan"),
    (lambda: theory.log10_bound([1.0, -2.0], 3), "sigma_max=-2"),
    (lambda: theory.log10_bound(1.0, 3, "swish"), "identity, relu, sigmoid, tanh"),
    (lambda: theory.log10_bound("wide", 3), "sigma_max='wide'"),
    (lambda: theory.log10_radius(0.0, 3), "radius=0"),
    (lambda: theory.log10_radius(1.0, -1), "steps=-1"),
    (lambda: theory.log10_radius(1.0, 2.5), "steps=2.5"),
    (lambda: theory.log10_singular_values_orthogonal(np.inf, 1), "gain=inf"),
    (lambda: theory.log10_singular_values_normal(0.5, 1), "eigenvalues: shape"),
    (lambda: theory.log10_singular_values_normal([1j * np.nan], 1), "eigenvalues=nan"),
    (lambda: theory.log10_singular_values_normal("wide", 1), "eigenvalues='wide'"),
    (lambda: theory.log10_sigma_max_jordan(0.5, 0, 1), "size=0"),
    (lambda: theory.log10_frobenius_jordan(0.5, SIZES, 1), "size: one integer"),
    (lambda: theory.gaussian_exponent(1.0, 0), "hidden=0"),
    (lambda: theory.gaussian_spectrum(-1.0, 3), "gain=-1"),
    (lambda: theory.fuss_catalan_number(0, 1), "factors=0"),
    (lambda: theory.fuss_catalan_density(-1.0, 1), "x=-1"),
    (lambda: theory.fuss_catalan_log10_density(np.nan, 1), "log10_sigma=nan"),
    (lambda: theory.mean_field_variance(0.0), "gain=0"),
    (lambda: theory.mean_field_exponent(1.0, -0.1), "input_std=-0.1"),
    (lambda: theory.mean_field_exponent(1.0, 0.0, "gelu"), "activation='gelu'"),
    (lambda: theory.critical_gain(np.nan), "input_std=nan"),
    (lambda: theory.critical_gain(0.0, "gelu"), "activation='gelu'"),
    (lambda: theory.forget_time_constant(np.inf), "bias=inf"),
    (lambda: theory.forget_bias(0.0), "time_constant=0"),
    (lambda: theory.chrono_bias(1.0), "time_constant=1"),
]


@pytest.mark.parametrize("call,message", WRONG, ids=[message for _, message in WRONG])
def test_wrong_use_is_told_in_one_line(call, message):
    with pytest.raises(UsageError) as caught:
        call()
    assert message in str(caught.value) and "\n" not in str(caught.value)
