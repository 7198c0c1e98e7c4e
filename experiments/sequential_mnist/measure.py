"""Trains a network that reads digits and measures it."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np

from experiments.sequential_mnist.config import Config
from rnnlab.arrays import Params
from rnnlab.data.images import CLASSES, SIDES, Images, Splits, sequences
from rnnlab.data.pipelines import Feed, shuffled
from rnnlab.run.workdir import Workdir
from rnnlab.training import image_summary
from rnnlab.training.evaluators import Evaluator, ImageEvaluator, Memory, Together
from rnnlab.training.images import SequenceModel, image_learner
from rnnlab.training.loop import Outcome, train

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
    found = image_summary.summarise(model_of(config), config.epoch, workdir, test, outcome, params)
    return found | {"most frequent digit": float(np.bincount(test.labels).max() / len(test.labels))}
