"""The summed cross-entropy of readouts in blocks of rows, against NumPy in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rnnlab.cells import Elman
from rnnlab.data.buckets import Padded
from rnnlab.nn import Functional
from rnnlab.nn.encoder_decoder import EncoderDecoder
from rnnlab.training import readout_loss
from rnnlab.training.readout_loss import total_cross_entropy
from rnnlab.training.translation import CodedPair, losses, mean_loss
from tests import quick

ROWS, FEATURES, CLASSES = 7, 3, 5


def in_numpy(readouts, matrix, bias, targets, weights, smoothing):
    """The total, and its derivatives by readouts, matrix and bias."""
    logits = readouts @ matrix.T + bias
    shifted = logits - logits.max(axis=1, keepdims=True)
    logs = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    wanted = (1 - smoothing) * np.eye(CLASSES)[targets] + smoothing / CLASSES
    losses = -(wanted * logs).sum(axis=1)
    slope = (np.exp(logs) - wanted) * weights[:, None]
    return losses @ weights, (slope @ matrix, slope.T @ readouts, slope.sum(axis=0))


@pytest.mark.parametrize(("dtype", "rtol"), [(np.float32, 2e-6), (np.float64, 1e-13)])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("rows_of_block", [3, ROWS])
def test_value_and_derivatives(monkeypatch, dtype, rtol, smoothing, rows_of_block):
    itemsize = np.dtype(dtype).itemsize
    monkeypatch.setattr(readout_loss, "BLOCK_BYTES", rows_of_block * CLASSES * itemsize)
    rng = np.random.default_rng(0)
    shapes = (ROWS, FEATURES), (CLASSES, FEATURES), (CLASSES,), (ROWS,)
    readouts, matrix, bias, weights = (rng.normal(size=shape).astype(dtype) for shape in shapes)
    weights[[0, 2, 3]] = 0
    targets = rng.integers(0, CLASSES, ROWS).astype(np.int32)

    def total(readouts, matrix, bias):
        return 3 * total_cross_entropy(readouts, matrix, bias, targets, weights, smoothing)

    arrays = [jnp.asarray(a) for a in (readouts, matrix, bias)]
    value, slopes = quick.jit(jax.value_and_grad(total, (0, 1, 2)))(*arrays)
    wide = [a.astype(np.float64) for a in (readouts, matrix, bias)]
    expected, expected_slopes = in_numpy(*wide, targets, weights.astype(np.float64), smoothing)
    np.testing.assert_allclose(value, 3 * expected, rtol=10 * rtol)
    np.testing.assert_allclose(total(*arrays), value, rtol=rtol)
    for found, right in zip(slopes, expected_slopes, strict=True):
        np.testing.assert_allclose(found, 3 * right, rtol=10 * rtol, atol=10 * rtol)
        assert found.dtype == dtype


def test_a_population_and_logits_beyond_the_range_of_exp():
    matrix = jnp.asarray([[[1e4], [0.0], [-1e4]], [[-3e38], [3e37], [0.0]]], jnp.float32)
    targets = jnp.asarray([[2], [1]])
    one, zero = jnp.ones((2, 1, 1), jnp.float32), jnp.zeros((2, 3), jnp.float32)
    total = jax.vmap(total_cross_entropy)(one, matrix, zero, targets, one[:, 0])
    np.testing.assert_array_equal(total, [2e4, 0])
    slopes = jax.vmap(jax.grad(total_cross_entropy, 2))(one, matrix, zero, targets, one[:, 0])
    np.testing.assert_array_equal(slopes, [[1, 0, -1], [0, 0, 0]])


@pytest.mark.parametrize("tied", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_the_mean_loss_of_translations_is_that_of_their_losses(monkeypatch, tied):
    monkeypatch.setattr(readout_loss, "BLOCK_BYTES", 4 * 9 * 8)
    rng = np.random.default_rng(1)
    pair = CodedPair(*(rng.integers(4, 9, (3, steps)).astype(np.int32) for steps in (3, 5)))
    lengths = CodedPair(np.array([3, 1, 0], np.int32), np.array([5, 2, 0], np.int32))
    batch = Padded(pair, lengths, np.arange(3, dtype=np.int32))
    model = Functional(
        lambda rngs: EncoderDecoder(
            9,
            9,
            encoder=Elman(2),
            decoder=Elman(2),
            embedding=3,
            readout=3,
            hand_over="state",
            tied=tied,
            param_dtype=jnp.float64,
            rngs=rngs,
        )
    )

    def of_losses(params):
        nats, symbols = losses(model, params, batch, smoothing=0.1)
        return nats.sum() / symbols.sum().astype(nats.dtype)

    def at_once(params):
        return mean_loss(model, params, batch, smoothing=0.1)

    params = quick.jit(model.init)(jax.random.key(0))
    value, slopes = quick.jit(jax.value_and_grad(at_once))(params)
    expected, expected_slopes = quick.jit(jax.value_and_grad(of_losses))(params)
    np.testing.assert_allclose(value, expected, rtol=1e-12)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12),
        slopes,
        expected_slopes,
    )
