"""Trains a word model and measures it."""

from __future__ import annotations

import math
from collections import defaultdict
from typing import Any, NamedTuple

import jax

from experiments.word_lm.config import Config, published
from rnnlab import initializers
from rnnlab.arrays import Array, Params
from rnnlab.data.corpus import Corpus
from rnnlab.data.pipelines import Feed, Stream, stream
from rnnlab.data.words import UNKNOWN
from rnnlab.run.workdir import Workdir
from rnnlab.training import log
from rnnlab.training.evaluators import Evaluator, Memory, TextEvaluator, Together, rows_of
from rnnlab.training.language import LanguageModel, TextLoss, language_learner
from rnnlab.training.loop import Outcome, train
from rnnlab.training.summary import finite
from rnnlab.training.update import Learner

#: Rows of the validation split that are read side by side. The test split is one row.
ROWS = 20
#: exp of more leaves float64.
LARGEST_NATS = 709


def epoch_of(config: Config, corpus: Corpus) -> int:
    """Training steps of an epoch."""
    return len(Stream(corpus.codes("train"), config.training.batch, config.training.length))


def fit(config: Config, workdir: Workdir, corpus: Corpus, model: LanguageModel) -> Outcome:
    """Trains to the end of the plan, or resumes a run that was stopped."""
    training, epoch = config.training, epoch_of(config, corpus)
    return train(
        workdir,
        learner_of(config, model, epoch),
        config.plan(epoch),
        jax.random.key(config.seed),
        evaluator=evaluator(config, corpus, model),
        feed=Feed(stream(corpus.codes("train"), training.batch, training.length)),
    )


def learner_of(config: Config, model: LanguageModel, epoch: int) -> Learner:
    """What is trained and how, for epochs of that many training steps."""

    def init(key: Array) -> Params:
        return initializers.uniform_like(
            key, jax.eval_shape(model.init, key), config.network.uniform
        )

    return language_learner(
        model,
        batch=config.training.batch,
        optimiser=config.training.make(epoch),
        clip=config.training.clip(),
        sum_steps=True,
        init=init,
    )


def evaluator(config: Config, corpus: Corpus, model: LanguageModel) -> Evaluator:
    """Measures validation loss and perplexity, matrices and adjoints."""
    codes, length = corpus.codes("validation"), config.training.length
    read = rows_of(codes, length)
    return Together(
        Perplexity(TextEvaluator("validation", model, codes, ROWS, length)),
        Memory(model.reader.cell, lambda params: model.embed(params, read)),
    )


class Perplexity(Evaluator):
    """The validation loss of an evaluator, and its perplexity."""

    def __init__(self, loss: TextEvaluator):
        self._loss = loss

    def __call__(self, params: Params, step: int) -> dict[str, Any]:
        """`validation`, in nats, and `perplexity`."""
        values = self._loss(params, step)
        return values | {"perplexity": perplexity(values["validation"])}


def perplexity(nats: float) -> float:
    """`exp(nats)`; infinite where that leaves float64 or the loss is not finite."""
    return math.exp(nats) if nats < LARGEST_NATS else math.inf


class Curve(NamedTuple):
    """Perplexities by epoch, those of E epochs.

    Attributes:
        training: of an epoch's windows as they were met, while the network learned, `[E]`.
        validation: after each epoch, and first before the training, `[E + 1]`.
    """

    training: list[float]
    validation: list[float]


def read_curve(workdir: Workdir, epoch: int) -> Curve:
    """The curve of a run whose epochs have that many training steps, from its metrics."""
    rows = workdir.path(log.METRICS).read_text(encoding="utf-8")
    sums: dict[int, float] = defaultdict(float)
    before = 0
    for row in log.read(rows, "train"):
        sums[(row["step"] - 1) // epoch] += row["nats"] * (row["step"] - before)
        before = row["step"]
    return Curve(
        training=[perplexity(total / epoch) for total in sums.values()],
        validation=[
            math.inf if row["perplexity"] is None else row["perplexity"]
            for row in log.read(rows, "evaluation")
        ],
    )


def summarise(
    config: Config, corpus: Corpus, model: LanguageModel, curve: Curve, best: int, params: Params
) -> dict[str, Any]:
    """The run in a few numbers; the test split is evaluated only here.

    Args:
        config: of the run.
        corpus: the text.
        model: the language model.
        curve: perplexities by epoch.
        best: epoch of the best checkpoint, 0 for the network as it was drawn.
        params: of that checkpoint.
    """
    test = test_loss(corpus, model, params)
    words = corpus.vocabulary.decode(corpus.codes("test"))
    return {
        "best epoch": best,
        "test perplexity": finite(perplexity(test)),
        "test perplexity published": published(config),
        "validation perplexity": finite(curve.validation[best]),
        "training perplexity, last epoch": finite(curve.training[-1]),
        "test": test,
        "words": corpus.vocabulary.size,
        "share of <unk> in the test split": words.count(UNKNOWN) / len(words),
    }


def test_loss(corpus: Corpus, model: LanguageModel, params: Params) -> float:
    """The loss of the test split, read as one text from its first word."""
    return TextLoss(model, corpus.codes("test"), batch=1)(params)
