"""Trains a network that hears which digit is spoken, and measures it beside baselines."""

from __future__ import annotations

import json
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np

from experiments.spoken_digits.baselines import fit_baselines
from experiments.spoken_digits.config import Config
from rnnlab.arrays import Params
from rnnlab.data.buckets import Buckets, bucketed, row_lengths, tight_boundaries
from rnnlab.data.pipelines import Feed
from rnnlab.data.recordings import DIGITS, Recordings
from rnnlab.data.sentences import Splits
from rnnlab.nn import Functional, keep_frozen
from rnnlab.run.workdir import Workdir
from rnnlab.statistics import confusion, wilson_interval
from rnnlab.training.augmentation import augmented
from rnnlab.training.classification import (
    ClassificationEvaluator,
    classification_learner,
    log_probabilities,
)
from rnnlab.training.loop import Outcome, train
from rnnlab.training.speech import LIMITS, Listener, frames_of, statistics_of
from rnnlab.training.summary import best_step

#: What a work directory keeps of the test: the digits for which recordings were taken.
ANSWERS = "answers.json"


class Problem(NamedTuple):
    """The recordings and the model.

    Attributes:
        splits: recordings.
        model: the network, with the statistics of the training frames.
    """

    splits: Splits[Recordings]
    model: Functional[Listener]


def problem(config: Config, splits: Splits[Recordings]) -> Problem:
    """What is to be learned, and by what."""
    statistics = statistics_of(frames_of(config.front.log_mel(), splits.train.samples))
    answers = DIGITS if config.said == "digit" else DIGITS + 1  # and a blank
    return Problem(splits, config.network.listener(config.front, answers, statistics))


def fit(config: Config, workdir: Workdir, given: Problem) -> Outcome:
    """Trains to the end of the plan, or resumes a run that was stopped."""
    training, (recordings, validation, _) = config.training, given.splits
    rows = list(zip(recordings.samples, recordings.labels, strict=True))
    limits = tight_boundaries(row_lengths(rows), training.buckets)
    plan = config.plan(epoch_of(config, recordings))
    learner = classification_learner(
        given.model,
        batch=training.batch,
        optimiser=keep_frozen(training.make_optimiser(plan.steps)),
        clip=training.clip(),
        augment=partial(augmented, settings=config.augmentation, rate=config.front.rate),
    )
    return train(
        workdir,
        learner,
        plan,
        jax.random.key(config.seed),
        evaluator=ClassificationEvaluator(
            given.model, validation.samples, validation.labels, "accuracy", **LIMITS
        ),
        feed=Feed(bucketed(rows, training.batch, limits, config.seed, time_major=False)),
    )


def epoch_of(config: Config, recordings: Recordings) -> int:
    """Training steps of an epoch."""
    lengths = row_lengths(recordings.samples)
    limits = tight_boundaries(lengths, config.training.buckets)
    return len(Buckets(lengths, config.training.batch, limits))


def summarise(
    config: Config, workdir: Workdir, given: Problem, outcome: Outcome, params: Params
) -> dict[str, Any]:
    """The run in a few numbers; the test recordings are heard only here.

    Args:
        config: of the run.
        workdir: gets the answers.
        given: the recordings and the model.
        outcome: of the training.
        params: of the best checkpoint.
    """
    step, test = best_step(outcome), given.splits.test
    (evaluated,) = (row for row in outcome.evaluations if row["step"] == step)
    log_p = log_probabilities(given.model, params, test.samples, **LIMITS)
    answers = {"network": log_p.argmax(axis=1)}
    front = config.front.log_mel()
    baselines = fit_baselines(front, given.splits) if config.baseline else {}
    answers |= {name: one.answers for name, one in baselines.items()}
    workdir.write(ANSWERS, json.dumps({name: each.tolist() for name, each in answers.items()}))
    right = answers["network"] == test.labels
    low, high = wilson_interval(int(right.sum()), len(right))
    return {
        "best step": step,
        "best epoch": step / epoch_of(config, given.splits.train),
        "validation accuracy": evaluated["accuracy"],
        "validation loss": evaluated["loss"],
        "test accuracy": float(right.mean()),
        "its 95 % interval from": low,
        "its 95 % interval to": high,
        "test recordings": len(right),
        "test recordings misheard": int((~right).sum()),
        "test loss": float(-log_p[np.arange(len(right)), test.labels].mean()),
        **by_speaker(test, right),
        **{
            f"test accuracy of {name}": float(np.mean(one.answers == test.labels))
            for name, one in baselines.items()
        },
        **{f"settings of {name}": one.settings for name, one in baselines.items()},
        "parameters": sum(leaf.size for leaf in jax.tree.leaves(params)),
    }


def by_speaker(test: Recordings, right: np.ndarray) -> dict[str, float]:
    """The accuracy of each speaker, where there are several."""
    speakers = np.array(test.speakers)
    names = sorted(set(test.speakers))
    if len(names) < 2:
        return {}
    return {f"test accuracy, {name}": float(right[speakers == name].mean()) for name in names}


def answers_of(workdir: Workdir) -> dict[str, np.ndarray]:
    """The digits for which the test recordings were taken, `[N]`, by network and baselines."""
    kept = json.loads(workdir.path(ANSWERS).read_text(encoding="utf-8"))
    return {name: np.array(answers) for name, answers in kept.items()}


def confusions(labels: np.ndarray, answers: np.ndarray) -> np.ndarray:
    """Recordings by their digit and by what they were taken for."""
    return confusion(labels, answers, DIGITS)
