"""Word vectors on texts that are made: what a run holds, its optimum, resumption and errors."""

import json
from typing import Any
from unittest import mock

import numpy as np
import pytest
from scipy import sparse, stats

import rnnlab
from experiments import embeddings
from experiments.embeddings import counting, measure, quality, report
from rnnlab.data.made_kin import ROLES, made_kin
from rnnlab.data.word_tests import Question, WordPair
from rnnlab.data.word_vectors import read_vectors
from rnnlab.data.words import WordVocabulary
from rnnlab.errors import RunError, UsageError
from rnnlab.run import modes
from rnnlab.run.workdir import open_workdir
from rnnlab.statistics import rank_correlation, rank_interval
from rnnlab.trained.vectors import WordVectors
from rnnlab.training import devices
from rnnlab.training.skip_gram import Text
from tests import quick
from tests.experiments.kills import killed
from tests.experiments.presets import run_tiny
from tests.experiments.runs import assert_same, copy, evaluations, state_of, summary_of
from tests.experiments.settings import assert_recorded, changed

SMALL: dict[str, Any] = {"epochs": 4, "checkpoint_epochs": 1, "dispatch": 40, "map": "pca"}
WRITTEN = ("metrics.jsonl", "corpus.json", "vectors.txt", "count_vectors.npy", "model.json")


def config(**changes):
    return changed(embeddings.PRESETS["tiny"], **{**SMALL, **changes})


def run(folder, **changes):
    one = config(**changes)
    cheap = mock.patch.object(devices, "COMPILER_OPTIONS", quick.known_options())
    with cheap, open_workdir(folder, "embeddings", one) as workdir:
        workdir.end(embeddings.run(one, workdir))


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A finished run."""
    folder = tmp_path_factory.mktemp("whole")
    run(folder)
    return folder


def test_it_learns_and_everything_is_there(whole):
    rows, summary = evaluations(whole), summary_of(whole)
    assert len(rows) == 5 and rows[-1]["rank_correlation"] > 0.5
    assert summary["words of the text"] == 9000
    assert summary["words of the vocabulary"] == 6 * 5 + 8
    assert summary["of them in the vocabulary"] == summary["pairs of test pairs"] == 15
    assert_recorded(whole, "embeddings", config())
    page = (whole / "report.html").read_text()
    assert page.count("data:image/png") == 2 and "all sections" in page
    assert state_of(whole) == "done"


def test_the_model_is_loaded_and_asked(whole):
    model = rnnlab.load(whole)
    assert isinstance(model, WordVectors) and model.network == config().vectors
    table = read_vectors(whole / "vectors.txt")
    assert table.words == model.vocabulary.words
    np.testing.assert_allclose(table.vectors, model.vectors, rtol=1e-5, atol=1e-7)
    near = {word for word, _ in model.nearest("crown", 4)}
    assert near & {"king", "queen", *ROLES[0][2]}


def test_lines_are_answered_on_the_command_line(whole, tmp_path, capsys):
    path = tmp_path / "words.txt"
    path.write_text("Crown\n\nzebra\nking queen actor\n", encoding="utf-8")
    with pytest.raises(RunError, match="1 of 4 lines have no answer"):
        modes.Predict(str(path)).ask(rnnlab.load(whole))
    printed = capsys.readouterr()
    answers = printed.out.split("\n")
    assert len(answers) == 5 and len(answers[0].split()) == 10
    assert answers[1] == answers[2] == "" and answers[3]
    assert "line 3: word='zebra'" in printed.err


def test_the_same_command_changes_nothing(whole, tmp_path, capsys):
    folder = copy(whole, tmp_path / "w")
    with mock.patch.object(measure, "count_vectors", side_effect=AssertionError):
        run(folder)
    assert_same(whole, folder, WRITTEN)
    assert "SVD" in capsys.readouterr().out


class Stop(Exception):
    """What ends a run in the middle."""


class Ending(measure.Similarity):
    """Ends the run at an evaluation."""

    end = staticmethod(lambda: None)

    def __call__(self, params, step):
        if step > 0:
            self.end()
        return super().__call__(params, step)


def test_a_run_that_was_stopped_ends_with_the_same_bits(whole, tmp_path):
    calls = []

    def end():
        calls.append(1)
        if len(calls) == 3:
            raise Stop

    ending = mock.patch.multiple(measure, Similarity=Ending)
    with ending, mock.patch.object(Ending, "end", staticmethod(end)), pytest.raises(Stop):
        run(tmp_path / "w")
    run(tmp_path / "w")
    assert_same(whole, tmp_path / "w", WRITTEN)


@pytest.mark.slow
@pytest.mark.cpu
def test_a_run_that_was_killed_ends_with_the_same_bits(whole, tmp_path):
    assert killed(run, tmp_path / "w", number=3, delay=0)
    run(tmp_path / "w")
    assert_same(whole, tmp_path / "w", WRITTEN)


@pytest.mark.slow
def test_the_tiny_preset(tmp_path):
    made = run_tiny(embeddings, tmp_path / "w")
    assert {"vectors.txt", "map.png", "curve.png", "report.html"} <= made
    assert summary_of(tmp_path / "w")["test pairs ρ, skip-gram"] > 0.6


@pytest.mark.slow
def test_training_reaches_the_optimum_pmi_minus_log_k(tmp_path):
    """Levy and Goldberg (2014), by the training that experiments use, to 1e-2 for every pair."""
    one = changed(embeddings.PRESETS["optimum"], checkpoint_epochs=800)
    with open_workdir(tmp_path, "embeddings", one) as workdir:
        assert embeddings.run(one, workdir) == "done"
    summary = summary_of(tmp_path)
    assert summary["largest distance to PMI - log k"] < 1e-2
    assert summary["words of the vocabulary"] == 6


@pytest.mark.slow
@pytest.mark.peers
def test_the_speed_beside_gensim(tmp_path):
    pytest.importorskip("gensim")
    run(tmp_path, compare_gensim=True)
    summary = summary_of(tmp_path)
    assert summary["words per second"] > 0 and summary["words per second of gensim"] > 0


# --- the count model ---


def test_counts_of_a_text_by_hand():
    text = Text(np.array([0, 1, 0, 2, 1], np.int32), np.array([0, 0, 0, 1, 1], np.int32))
    counts = counting.count_pairs(text, np.ones(3), 2).toarray()
    np.testing.assert_allclose(counts, [[1.0, 2.0, 0], [2.0, 0, 1.0], [0, 1.0, 0]])


def test_positive_pmi_by_its_definition():
    counts = np.array([[4.0, 1, 0], [1, 2, 3], [0, 3, 6]])
    p = counts / counts.sum()
    smoothed = counts.sum(0) ** 0.75 / (counts.sum(0) ** 0.75).sum()
    with np.errstate(divide="ignore"):
        expected = np.maximum(np.log(p / p.sum(1, keepdims=True) / smoothed) - np.log(1.2), 0)
    found = counting.positive_pmi(sparse.csr_array(counts), 0.75, 1.2).toarray()
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_singular_vectors_give_the_matrix_again():
    draw = np.random.default_rng(0)
    left = draw.normal(size=(8, 3))
    matrix = sparse.csr_array(left @ left.T)  # of rank 3, not negative: U S U' is the matrix
    half = counting.svd_vectors(matrix, 3, 0.5)
    np.testing.assert_allclose(half @ half.T, matrix.toarray(), atol=1e-8)
    whole = counting.svd_vectors(matrix, 20, 1.0)
    assert whole.shape == (8, 7)
    np.testing.assert_allclose(np.linalg.norm(whole), np.linalg.norm(matrix.toarray()))
    assert not counting.svd_vectors(matrix * 0, 3, 0.5).any()


# --- similarity and analogies ---


def plain(words, vectors):
    return WordVectors(WordVocabulary(tuple(words)), np.asarray(vectors, np.float32))


def test_rank_correlation_and_its_interval():
    draw = np.random.default_rng(0)
    x = draw.normal(size=200)
    y = x + draw.normal(size=200)
    rho = rank_correlation(x, y)
    assert rho == pytest.approx(stats.spearmanr(x, y)[0])
    low, high = rank_interval(rho, 200)
    resampled = [rank_correlation(x[i], y[i]) for i in draw.integers(200, size=(1000, 200))]
    np.testing.assert_allclose([low, high], np.quantile(resampled, (0.025, 0.975)), atol=0.03)
    assert np.isnan(rank_correlation(x[:2], y[:2])) and np.isnan(rank_correlation(x * 0, y))
    assert np.isnan(rank_interval(0.5, 3)).all() and rank_interval(1.0, 9) == (1.0, 1.0)


def test_only_pairs_of_known_words_count():
    vectors = plain("abcd", np.eye(4) + 0.1 * np.arange(4))
    pairs = [WordPair("a", "b", 1.0), WordPair("a", "x", 9.0), WordPair("C", "D", 3.0)]
    found = quality.cosines(vectors, [*pairs, WordPair("b", "b", 10.0)])
    assert found.scores.tolist() == [1.0, 3.0, 10.0]
    assert found.cosines[2] == pytest.approx(1) and found.rho == pytest.approx(1)
    assert quality.difference(found, found)[0] == 0


def test_the_interval_of_a_difference_is_a_bootstrap():
    draw = np.random.default_rng(0)
    scores = draw.normal(size=30)
    one = quality.Cosines(scores + draw.normal(size=30), scores)
    other = quality.Cosines(draw.normal(size=30), scores)
    ahead, low, high = quality.difference(one, other)
    assert ahead == pytest.approx(one.rho - other.rho) and low < ahead < high
    places = np.random.default_rng(0).integers(30, size=(quality.RESAMPLES, 30))
    expected = [
        rank_correlation(one.cosines[i], scores[i]) - rank_correlation(other.cosines[i], scores[i])
        for i in places[:50]
    ]
    found = quality._rank_correlations(one, places) - quality._rank_correlations(other, places)
    np.testing.assert_allclose(found[:50], expected, atol=1e-12)


def test_analogies_leave_out_the_words_of_the_question():
    vectors = plain(["man", "woman", "king", "queen"], [[1, 0, 0], [0, 1, 0], [1, 0, 3], [0, 1, 3]])
    questions = [
        Question("man", "woman", "king", "queen"),
        Question("king", "queen", "man", "woman"),
        Question("man", "woman", "king", "king"),  # which is never answered
        Question("man", "woman", "prince", "princess"),
    ]
    assert quality.answer(vectors, questions) == (2, 3)
    assert np.isnan(quality.answer(vectors, questions[3:]).share)


def test_words_of_the_map_do_not_cover_each_other():
    draw = np.random.default_rng(0)
    points = report.spread(draw.normal(size=(60, 2)), 0.07, 0.014)
    apart = np.abs(points[:, None] - points[None]) / (0.07, 0.014)
    cover = np.all(apart < 0.8, axis=-1) & ~np.eye(60, dtype=bool)
    assert not cover.any() and points.min() >= 0 and points.max() <= 1


# --- wrong use ---


def test_another_text_is_refused(whole, tmp_path):
    path = tmp_path / "other.txt"
    path.write_text(made_kin(50, seed=1), encoding="utf-8")
    folder = copy(whole, tmp_path / "w")
    with pytest.raises(UsageError):
        run(folder, corpus=str(path))


def test_tests_that_are_nowhere_are_named(tmp_path):
    one = config(corpus="wikitext2", tests_dir=str(tmp_path / "nowhere"), data_dir=str(tmp_path))
    with pytest.raises(UsageError, match=r"^tests_dir=.*nowhere: no such folder; it must hold EN"):
        measure.read_tests(one)


def test_numbers_are_kept_as_json(whole):
    assert json.loads((whole / "config.json").read_text())["config"]["training"]["epochs"] == 4
