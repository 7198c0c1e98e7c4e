"""Trains a network that translates and measures it."""

from __future__ import annotations

from typing import NamedTuple

import jax

from experiments.translation.config import Config
from rnnlab.data.buckets import Buckets, bucketed, row_lengths
from rnnlab.data.coded_lines import LineCoder
from rnnlab.data.pairs import Pairs
from rnnlab.data.pipelines import Feed
from rnnlab.errors import UsageError
from rnnlab.run.workdir import Workdir
from rnnlab.training.loop import Outcome, train
from rnnlab.training.translation import (
    CodedPair,
    Model,
    TranslationLoss,
    coded_pair,
    translation_learner,
)


class Coders(NamedTuple):
    """The coders of the language that is read and of the one that is written."""

    source: LineCoder
    target: LineCoder


def coders_of(config: Config, train_pairs: Pairs) -> Coders:
    """The units and vocabularies of the training sentences."""
    languages = config.source.source_language, config.source.target_language
    return Coders(
        *(
            LineCoder.of(lines, config.units, config.symbols, language)
            for lines, language in zip(train_pairs, languages, strict=True)
        )
    )


def coded(coders: Coders, pairs: Pairs) -> list[CodedPair]:
    """The pairs as codes."""
    return [
        coded_pair(coders.source.encode(source), coders.target.encode(target))
        for source, target in zip(*pairs, strict=True)
    ]


def model_of(config: Config, coders: Coders) -> Model:
    """The network."""
    sizes = (coder.vocabulary.size for coder in coders)
    return config.network.model(*sizes)


class Rows(NamedTuple):
    """The pairs that are trained on.

    Attributes:
        pairs: those that are not too long.
        epoch: batches of an epoch.
    """

    pairs: list[CodedPair]
    epoch: int


def rows_of(config: Config, pairs: list[CodedPair]) -> Rows:
    """What is trained on.

    Raises:
        UsageError: every pair is too long.
    """
    training = config.training
    longest = training.boundaries[-1]
    pairs = [pair for pair in pairs if max(map(len, pair)) <= longest]
    if not pairs:
        raise UsageError(f"boundaries={training.boundaries}: every pair of sentences is longer")
    buckets = Buckets(row_lengths(pairs), training.batch, training.boundaries)
    return Rows(pairs, len(buckets))


def fit(
    config: Config, workdir: Workdir, model: Model, rows: Rows, validation: list[CodedPair]
) -> Outcome:
    """Trains to the end of the plan, or resumes a run that was stopped."""
    training = config.training
    learner = translation_learner(
        model,
        optimiser=training.make_optimiser(config.steps(rows.epoch)),
        clip=training.clip(),
        smoothing=training.smoothing,
        own=training.own,
    )
    batches = bucketed(
        rows.pairs, training.batch, training.boundaries, config.seed, time_major=False
    )
    return train(
        workdir,
        learner,
        config.plan(rows.epoch),
        jax.random.key(config.seed),
        evaluator=TranslationLoss(model, validation),
        feed=Feed(batches),
    )
