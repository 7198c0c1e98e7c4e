"""Trains a network that reads digits and measures it."""

from __future__ import annotations

import json
from typing import Any

import jax
import numpy as np

from experiments.sequential_mnist.config import Config
from rnnlab.arrays import Params
from rnnlab.data.images import CLASSES, SIDES, Images, Splits, sequences
from rnnlab.data.pipelines import Feed, shuffled
from rnnlab.run.workdir import Workdir
from rnnlab.statistics import wilson_interval
from rnnlab.training.evaluators import Evaluator, ImageEvaluator, Memory, Together
from rnnlab.training.images import Examination, SequenceModel, image_learner
from rnnlab.training.loop import Outcome, train
from rnnlab.training.summary import best_step

#: What a work directory keeps of the test: the answer to each image.
ANSWERS = "answers.json"
#: Images over which the adjoints are averaged.
ADJOINTS = 8


def model_of(config: Config) -> SequenceModel:
    """The network."""
    return SequenceModel(config.network.reader(CLASSES, **config.cell_settings), config.order)


def fit(config: Config, workdir: Workdir, splits: Splits) -> Outcome:
    """Trains to the end of the plan, or resumes a run that was stopped."""
    training = config.training
    learner = image_learner(
        model_of(config),
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
        evaluator=evaluator(config, splits.validation),
        feed=Feed(shuffled(splits.train, training.batch, config.seed)),
    )


def evaluator(config: Config, images: Images) -> Evaluator:
    """Measures accuracy and loss on the images, the matrices, and how far back a loss is felt."""
    model = model_of(config)
    xs = sequences(images.pixels[:ADJOINTS], config.order)
    return Together(ImageEvaluator(model, images), Memory(model.reader.cell, xs))


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
        "most frequent digit": float(np.bincount(test.labels).max() / count),
    }


def answers_of(workdir: Workdir) -> np.ndarray:
    """The digits for which the test images were taken, `[N]`."""
    return np.array(json.loads(workdir.path(ANSWERS).read_text(encoding="utf-8")))
