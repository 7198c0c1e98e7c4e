"""There and back, exactly, in the dtype that went in; and what no library has."""

from __future__ import annotations

import itertools
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rnnlab import cells, interop
from rnnlab.combinators import bidirectional, stack
from rnnlab.errors import UsageError
from tests.interop.networks import D, H, assert_close, assert_equal, draw_params

RELU = cells.Elman(H, activation="relu")
ELMAN, LSTM, GRU, BEFORE = cells.Elman(H), cells.LSTM(H), cells.GRU(H), cells.GRUResetBefore(H)
DEEP = stack(lambda size: bidirectional(cells.LSTM(size)), (H, H), dropout=0.5)

WAYS: dict[str, tuple[Any, Any, list[Any]]] = {
    "torch": (interop.to_torch, interop.from_torch, [ELMAN, RELU, LSTM, GRU, DEEP]),
    "cudnn": (interop.to_cudnn, partial(interop.from_cudnn, features_in=D), [LSTM, DEEP]),
    "linen": (interop.to_linen, interop.from_linen, [ELMAN, LSTM, GRU]),
    "nnx": (interop.to_nnx, interop.from_nnx, [ELMAN, LSTM]),
    "nnx lstm": (partial(interop.to_nnx, optimized=False), interop.from_nnx, [LSTM]),
    "haiku": (interop.to_haiku, interop.from_haiku, [RELU, BEFORE]),
    "keras": (interop.to_keras, interop.from_keras, [ELMAN, RELU, LSTM, GRU, BEFORE]),
}
CASES = [
    pytest.param(there, back, layer, id=f"{name}-{type(layer).__name__}")
    for name, (there, back, layers) in WAYS.items()
    for layer in layers
]


@pytest.mark.parametrize("dtype", [np.float32, np.float64, jnp.bfloat16])
@pytest.mark.parametrize(("there", "back", "layer"), CASES)
def test_there_and_back_is_exact(there, back, layer, dtype):
    params = draw_params(layer, dtype)
    assert_equal(back(layer, there(layer, params)), params)


def test_haikus_lstm_is_exact_but_for_the_rounding_of_its_forget_gate():
    params = draw_params(LSTM)
    back = interop.from_haiku(LSTM, interop.to_haiku(LSTM, params))
    assert_close(back["b"], params["b"], float(np.finfo(np.float32).eps))
    assert_equal({n: back[n] for n in ("wx", "wh")}, {n: params[n] for n in ("wx", "wh")})
    others = [*range(H), *range(2 * H, 4 * H)]
    assert_equal(back["b"][others], params["b"][others])


def test_float64_survives_where_jax_has_none():
    params = draw_params(LSTM, np.float64)
    with jax.enable_x64(False):
        assert_equal(interop.from_torch(LSTM, interop.to_torch(LSTM, params)), params)


@pytest.mark.parametrize("there", [way[0] for way in WAYS.values()])
@pytest.mark.parametrize(
    "layer", [cells.CoupledLSTM(H), cells.AdditiveIdentity(H), cells.MUT1(H), "lstm"]
)
def test_cells_that_no_library_has_are_refused(there, layer):
    name = layer if isinstance(layer, str) else type(layer).__name__
    with pytest.raises(UsageError, match=f"cell={'str' if name == 'lstm' else name}.*has no equal"):
        there(layer, {})


@pytest.mark.parametrize("there", [WAYS[name][0] for name in ("torch", "linen", "nnx", "keras")])
def test_parameters_of_another_cell_are_refused(there):
    params = draw_params(LSTM)
    with pytest.raises(
        UsageError, match=r"params\['wx'\] is float32\[4, 24\]: Elman\(6\) \(tanh\)"
    ):
        there(ELMAN, params)
    with pytest.raises(
        UsageError, match=r"lack bh: GRU\(6\) \(gates r, z, n\) needs wx, wh, b, bh"
    ):
        there(GRU, params)
    with pytest.raises(UsageError, match=r"params\['wh'\] is float32\[5, 24\]: LSTM"):
        there(LSTM, params | {"wh": params["wh"][1:]})
    with pytest.raises(UsageError, match="rnnlab b is int64: weights must be floating"):
        there(LSTM, params | {"b": np.zeros(24, int)})


@pytest.mark.parametrize("there", [interop.to_torch, interop.to_cudnn])
def test_parameters_of_another_arrangement_are_refused(there):
    params = draw_params(DEEP)
    with pytest.raises(UsageError, match="a stack of 3 layers needs a tuple"):
        there(DEEP, params[:2])
    with pytest.raises(UsageError, match="needs a dict of 'forward' and 'backward'"):
        there(bidirectional(LSTM), params[0]["forward"])
    with pytest.raises(UsageError, match=r"params is tuple: LSTM\(6\)"):
        there(LSTM, params)


@pytest.mark.parametrize("kind", [np.array, jnp.asarray])
@pytest.mark.parametrize(("there", "back", "layer"), CASES)
def test_neither_side_shares_its_weights(there, back, layer, kind):
    params = jax.tree.map(kind, draw_params(layer))
    weights = jax.tree.map(np.array, there(layer, params))
    assert not _shared(there(layer, params), params)
    assert not _shared(back(layer, weights), weights)


def _shared(one: Any, other: Any) -> bool:
    """Whether an array of one tree lies in the memory of one of the other."""
    pairs = itertools.product(jax.tree.leaves(one), jax.tree.leaves(other))
    return any(np.may_share_memory(np.asarray(a), np.asarray(b)) for a, b in pairs)
