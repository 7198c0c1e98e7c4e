"""Trains word vectors and measures them, beside those of the count model."""

from __future__ import annotations

import dataclasses
import io
import math
from typing import Any, NamedTuple

import jax
import numpy as np

from experiments.embeddings import counting, quality, speed
from experiments.embeddings.config import CHAIN, Config
from rnnlab.arrays import Float, Params
from rnnlab.data.line_text import LineText, read_lines
from rnnlab.data.made_chain import made_chain
from rnnlab.data.made_kin import made_kin, made_tests
from rnnlab.data.source import MADE, Folders
from rnnlab.data.word_tests import PARTS, TEST, VALIDATION, WordTests, read_word_tests
from rnnlab.errors import RunError, UsageError
from rnnlab.run.workdir import Workdir
from rnnlab.trained.vectors import WordVectors
from rnnlab.training.evaluators import Evaluator
from rnnlab.training.loop import Outcome, train
from rnnlab.training.skip_gram import (
    SkipGram,
    Text,
    noise_distribution,
    optimum,
    read_probability,
)
from rnnlab.training.summary import finite

#: Lines of the texts that are made.
KIN_LINES, CHAIN_LINES = 1500, 2000
#: What a work directory keeps of the vectors: those of the count model, and the trained ones as a
#: text file of word2vec.
COUNTED, VECTORS = "count_vectors.npy", "vectors.txt"
#: The name of the number that an evaluation gives.
RHO = "rank_correlation"
#: What the two models are called.
TRAINED_NAME, COUNTED_NAME = "skip-gram", "PPMI + SVD"
#: What the sets of pairs are called: the one that settings are chosen by, and the one reported.
TITLES = {VALIDATION: "SimLex-999", TEST: "WordSim-353"}
MADE_TITLES = {VALIDATION: "validation pairs", TEST: "test pairs"}


def read_text(config: Config) -> LineText:
    """The text."""
    if config.source.corpus == CHAIN:
        made = dataclasses.replace(config.source, corpus=MADE)
        return read_lines(made, config.least, config.lower, lambda: made_chain(CHAIN_LINES))
    return read_lines(config.source, config.least, config.lower, lambda: made_kin(KIN_LINES))


def titles(config: Config) -> dict[str, str]:
    """What the sets of pairs are called, by their names."""
    return MADE_TITLES if config.source.corpus in (MADE, CHAIN) else TITLES


def read_tests(config: Config) -> WordTests:
    """What the vectors are tested on; of a made text, tests that are made with it.

    Raises:
        UsageError: `tests_dir` is not a folder.
        RunError: the files can be neither found nor downloaded.
    """
    source = config.source
    if source.corpus in (MADE, CHAIN):
        return made_tests()
    folder = config.tests_dir or source.manual_dir
    try:
        return read_word_tests(Folders(data_dir=source.data_dir, manual_dir=folder))
    except (UsageError, RunError) as error:
        told = str(error).replace("--config.manual_dir", "--config.tests_dir")
        raise type(error)(told.replace("manual_dir=", "tests_dir=")) from error


def learner_of(config: Config, text: LineText) -> SkipGram:
    """What is trained."""
    one = SkipGram(Text(text.codes, text.lines), text.vocabulary.size, config.vectors, 1)
    steps = config.training.plan(one.reach, len(text.codes)).steps
    return dataclasses.replace(one, updates=steps)


def fit(config: Config, workdir: Workdir, text: LineText, tests: WordTests) -> Outcome:
    """Trains to the end of the plan, or resumes a run that was stopped."""
    learner = learner_of(config, text)
    return train(
        workdir,
        learner,
        config.training.plan(learner.reach, len(text.codes)),
        jax.random.key(config.seed),
        evaluator=Similarity(text, tests),
    )


class Similarity(Evaluator):
    """The rank correlation with the similarity set by which settings are chosen.

    Args:
        text: whose words have vectors.
        tests: the sets.
    """

    def __init__(self, text: LineText, tests: WordTests):
        self._vocabulary, self._pairs = text.vocabulary, tests.similarity[VALIDATION]

    def __call__(self, params: Params, step: int) -> dict[str, Any]:
        """`rank_correlation`, ρ."""
        del step
        vectors = WordVectors(self._vocabulary, np.asarray(params["words"]))
        return {RHO: quality.cosines(vectors, self._pairs).rho}


class Both(NamedTuple):
    """The vectors of the two models.

    Attributes:
        trained: by skip-gram.
        counted: of the count model.
    """

    trained: WordVectors
    counted: WordVectors

    def named(self) -> dict[str, WordVectors]:
        """The two by their names."""
        return {TRAINED_NAME: self.trained, COUNTED_NAME: self.counted}


def both_models(config: Config, workdir: Workdir, text: LineText, params: Params) -> Both:
    """The trained vectors, and those of the count model, which are kept once they are made."""
    trained = WordVectors(text.vocabulary, np.asarray(params["words"]))
    if not workdir.path(VECTORS).exists():
        workdir.write(VECTORS, trained.text())
    path = workdir.path(COUNTED)
    if not path.exists():
        file = io.BytesIO()
        np.save(file, count_vectors(config, text))
        workdir.write(COUNTED, file.getvalue())
    return Both(trained, WordVectors(text.vocabulary, np.load(path)))


def count_vectors(config: Config, text: LineText) -> Float[np.ndarray, "V E"]:
    """The vectors of the count model, with the features, windows and words of skip-gram."""
    counts = np.bincount(text.codes, minlength=text.vocabulary.size)
    return counting.count_vectors(
        Text(text.codes, text.lines),
        read_probability(counts, config.vectors.subsample),
        config.vectors.window,
        config.vectors.features,
        seed=config.seed,
        **dataclasses.asdict(config.counting),
    ).astype(np.float32)


def summarise(
    config: Config, text: LineText, tests: WordTests, both: Both, params: Params
) -> dict[str, Any]:
    """The run in a few numbers; WordSim-353 is looked at only here."""
    trained, counted = (quality.cosines(one, tests.similarity[TEST]) for one in both)
    ahead, low, high = quality.difference(trained, counted)
    title = titles(config)
    summary: dict[str, Any] = {
        "words of the text": len(text.codes),
        "words of the vocabulary": text.vocabulary.size,
        f"pairs of {title[TEST]}": len(tests.similarity[TEST]),
        "of them in the vocabulary": len(trained.scores),
    }
    for name, one in ((TRAINED_NAME, trained), (COUNTED_NAME, counted)):
        summary[f"{title[TEST]} ρ, {name}"] = finite(one.rho)
        summary[f"{title[TEST]} ρ, {name}, 95 % from"] = finite(one.interval[0])
        summary[f"{title[TEST]} ρ, {name}, 95 % to"] = finite(one.interval[1])
    summary |= {
        "difference of ρ": finite(ahead),
        "difference of ρ, 95 % from": finite(low),
        "difference of ρ, 95 % to": finite(high),
    }
    for name, vectors in both.named().items():
        of_validation = quality.cosines(vectors, tests.similarity[VALIDATION])
        summary[f"{title[VALIDATION]} ρ, {name}"] = finite(of_validation.rho)
    if text.vocabulary.size <= config.vectors.features:
        summary |= distance_to_optimum(config, text, params)
    if config.compare_gensim:
        summary |= speed.compare(config, text, learner_of(config, text))
    return summary


def distance_to_optimum(config: Config, text: LineText, params: Params) -> dict[str, Any]:
    """How far the scores are from the known optimum, over the pairs that occur."""
    learner = learner_of(config, text)
    read = read_probability(learner.counts, config.vectors.subsample)
    counts = counting.count_pairs(learner.text, read, config.vectors.window, passes=20)
    noise = noise_distribution(learner.counts, config.vectors.power)
    best = optimum(counts.toarray(), noise, config.vectors.noise)
    scores = np.asarray(params["words"]) @ np.asarray(params["contexts"]).T
    distance, (word, context) = counting.farthest_from(scores, best)
    words = text.vocabulary.words
    return {
        "largest distance to PMI - log k": distance,
        "where": f"{words[word]}, {words[context]}",
        "mean distance to PMI - log k": float(np.abs(scores - best)[np.isfinite(best)].mean()),
    }


def similarity_table(config: Config, both: Both, tests: WordTests) -> list[dict[str, Any]]:
    """ρ of both models on each set of pairs."""
    rows, title = [], titles(config)
    for name in (TEST, *PARTS, VALIDATION):
        if name not in tests.similarity:
            continue
        row: dict[str, Any] = {"set": title.get(name, name), "pairs": len(tests.similarity[name])}
        for model, vectors in both.named().items():
            one = quality.cosines(vectors, tests.similarity[name])
            low, high = one.interval
            row |= {"in the vocabulary": len(one.scores), f"ρ, {model}": finite(one.rho)}
            known = math.isfinite(low)
            row[f"95 %, {model}"] = f"{low:.2f} .. {high:.2f}" if known else ""
        rows.append(row)
    return rows


def analogy_table(both: Both, tests: WordTests) -> list[dict[str, Any]]:
    """Shares of right answers of both models, by section, and of all questions together."""
    rows = []
    totals = {name: quality.Answered(0, 0) for name in both.named()}
    for section, questions in tests.analogies.items():
        row: dict[str, Any] = {"section": section, "questions": len(questions)}
        for name, vectors in both.named().items():
            one = quality.answer(vectors, questions)
            totals[name] = quality.Answered(*np.add(totals[name], one).tolist())
            row |= {"in the vocabulary": one.asked, name: finite(one.share)}
        if row["in the vocabulary"]:
            rows.append(row)
    asked = next(iter(totals.values())).asked
    questions = sum(map(len, tests.analogies.values()))
    rows.append(
        {"section": "all sections", "questions": questions, "in the vocabulary": asked}
        | {name: finite(total.share) for name, total in totals.items()}
    )
    return rows
