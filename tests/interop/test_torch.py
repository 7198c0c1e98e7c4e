from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rnnlab import cells
from rnnlab.combinators import bidirectional, stack
from rnnlab.errors import UsageError
from rnnlab.interop import from_torch, to_torch
from rnnlab.unroll import unroll
from tests.interop.networks import (
    D,
    H,
    assert_close,
    assert_equal,
    draw_params,
    inputs,
    with_gradients,
)

pytestmark = pytest.mark.peers

KINDS = {
    "tanh": ("RNN", {"nonlinearity": "tanh"}, cells.Elman(H)),
    "relu": ("RNN", {"nonlinearity": "relu"}, cells.Elman(H, activation="relu")),
    "lstm": ("LSTM", {}, cells.LSTM(H)),
    "gru": ("GRU", {}, cells.GRU(H)),
}


def make(torch, kind, **settings):
    name, own, cell = KINDS[kind]
    torch.manual_seed(0)
    return getattr(torch.nn, name)(D, H, **own, **settings), cell


@pytest.mark.parametrize(
    ("kind", "both_ways", "depth"),
    [(kind, True, 2) for kind in KINDS] + [("lstm", False, 2)],
)
def test_weights_of_pytorch_give_its_outputs_and_gradients(kind, both_ways, depth):
    torch = pytest.importorskip("torch")
    module, cell = make(torch, kind, num_layers=depth, bidirectional=both_ways)
    layer = bidirectional(cell) if both_ways else cell
    layer = stack(lambda _: layer, (H,) * depth, dropout=0.1) if depth > 1 else layer

    xs = torch.tensor(inputs(), requires_grad=True)
    want, _ = module(xs)
    want.sin().sum().backward()
    want_gradients = {name: p.grad.numpy() for name, p in module.named_parameters()}

    assert_equal(
        from_torch(layer, module),
        from_torch(layer, {name: p.detach().numpy() for name, p in module.named_parameters()}),
    )
    weights = {name: jnp.asarray(p.detach().numpy()) for name, p in module.named_parameters()}
    run = with_gradients(
        lambda weights, xs: unroll(layer, from_torch(layer, weights), xs, strategy="hoisted")[1]
    )
    (_, got), gradients = run(weights, jnp.asarray(inputs()))
    assert_close(got, want.detach().numpy(), 1e-5)
    assert_close(gradients, (want_gradients, xs.grad.numpy()), 1e-4)


def test_pytorch_computes_what_our_weights_compute():
    torch = pytest.importorskip("torch")
    module, cell = make(torch, "gru", num_layers=2, bidirectional=True)
    layer = stack(lambda _: bidirectional(cell), (H, H))
    params = draw_params(layer)
    module.load_state_dict(
        {name: torch.tensor(array) for name, array in to_torch(layer, params).items()}
    )
    got, _ = module(torch.tensor(inputs()))
    _, want = unroll(layer, params, jnp.asarray(inputs()))
    assert_close(got.detach().numpy(), want, 1e-5)


def test_without_biases_they_are_zero():
    torch = pytest.importorskip("torch")
    module, cell = make(torch, "gru", bias=False)
    params = from_torch(cell, module)
    want, _ = module(torch.tensor(inputs()))
    _, got = unroll(cell, params, jnp.asarray(inputs()))
    assert not params["b"].any() and not params["bh"].any()
    assert_close(got, want.detach().numpy(), 1e-5)


def test_a_module_of_another_kind_is_refused():
    torch = pytest.importorskip("torch")
    module, _ = make(torch, "relu")
    with pytest.raises(UsageError, match=r"RNN_RELU: Elman\(6\) \(tanh\) equals RNN_TANH"):
        from_torch(cells.Elman(H), module)
    with pytest.raises(UsageError, match=r"have weight_hr_l0: LSTM"):
        from_torch(cells.LSTM(H), torch.nn.LSTM(D, H, proj_size=2))
    with pytest.raises(UsageError, match=r"bfloat16: NumPy has no such type"):
        from_torch(cells.Elman(H), torch.nn.RNN(D, H).to(torch.bfloat16))


def test_state_dicts_of_another_depth_or_width_are_refused():
    lstm = cells.LSTM(H)
    weights = to_torch(lstm, draw_params(lstm))
    with pytest.raises(UsageError, match=r"lack weight_ih_l1, .* needs weight_ih_l0"):
        from_torch(stack(cells.LSTM, (H, H)), weights)
    with pytest.raises(UsageError, match=r"PyTorch weight_ih_l0 is float32\[24, 4\]: GRU\(6\)"):
        from_torch(cells.GRU(H), weights)
    deep = to_torch(layer := stack(cells.LSTM, (H, H)), draw_params(layer))
    with pytest.raises(UsageError, match=r"weight_ih_l1 is .*needs \[24, 6\]"):
        from_torch(layer, deep | {"weight_ih_l1": np.zeros((24, D), np.float32)})
    with pytest.raises(UsageError, match="float64 and weight_ih_l0 is float32"):
        from_torch(lstm, weights | {"bias_hh_l0": np.zeros(24)})


def test_layers_that_pytorch_cannot_have_are_refused():
    with pytest.raises(UsageError, match=r"layer has LSTM\(6\).*LSTM\(5\).*all alike"):
        to_torch(stack(cells.LSTM, (6, 5)), ())
    mixed = stack(lambda size: bidirectional(cells.LSTM(H)) if size == 1 else cells.LSTM(H), (1, 2))
    with pytest.raises(UsageError, match=r"in 2 and .* in 1 directions"):
        to_torch(mixed, ())
    with pytest.raises(UsageError, match="activation='sigmoid': PyTorch has tanh and relu only"):
        to_torch(cells.Elman(H, activation="sigmoid"), {})


def test_conversion_can_be_traced():
    gru = cells.GRU(H)
    params = jax.tree.map(jnp.asarray, draw_params(gru))
    there_and_back = jax.jit(lambda params: from_torch(gru, to_torch(gru, params)))
    assert_equal(there_and_back(params), params)


def test_training_the_module_changes_no_converted_weight():
    torch = pytest.importorskip("torch")
    module, cell = make(torch, "gru")
    params = from_torch(cell, module)
    before = jax.tree.map(np.array, params)
    weights = to_torch(cell, params)
    other = make(torch, "gru")[0]
    with torch.no_grad():
        for p in module.parameters():
            p.add_(1)
        for name, p in other.named_parameters():
            p.data = torch.from_numpy(weights[name])  # shares the memory of the converted array
            p.add_(1)
    assert_equal(params, before)
