from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rnnlab import cells
from rnnlab.combinators import Dropout, Stack, stack
from rnnlab.errors import UsageError
from rnnlab.interop import LinenCell, from_linen, to_linen
from rnnlab.unroll import unroll
from tests import quick
from tests.interop.networks import (
    B,
    H,
    T,
    assert_close,
    assert_same_network,
    draw,
    draw_params,
    inputs,
)

nn = pytest.importorskip("flax.linen")
linen_layer = pytest.importorskip("rnnlab.interop.linen_layer")

KINDS = {
    "SimpleCell": cells.Elman(H),
    "LSTMCell": cells.LSTM(H),
    "OptimizedLSTMCell": cells.LSTM(H),
    "GRUCell": cells.GRU(H),
}
LENGTHS = np.array([5, 1, 3])


def make(name):
    """A Linen cell over the sequence, and variables none of which is zero."""
    module = nn.RNN(getattr(nn, name)(H), time_major=True)
    variables = jax.eval_shape(module.init, jax.random.key(0), jnp.asarray(inputs()))
    return module, draw(variables)


@pytest.mark.parametrize("name", KINDS)
def test_weights_and_cells_of_linen_give_its_outputs_and_gradients(name):
    module, variables = make(name)
    cell, foreign = KINDS[name], LinenCell(getattr(nn, name)(H))
    assert_same_network(
        variables,
        module.apply,
        (cell, lambda v: from_linen(cell, v["params"]["cell"]), "hoisted"),
        (foreign, lambda v: v["params"]["cell"], "autodiff"),
    )


def test_linen_computes_what_our_weights_compute():
    cell = cells.GRU(H)
    module, _ = make("GRUCell")
    params = draw_params(cell)
    got = module.apply({"params": {"cell": to_linen(cell, params)}}, jnp.asarray(inputs()))
    _, want = unroll(cell, params, jnp.asarray(inputs()))
    assert_close(got, want, 1e-5)


def test_weights_of_another_cell_are_refused():
    weights = to_linen(lstm := cells.LSTM(H), draw_params(lstm))
    with pytest.raises(UsageError, match=r"lack ir/kernel.* have ii/kernel.*gates r, z, n.* needs"):
        from_linen(cells.GRU(H), {"params": weights})
    with pytest.raises(UsageError, match=r"Linen ii/kernel is float32\[4, 6\]: LSTM\(5\)"):
        from_linen(cells.LSTM(5), weights)


def test_a_cell_of_linen_keeps_the_contract_in_every_strategy():
    cell = LinenCell(nn.LSTMCell(H))
    params = draw_params(cell)
    twin = from_linen(cells.LSTM(H), params)
    settings = {"lengths": LENGTHS, "resets": jnp.arange(T)[:, None] == jnp.full((B,), 2)}
    xs = jnp.asarray(inputs())
    static = ("reverse", "strategy")
    run = partial(quick.jit(unroll, static_argnums=0, static_argnames=static), reverse=True)
    state, want = run(cells.LSTM(H), twin, xs, **settings)
    for strategy in ("autodiff", "hoisted"):
        (c, h), ys = run(cell, params, xs, **settings, strategy=strategy)
        assert_close((h, c, ys), (state.h, state.c, want), 1e-5)
    with pytest.raises(UsageError, match="must be a cell of Flax Linen"):
        LinenCell("LSTM")  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("time_major", [False, True], ids=["batch first", "time first"])
def test_a_layer_of_linen_is_our_unroll(time_major):
    cell = Stack((cells.GRU(H), Dropout(0.5)))
    module = linen_layer.LinenLayer(cell, time_major=time_major, strategy="hoisted")
    params = draw_params(cell)
    xs = jnp.asarray(inputs())
    resets = jnp.arange(T)[:, None] == jnp.full((B,), 2)
    given = (xs, resets) if time_major else (xs.swapaxes(0, 1), resets.T)
    variables = {"params": {"weights": params}}
    run = partial(module.apply, variables, given[0], seq_lengths=LENGTHS, resets=given[1])
    carry, ys = quick.jit(partial(run, return_carry=True))()
    want = quick.jit(lambda: unroll(cell, params, xs, lengths=LENGTHS, resets=resets))()
    assert_close((carry, ys if time_major else ys.swapaxes(0, 1)), want, 1e-6)
    noisy = quick.jit(run)(rngs={"dropout": jax.random.key(1)})
    assert not np.allclose(noisy, ys)


def test_a_cell_of_ours_runs_in_linens_rnn():
    cell = stack(cells.LSTM, (H, H))
    module = nn.RNN(linen_layer.LinenStep(cell), time_major=True)
    xs = jnp.asarray(inputs())
    variables = draw(jax.eval_shape(module.init, jax.random.key(0), xs))
    _, want = unroll(cell, variables["params"]["cell"]["weights"], xs)
    assert_close(quick.jit(module.apply)(variables, xs), want, 1e-6)
