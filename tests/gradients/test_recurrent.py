import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rnnlab import initializers
from rnnlab.cells import GRU, LSTM, MUT1, AdditiveIdentity, Elman
from rnnlab.combinators import Residual, Stack, bidirectional
from rnnlab.errors import UsageError
from rnnlab.gradients import recurrent_matrices
from tests import quick


def test_each_gate_is_measured():
    cell = LSTM(6, wh_init=initializers.Gaussian(2.0))
    params = cell.init(jax.random.key(0), 3, jnp.float64)
    got = quick.jit(lambda p: recurrent_matrices(cell, p))(params)
    assert set(got) == set("ifgo")
    for i, gate in enumerate("ifgo"):
        measured = got[gate]
        block = np.asarray(params["wh"])[:, 6 * i : 6 * (i + 1)]
        radius = np.abs(np.linalg.eigvals(block)).max()
        values = np.linalg.svd(block, compute_uv=False)
        np.testing.assert_allclose(measured.spectral_radius, radius, rtol=1e-12)
        np.testing.assert_allclose(measured.singular_values, values, rtol=1e-12)
        np.testing.assert_allclose(measured.sigma_max, values[0], rtol=1e-12)
        assert measured.sigma_max > 1.2 * measured.spectral_radius


def test_names_in_combinators():
    cell = Stack((bidirectional(GRU(2)), Elman(4), Residual(MUT1(4)), AdditiveIdentity(2)))
    got = jax.eval_shape(lambda: recurrent_matrices(cell, cell.init(jax.random.key(0), 3)))
    directions = [f"0.{way}.{gate}" for way in ("forward", "backward") for gate in "rzn"]
    assert sorted(got) == sorted([*directions, "1.h", "2.r", "2.n"])


def test_leading_axes_and_vmap():
    cell = Elman(5)
    keys = jax.random.split(jax.random.key(0), 3)
    params = quick.jit(jax.vmap(lambda key: cell.init(key, 2, jnp.float64)))(keys)
    batched = recurrent_matrices(cell, params)["h"]
    mapped = quick.jit(jax.vmap(lambda p: recurrent_matrices(cell, p)))(params)["h"]
    assert batched.singular_values.shape == (3, 5)
    for a, b in zip(batched, mapped, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)
    np.testing.assert_allclose(batched.spectral_radius, 1, rtol=1e-12)


def test_usage_errors():
    cell = Elman(3)
    params = cell.init(jax.random.key(0), 2, jnp.float64)
    with pytest.raises(UsageError, match=r"params\['wh'\] holds nan at \[0, 0\]"):
        recurrent_matrices(cell, params | {"wh": params["wh"].at[0, 0].set(jnp.nan)})
    with pytest.raises(
        UsageError, match=r"params have 1 recurrent gate blocks: LSTM needs one for each"
    ):
        recurrent_matrices(LSTM(3), params)
