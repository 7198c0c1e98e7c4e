"""The same numbers as PyTorch and Flax, where both have the cell."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import rnnlab.cells as cells
from rnnlab.combinators import Stack, bidirectional
from rnnlab.unroll import unroll
from tests import quick

pytestmark = pytest.mark.peers

T, B, D, H = 5, 3, 4, 6
LENGTHS = np.array([5, 1, 3])


def assert_close(got, want, tolerance=1e-11):
    jax.tree.map(partial(np.testing.assert_allclose, rtol=tolerance, atol=tolerance), got, want)


def inputs():
    return np.random.default_rng(0).normal(size=(T, B, D))


# PyTorch.

KINDS = {
    "rnn": ("RNN", {}, cells.Elman(H)),
    "relu": ("RNN", {"nonlinearity": "relu"}, cells.Elman(H, activation="relu")),
    "lstm": ("LSTM", {}, cells.LSTM(H)),
    "gru": ("GRU", {}, cells.GRU(H)),
}


def from_torch(module, layer, suffix):
    """The parameters of one layer and direction, a second bias added to the first but in `bh`."""
    wx, wh, b, bh = (
        getattr(module, f"{name}_l{layer}{suffix}").detach().numpy()
        for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    )
    if type(module).__name__ != "GRU":
        return {"wx": wx.T, "wh": wh.T, "b": b + bh}
    outside = np.concatenate([bh[: 2 * H], np.zeros(H)])
    return {"wx": wx.T, "wh": wh.T, "b": b + outside, "bh": bh[2 * H :]}


def run_torch(torch, module, xs, lengths):
    """Outputs, final `h`, and the gradients of the sum of their sines, as NumPy."""
    xs = torch.tensor(xs, requires_grad=True)
    given = xs
    if lengths is not None:
        given = torch.nn.utils.rnn.pack_padded_sequence(
            xs, torch.tensor(lengths), enforce_sorted=False
        )
    ys, final = module(given)
    if lengths is not None:
        ys, _ = torch.nn.utils.rnn.pad_packed_sequence(ys, total_length=T)
    h = final[0] if isinstance(final, tuple) else final
    (ys.sin().sum() + h.sin().sum()).backward()
    gradients = {
        "xs": xs.grad.numpy(),
        "wx": module.weight_ih_l0.grad.numpy().T,
        "wh": module.weight_hh_l0.grad.numpy().T,
    }
    return ys.detach().numpy(), h.detach().numpy(), gradients


@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["whole", "packed"])
@pytest.mark.parametrize("both_ways", [False, True], ids=["forwards", "bidirectional"])
@pytest.mark.parametrize("kind", KINDS)
def test_two_layers_equal_those_of_pytorch(kind, both_ways, lengths):
    torch = pytest.importorskip("torch")
    name, settings, cell = KINDS[kind]
    torch.manual_seed(0)
    module = getattr(torch.nn, name)(
        D, H, num_layers=2, bidirectional=both_ways, dtype=torch.float64, **settings
    )
    want_ys, want_h, want_gradients = run_torch(torch, module, inputs(), lengths)

    layer = bidirectional(cell) if both_ways else cell
    suffixes = ("", "_reverse") if both_ways else ("",)
    params = [[from_torch(module, index, s) for s in suffixes] for index in range(2)]
    if both_ways:
        params = tuple(dict(zip(("forward", "backward"), pair, strict=True)) for pair in params)
    else:
        params = tuple(only for (only,) in params)

    def loss(params, xs):
        final, ys = unroll(Stack((layer, layer)), params, xs, lengths=lengths, strategy="hoisted")
        states = [state for pair in final for state in (pair if both_ways else (pair,))]
        h = jnp.stack([state.h for state in states])
        return jnp.sin(ys).sum() + jnp.sin(h).sum(), (ys, h)

    gradient = quick.jit(jax.grad(loss, argnums=(0, 1), has_aux=True))
    (d_params, d_xs), (ys, h) = gradient(params, jnp.asarray(inputs()))
    assert_close((ys, h), (want_ys, want_h))
    first = d_params[0]["forward"] if both_ways else d_params[0]
    got = {"xs": d_xs, "wx": first["wx"], "wh": first["wh"]}
    assert_close(got, want_gradients)


# Flax.


def joined(tree, names, leaf):
    """`leaf` of the named layers side by side."""
    return np.concatenate([np.asarray(tree[name][leaf]) for name in names], axis=-1)


def from_linen_lstm(p):
    return {
        "wx": joined(p, ("ii", "if", "ig", "io"), "kernel"),
        "wh": joined(p, ("hi", "hf", "hg", "ho"), "kernel"),
        "b": joined(p, ("hi", "hf", "hg", "ho"), "bias"),
    }


def from_linen_gru(p):
    return {
        "wx": joined(p, ("ir", "iz", "in"), "kernel"),
        "wh": joined(p, ("hr", "hz", "hn"), "kernel"),
        "b": joined(p, ("ir", "iz", "in"), "bias"),
        "bh": np.asarray(p["hn"]["bias"]),
    }


def from_linen_simple(p):
    return {
        "wx": np.asarray(p["i"]["kernel"]),
        "wh": np.asarray(p["h"]["kernel"]),
        "b": np.asarray(p["i"]["bias"]),
    }


LINEN = {
    "SimpleCell": (cells.Elman(H), from_linen_simple),
    "LSTMCell": (cells.LSTM(H), from_linen_lstm),
    "OptimizedLSTMCell": (cells.LSTM(H), from_linen_lstm),
    "GRUCell": (cells.GRU(H), from_linen_gru),
}


def noised(tree):
    """Numbers none of which is zero, so that each bias shows."""
    rng = np.random.default_rng(1)
    return jax.tree.map(lambda a: a + jnp.asarray(0.3 * rng.normal(size=a.shape), a.dtype), tree)


def run_steps(step, carry, xs):
    ys = []
    for x in xs:
        carry, y = step(carry, x)
        ys.append(np.asarray(y))
    return np.stack(ys)


@pytest.mark.parametrize("name", LINEN)
def test_cells_equal_those_of_flax_linen(name):
    linen = pytest.importorskip("flax.linen")
    cell, convert = LINEN[name]
    module = getattr(linen, name)(H, dtype=jnp.float64, param_dtype=jnp.float64)
    xs = jnp.asarray(inputs())
    carry = jax.tree.map(jnp.float64, module.initialize_carry(jax.random.key(0), xs[0].shape))
    variables = noised(module.init(jax.random.key(1), carry, xs[0]))
    want = run_steps(partial(module.apply, variables), carry, xs)
    _, ys = unroll(cell, convert(variables["params"]), xs)
    assert_close(ys, want)


def from_nnx_lstm(m):
    names = ("i", "f", "g", "o")
    inward = [getattr(m, {"f": "if_"}.get(name, f"i{name}")) for name in names]
    recurrent = [getattr(m, f"h{name}") for name in names]
    return {
        "wx": np.concatenate([layer.kernel[...] for layer in inward], axis=-1),
        "wh": np.concatenate([layer.kernel[...] for layer in recurrent], axis=-1),
        "b": np.concatenate([layer.bias[...] for layer in recurrent], axis=-1),
    }


def from_nnx_joined(m):
    """Flax's cells that keep all gates in one `dense_i` and one `dense_h`."""
    bias = m.dense_h.bias if m.dense_i.bias is None else m.dense_i.bias
    return {"wx": m.dense_i.kernel[...], "wh": m.dense_h.kernel[...], "b": bias[...]}


def from_nnx_gru(m):
    return from_nnx_joined(m) | {"bh": np.zeros(H)}


NNX = {
    "SimpleCell": (cells.Elman(H), from_nnx_joined),
    "LSTMCell": (cells.LSTM(H), from_nnx_lstm),
    "OptimizedLSTMCell": (cells.LSTM(H), from_nnx_joined),
    "GRUCell": (cells.GRU(H), from_nnx_gru),
}


@pytest.mark.parametrize("name", NNX)
def test_cells_equal_those_of_flax_nnx(name):
    nnx = pytest.importorskip("flax.nnx")
    cell, convert = NNX[name]
    module = getattr(nnx, name)(D, H, dtype=jnp.float64, param_dtype=jnp.float64, rngs=nnx.Rngs(0))
    nnx.update(module, noised(nnx.state(module, nnx.Param)))
    xs = jnp.asarray(inputs())
    carry = module.initialize_carry(xs[0].shape, nnx.Rngs(0))
    want = run_steps(module, jax.tree.map(jnp.float64, carry), xs)
    params = jax.tree.map(jnp.asarray, convert(module))
    _, ys = unroll(cell, params, xs)
    assert_close(ys, want)
