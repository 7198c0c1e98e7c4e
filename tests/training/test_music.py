"""Foreseeing chorales against NumPy, transposition, widths, and what is written, by enumeration."""

import itertools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rnnlab.data.buckets import Padded, pad
from rnnlab.data.made_chorales import made_chorales
from rnnlab.data.piano_roll import KEYS, pitches, roll, tops
from rnnlab.errors import UsageError
from rnnlab.training import composing
from rnnlab.training.composing import continued, harmonised
from rnnlab.training.music import (
    Transposition,
    composer,
    fitted,
    frame_nats,
    music_learner,
    parameters,
)
from rnnlab.training.music_settings import MusicNetwork
from rnnlab.training.optimisers import Clip, optimiser

NETWORK = MusicNetwork(cell="tanh", hidden=6, strategy="autodiff")
MODEL = composer(NETWORK)
ROLLS = made_chorales(5, 0)


@pytest.fixture(scope="module")
def params():
    return MODEL.init(jax.random.key(0))


@pytest.fixture(scope="module")
def few():
    """A network that uses four keys alone, which depend much on what has sounded."""
    drawn: Any = jax.tree.map(np.asarray, MODEL.init(jax.random.key(3)))
    drawn["read"]["weights"][0]["wx"] = 2.5 * drawn["read"]["weights"][0]["wx"]
    drawn["judge"]["kernel"] = 2 * drawn["judge"]["kernel"]
    bias = np.full(KEYS, -60, np.float32)
    bias[FOUR] = [0.5, 0.2, 0.1, -0.5]
    drawn["judge"]["bias"] = bias
    kernel = drawn["judge"]["kernel"].copy()
    kernel[:, np.delete(np.arange(KEYS), FOUR)] = 0
    drawn["judge"]["kernel"] = kernel
    return jax.tree.map(jnp.asarray, drawn)


FOUR = np.array([40, 44, 47, 52])


def plain_nats(params, keys):
    """The equations in float64, a frame after the other."""
    weights = {name: np.float64(leaf) for name, leaf in params["read"]["weights"][0].items()}
    kernel, bias = (np.float64(params["judge"][name]) for name in ("kernel", "bias"))
    h, x, nats = np.zeros(6), np.zeros(KEYS), []
    for frame in keys.astype(float):
        h = np.tanh(x @ weights["wx"] + h @ weights["wh"] + weights["b"])
        p = 1 / (1 + np.exp(-(np.concatenate([h, x]) @ kernel + bias)))
        nats.append(-(frame * np.log(p) + (1 - frame) * np.log1p(-p)).sum())
        x = frame
    return np.array(nats)


def test_nats_are_those_of_the_equations(params):
    for found, keys in zip(frame_nats(MODEL, params, ROLLS), ROLLS, strict=True):
        np.testing.assert_allclose(found, plain_nats(params, keys), rtol=1e-5)


@pytest.mark.slow
def test_nats_are_those_of_any_company(params):
    together = frame_nats(MODEL, params, ROLLS)
    for most in (1, 3):
        for one, other in zip(frame_nats(MODEL, params, ROLLS, most), together, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-6)
    assert frame_nats(MODEL, params, []) == []


@pytest.mark.slow
def test_the_loss_is_a_mean_over_frames_and_padding_changes_nothing(params):
    learner = music_learner(
        MODEL,
        batch=4,
        optimiser=optimiser("sgd", 0.1),
        clip=Clip(),
        transposition=Transposition(0),
    )
    rows = np.array([0, 1, 2, -1], np.int32)
    longest = max(map(len, ROLLS))
    batch = pad(ROLLS, [longest], rows, time_major=False)
    nats = np.concatenate([plain_nats(params, keys) for keys in ROLLS[:3]])
    key: Any = jax.random.key(1)
    assert learner.loss(params, (), batch, key)[0] == pytest.approx(nats.mean(), rel=1e-5)
    filled = np.where(np.arange(longest)[:, None] < batch.lengths[:, None, None], batch.values, 1)
    dirty = Padded(filled.astype(np.uint8), batch.lengths, rows)

    def gradient(batch):
        return jax.grad(lambda p: learner.loss(p, (), batch, key)[0])(params)

    for one, other in zip(*(jax.tree.leaves(gradient(b)) for b in (batch, dirty)), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.slow
def test_chorales_move_by_semitones_within_the_range_all_as_likely():
    """All voices of a chorale move together, and each number of semitones is as likely."""
    keys = roll([[40, 60], [], [41, 62]])
    frames = jnp.asarray(np.repeat(keys[None], 3000, axis=0))
    move = Transposition(6, lowest=40 - 21 - 3, highest=62 - 21 + 2)
    moved = np.asarray(move(frames, jax.random.key(0)))
    shifts = moved[:, 0].argmax(axis=1) - (40 - 21)
    counts = np.bincount(shifts + 3, minlength=6)
    assert counts.shape == (6,) and counts.min() > 400
    for semitones in range(-3, 3):
        (found,) = np.unique(moved[shifts == semitones], axis=0)
        assert pitches(found) == [
            [40 + semitones, 60 + semitones],
            [],
            [41 + semitones, 62 + semitones],
        ]


@pytest.mark.slow
def test_a_range_that_leaves_no_room_and_silence():
    keys = roll([[21, 108]])
    assert Transposition.within([keys], 6) == Transposition(6, 0, KEYS - 1)
    assert Transposition.within([keys[:0]], 6).most == 0
    frames = jnp.asarray(np.stack([keys, np.zeros_like(keys)]))
    np.testing.assert_array_equal(Transposition(6)(frames, jax.random.key(0)), frames)


@pytest.mark.parametrize(
    ("cell", "hidden"),
    [
        ("tanh", 466),
        pytest.param("gru", 262, marks=pytest.mark.slow),
        pytest.param("lstm", 223, marks=pytest.mark.slow),
    ],
)
def test_as_many_units_as_the_parameters_allow(cell, hidden):
    """Gates g: `g (88 H + H² + H)`, two biases for the candidate of the GRU, and the readout."""
    network = fitted(MusicNetwork(cell=cell, skip=False))

    def count(units):
        gates = {"tanh": 1, "gru": 3, "lstm": 4}[cell]
        more = units if cell == "gru" else 0
        return gates * (KEYS * units + units**2 + units) + more + (units + 1) * KEYS

    assert parameters(network) == count(network.hidden) <= 300_000 < count(network.hidden + 1)
    assert network.hidden == hidden


def test_widths_that_are_given_or_impossible():
    assert fitted(NETWORK) is NETWORK
    with pytest.raises(UsageError, match="parameters=10: the smallest network has"):
        fitted(MusicNetwork(parameters=10))
    with pytest.raises(UsageError, match="hidden=-1"):
        MusicNetwork(hidden=-1)
    with pytest.raises(UsageError, match="cell="):
        MusicNetwork(cell="none")


# --- writing ---


@pytest.mark.slow
def test_what_follows_a_prompt_depends_on_it_and_the_seed_and_on_nothing_else(few):
    prompt, key = roll([[61, 73]] * 3), jax.random.key(5)
    long = continued(MODEL, few, prompt, 40, key)
    assert long.shape == (43, KEYS) and long.dtype == np.uint8
    np.testing.assert_array_equal(long[:3], prompt)
    np.testing.assert_array_equal(continued(MODEL, few, prompt, 9, key), long[:12])
    assert (continued(MODEL, few, prompt, 40, jax.random.key(6)) != long).any()
    assert continued(MODEL, few, prompt[:0], 0, key).shape == (0, KEYS)


@pytest.mark.slow
def test_frames_are_drawn_with_the_probabilities_of_the_network(few):
    """The first frame after a prompt, many times: shares against the equations."""
    prompt = roll([[61, 73], [65]])
    drawn = [continued(MODEL, few, prompt, 1, jax.random.key(n))[-1] for n in range(600)]
    p = np.exp(-np.array([plain_nats(few, np.stack([*prompt, one]))[-1] for one in np.eye(KEYS)]))
    silent = np.exp(-plain_nats(few, np.stack([*prompt, np.zeros(KEYS)]))[-1])
    odds = p[FOUR] / silent
    np.testing.assert_allclose(np.mean(drawn, axis=0)[FOUR], odds / (1 + odds), atol=0.07)


@pytest.mark.slow
def test_without_temperature_the_likeliest_keys(few):
    cold = [continued(MODEL, few, roll([[61]]), 8, jax.random.key(n), 0.0) for n in (0, 1)]
    np.testing.assert_array_equal(*cold)
    for time in range(1, 9):
        here = -plain_nats(few, cold[0][: time + 1])[-1]
        for key in FOUR:
            other = cold[0][: time + 1].copy()
            other[time, key] ^= 1
            assert here >= -plain_nats(few, other)[-1]


def enumerated(few, melody):
    """All rolls of four keys whose melody this is, and their log-probabilities."""
    frames = np.array(list(itertools.product((0, 1), repeat=4)), np.uint8)
    rolls = []
    for choice in itertools.product(frames, repeat=len(melody)):
        keys = np.zeros((len(melody), KEYS), np.uint8)
        keys[:, FOUR] = choice
        if (tops(keys) == melody).all():
            rolls.append(keys)
    return np.array(rolls), -np.array([one.sum() for one in frame_nats(MODEL, few, rolls, 64)])


MELODY = roll([[68], [73], [], [68]])


@pytest.fixture(scope="module")
def exact(few):
    """Rolls, their probabilities given the melody, and log p of the melody."""
    rolls, log_p = enumerated(few, MELODY)
    return rolls, np.exp(log_p - np.logaddexp.reduce(log_p)), np.logaddexp.reduce(log_p)


@pytest.mark.slow
def test_log_p_of_a_melody_by_enumeration(few, exact):
    found = harmonised(MODEL, few, MELODY, jax.random.key(0), particles=8192)
    assert found.log_p == pytest.approx(exact[2], abs=0.03)
    assert 1 < found.particles < 8192
    np.testing.assert_array_equal(tops(found.keys), MELODY)


@pytest.mark.slow
def test_voices_below_a_melody_are_drawn_as_often_as_enumeration_says(few, exact):
    """With particles; one particle alone, the melody held down, draws others."""
    rolls, p, _ = exact
    wanted = np.tensordot(p, rolls, 1)[:, FOUR]

    def share(particles):
        draws = range(300)
        found = [
            harmonised(MODEL, few, MELODY, jax.random.key(n), particles=particles).keys
            for n in draws
        ]
        return np.mean(found, axis=0)[:, FOUR]

    with_many, alone = (np.abs(share(count) - wanted).max() for count in (64, 1))
    assert with_many < 0.08 < alone


@pytest.mark.slow
def test_copies_are_made_by_weight():
    """Each particle is copied N times its weight, up or down to a whole number."""
    log_w = np.log(np.array([0.05, 0.5, 0.25, 0.2], np.float32))
    for seed in range(20):
        found = composing._systematic(jax.random.key(seed), jnp.asarray(log_w))
        counts = np.bincount(found, minlength=4)
        assert (np.abs(counts - 4 * np.exp(log_w)) < 1).all()


@pytest.mark.slow
def test_melodies_at_any_temperature_and_wrong_settings(few):
    key = jax.random.key(0)
    cold = harmonised(MODEL, few, MELODY, key, temperature=0.0, particles=4)
    np.testing.assert_array_equal(tops(cold.keys), MELODY)
    assert np.isnan(cold.log_p)
    again = harmonised(MODEL, few, MELODY, jax.random.key(1), temperature=0.0, particles=2)
    np.testing.assert_array_equal(again.keys, cold.keys)
    with pytest.raises(UsageError, match="temperature=-1"):
        harmonised(MODEL, few, MELODY, key, temperature=-1.0)
    with pytest.raises(UsageError, match="particles=0"):
        harmonised(MODEL, few, MELODY, key, particles=0)
    with pytest.raises(UsageError, match="temperature=inf"):
        continued(MODEL, few, MELODY, 3, key, float("inf"))
