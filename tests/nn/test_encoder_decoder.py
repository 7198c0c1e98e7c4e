"""Encoder and decoder: both ways to run it agree, padding never matters, gradients are right."""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from rnnlab.cells import GRU, LSTM, Elman
from rnnlab.combinators import Bidirectional, Dropout, Stack
from rnnlab.errors import UsageError
from rnnlab.nn import Functional
from rnnlab.nn.encoder_decoder import EncoderDecoder
from tests import quick

RNG = np.random.default_rng(0)
SOURCE, TARGET = RNG.integers(4, 9, (3, 5)), RNG.integers(4, 9, (3, 4))
SOURCE_LENGTHS, TARGET_LENGTHS = np.array([5, 2, 0]), np.array([4, 3, 1])

#: Hand-over, feeding, kind of attention; compiling all takes long.
KINDS = {
    "state": ("state", "none", "dot"),
    "context": ("context", "none", "dot"),
    "attention": ("attention", "none", "general"),
    "input feeding": ("attention", "readout", "dot"),
    "before the step": ("attention", "context", "additive"),
}


def make(hand_over, feeding, attention, **changes):
    settings = {
        "encoder": Bidirectional(GRU(2), GRU(2)),
        "decoder": LSTM(4),
        "embedding": 3,
        "readout": 3,
        "param_dtype": jnp.float64,
    } | changes
    return Functional(
        lambda rngs: EncoderDecoder(
            9,
            9,
            hand_over=hand_over,
            feeding=feeding,
            attention=attention,
            rngs=rngs,
            **settings,
        )
    )


SOME = [
    pytest.param(kind, marks=() if kind in ("context", "input feeding") else pytest.mark.slow)
    for kind in KINDS
]


@cache
def given(kind):
    model = make(*KINDS[kind])
    params = model.init(jax.random.key(0))
    return model, jax.tree.map(lambda a: 2 * a, params)


@cache
def program(kind):
    """Logits and weights, and the gradient of a sum over them."""
    model, _ = given(kind)
    weights = jnp.asarray(RNG.normal(size=(3, 4, 9)))

    def run(params, source, source_lengths, target, target_lengths):
        module = model.bind(params)
        decoded = module.logits(module.encode(source, source_lengths), target, target_lengths)
        counted = (jnp.arange(target.shape[1]) < target_lengths[:, None])[..., None]
        some = weights[: len(source), : target.shape[1]]
        return jnp.where(counted, decoded.logits * some, 0).sum(), decoded

    return quick.jit(jax.value_and_grad(run, has_aux=True))


ARGUMENTS = SOURCE, SOURCE_LENGTHS, TARGET, TARGET_LENGTHS


@pytest.mark.parametrize("kind", SOME)
def test_step_gives_what_the_whole_sequence_gives(kind):
    model, params = given(kind)
    (_, decoded), _ = program(kind)(params, *ARGUMENTS)
    module = model.bind(params)
    memory = module.encode(jnp.asarray(SOURCE), SOURCE_LENGTHS)
    step, state, found = quick.jit(lambda s, x: module.step(memory, s, x)), module.begin(memory), []
    for place in range(4):
        state, logits = step(state, TARGET[:, place])
        found.append(logits)
    within = np.arange(4) < TARGET_LENGTHS[:, None]
    np.testing.assert_allclose(
        np.stack(found, 1)[within], np.asarray(decoded.logits)[within], atol=1e-12
    )


@pytest.mark.parametrize("kind", SOME)
def test_padding_never_matters(kind):
    _, params = given(kind)
    want = program(kind)(params, *ARGUMENTS)
    other = [
        np.where(np.arange(codes.shape[1]) < lengths[:, None], codes, 8)
        for codes, lengths in ((SOURCE, SOURCE_LENGTHS), (TARGET, TARGET_LENGTHS))
    ]
    assert any((a != b).any() for a, b in zip(other, (SOURCE, TARGET), strict=True))
    found = program(kind)(params, other[0], SOURCE_LENGTHS, other[1], TARGET_LENGTHS)
    jax.tree.map(np.testing.assert_array_equal, found, want)
    (_, decoded), _ = want
    if decoded.weights is not None:
        past = np.arange(5) >= SOURCE_LENGTHS[:, None]
        assert not np.moveaxis(np.asarray(decoded.weights), 1, -1)[past].any()


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_of_one_is_a_row_of_a_padded_batch(kind):
    _, params = given(kind)
    (_, decoded), gradient = program(kind)(params, *ARGUMENTS)
    total = jax.tree.map(jnp.zeros_like, gradient)
    for row in range(3):
        s, t = SOURCE_LENGTHS[row], TARGET_LENGTHS[row]
        alone = SOURCE[row : row + 1, : max(s, 1)], TARGET[row : row + 1, :t]
        model, _ = given(kind)
        module = model.bind(params)
        memory = module.encode(jnp.asarray(alone[0]), SOURCE_LENGTHS[row : row + 1])
        found = module.logits(memory, jnp.asarray(alone[1])).logits
        np.testing.assert_allclose(found[0], decoded.logits[row, :t], atol=1e-12)
        lengths = np.where(np.arange(3) == row, TARGET_LENGTHS, 0)
        part = program(kind)(params, SOURCE, SOURCE_LENGTHS, TARGET, lengths)[1]
        total = jax.tree.map(jnp.add, total, part)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-11), total, gradient)


def linear(module, x):
    return x @ np.asarray(module.kernel.get_value()) + np.asarray(module.bias.get_value())


@pytest.mark.slow
def test_the_context_is_read_at_every_step_as_in_the_equations():
    """Tanh cells, by hand in NumPy: c = tanh(W h_T), s_0 = tanh(V h_T), s_t = f([x_t; c], s)."""
    model = make("context", "none", "dot", encoder=Elman(2), decoder=Elman(3))
    module = model.bind(jax.tree.map(lambda a: 1.5 * a, model.init(jax.random.key(1))))
    tables = [np.asarray(table.table.get_value()) for table in (module.source, module.target)]
    weights = [
        {name: np.asarray(a) for name, a in layer.params.items()}
        for layer in (module.encoder, module.decoder)
    ]
    want = []
    for source, target in zip(SOURCE, TARGET, strict=True):
        h = np.zeros(2)
        for code in source:
            h = np.tanh(tables[0][code] @ weights[0]["wx"] + h @ weights[0]["wh"] + weights[0]["b"])
        context, s = np.tanh(linear(module.to_context, h)), np.tanh(linear(module.starts[0], h))
        for code in target:
            x = np.concatenate([tables[1][code], context])
            s = np.tanh(x @ weights[1]["wx"] + s @ weights[1]["wh"] + weights[1]["b"])
            readout = np.tanh(linear(module.readout, np.concatenate([s, context])))
            want.append(linear(module.output, readout))
    memory = module.encode(jnp.asarray(SOURCE))
    found = module.logits(memory, jnp.asarray(TARGET)).logits
    np.testing.assert_allclose(found.reshape(12, 9), want, atol=1e-12)


@pytest.mark.slow
def test_an_empty_source_gives_the_start_of_nothing_read():
    model, params = given("attention")
    module = model.bind(params)
    memory = module.encode(jnp.asarray(SOURCE), np.zeros(3, int))
    assert all((leaf == leaf[0]).all() for leaf in jax.tree.leaves(memory.start))
    decoded = module.logits(memory, jnp.asarray(TARGET))
    assert np.isfinite(decoded.logits).all() and not np.asarray(decoded.weights).any()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(2, 0, 3), (2, 3, 0), (0, 3, 2)], ids=str)
def test_no_sources_or_no_steps_at_all(kind, shape):
    """Sequences, and steps of sources and of targets."""
    model, params = given(kind)
    count, read, written = shape

    def run(params):
        module = model.bind(params)
        memory = module.encode(jnp.zeros((count, read), jnp.int32), jnp.zeros(count, jnp.int32))
        return module.logits(memory, jnp.zeros((count, written), jnp.int32))

    found = jax.eval_shape(run, params)
    assert found.logits.shape == (count, written, 9)
    assert found.weights is None or found.weights.shape == (count, written, read)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["attention", "input feeding"])
def test_scheduled_sampling_reads_what_it_would_have_written(kind):
    """Always: what greedy decoding reads. Never: the targets."""
    model, params = given(kind)
    module, key = model.bind(params), jax.random.key(0)
    memory = module.encode(jnp.asarray(SOURCE), SOURCE_LENGTHS)
    symbols, state, want = jnp.asarray(TARGET[:, 0]), module.begin(memory), []
    for _ in range(4):
        state, logits = module.step(memory, state, symbols)
        symbols = logits.argmax(-1)
        want.append(logits)
    found = module.logits(memory, jnp.asarray(TARGET), None, key, own=1.0).logits
    np.testing.assert_allclose(found, np.stack(want, 1), atol=1e-12)
    never = module.logits(memory, jnp.asarray(TARGET), None, key, own=jnp.float64(0)).logits
    np.testing.assert_allclose(never, module.logits(memory, TARGET).logits, atol=1e-12)


@pytest.mark.slow
def test_dropout_needs_a_key_and_zeroes_its_share_of_the_readouts():
    layers = Stack((LSTM(4), Dropout(0.2), LSTM(4)))
    model = make("attention", "none", "general", decoder=layers, dropout=0.4, tied=True)
    module = model.bind(model.init(jax.random.key(0)))
    memory = module.encode(jnp.asarray(SOURCE), SOURCE_LENGTHS)

    def run(key):
        return module.readouts(memory, jnp.asarray(TARGET), None, key)[0]

    quiet, many = run(None), jax.vmap(run)(jax.random.split(jax.random.key(1), 1000))
    np.testing.assert_array_equal(run(None), quiet)
    np.testing.assert_array_equal(run(jax.random.key(2)), run(jax.random.key(2)))
    assert quiet.all() and np.mean(np.asarray(many) == 0) == pytest.approx(0.4, abs=0.01)
    noisy = module.encode(jnp.asarray(SOURCE), SOURCE_LENGTHS, jax.random.key(3))
    assert (noisy.outputs != memory.outputs).any()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"hand_over": "all"},
            "hand_over='all': must be one of none, state, first, input, output, ",
        ),
        ({"hand_over": "state", "feeding": "readout"}, "feeding=readout: needs hand_over=att"),
        ({"tied": True, "readout": 7}, "tied=True: needs readout=3"),
        ({"decoder": Bidirectional(GRU(2), GRU(2))}, "decoder=Bidirectional: must run forward"),
        ({"dropout": 1.0}, "dropout=1.0: must be a probability"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(changes, message):
    settings = {"hand_over": "attention", "feeding": "none", "attention": "general"} | changes
    with pytest.raises(UsageError, match=message):
        make(**settings).make(nnx.Rngs(0))


def test_scheduled_sampling_without_a_key_is_refused():
    model, params = given("context")
    module = model.bind(params)
    memory = jax.eval_shape(module.encode, jnp.asarray(SOURCE))
    with pytest.raises(UsageError, match=r"key=None: own=0.5 draws at random; give a key"):
        module.logits(memory, jnp.asarray(TARGET), own=0.5)
