"""Cross-entropy and its derivative against NumPy in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rnnlab.training.cross_entropy import cross_entropy
from tests import quick

RNG = np.random.default_rng(0)


def in_numpy(logits, targets):
    """The loss of each row, and softmax minus the target's one."""
    shifted = logits - logits.max(axis=-1, keepdims=True)
    p = np.exp(shifted) / np.exp(shifted).sum(axis=-1, keepdims=True)
    wanted = np.take_along_axis(shifted, targets[..., None], -1)[..., 0]
    nats = np.log(np.exp(shifted).sum(axis=-1)) - wanted
    return nats, p - np.eye(logits.shape[-1])[targets]


@pytest.mark.parametrize("shape", [(3,), (4, 2, 7), (1,)])
@pytest.mark.parametrize(("dtype", "rtol"), [(np.float32, 2e-6), (np.float64, 1e-13)])
@pytest.mark.parametrize("scale", [1.0, 100.0])
def test_value_and_derivative(shape, dtype, rtol, scale):
    logits = (scale * RNG.normal(size=shape)).astype(dtype)
    targets = RNG.integers(0, shape[-1], shape[:-1]).astype(np.int32)
    weights = RNG.normal(size=shape[:-1]).astype(dtype)

    def loss(logits):
        nats = cross_entropy(logits, targets)
        return (nats * weights).sum(), nats

    (_, nats), gradient = quick.jit(jax.value_and_grad(loss, has_aux=True))(jnp.asarray(logits))
    expected, slope = in_numpy(logits.astype(np.float64), targets)
    np.testing.assert_allclose(nats, expected, rtol=rtol, atol=rtol * scale)
    np.testing.assert_allclose(gradient, slope * weights[..., None], rtol=10 * rtol, atol=rtol * 2)
    assert nats.dtype == gradient.dtype == dtype


def test_logits_beyond_the_range_of_exp():
    logits = jnp.asarray([[1e4, 0.0, -1e4], [-3e38, 3e37, 0.0]], jnp.float32)
    gradient = jax.grad(lambda z: cross_entropy(z, jnp.asarray([0, 1])).sum())(logits)
    np.testing.assert_array_equal(gradient, np.zeros((2, 3)))
    np.testing.assert_array_equal(cross_entropy(logits, jnp.asarray([2, 1])), [2e4, 0])
