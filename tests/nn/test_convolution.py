"""Convolutions and poolings against loops in NumPy, and the classifier that is made of them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from rnnlab.errors import UsageError
from rnnlab.nn import Functional
from rnnlab.nn.convolution import Convolutions, max_pool, places
from rnnlab.nn.image_classifier import ConvolutionalClassifier


def by_loops(images, kernel, bias):
    """`y[i, j] = Σ_ab x[i + a - 1, j + b - 1] W[a, b] + bias` with zeros around the image."""
    size = kernel.shape[0]
    half, (count, height, width, _) = size // 2, images.shape
    out = np.zeros((count, height, width, kernel.shape[-1]))
    for i, j, a, b in np.ndindex(height, width, size, size):
        y, x = i + a - half, j + b - half
        if 0 <= y < height and 0 <= x < width:
            out[:, i, j] += images[:, y, x] @ kernel[a, b]
    return out + bias


def pooled_by_loops(images):
    count, height, width, features = images.shape
    out = np.zeros((count, height // 2, width // 2, features))
    for i, j in np.ndindex(height // 2, width // 2):
        out[:, i, j] = images[:, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2].max(axis=(1, 2))
    return out


def test_layers_against_loops():
    model = Functional(
        lambda rngs: Convolutions(2, (3, 4), size=3, pooled=1, param_dtype=jnp.float64, rngs=rngs)
    )
    params = jax.tree.map(lambda a: a + 0.1, model.init(jax.random.key(0)))
    images = np.random.default_rng(0).normal(size=(2, 7, 5, 2))
    found = jax.jit(lambda p, x: model.bind(p)(x))(params, images)
    first, second = (
        {name: np.asarray(a) for name, a in params["layers"][i].items()} for i in (0, 1)
    )
    want = np.maximum(by_loops(images, first["kernel"], first["bias"]), 0)
    want = np.maximum(by_loops(pooled_by_loops(want), second["kernel"], second["bias"]), 0)
    assert found.shape == (2, 3, 2, 4) and places(7, 1) == 3 and places(5, 1) == 2
    np.testing.assert_allclose(found, want, rtol=1e-10)


def test_pooling_has_the_derivative_of_flax():
    images = jax.random.normal(jax.random.key(1), (2, 4, 6, 3))

    def total(pool):
        return jax.jit(jax.grad(lambda x: jnp.sum(jnp.sin(pool(x)))))(images)

    theirs = total(lambda x: nnx.max_pool(x, (2, 2), (2, 2)))
    np.testing.assert_allclose(total(max_pool), theirs, rtol=1e-6)


@pytest.mark.slow
def test_images_do_not_depend_on_each_other_and_dropout_needs_a_key():
    model = Functional(
        lambda rngs: ConvolutionalClassifier(
            8, 3, channels=(2, 4), size=3, hidden=5, dropout=0.5, rngs=rngs
        )
    )
    params = model.init(jax.random.key(0))
    assert params["hidden"]["kernel"].shape == (2 * 2 * 4, 5)
    images = jax.random.uniform(jax.random.key(1), (3, 8, 8), jnp.float32)
    run = jax.jit(lambda x, key=None: model.bind(params)(x, key))
    whole = run(images)
    for row in range(3):
        alone = run(images[row : row + 1])[0]
        np.testing.assert_allclose(whole[row], alone, rtol=1e-4, atol=1e-6)
    noisy = run(images, jax.random.key(2))
    assert not np.allclose(noisy, whole) and np.array_equal(run(images, jax.random.key(2)), noisy)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"channels": ()}, r"channels=\(\)"),
        ({"channels": (3, 0)}, r"channels=\(3, 0\)"),
        ({"channels": (3,), "size": 4}, "size=4"),
        ({"channels": (3,), "pooled": 2}, "pooled=2"),
    ],
)
def test_layers_that_cannot_be(settings, message):
    with pytest.raises(UsageError, match=f"^{message}"):
        Convolutions(1, rngs=nnx.Rngs(0), **settings)
