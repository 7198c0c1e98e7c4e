"""Trains a character model and measures it."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np

from experiments.char_lm.config import Config
from experiments.char_lm.samples import LONG, Samples
from rnnlab.arrays import Params
from rnnlab.data.corpus import Corpus
from rnnlab.data.pipelines import Feed, stream
from rnnlab.data.spelling import known_share, spelled_words
from rnnlab.run.workdir import Workdir
from rnnlab.training.evaluators import Evaluator, Memory, TextEvaluator, Together, rows_of
from rnnlab.training.language import LanguageModel, TextLoss, language_learner
from rnnlab.training.loop import Outcome, train
from rnnlab.training.summary import best_step, finite


def fit(config: Config, workdir: Workdir, corpus: Corpus, model: LanguageModel) -> Outcome:
    """Trains to the end of the plan, or resumes a run that was stopped."""
    training = config.training
    learner = language_learner(
        model, batch=training.batch, optimiser=training.make(), clip=training.clip()
    )
    return train(
        workdir,
        learner,
        config.plan(),
        jax.random.key(config.seed),
        evaluator=evaluator(config, workdir, corpus, model),
        feed=Feed(stream(corpus.codes("train"), training.batch, training.length)),
    )


def evaluator(config: Config, workdir: Workdir, corpus: Corpus, model: LanguageModel) -> Evaluator:
    """Measures validation loss, generated words, matrices and adjoints; keeps generated texts."""
    validation = corpus.codes("validation")
    read = rows_of(validation, config.training.length)
    return Together(
        TextEvaluator("validation", model, validation),
        Samples(config, workdir, corpus, model),
        Memory(model.reader.cell, lambda params: model.embed(params, read)),
    )


def summarise(
    corpus: Corpus, model: LanguageModel, outcome: Outcome, params: Params
) -> dict[str, Any]:
    """The run in a few numbers; the test split is evaluated only here.

    Args:
        corpus: the text.
        model: the language model.
        outcome: of the training.
        params: of the best checkpoint.
    """
    step = best_step(outcome)
    (evaluated,) = (row for row in outcome.evaluations if row["step"] == step)
    known = frozenset(spelled_words("".join(corpus.symbols["train"])))
    return {
        "best step": step,
        "validation": evaluated["validation"],
        "test": TextLoss(model, corpus.codes("test"))(params),
        "without context": entropy(corpus.codes("train"), corpus.vocabulary.size),
        "words generated that exist": evaluated["known_words"],
        f"the same, {LONG} letters or more": evaluated["known_long_words"],
        "words of the validation text that exist": finite(
            known_share("".join(corpus.symbols["validation"]), known)
        ),
    }


def entropy(codes: np.ndarray, size: int) -> float:
    """The entropy of character frequencies, in nats: the loss of a model without context."""
    shares = np.bincount(codes, minlength=size) / len(codes)
    return float(-np.sum(shares[shares > 0] * np.log(shares[shares > 0])))
