"""Numbers of an evaluation, against NumPy and closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rnnlab import cells, initializers
from rnnlab.combinators import Stack
from rnnlab.training.diagnostics import adjoint_numbers, matrix_numbers

KEY = jax.random.key(0)


def test_matrices_against_numpy():
    cell = Stack((cells.by_name("gru", 5), cells.by_name("tanh", 4)))
    params = cell.init(KEY, 3)
    numbers = matrix_numbers(cell, params)
    assert len(numbers) == 8
    n = np.asarray(params[0]["wh"], np.float64)[:, 10:]
    assert numbers["spectral_radius/0.n"] == pytest.approx(abs(np.linalg.eigvals(n)).max(), 1e-5)
    wh = np.asarray(params[1]["wh"], np.float64)
    assert numbers["sigma_max/1.h"] == pytest.approx(np.linalg.norm(wh, 2), 1e-5)


def test_a_linear_network_feels_a_loss_by_powers_of_its_radius():
    cell = cells.by_name("linear", 6, wh_init=initializers.Orthogonal())
    params = cell.init(KEY, 2, jnp.float64)
    params = params | {"wh": 0.5 * params["wh"]}
    numbers = adjoint_numbers(cell, params, jnp.zeros((8, 3, 2), jnp.float64))
    assert list(numbers) == [f"log10_adjoint/{lag}" for lag in (0, 1, 2, 4, 8)]
    for lag in (1, 2, 4, 8):
        assert numbers[f"log10_adjoint/{lag}"] == pytest.approx(lag * np.log10(0.5))
