"""A cell that reads its own predictions, against loops in NumPy and against its eigenvalues."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rnnlab.cells import GRU, LSTM, Elman
from rnnlab.combinators import Autonomous, Feedback, Stack, bidirectional
from rnnlab.combinators.feedback import FeedbackState, shown, unshown
from rnnlab.errors import UsageError
from rnnlab.gradients import lyapunov_exponents
from rnnlab.training.fitted_forecasters import DelayLine
from rnnlab.unroll import unroll

T, B, D, H = 7, 2, 3, 4
FLAGS = np.array([1, 1, 0, 0, 1, 0, 0], bool)


def drawn(cell, seed=0):
    """Parameters none of which is zero, and observations."""
    rng = np.random.default_rng(seed)
    params = jax.eval_shape(lambda: cell.init(jax.random.key(0), cell.features + 1, jnp.float64))
    params = jax.tree.map(lambda a: jnp.asarray(0.5 * rng.normal(size=a.shape)), params)
    return params, jnp.asarray(rng.normal(size=(T, B, cell.features)))


@pytest.mark.parametrize("residual", [True, False])
def test_it_reads_what_is_shown_and_its_predictions_elsewhere(residual):
    cell = Feedback(Elman(H), D, residual)
    params, xs = drawn(cell)
    noise = 0.1 * np.random.default_rng(1).normal(size=xs.shape)
    inputs = shown(xs, jnp.asarray(FLAGS)).at[..., 1:].add(noise)
    state, ys = unroll(cell, params, inputs)
    inside, w, b = params["cell"], params["w"], params["b"]
    h, predicted = np.zeros((B, H)), np.zeros((B, D))
    for t in range(T):
        read = (xs[t] if FLAGS[t] else predicted) + noise[t]
        h = np.tanh(read @ inside["wx"] + h @ inside["wh"] + inside["b"])
        predicted = h @ w + b + (read if residual else 0)
        np.testing.assert_allclose(ys[t], predicted, rtol=1e-12)
    np.testing.assert_allclose(state.inside.h, h, rtol=1e-12)
    np.testing.assert_array_equal(state.prediction, ys[-1])


@pytest.mark.slow
def test_a_free_run_goes_on_where_a_shown_one_ended():
    """Two calls are one, for a stack of cells, and nothing that is hidden is read."""
    cell = Feedback(Stack((LSTM(H), GRU(H))), D)
    params, xs = drawn(cell)
    inputs = shown(xs, jnp.asarray(FLAGS))
    poisoned = shown(jnp.where(FLAGS[:, None, None], xs, 1e9), jnp.asarray(FLAGS))
    whole = unroll(cell, params, inputs)[1]
    np.testing.assert_array_equal(whole, unroll(cell, params, poisoned)[1])
    state, _ = unroll(cell, params, inputs[:5])
    rest = unroll(cell, params, unshown(2, (B,), D, jnp.float64), state)[1]
    np.testing.assert_allclose(rest, whole[5:], rtol=1e-12)


@pytest.mark.slow
def test_the_exponents_of_a_free_linear_network_are_those_of_its_matrix():
    """Moduli of eigenvalues; the delay line adds a unit that follows from the prediction."""
    w = np.array([[0.9, 0.4], [-0.4, 0.9]]) @ np.diag([1.0, 0.7])
    cell = Feedback(DelayLine(1, 2), 2, residual=False)
    params = {"cell": {}, "w": jnp.asarray(w), "b": jnp.zeros(2)}
    state = FeedbackState(cell.cell.initial_state((), jnp.float64), jnp.ones(2))
    nothing = unshown(400, (), 2, jnp.float64)
    found = lyapunov_exponents(cell, params, nothing, state, count=2, discard=10)
    want = np.log(np.abs(np.linalg.eigvals(w)))
    np.testing.assert_allclose(np.sort(found.exponents), np.sort(want), atol=5e-3)


@pytest.mark.slow
def test_what_is_drawn():
    cell = Feedback(GRU(H), D)
    params = cell.init(jax.random.key(0), D + 1)
    assert not params["w"].any() and params["cell"]["wx"].shape == (D, 3 * H)
    assert Feedback(GRU(H), D, residual=False).init(jax.random.key(0), D + 1)["w"].any()
    assert cell.features_out == D
    with pytest.raises(UsageError, match="features_in=3: must be 4, a flag and an observation"):
        cell.init(jax.random.key(0), D)
    with pytest.raises(UsageError, match="reads the sequence in both directions"):
        Feedback(bidirectional(GRU(H)), D)
    with pytest.raises(UsageError, match="features=0"):
        Feedback(GRU(H), 0)


@pytest.mark.slow
def test_the_readout_of_a_state_that_is_set_is_the_observation():
    cell = Autonomous(LSTM(5), D)
    params, xs = drawn(cell)
    _, ys = unroll(cell, params, shown(xs, jnp.asarray(FLAGS)))
    state = cell.cell.initial_state((B,), jnp.float64)
    for t in range(T):
        if FLAGS[t]:
            h = (xs[t] - params["b"]) @ np.linalg.pinv(params["w"])
            np.testing.assert_allclose(h @ params["w"] + params["b"], xs[t], rtol=1e-10)
            state = state._replace(h=h, c=jnp.zeros((B, 5)))
        state, y = cell.cell.step(params["cell"], jnp.zeros((B, 1)), state)
        np.testing.assert_allclose(ys[t], y @ params["w"] + params["b"], rtol=1e-9)


def test_cells_whose_state_cannot_be_set():
    for wrong in (Stack((GRU(H), GRU(H))), bidirectional(GRU(H))):
        with pytest.raises(UsageError, match="must be a single cell with an h in its state"):
            Autonomous(wrong, D)
    with pytest.raises(UsageError, match="2 units cannot hold 3 numbers"):
        Autonomous(GRU(2), 3)
    with pytest.raises(UsageError, match="features_in=3: must be 4"):
        Autonomous(GRU(H), D).init(jax.random.key(0), D)
