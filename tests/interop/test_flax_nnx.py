from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rnnlab import cells
from rnnlab.combinators import Dropout, Stack, stack
from rnnlab.errors import UsageError
from rnnlab.interop import NNXCell, from_nnx, to_nnx
from rnnlab.unroll import unroll
from tests import quick
from tests.interop.networks import (
    B,
    D,
    H,
    T,
    assert_close,
    assert_equal,
    assert_same_network,
    draw,
    draw_params,
    inputs,
)

nnx = pytest.importorskip("flax.nnx")
nnx_layer = pytest.importorskip("rnnlab.interop.nnx_layer")

KINDS = {
    "SimpleCell": cells.Elman(H),
    "LSTMCell": cells.LSTM(H),
    "OptimizedLSTMCell": cells.LSTM(H),
    "GRUCell": cells.GRU(H),
}
LENGTHS = np.array([5, 1, 3])


def make(name):
    """An NNX cell none of whose parameters is zero, and its run over a sequence."""
    module = getattr(nnx, name)(D, H, rngs=nnx.Rngs(0))
    weights = draw(nnx.to_pure_dict(nnx.state(module, nnx.Param)))
    nnx.update(module, weights)
    return module, weights, partial(run, name)


def run(name, weights, xs):
    module = getattr(nnx, name)(D, H, rngs=nnx.Rngs(0))
    nnx.update(module, weights)
    carry = module.initialize_carry(xs[0].shape, nnx.Rngs(0))
    return jax.lax.scan(module, carry, xs)[1]


@pytest.mark.parametrize("name", KINDS)
def test_weights_and_cells_of_nnx_give_its_outputs_and_gradients(name):
    module, weights, peer = make(name)
    cell = KINDS[name]
    for form in (module, nnx.state(module, nnx.Param)):
        assert_equal(from_nnx(cell, form), jax.tree.map(jnp.asarray, from_nnx(cell, weights)))
    foreign = NNXCell(partial(getattr(nnx, name), hidden_features=H))
    assert_same_network(
        weights, peer, (cell, partial(from_nnx, cell), "hoisted"), (foreign, dict, "autodiff")
    )


def test_nnx_computes_what_our_weights_compute():
    cell = cells.LSTM(H)
    params = draw_params(cell)
    weights = to_nnx(cell, params, optimized=False)
    xs = jnp.asarray(inputs())
    _, want = unroll(cell, params, xs)
    assert_close(quick.jit(partial(run, "LSTMCell"))(weights, xs), want, 1e-5)


def test_what_nnx_cannot_say_is_refused():
    with pytest.raises(UsageError, match=r"params\['bh'\] is not zero: the GRUCell of Flax NNX"):
        to_nnx(cells.GRU(H), draw_params(cells.GRU(H)))


def test_modules_of_another_kind_are_refused():
    gru, *_ = make("GRUCell")
    with pytest.raises(UsageError, match=r"LSTM\(6\) \(gates i, f, g, o\) needs dense_i/kernel"):
        from_nnx(cells.LSTM(H), gru)
    with pytest.raises(
        UsageError, match=r"dense_i/kernel is float32\[4, 18\]: Elman\(6\) \(tanh\)"
    ):
        from_nnx(cells.Elman(H), gru)
    relu = nnx.SimpleCell(D, H, activation_fn=jax.nn.relu, rngs=nnx.Rngs(0))
    assert from_nnx(cells.Elman(H, activation="relu"), relu)["wx"].shape == (D, H)
    with pytest.raises(UsageError, match=r"SimpleCell with activation_fn=.*Elman\(6\) \(tanh\)"):
        from_nnx(cells.Elman(H), relu)
    with pytest.raises(UsageError, match="residual SimpleCell"):
        from_nnx(cells.Elman(H), nnx.SimpleCell(D, H, residual=True, rngs=nnx.Rngs(0)))


def test_a_cell_of_nnx_has_the_gradients_of_autodiff_in_the_engine():
    cell = NNXCell(partial(nnx.GRUCell, hidden_features=H))
    params = cell.init(jax.random.key(0), D)

    def loss(params, xs, strategy):
        return jnp.square(unroll(cell, params, xs, strategy=strategy)[1]).sum()

    gradient = quick.jit(jax.grad(loss, (0, 1)), static_argnums=2)
    xs = jnp.asarray(inputs())
    assert_close(gradient(params, xs, "hoisted"), gradient(params, xs, "autodiff"), 1e-4)
    with pytest.raises(UsageError, match="must make a cell of Flax NNX"):
        NNXCell(partial(nnx.Linear, out_features=H))


@pytest.mark.parametrize("time_major", [False, True], ids=["batch first", "time first"])
def test_a_layer_of_nnx_is_our_unroll(time_major):
    cell = Stack((cells.GRU(H), Dropout(0.5)))
    params = draw_params(cell)
    layer = nnx_layer.NNXLayer(cell, D, time_major=time_major, strategy="hoisted", params=params)
    assert_equal(layer.params, jax.tree.map(jnp.asarray, params))
    xs = jnp.asarray(inputs())
    resets = jnp.arange(T)[:, None] == jnp.full((B,), 2)
    given = (xs, resets) if time_major else (xs.swapaxes(0, 1), resets.T)
    run = partial(layer, given[0], seq_lengths=LENGTHS, resets=given[1])
    carry, ys = quick.jit(partial(run, return_carry=True))()
    want = quick.jit(lambda: unroll(cell, params, xs, lengths=LENGTHS, resets=resets))()
    assert_close((carry, ys if time_major else ys.swapaxes(0, 1)), want, 1e-5)
    noisy = quick.jit(lambda: run(rngs=nnx.Rngs(dropout=0)))()
    assert not np.allclose(noisy, ys)


def test_a_layer_of_nnx_is_trained_by_its_gradient():
    layer = nnx_layer.NNXLayer(cells.Elman(H), D, time_major=True, rngs=nnx.Rngs(0))
    xs = jnp.asarray(inputs())
    graph, weights = nnx.split(layer, nnx.Param)
    gradient = quick.jit(jax.grad(lambda w: jnp.sin(nnx.merge(graph, w)(xs)).sum()))(weights)
    ours = jax.grad(lambda p: jnp.sin(unroll(cells.Elman(H), p, xs)[1]).sum())
    want = quick.jit(ours)(layer.params)
    assert_close(nnx.to_pure_dict(gradient)["weights"], want, 1e-5)


def test_a_cell_of_ours_runs_in_nnxs_rnn():
    step = nnx_layer.NNXStep(stack(cells.LSTM, (H, H)), D, rngs=nnx.Rngs(0))
    xs = jnp.asarray(inputs())
    want = quick.jit(lambda: unroll(step.cell, step.params, xs)[1])()
    assert_close(nnx.RNN(step, time_major=True)(xs), want, 1e-6)


def test_a_module_of_another_dtype_than_its_data_is_refused():
    cell = NNXCell(partial(nnx.SimpleCell, hidden_features=4))  # computes in float32
    params = cell.init(jax.random.key(0), 3, jnp.float64)
    with pytest.raises(UsageError, match="in float32 and is run in float64: make it with dtype=No"):
        unroll(cell, params, jnp.ones((5, 2, 3), jnp.float64))
    free = NNXCell(partial(nnx.SimpleCell, hidden_features=4, dtype=None))
    assert unroll(free, params, jnp.ones((5, 2, 3), jnp.float64))[1].dtype == jnp.float64
