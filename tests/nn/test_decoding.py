"""Greedy, drawn and by beams: against enumeration of all sequences, and against each other."""

import itertools
import math
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rnnlab.errors import UsageError
from rnnlab.nn import decoding
from rnnlab.nn.beam import beam_search
from tests import quick

#: Symbols 0 .. 3: padding, start, end, and so on; a state that remembers the last two symbols.
SYMBOLS, START, END = 4, 1, 2
RNG = np.random.default_rng(3)
TABLE = jnp.asarray(1.5 * RNG.normal(size=(3, SYMBOLS, SYMBOLS, SYMBOLS)))
LIMITS = np.array([4, 2, 0], np.int32)


def step(state, symbols):
    """The logits of a row are an entry of its own table: any number of beams."""
    logits = jnp.take_along_axis(
        state["table"],
        (state["last"] * SYMBOLS + symbols)[..., None, None],
        axis=-2,
    )[..., 0, :]
    return state | {"last": symbols}, logits


STATE = {
    "table": TABLE.reshape(3, SYMBOLS**2, SYMBOLS),
    "last": jnp.zeros(3, jnp.int32),
}


def log_probability(row, symbols):
    """Of a sequence, its end symbol included, by the table."""
    total, last, now = 0.0, 0, START
    for symbol in symbols:
        logits = np.asarray(TABLE)[row, last, now]
        total += logits[symbol] - np.log(np.exp(logits).sum())
        last, now = now, symbol
    return total


def everything(row, limit, penalty):
    """All sequences that can be written, best first: symbols, log-probability, score."""
    found = []
    others = [symbol for symbol in range(SYMBOLS) if symbol != END]
    for count in range(limit + 1):
        for symbols in itertools.product(others, repeat=count):
            whole = (*symbols, END) if count < limit else symbols
            nats = log_probability(row, whole)
            found.append((list(symbols), nats, nats / ((5 + len(whole)) / 6) ** penalty))
    return sorted(found, key=lambda one: -one[2])


@pytest.mark.parametrize("penalty", [0.0, 1.0])
def test_a_wide_beam_is_an_exhaustive_search(penalty):
    search = quick.jit(
        lambda state: beam_search(
            step, state, LIMITS, 4, beams=200, start=START, end=END, penalty=penalty
        )
    )
    found = jax.device_get(search(STATE))
    for row, limit in enumerate(LIMITS):
        want = everything(row, int(limit), penalty) if limit else [([], 0.0, 0.0)]
        for place, (symbols, nats, score) in enumerate(want):
            length = found.lengths[row, place]
            assert found.symbols[row, place, :length].tolist() == symbols
            assert not found.symbols[row, place, length:].any()
            assert found.log_probability[row, place] == pytest.approx(nats)
            assert found.scores[row, place] == pytest.approx(score)
        assert np.isneginf(found.scores[row, len(want) :]).all()


def test_one_beam_is_greedy_and_greedy_is_the_likeliest_symbol_at_every_step():
    both = quick.jit(
        lambda state: (
            decoding.greedy(step, state, LIMITS, 4, start=START, end=END),
            beam_search(step, state, LIMITS, 4, beams=1, start=START, end=END),
        )
    )
    greedy, beam = jax.device_get(both(STATE))
    np.testing.assert_array_equal(beam.symbols[:, 0], greedy.symbols)
    np.testing.assert_array_equal(beam.lengths[:, 0], greedy.lengths)
    np.testing.assert_allclose(beam.log_probability[:, 0], greedy.log_probability, atol=1e-12)
    for row, limit in enumerate(LIMITS):
        written, last, now = [], 0, START
        while len(written) < limit:
            symbol = int(np.asarray(TABLE)[row, last, now].argmax())
            if symbol == END:
                break
            written.append(symbol)
            last, now = now, symbol
        assert greedy.symbols[row, : greedy.lengths[row]].tolist() == written
        assert not np.asarray(greedy.symbols)[row, len(written) :].any()


@pytest.mark.slow
def test_more_beams_never_find_less():
    def best(beams):
        return beam_search(
            step, STATE, jnp.asarray(LIMITS), 4, beams=beams, start=START, end=END, penalty=0.0
        ).scores[:, 0]

    assert (best(3) >= best(1) - 1e-12).all()


@pytest.mark.slow
def test_what_is_drawn_has_the_probabilities_of_the_table():
    draw = jax.vmap(
        lambda key: decoding.sample(step, STATE, jnp.asarray(LIMITS), 4, key, start=START, end=END)
    )
    count = 20_000
    found = jax.device_get(draw(jax.random.split(jax.random.key(0), count)))
    for row in (0, 1):
        for symbols, nats, _ in everything(row, int(LIMITS[row]), 0.0)[:8]:
            same = [
                s[:n].tolist() == symbols
                for s, n in zip(found.symbols[:, row], found.lengths[:, row], strict=True)
            ]
            share = math.exp(nats)
            assert abs(np.mean(same) - share) < 4 * math.sqrt(share * (1 - share) / count)
            chosen = found.log_probability[np.array(same), row]
            np.testing.assert_allclose(chosen, nats, atol=1e-9)


def test_a_row_with_a_key_of_its_own_is_drawn_as_if_it_were_alone():
    def draw(rows):
        state, limits = jax.tree.map(lambda leaf: leaf[rows], (STATE, jnp.asarray(LIMITS)))
        keys = jax.vmap(jax.random.key)(rows)
        return decoding.sample(step, state, limits, 4, keys, start=START, end=END)

    together, alone = quick.jit(draw)(np.array([0, 1, 2])), quick.jit(draw)(np.array([1]))
    np.testing.assert_array_equal(together.symbols[1], alone.symbols[0])
    np.testing.assert_allclose(together.log_probability[1], alone.log_probability[0], rtol=1e-12)


@pytest.mark.slow
def test_temperature_zero_or_one_kept_symbol_is_greedy():
    arguments = step, STATE, jnp.asarray(LIMITS), 4
    greedy = decoding.greedy(*arguments, start=START, end=END)
    draw = partial(decoding.sample, *arguments, jax.random.key(1), start=START, end=END)
    for settings in ({"temperature": 0.0}, {"top_k": 1}, {"top_p": 1e-9}):
        drawn = draw(choice=decoding.Choice(**settings))
        np.testing.assert_array_equal(drawn.symbols, greedy.symbols)


def test_the_likeliest_symbols_that_are_kept():
    logits = jnp.log(jnp.array([0.1, 0.4, 0.2, 0.3]))

    def kept(top_k, top_p):
        found = decoding.most_probable(decoding.likeliest(logits, top_k), top_p)
        return np.flatnonzero(np.isfinite(found)).tolist()

    assert kept(0, 1.0) == kept(9, 1.0) == [0, 1, 2, 3]
    assert kept(2, 1.0) == [1, 3] and kept(1, 1.0) == [1]
    assert kept(0, 0.5) == [1, 3] and kept(0, 0.75) == [1, 2, 3] and kept(0, 0.01) == [1]
    assert kept(1, 0.75) == [1]
    assert kept(3, 0.7) == [1, 3] and kept(3, 0.8) == [1, 2, 3]  # 4/9, 3/9 and 2/9 of the three


@pytest.mark.parametrize(
    "settings",
    [
        *({"temperature": bad} for bad in (-1.0, math.inf, math.nan)),
        {"top_k": -1},
        *({"top_p": bad} for bad in (0.0, 1.5, math.nan)),
    ],
)
def test_numbers_out_of_range_are_refused(settings):
    (name,) = settings
    with pytest.raises(UsageError, match=f"{name}={settings[name]}: must be"):
        decoding.Choice(**settings)


def test_no_beam_is_refused():
    with pytest.raises(UsageError, match="beams=0: must be at least 1"):
        beam_search(step, STATE, LIMITS, 4, beams=0, start=START, end=END)


def test_limits_grow_with_the_source():
    assert decoding.limits_of(np.array([0, 1, 10, 500]), 1.5, 10, 512).tolist() == [10, 12, 25, 512]
    assert decoding.limits_of(jnp.array([3]), 1.5, 1, 9).tolist() == [6]


def test_unknown_words_are_replaced_by_the_most_attended_ones():
    weights = np.array([[0.1, 0.9, 0.0], [0.6, 0.3, 0.1], [0.2, 0.2, 0.6]])
    written = ["the", "<unk>", "<unk>"]
    replaced = decoding.replace_unknown(written, ["Anna", "der", "Bob"], weights)
    assert replaced == ["the", "Anna", "Bob"]
    assert decoding.replace_unknown(written, [], np.zeros((3, 0))) == written
