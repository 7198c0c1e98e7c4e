import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rnnlab.gradients.qr import PANEL, qr
from tests import quick


@pytest.mark.parametrize(
    "shape", [(3, 2 * PANEL + 5, 2 * PANEL + 5), (PANEL + 3, PANEL), (9, 1), (2, 3, 4, 4)]
)
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
def test_factors(shape, dtype):
    a = np.random.default_rng(0).normal(size=shape)
    q, r = quick.jit(qr)(jnp.asarray(a, dtype))
    assert q.shape == shape and r.shape == (*shape[:-2], shape[-1], shape[-1])
    eps = 30 * float(jnp.finfo(dtype).eps)
    np.testing.assert_allclose(q @ r, a, rtol=0, atol=eps * np.abs(a).max())
    square = np.broadcast_to(np.eye(shape[-1]), r.shape)
    np.testing.assert_allclose(np.swapaxes(q, -1, -2) @ q, square, rtol=0, atol=eps)
    assert not np.any(np.tril(r, -1))
    expected = np.abs(np.linalg.qr(a)[1])
    np.testing.assert_allclose(np.abs(r), expected, rtol=0, atol=100 * eps)


def test_a_singular_matrix_has_an_orthonormal_basis():
    a = np.zeros((20, 18))
    a[3:9] = np.random.default_rng(0).normal(size=(6, 18))
    q, r = quick.jit(qr)(jnp.asarray(a))
    np.testing.assert_allclose(q @ r, a, atol=1e-14)
    np.testing.assert_allclose(q.T @ q, np.eye(18), atol=1e-13)
    zero, none = quick.jit(qr)(jnp.zeros((5, 5)))
    np.testing.assert_allclose(zero.T @ zero, np.eye(5), atol=1e-15)
    assert not np.any(none)


def test_small_rows_keep_their_digits():
    """|det (D B)| = |det B| Π D; with rows in this order, LAPACK's factors lose the small ones."""
    b = np.random.default_rng(1).normal(size=(5, 5))
    rows = np.array([1e-30, 1.0, 1e-14, 1e8, 1e-22])
    _, r = jax.jit(qr)(jnp.asarray(rows[:, None] * b))
    found = np.sum(np.log10(np.abs(np.diag(r))))
    exact = np.linalg.slogdet(b)[1] / np.log(10) + np.sum(np.log10(rows))
    assert found == pytest.approx(exact, abs=1e-12)
    lapack = np.sum(np.log10(np.abs(np.diag(np.linalg.qr(rows[:, None] * b)[1]))))
    assert abs(lapack - exact) > 1e-6
