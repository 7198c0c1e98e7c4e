"""Trains a network on sums and tests it on others."""

from __future__ import annotations

import json
from typing import Any

import jax
import numpy as np

from experiments.addition.config import Config
from rnnlab.arrays import Params
from rnnlab.data import sums
from rnnlab.data.sums import Numbers
from rnnlab.run.workdir import Workdir
from rnnlab.statistics import wilson_interval
from rnnlab.training.evaluators import Evaluator
from rnnlab.training.loop import Outcome, train
from rnnlab.training.summary import best_step
from rnnlab.training.sums import Examination, SumEvaluator, sum_learner

#: What a work directory keeps of the test: the answer to each sum.
ANSWERS = "answers.json"


def fit(config: Config, workdir: Workdir) -> Outcome:
    """Trains to the end of the plan, or resumes a run that was stopped."""
    training, model = config.training, config.network.model()
    learner = sum_learner(
        model,
        digits=config.digits,
        reverse=config.reverse,
        batch=training.batch,
        optimiser=training.make(),
        clip=training.clip(),
    )
    return train(
        workdir, learner, config.plan(), jax.random.key(config.seed), evaluator=evaluator(config)
    )


def evaluator(config: Config) -> Evaluator:
    """Measures the share of right answers to the sums that validate."""
    numbers = held_out(config, sums.VALIDATION)
    return SumEvaluator(config.network.model(), numbers, config.digits, config.reverse)


def held_out(config: Config, part: int) -> Numbers:
    """The sums that validate, or those that test."""
    return sums.held_out_numbers(part, config.held_out, config.digits)


def summarise(config: Config, workdir: Workdir, outcome: Outcome, params: Params) -> dict[str, Any]:
    """The run in a few numbers; the test sums are answered only here.

    Args:
        config: of the run.
        workdir: gets the answers.
        outcome: of the training.
        params: of the best checkpoint.
    """
    step = best_step(outcome)
    (evaluated,) = (row for row in outcome.evaluations if row["step"] == step)
    numbers = held_out(config, sums.TEST)
    result = Examination(config.network.model(), numbers, config.digits, config.reverse)(params)
    count, good = len(result.right), int(result.right.sum())
    low, high = wilson_interval(good, count)
    workdir.write(ANSWERS, json.dumps(result.answers))
    return {
        "best step": step,
        "sums read until then": step * config.training.batch,
        "validation exact": evaluated["exact"],
        "test exact": good / count,
        "its 95 % interval from": low,
        "its 95 % interval to": high,
        "test sums": count,
        "test sums with wrong answers": count - good,
        "test loss": result.loss,
        "parameters": sum(int(np.prod(leaf.shape)) for leaf in jax.tree.leaves(params)),
    }


def answers_of(workdir: Workdir, numbers: Numbers) -> tuple[list[str], np.ndarray]:
    """The answers to the test sums, and whether each is right."""
    answers = json.loads(workdir.path(ANSWERS).read_text(encoding="utf-8"))
    totals = (int(a) + int(b) for a, b in zip(*numbers, strict=True))
    right = [answer == str(total) for answer, total in zip(answers, totals, strict=True)]
    return answers, np.array(right, bool)
