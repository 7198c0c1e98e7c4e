"""Trains a network that writes down strings of digits, and measures how well it does."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import jax
import numpy as np

from experiments.spoken_digits.config import Config
from experiments.spoken_digits.measure import ANSWERS, Problem
from rnnlab.arrays import Params
from rnnlab.data.digit_strings import DigitString, endless_strings, fixed_strings
from rnnlab.data.pipelines import Feed
from rnnlab.data.recordings import Recordings
from rnnlab.nn import keep_frozen
from rnnlab.nn.ctc import edits, greedy, prefix_beam
from rnnlab.run.workdir import Workdir
from rnnlab.training.augmentation import augmented
from rnnlab.training.loop import Outcome, train
from rnnlab.training.summary import best_step
from rnnlab.training.transcribing import (
    TranscribingEvaluator,
    error_rate,
    log_probabilities_over_time,
    transcribing_learner,
)

#: Seeds of the strings that validate and that test, whatever the seed of the run.
VALIDATION_SEED, TEST_SEED = 1_000_001, 1_000_002
#: How often strings are drawn for an interval.
RESAMPLES = 2000


def fit(config: Config, workdir: Workdir, given: Problem) -> Outcome:
    """Trains to the end of the plan, or resumes a run that was stopped."""
    training, strings = config.training, config.strings
    plan = config.plan(epoch_of(config, given.splits.train))
    learner = transcribing_learner(
        given.model,
        batch=training.batch,
        optimiser=keep_frozen(training.make_optimiser(plan.steps)),
        clip=training.clip(),
        augment=partial(augmented, settings=config.augmentation, rate=config.front.rate),
    )
    validation = fixed_strings(
        given.splits.validation, strings, strings.validation, VALIDATION_SEED
    )
    sounds, digits = zip(*validation, strict=True)
    batches = endless_strings(given.splits.train, strings, training.batch, config.seed)
    return train(
        workdir,
        learner,
        plan,
        jax.random.key(config.seed),
        evaluator=TranscribingEvaluator(given.model, sounds, digits),
        feed=Feed(batches),
    )


def epoch_of(config: Config, recordings: Recordings) -> int:
    """Training steps in which each recording is heard once on average."""
    digits = config.training.batch * (config.strings.shortest + config.strings.longest) / 2
    return max(round(len(recordings.samples) / digits), 1)


def tested(config: Config, given: Problem) -> list[DigitString]:
    """The strings that test, which are always the same ones."""
    return fixed_strings(given.splits.test, config.strings, config.strings.test, TEST_SEED)


def summarise(
    config: Config, workdir: Workdir, given: Problem, outcome: Outcome, params: Params
) -> dict[str, Any]:
    """The run in a few numbers; the test strings are heard only here.

    Args:
        config: of the run.
        workdir: gets the answers.
        given: the recordings and the model.
        outcome: of the training.
        params: of the best checkpoint.
    """
    step, test = best_step(outcome), tested(config, given)
    (evaluated,) = (row for row in outcome.evaluations if row["step"] == step)
    sounds, wanted = zip(*test, strict=True)
    log_p = log_probabilities_over_time(given.model, params, sounds)
    path = [greedy(one).labels for one in log_p]
    said = [prefix_beam(one, config.beam)[0].labels for one in log_p] if config.beam > 1 else path
    workdir.write(ANSWERS, json.dumps({"network": said, "greedy": path}))
    low, high = interval(said, wanted)
    exact = [a == tuple(b.tolist()) for a, b in zip(said, wanted, strict=True)]
    return {
        "best step": step,
        "best epoch": step / epoch_of(config, given.splits.train),
        "validation digit error rate, greedy": evaluated["error"],
        "test digit error rate": error_rate(said, wanted),
        "its 95 % interval from": low,
        "its 95 % interval to": high,
        "test digit error rate, greedy": error_rate(path, wanted),
        "test strings": len(test),
        "test digits": sum(map(len, wanted)),
        "test strings exactly right": float(np.mean(exact)),
        "parameters": sum(leaf.size for leaf in jax.tree.leaves(params)),
    }


def interval(said: list[tuple[int, ...]], wanted: Any) -> tuple[float, float]:
    """The middle 95 % of `error_rate`, of as many strings drawn with replacement."""
    pairs = zip(said, wanted, strict=True)
    counts = np.array([[edits(a, b.tolist()), len(b)] for a, b in pairs])
    draws = np.random.default_rng(0).integers(len(counts), size=(RESAMPLES, len(counts)))
    wrong, digits = counts[draws].sum(axis=1).T
    low, high = np.quantile(wrong / digits, (0.025, 0.975))
    return float(low), float(high)


def answers_of(workdir: Workdir) -> dict[str, list[tuple[int, ...]]]:
    """What the test strings were taken for, by beams (`network`) and greedily."""
    kept = json.loads(workdir.path(ANSWERS).read_text(encoding="utf-8"))
    return {name: [tuple(said) for said in each] for name, each in kept.items()}
