"""The CRF against enumeration of all sequences of labels, in value and gradient."""

import itertools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rnnlab.errors import UsageError
from rnnlab.nn import CRF, Functional, bio

NAMES = ("O", "B-x", "I-x", "I-y")
LENGTHS = np.array([4, 2, 1, 0], np.int32)
STEPS, LABELS = 4, len(NAMES)
#: Past the ends are other labels, which nothing may read.
GOLD = np.array([[1, 2, 0, 1], [0, 1, 3, 3], [1, 3, 3, 3], [3, 3, 3, 3]], np.int32)


class Problem(NamedTuple):
    """A CRF with drawn parameters, scores, and everything that it makes of them."""

    allowed: Any
    params: Any
    scores: np.ndarray
    run: Any


@pytest.fixture(scope="module", params=["free", "bio"])
def problem(request):
    allowed = bio(NAMES) if request.param == "bio" else None
    crf = Functional(lambda rngs: CRF(LABELS, allowed=allowed, param_dtype=jnp.float64))
    rng = np.random.default_rng(0)
    params = jax.tree.map(lambda leaf: rng.normal(size=leaf.shape), crf.init(jax.random.key(0)))

    @jax.jit
    def run(params, scores, labels, lengths):
        def loss(params, scores):
            value = crf.bind(params).log_likelihood(scores, labels, lengths)
            return value.sum(), value

        module = crf.bind(params)
        gradient, value = jax.grad(loss, argnums=(0, 1), has_aux=True)(params, scores)
        return value, gradient, module.viterbi(scores, lengths), module.marginals(scores, lengths)

    return Problem(allowed, params, rng.normal(size=(len(LENGTHS), STEPS, LABELS)) * 2, run)


def sequences(allowed, length):
    """All sequences of labels of that length that are allowed, `[N, length]`."""
    every = np.array(list(itertools.product(range(LABELS), repeat=length)), int)
    if allowed is None or not length:
        return every
    good = allowed.start[every[:, 0]] & allowed.transition[every[:, :-1], every[:, 1:]].all(axis=1)
    return every[good]


def scores_of(params, scores, labels):
    """The score of each sequence by the equation, `[N]`."""
    if not labels.shape[1]:
        return np.zeros(len(labels))
    borders = params["start"][labels[:, 0]] + params["end"][labels[:, -1]]
    at_steps = scores[np.arange(labels.shape[1]), labels].sum(axis=1)
    return borders + at_steps + params["transition"][labels[:, :-1], labels[:, 1:]].sum(axis=1)


def counted(weights, labels):
    """What weighted sequences `[N, length]` add to the gradient of starts and scores, and so on."""
    hot = np.eye(LABELS)[labels]
    return {
        "start": weights @ hot[:, 0],
        "end": weights @ hot[:, -1],
        "transition": np.einsum("n,nta,ntb->ab", weights, hot[:, :-1], hot[:, 1:]),
        "scores": np.einsum("n,ntk->tk", weights, hot),
    }


def test_likelihood_and_gradient_are_those_of_enumeration(problem):
    value, (gradient, d_scores), _, marginals = problem.run(
        problem.params, problem.scores, GOLD, LENGTHS
    )
    want = {name: np.zeros_like(leaf) for name, leaf in problem.params.items()}
    for row, length in enumerate(LENGTHS):
        every = sequences(problem.allowed, length)
        scores = scores_of(problem.params, problem.scores[row], every)
        gold = GOLD[row : row + 1, :length]
        total = np.log(np.exp(scores).sum())
        right = scores_of(problem.params, problem.scores[row], gold)[0]
        np.testing.assert_allclose(value[row], right - total, rtol=1e-10, atol=1e-12)
        expected = np.zeros((STEPS, LABELS))
        observed = np.zeros((STEPS, LABELS))
        if length:
            model = counted(np.exp(scores - total), every)
            data = counted(np.ones(1), gold)
            expected[:length], observed[:length] = model["scores"], data["scores"]
            for name in want:
                want[name] += data[name] - model[name]
        np.testing.assert_allclose(marginals[row], expected, atol=1e-12)
        np.testing.assert_allclose(d_scores[row], observed - expected, atol=1e-12)
    for name in want:
        np.testing.assert_allclose(gradient[name], want[name], atol=1e-12)


def test_viterbi_finds_the_best_of_all_sequences(problem):
    _, _, (labels, best), _ = problem.run(problem.params, problem.scores, GOLD, LENGTHS)
    assert labels.dtype == jnp.int32
    for row, length in enumerate(LENGTHS):
        every = sequences(problem.allowed, length)
        scores = scores_of(problem.params, problem.scores[row], every)
        np.testing.assert_array_equal(labels[row, :length], every[scores.argmax()])
        np.testing.assert_allclose(best[row], scores.max(), rtol=1e-12)
        assert not labels[row, length:].any()


@pytest.mark.parametrize("junk", [np.nan, 1e30])
def test_padding_never_matters(problem, junk):
    past = np.arange(STEPS) >= LENGTHS[:, None]
    scores = np.where(past[..., None], junk, problem.scores)
    found = problem.run(problem.params, scores, np.where(past, 2, GOLD), LENGTHS)
    want = problem.run(problem.params, problem.scores, GOLD, LENGTHS)
    jax.tree.map(np.testing.assert_array_equal, found, want)


def test_one_sequence_alone_gives_what_it_gives_in_a_batch(problem):
    together = problem.run(problem.params, problem.scores, GOLD, LENGTHS)
    length = LENGTHS[1]
    alone = problem.run(
        problem.params, problem.scores[1:2, :length], GOLD[1:2, :length], LENGTHS[1:2]
    )
    np.testing.assert_allclose(alone[0][0], together[0][1], rtol=1e-12)
    np.testing.assert_allclose(alone[1][1][0], together[1][1][1, :length], atol=1e-12)
    np.testing.assert_array_equal(alone[2][0][0], together[2][0][1, :length])


def test_no_steps_at_all():
    crf = CRF(LABELS, param_dtype=jnp.float64)
    scores, lengths = jnp.zeros((2, 0, LABELS)), jnp.zeros(2, jnp.int32)
    assert crf.log_likelihood(scores, jnp.zeros((2, 0), jnp.int32), lengths).tolist() == [0, 0]
    labels, best = crf.viterbi(scores, lengths)
    assert labels.shape == (2, 0) and best.tolist() == [0, 0]
    assert crf.marginals(scores, lengths).shape == (2, 0, LABELS)


def test_viterbi_keeps_to_bio_whatever_the_scores():
    crf = CRF(LABELS, allowed=bio(NAMES))
    scores = np.random.default_rng(1).normal(size=(50, 7, LABELS)) * 1e6
    scores[..., 2:] += 1e6
    answers = jax.jit(crf.viterbi)(jnp.asarray(scores, jnp.float32), jnp.full(50, 7))
    for path in answers[0].tolist():
        names = [NAMES[label] for label in path]
        assert not names[0].startswith("I-")
        for before, name in itertools.pairwise(names):
            assert not name.startswith("I-") or before[2:] == name[2:]


@pytest.mark.parametrize("problem", ["bio"], indirect=True)
def test_labels_that_are_not_allowed_have_a_finite_likelihood(problem):
    broken = np.where(GOLD == 0, 3, GOLD).astype(np.int32)
    value, gradient, _, _ = problem.run(problem.params, problem.scores, broken, LENGTHS)
    assert value[0] < -1e4
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves((value, gradient)))


def test_bio_allows_a_continuation_after_its_own_kind_only():
    allowed = bio(("O", "B-x", "I-x", "B-I-", "I-I-"))
    assert allowed.start.tolist() == [True, True, False, True, False]
    assert allowed.transition[:, 2].tolist() == [False, True, True, False, False]
    assert allowed.transition[:, 4].tolist() == [False, False, False, True, True]
    assert allowed.transition[:, [0, 1, 3]].all()


def test_constraints_of_other_labels_are_refused():
    with pytest.raises(UsageError, match="of 4 labels, not of 3"):
        CRF(3, allowed=bio(NAMES))
