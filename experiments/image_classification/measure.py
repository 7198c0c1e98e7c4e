"""Trains a convolutional network that names digits and measures it."""

from __future__ import annotations

from typing import Any

import jax

from experiments.image_classification.config import Config
from rnnlab.arrays import Params
from rnnlab.data.images import CLASSES, SIDES, Images, Splits
from rnnlab.data.pipelines import Feed, shuffled
from rnnlab.run.workdir import Workdir
from rnnlab.training import image_summary
from rnnlab.training.evaluators import ImageEvaluator
from rnnlab.training.images import ImageModel, image_learner
from rnnlab.training.loop import Outcome, train


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
    found = image_summary.summarise(model_of(config), config.epoch, workdir, test, outcome, params)
    return found | {"parameters": sum(leaf.size for leaf in jax.tree.leaves(params))}
