"""The language model and its losses against NumPy in float64, and what it writes."""

import dataclasses
from itertools import islice
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rnnlab import cells
from rnnlab.combinators import Dropout, Stack
from rnnlab.data import pipelines
from rnnlab.errors import UsageError
from rnnlab.nn.decoding import Choice
from rnnlab.training import generation, optimisers
from rnnlab.training.language import LanguageModel, TextLoss, language_learner
from rnnlab.training.model import Reader
from rnnlab.training.update import updates
from tests import quick

KEY = jax.random.key(4)
V, H = 5, 7
CODES = np.random.default_rng(0).integers(0, V, 53).astype(np.int32)


def network(embedding=0, layers=None, strategy="autodiff"):
    layers = layers or (cells.by_name("tanh", H),)
    return LanguageModel(Reader(Stack(layers), V, strategy), embedding)


def in_numpy(tree):
    return jax.tree.map(lambda a: np.asarray(a, np.float64), tree)


def logits_of(params, codes):
    """Logits `[N, V]` of a tanh network that reads a text from the start, step by step."""
    (cell,), readout = params["cell"], params["readout"]
    table = params.get("embedding", np.eye(V))
    h, rows = np.zeros(H), []
    for code in codes:
        h = np.tanh(table[code] @ cell["wx"] + h @ cell["wh"] + cell["b"])
        rows.append(h @ readout["w"] + readout["b"])
    return np.array(rows)


def nats(logits, targets):
    shifted = logits - logits.max(axis=-1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return -log_p[np.arange(len(targets)), targets]


# --- losses ---


@pytest.mark.parametrize("embedding", [0, 3])
@pytest.mark.parametrize(("batch", "steps"), [(1, 100), (1, 7), (4, 5), (60, 3)])
def test_the_loss_of_a_text_counts_every_symbol_once(embedding, batch, steps):
    model = network(embedding)
    params = model.init(KEY)
    found = TextLoss(model, CODES, batch, steps)(params)
    parts = min(batch, len(CODES) - 1)
    size = -(-(len(CODES) - 1) // (parts * steps)) * steps  # a part, a multiple of the window
    total = 0.0
    for start in range(0, len(CODES) - 1, size):
        part = CODES[start : start + size + 1]
        total += nats(logits_of(in_numpy(params), part[:-1]), part[1:]).sum()
    assert found == pytest.approx(total / (len(CODES) - 1), rel=1e-5)


def test_a_text_of_one_symbol_has_no_loss():
    with pytest.raises(UsageError, match="has 1 symbols"):
        TextLoss(network(), CODES[:1])
    assert TextLoss(network(), CODES[:2])(network().init(KEY)) > 0


def test_windows_continue_and_epochs_begin_anew():
    """Without learning, the loss of each window is that of its place in the parts of the text."""
    model = network()
    learner = language_learner(model, batch=2, optimiser=optimisers.optimiser("sgd", 0.0))
    windows = pipelines.stream(CODES, 2, 6)  # two parts of 26 symbols: 4 windows an epoch
    batches = pipelines.Feed(windows).take(6)
    state = learner.start(KEY)
    _, metrics = quick.jit(lambda s, b: updates(learner, 6, s, b))(state, batches)
    rows = [
        nats(logits_of(in_numpy(state.params), part[:-1]), part[1:])
        for part in (CODES[:26], CODES[26:52])
    ]
    expected = np.mean(rows, axis=0)[:24].reshape(4, 6).mean(axis=1)
    np.testing.assert_allclose(metrics["loss"], [*expected, *expected[:2]], rtol=1e-5)


def test_gradients_do_not_flow_into_the_window_before():
    model = network(strategy="hoisted")
    learner = language_learner(model, batch=2, optimiser=optimisers.optimiser("sgd", 1.0))
    window: Any = pipelines.stream(CODES, 2, 6)[1]
    state = learner.start(KEY)
    carry = jax.tree.map(lambda a: a + 0.3, state.carry)

    def loss(params):
        _, logits = model.run(params, window.xs, carry)
        log_p = jax.nn.log_softmax(logits)
        return -jnp.take_along_axis(log_p, window.targets[..., None], -1).mean()

    one = jax.tree.map(lambda a: jnp.asarray(a)[None], window)
    step = quick.jit(lambda s: updates(learner, 1, s, one))
    after, _ = step(state._replace(carry=carry))
    gradient = quick.jit(jax.grad(loss))(state.params)
    moved = jax.tree.map(jnp.subtract, state.params, after.params)
    for a, b in zip(jax.tree.leaves(moved), jax.tree.leaves(gradient), strict=True):
        np.testing.assert_allclose(a, b, atol=2e-7)


def test_the_sum_over_steps_is_as_many_times_the_mean():
    """Loss, gradient and so the step of gradient descent; the mean is kept as a metric."""
    window = jax.tree.map(lambda a: np.asarray(a)[None], pipelines.stream(CODES, 2, 6)[1])
    moved, metrics = [], []
    for sum_steps in (False, True):
        learner = language_learner(
            network(), batch=2, optimiser=optimisers.optimiser("sgd", 1.0), sum_steps=sum_steps
        )
        state = learner.start(KEY)
        after, row = quick.jit(lambda s, one=learner: updates(one, 1, s, window))(state)
        moved.append(jax.tree.map(jnp.subtract, state.params, after.params))
        metrics.append(row)
    for mean, total in zip(*map(jax.tree.leaves, moved), strict=True):
        np.testing.assert_allclose(total, 6 * mean, rtol=1e-4, atol=1e-6)
    loss = float(metrics[0]["loss"][0])
    assert metrics[1]["loss"][0] == pytest.approx(6 * loss, rel=1e-6)
    assert metrics[1]["nats"][0] == pytest.approx(loss, rel=1e-6)
    assert "nats" not in metrics[0]


def test_another_start():
    def init(key):
        return jax.tree.map(jnp.ones_like, network().init(key))

    optimiser = optimisers.optimiser("sgd", 1.0)
    learner = language_learner(network(), batch=2, optimiser=optimiser, init=init)
    assert all(bool((leaf == 1).all()) for leaf in jax.tree.leaves(learner.start(KEY).params))


@pytest.mark.slow
def test_dropout_is_of_training_alone():
    model = network(layers=(cells.by_name("gru", H), Dropout(0.5), cells.by_name("lstm", H)))
    params = model.init(KEY)
    codes, state = CODES[:8].reshape(4, 2), model.initial_state(2)
    noisy, other, plain, again = (
        model.run(params, codes, state, key)[1]
        for key in (jax.random.key(1), jax.random.key(2), None, None)
    )
    assert not np.allclose(noisy, plain) and not np.allclose(noisy, other)
    np.testing.assert_array_equal(plain, again)


@pytest.mark.parametrize("embedding", [0, 4])
def test_steps_are_the_run(embedding):
    model = network(embedding, (cells.by_name("lstm", H), cells.by_name("gru", H)), "hoisted")
    params = model.init(KEY)
    codes, state = CODES[:12].reshape(6, 2), model.initial_state(2)
    final, logits = model.run(params, codes, state)
    for t, row in enumerate(codes):
        state, now = model.step(params, row, state)
        np.testing.assert_allclose(now, logits[t], rtol=1e-4, atol=1e-6)
    for a, b in zip(jax.tree.leaves(final), jax.tree.leaves(state), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


def test_a_negative_embedding():
    with pytest.raises(UsageError, match="embedding=-1"):
        network(-1)


# --- what is drawn ---

LOGITS = jnp.log(jnp.array([0.1, 0.2, 0.4, 0.25, 0.05], jnp.float32))


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (Choice(), [0.1, 0.2, 0.4, 0.25, 0.05]),
        (Choice(temperature=0.5), np.square([2, 4, 8, 5, 1]) / 110),
        (Choice(top_k=2), [0, 0, 8 / 13, 5 / 13, 0]),
        (Choice(temperature=0.5, top_k=2), [0, 0, 64 / 89, 25 / 89, 0]),
        (Choice(top_p=0.5), [0, 0, 8 / 13, 5 / 13, 0]),
        (Choice(temperature=0.5, top_k=3, top_p=0.8), [0, 0, 64 / 89, 25 / 89, 0]),
        (Choice(temperature=1e-40, top_p=0.5), [0, 0, 1, 0, 0]),
        (Choice(temperature=0), [0, 0, 1, 0, 0]),
        (Choice(top_k=1), [0, 0, 1, 0, 0]),
        (Choice(top_k=99), [0.1, 0.2, 0.4, 0.25, 0.05]),
        (Choice(temperature=1e-40), [0, 0, 1, 0, 0]),
        (Choice(temperature=5e-324, top_k=2), [0, 0, 1, 0, 0]),
        (Choice(temperature=1e300), [0.2, 0.2, 0.2, 0.2, 0.2]),
        (Choice(temperature=1e300, top_k=2), [0, 0, 0.5, 0.5, 0]),
    ],
)
def test_symbols_are_drawn_with_their_probabilities(choice, expected):
    n = 20_000
    drawn = choice(jax.random.key(0), jnp.broadcast_to(LOGITS, (n, V)))
    shares = np.bincount(drawn, minlength=V) / n
    np.testing.assert_allclose(shares, expected, atol=5 * 0.5 / n**0.5)
    assert (shares[np.asarray(expected) == 0] == 0).all() and drawn.dtype == jnp.int32


def test_a_stream_draws_what_a_sample_draws():
    model = network(layers=(cells.by_name("lstm", H),), strategy="hoisted")
    params = jax.tree.map(lambda a: 3 * a, model.init(KEY))
    prompt, choice = CODES[:4], Choice(0.8, 3)
    at_once = generation.sample(
        model, params, jnp.asarray(prompt), KEY, batch=1, count=30, choice=choice
    )
    one_by_one = list(islice(generation.stream(model, params, prompt, KEY, choice), 30))
    assert np.asarray(at_once)[:, 0].tolist() == one_by_one
    assert len(set(one_by_one)) > 1


def test_the_likeliest_symbols_follow_the_prompt():
    model = network()
    params = in_numpy(model.init(KEY))
    text = list(CODES[:5])
    for _ in range(10):
        text.append(int(np.argmax(logits_of(params, text)[-1])))
    drawn = generation.stream(model, model.init(KEY), CODES[:5], KEY, Choice(temperature=0))
    assert list(islice(drawn, 10)) == text[5:]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"temperature": -0.1}, "temperature=-0.1: must be"),
        ({"temperature": float("nan")}, "temperature=nan"),
        ({"temperature": float("inf")}, "temperature=inf"),
        ({"top_k": -1}, "top_k=-1"),
    ],
)
def test_bad_choices(settings, message):
    with pytest.raises(UsageError, match=f"^{message}"):
        Choice(**settings)


def test_an_empty_prompt():
    with pytest.raises(UsageError, match="prompt: is empty"):
        next(generation.stream(network(), network().init(KEY), [], KEY))


def test_choices_are_plain_values():
    assert dataclasses.asdict(Choice(0.5, 3)) == {"temperature": 0.5, "top_k": 3, "top_p": 1.0}
