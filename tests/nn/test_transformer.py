"""The transformer against its equations in NumPy and PyTorch; a cache changes no logit."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rnnlab.errors import UsageError
from rnnlab.nn import Functional
from rnnlab.nn.transformer import Cache, Transformer, TransformerLayer, rotated, rotations
from tests import quick

slow = pytest.mark.slow
V, E, HEADS, LAYERS, INNER, SPAN, B, T = 5, 12, 3, 2, 16, 4, 2, 9
CODES = np.random.default_rng(0).integers(0, V, (B, T)).astype(np.int32)


def make(**changes):
    sizes = {
        "features": E,
        "heads": HEADS,
        "layers": LAYERS,
        "inner": INNER,
        "span": SPAN,
    } | changes
    return Functional(lambda rngs: Transformer(V, **sizes, param_dtype=jnp.float64, rngs=rngs))


def drawn(functional):
    return quick.jit(functional.init)(jax.random.key(0))


def noisy(params):
    """Parameters of which none is zero or one."""
    rng = np.random.default_rng(7)
    return jax.tree.map(lambda a: np.asarray(a) + 0.3 * rng.normal(size=a.shape), params)


@pytest.fixture(scope="module")
def model():
    functional = make()
    return functional, noisy(drawn(functional))


@pytest.fixture(scope="module")
def whole(model):
    """Cache and logits of all symbols at once."""
    functional, params = model
    return quick.jit(lambda params: functional.bind(params)(jnp.asarray(CODES)))(params)


# --- the equations once more ---


def norm(x, params):
    x = x - x.mean(-1, keepdims=True)
    return x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-5) * params["scale"] + params["bias"]


def linear(x, params):
    return x @ params["kernel"] + params["bias"]


def gelu(x):
    return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def turned(vector, position):
    """As complex numbers, each with its own speed."""
    half = len(vector) // 2
    speeds = 10_000.0 ** (-2 * np.arange(half) / len(vector))
    numbers = (vector[:half] + 1j * vector[half:]) * np.exp(1j * position * speeds)
    return np.concatenate([numbers.real, numbers.imag])


def attention(x, params):
    """Symbol by symbol and head by head."""
    q, k, v = np.split(linear(norm(x, params["attention_norm"]), params["qkv"]), 3, axis=-1)
    found, size = np.zeros_like(x), E // HEADS
    for head in range(HEADS):
        part = slice(head * size, (head + 1) * size)
        for t in range(len(x)):
            seen = range(max(0, t - SPAN + 1), t + 1)
            scores = [turned(q[t, part], t) @ turned(k[s, part], s) / math.sqrt(size) for s in seen]
            shares = np.exp(scores) / np.exp(scores).sum()
            found[t, part] = sum(a * v[s, part] for a, s in zip(shares, seen, strict=True))
    return linear(found, params["output"])


def logits_of(codes, params):
    x = params["embed"]["table"][codes]
    for layer in params["layers"].values():
        x = x + attention(x, layer)
        inner = gelu(linear(norm(x, layer["inner_norm"]), layer["up"]))
        x = x + linear(inner, layer["down"])
    return linear(norm(x, params["norm"]), params["readout"])


def test_logits_are_those_of_the_equations(model, whole):
    params = jax.device_get(model[1])
    for row, codes in enumerate(CODES):
        np.testing.assert_allclose(whole[1][row], logits_of(codes, params), atol=1e-12)


# --- the cache ---


@pytest.mark.parametrize(
    "parts", [[2, 5, 2], pytest.param([1] * T, marks=slow), pytest.param([8, 1], marks=slow)]
)
def test_symbols_read_in_parts_have_the_same_logits(model, whole, parts):
    functional, params = model
    cache = Cache.empty(LAYERS, (B, SPAN, HEADS, E // HEADS), jnp.float64)
    found = []
    read = quick.jit(lambda params, codes, cache: functional.bind(params)(codes, cache))
    for end, count in zip(np.cumsum(parts), parts, strict=True):
        cache, logits = read(params, jnp.asarray(CODES[:, end - count : end]), cache)
        found.append(logits)
    np.testing.assert_allclose(np.concatenate(found, axis=1), whole[1], atol=1e-12)
    for a, b in zip(jax.tree.leaves(cache), jax.tree.leaves(whole[0]), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-12)


def test_a_cache_has_a_place_for_each_symbol_of_the_context(whole):
    cache = whole[0]
    assert isinstance(cache, Cache) and cache.count.tolist() == [T] * B
    assert [a.shape for a in cache.keys] == [(B, SPAN, HEADS, E // HEADS)] * LAYERS


@slow
def test_no_symbol_sees_a_later_one_or_one_beyond_the_context(model):
    """With one layer; each further one reaches back by as much."""
    functional = make(layers=1)
    params = noisy(drawn(functional))
    module = functional.bind(params)

    def total(table, place):
        changed = params | {"embed": {"table": table}}
        return functional.bind(changed)(jnp.arange(V)[None])[1][0, place].sum()

    assert module(jnp.arange(V)[None])[1].shape == (1, V, V)
    rows = quick.jit(jax.vmap(jax.grad(total), (None, 0)))(params["embed"]["table"], jnp.arange(V))
    reached = np.abs(np.asarray(rows)).max(axis=-1) > 0
    place = np.arange(V)
    behind = place[:, None] - place
    np.testing.assert_array_equal(reached, (behind >= 0) & (behind < SPAN))


@slow
def test_rotations_know_differences_alone():
    q, k = np.random.default_rng(1).normal(size=(2, 1, 1, 1, 6))
    turn = lambda x, p: rotated(x, rotations(jnp.array([p]), 6, jnp.float64))  # noqa: E731
    first = (turn(q, 3) * turn(k, 1)).sum()
    assert first == pytest.approx(float((turn(q, 103) * turn(k, 101)).sum()), abs=1e-9)
    assert abs(first - float((turn(q, 3) * turn(k, 2)).sum())) > 1e-3


@slow
def test_at_first_all_symbols_are_as_likely():
    functional = make()
    logits = functional.bind(drawn(functional))(jnp.asarray(CODES))[1]
    assert np.abs(logits).max() < 0.5


# --- another library ---


@slow
def test_a_layer_is_that_of_pytorch():
    """Without rotations, which all positions zero turn off."""
    torch = pytest.importorskip("torch")
    layer = Functional(
        lambda rngs: TransformerLayer(E, HEADS, INNER, 1, param_dtype=jnp.float64, rngs=rngs)
    )
    params = noisy(drawn(layer))
    x = np.random.default_rng(2).normal(size=(B, T, E))
    mask = np.tril(np.ones((T, T), bool))
    ours = layer.bind(params)
    turns = rotations(jnp.zeros(T, jnp.int32), E // HEADS, jnp.float64)
    found = ours.add(jnp.asarray(x), *ours.heads_of(jnp.asarray(x), turns), jnp.asarray(mask))

    def close(x):
        return torch.nn.functional.gelu(x, approximate="tanh")

    theirs = torch.nn.TransformerEncoderLayer(
        E, HEADS, INNER, 0.0, close, batch_first=True, norm_first=True, dtype=torch.float64
    )
    names = {
        "self_attn.in_proj": "qkv",
        "self_attn.out_proj": "output",
        "linear1": "up",
        "linear2": "down",
        "norm1": "attention_norm",
        "norm2": "inner_norm",
    }
    weights = {}
    for name, own in names.items():
        dot = "_" if name.endswith("in_proj") else "."
        one = jax.device_get(params[own])
        weights[f"{name}{dot}weight"] = torch.tensor(
            one["kernel"].T if "kernel" in one else one["scale"]
        )
        weights[f"{name}{dot}bias"] = torch.tensor(one["bias"])
    theirs.load_state_dict(weights)
    with torch.no_grad():
        wanted = theirs(torch.tensor(x), src_mask=torch.tensor(~mask)).numpy()
    np.testing.assert_allclose(found, wanted, atol=1e-10)


# --- bad input ---


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"heads": 5}, r"^heads=5: must divide features=12 into even parts"),
        ({"heads": 4}, r"^heads=4: must divide features=12 into even parts.*; 16 features do"),
        ({"heads": 0}, r"^heads=0: must be a positive integer"),
        ({"features": -1}, r"^features=-1: must be a positive integer"),
        ({"span": 0}, r"^span=0: must be a positive integer"),
        ({"layers": 0}, r"^layers=0: must be a positive integer"),
    ],
)
def test_sizes_that_do_not_fit(changes, message):
    with pytest.raises(UsageError, match=message):
        make(**changes).init(jax.random.key(0))
