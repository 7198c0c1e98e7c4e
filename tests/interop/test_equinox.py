from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rnnlab import cells
from rnnlab.errors import UsageError
from rnnlab.interop import from_equinox, to_equinox
from rnnlab.unroll import unroll
from tests.interop.networks import (
    B,
    D,
    H,
    assert_close,
    assert_equal,
    assert_same_network,
    draw,
    draw_params,
    inputs,
)

KINDS = {"LSTMCell": cells.LSTM(H), "GRUCell": cells.GRU(H)}

pytestmark = pytest.mark.peers


@pytest.fixture
def equinox():
    return pytest.importorskip("equinox")


def run(module, xs):
    """The module over a sequence; Equinox takes one example at a time."""

    def body(state, x):
        state = jax.vmap(module)(x, state)
        return state, state[0] if isinstance(state, tuple) else state

    zeros = jnp.zeros((B, H), xs.dtype)
    state = (zeros, zeros) if type(module).__name__ == "LSTMCell" else zeros
    return jax.lax.scan(body, state, xs)[1]


@pytest.mark.parametrize("name", KINDS)
def test_weights_of_equinox_give_its_outputs_and_gradients(equinox, name):
    module = getattr(equinox.nn, name)(D, H, dtype=jnp.float32, key=jax.random.key(0))
    cell = KINDS[name]
    assert_same_network(draw(module), run, (cell, partial(from_equinox, cell), "hoisted"))


def test_equinox_computes_what_our_weights_compute(equinox):
    cell = cells.GRU(H)
    params = jax.tree.map(jnp.asarray, draw_params(cell))
    module = to_equinox(cell, params)
    assert isinstance(module, equinox.nn.GRUCell)
    assert_equal(from_equinox(cell, module), params)
    _, want = unroll(cell, params, jnp.asarray(inputs()))
    assert_close(run(module, jnp.asarray(inputs())), want, 1e-5)


def test_without_a_bias_it_is_zero(equinox):
    module = equinox.nn.GRUCell(D, H, use_bias=False, dtype=jnp.float32, key=jax.random.key(0))
    params = from_equinox(cells.GRU(H), module)
    assert not np.any(params["b"]) and not np.any(params["bh"])


def test_other_cells_are_refused(equinox):
    with pytest.raises(UsageError, match=r"GRUResetBefore\(6\) .*Equinox, only LSTM \(LSTMCell\)"):
        to_equinox(cells.GRUResetBefore(H), {})
    module = equinox.nn.GRUCell(D, H, key=jax.random.key(0))
    with pytest.raises(UsageError, match=r"Equinox's GRUCell: LSTM\(6\) .* equals LSTMCell"):
        from_equinox(cells.LSTM(H), module)
    with pytest.raises(UsageError, match=r"weight_ih is float\d+\[18, 4\]: GRU\(5\)"):
        from_equinox(cells.GRU(5), module)
