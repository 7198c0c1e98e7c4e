"""Trains a convolutional network that names digits and measures it."""

from __future__ import annotations

import json
from typing import Any

import jax
import numpy as np

from experiments.image_classification.config import Config
from rnnlab.arrays import Params
from rnnlab.data.images import CLASSES, SIDES, Images, Splits
from rnnlab.data.pipelines import Feed, shuffled
from rnnlab.run.workdir import Workdir
from rnnlab.statistics import wilson_interval
from rnnlab.training.evaluators import ImageEvaluator
from rnnlab.training.images import Examination, ImageModel, image_learner
from rnnlab.training.loop import Outcome, train
from rnnlab.training.summary import best_step

#: What a work directory keeps of the test: the answer to each image.
ANSWERS = "answers.json"


def model_of(config: Config) -> ImageModel:
    """The network."""
    return config.network.model(CLASSES)


def fit(config: Config, workdir: Workdir, splits: Splits) -> Outcome:
    """Trains to the end of the plan, or resumes a run that was stopped."""
    training, model = config.training, model_of(config)
    learner = image_learner(
        model,
        side=SIDES[config.source.images],
        batch=training.batch,
        optimiser=training.make_optimiser(config.steps),
        clip=training.clip(),
    )
    return train(
        workdir,
        learner,
        config.plan(),
        jax.random.key(config.seed),
        evaluator=ImageEvaluator(model, splits.validation),
        feed=Feed(shuffled(splits.train, training.batch, config.seed)),
    )


def summarise(
    config: Config, workdir: Workdir, test: Images, outcome: Outcome, params: Params
) -> dict[str, Any]:
    """The run in a few numbers; the test images are evaluated only here.

    Args:
        config: of the run.
        workdir: gets the answers.
        test: the test images.
        outcome: of the training.
        params: of the best checkpoint.
    """
    step = best_step(outcome)
    (evaluated,) = (row for row in outcome.evaluations if row["step"] == step)
    result = Examination(model_of(config), test)(params)
    count = len(test.labels)
    wrong = int(np.sum(result.answers != test.labels))
    low, high = wilson_interval(count - wrong, count)
    workdir.write(ANSWERS, json.dumps(result.answers.tolist()))
    return {
        "best step": step,
        "best epoch": step / config.epoch,
        "validation accuracy": evaluated["accuracy"],
        "validation loss": evaluated["loss"],
        "test accuracy": result.accuracy,
        "its 95 % interval from": low,
        "its 95 % interval to": high,
        "test loss": result.loss,
        "test images misread": wrong,
        "parameters": sum(leaf.size for leaf in jax.tree.leaves(params)),
    }


def answers_of(workdir: Workdir) -> np.ndarray:
    """The digits for which the test images were taken, `[N]`."""
    return np.array(json.loads(workdir.path(ANSWERS).read_text(encoding="utf-8")))
