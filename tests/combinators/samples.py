"""What tests of combinators run on, and a loop in NumPy to compare with."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

T, B, D, H = 6, 3, 4, 4
KEY = jax.random.key(3)
LENGTHS = np.array([6, 0, 4])
RESETS = np.random.default_rng(5).random((T, B)) < 0.4


def normal(tree, seed=0, scale=0.6):
    """Normal numbers in the shapes and dtypes of `tree`."""
    rng = np.random.default_rng(seed)
    return jax.tree.map(lambda a: jnp.asarray(scale * rng.normal(size=a.shape), a.dtype), tree)


def arguments(layer, dtype=jnp.float64, features=D):
    """Parameters, inputs and a state none of which is zero."""
    shapes = jax.eval_shape(lambda key: layer.init(key, features, dtype), KEY)
    xs = normal(jax.ShapeDtypeStruct((T, B, features), dtype), 1)
    return normal(shapes, 2), xs, normal(layer.initial_state((B,), dtype), 3)


def assert_close(got, want, tolerance=1e-11):
    jax.tree.map(partial(np.testing.assert_allclose, rtol=tolerance, atol=tolerance), got, want)


def rows(tree, row):
    """One row of a state, as a dict of vectors in NumPy."""
    return {name: np.asarray(part[row]) for name, part in tree._asdict().items()}


def loop(step, xs, state):
    """Runs `step(time, row, x, state)` over all rows; the outputs `[T, B, H]` of its `h`."""
    ys = np.zeros((T, B, H))
    final = []
    for row in range(B):
        now = rows(state, row)
        for time in range(T):
            now = step(time, row, np.asarray(xs[time, row]), now)
            ys[time, row] = now["h"]
        final.append(now)
    return type(state)(**{n: np.stack([f[n] for f in final]) for n in state._fields}), ys
