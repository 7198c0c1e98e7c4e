"""The gradient of truncated backpropagation through time."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import pytest

import rnnlab.cells as cells
from rnnlab.strategies import Truncated, autodiff, hoisted
from rnnlab.unroll import unroll
from tests import quick
from tests.strategies.samples import H, T, assert_close, compiled, draw_arguments, weigh


@pytest.mark.parametrize(
    "steps",
    [pytest.param(1, marks=pytest.mark.slow), 2, 4],  # 4 leaves a rest
)
def test_truncated_gradient_is_that_of_a_loop_that_stops_it(steps):
    cell = cells.by_name("lstm", H)
    params, xs, state = draw_arguments(cell)

    def loop(params, xs, state):
        ys = []
        for t in range(T):
            if t % steps == 0 and t > 0:
                state = jax.lax.stop_gradient(state)
            state, y = cell.step(params, xs[t], state)
            ys.append(y)
        result = (state, jnp.stack(ys))
        return weigh(result), result

    gradient = quick.jit(jax.grad(loop, argnums=(0, 1, 2), has_aux=True))
    want, values = gradient(params, xs, state)
    for inner in (autodiff, hoisted):
        got = compiled(cell, Truncated(steps, inner))(params, xs, state, {})
        assert_close(got, (values, want))


def test_truncated_gradient_is_zero_beyond_its_window():
    cell = cells.by_name("gru", H)
    params, xs, state = draw_arguments(cell)

    def last(xs, state):
        return unroll(cell, params, xs, state, strategy=Truncated(4))[1][-1].sum()

    d_xs, d_state = quick.jit(jax.grad(last, argnums=(0, 1)))(xs, state)
    assert not d_xs[:4].any() and d_xs[4:].all() and not d_state.h.any()
