"""Trains a network on videos, and measures it beside its baselines."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from experiments.frame_labelling import baselines
from experiments.frame_labelling.config import Config
from rnnlab.arrays import Int, Params
from rnnlab.data.frame_windows import frame_windows
from rnnlab.data.labelled_frames import PHASES, Video
from rnnlab.data.motion import FEATURES
from rnnlab.data.pipelines import Feed
from rnnlab.data.sentences import Splits
from rnnlab.run.workdir import Workdir
from rnnlab.statistics import confusion, macro_f1
from rnnlab.training.classification import class_weights
from rnnlab.training.evaluators import Evaluator
from rnnlab.training.frames import Committee, Scaling, frame_learner, label_frames
from rnnlab.training.loop import Outcome, train
from rnnlab.training.segments import edit_score, segment_f1
from rnnlab.training.summary import best_step

#: What a work directory keeps of the test: seconds and labels of its videos.
ANSWERS = "answers.json"
#: What the labellings of a test video are called: as they are, and by the network.
RIGHT, NETWORK = "right", "network"

#: Labels of some videos.
Labels = Sequence[Int[np.ndarray, "T"]]


class Problem(NamedTuple):
    """The videos and the model.

    Attributes:
        splits: the videos, scaled.
        scaling: of what is read of a frame.
        model: the networks.
    """

    splits: Splits[list[Video]]
    scaling: Scaling
    model: Committee


def problem(config: Config, splits: Splits[list[Video]]) -> Problem:
    """What is to be learned, and by what."""
    both = [frames for one in splits.train for frames in (one.features, one.mirrored)]
    scaling = Scaling.of(np.concatenate(both), config.network.prior)

    def scaled(one: Video) -> Video:
        return one._replace(features=scaling(one.features), mirrored=scaling(one.mirrored))

    splits = Splits(*([scaled(one) for one in split] for split in splits))
    return Problem(splits, scaling, Committee(config.network, FEATURES, len(PHASES)))


def fit(config: Config, workdir: Workdir, given: Problem) -> Outcome:
    """Trains to the end of the plan, or resumes a run that was stopped."""
    training, videos = config.training, given.splits.train
    labels = np.concatenate([one.labels for one in videos])
    learner = frame_learner(
        given.model,
        batch=training.batch,
        optimiser=training.make(),
        clip=training.clip(),
        weights=class_weights(labels, len(PHASES), training.balance),
    )
    windows = frame_windows(
        videos, training.batch, training.window, config.seed, mirror=training.mirror
    )
    return train(
        workdir,
        learner,
        config.plan(),
        jax.random.key(config.seed),
        evaluator=Validation(given),
        feed=Feed(windows),
    )


def scores(gold: Labels, found: Labels) -> dict[str, float]:
    """What a labelling of videos is worth."""
    counts = confusion(np.concatenate(gold), np.concatenate(found), len(PHASES))
    return {
        "macro F1": float(macro_f1(counts)),
        "accuracy": float(np.trace(counts) / counts.sum()),
        "F1@50": segment_f1(gold, found),
        "edit score": edit_score(gold, found),
    }


class Validation(Evaluator):
    """How a network labels the validation videos."""

    def __init__(self, given: Problem):
        self._given = given

    def __call__(self, params: Params, step: int) -> dict[str, Any]:
        """What the labelling is worth, and `miss`, 1 minus the macro-F1, of which least is best."""
        del step
        videos = self._given.splits.validation
        values = scores([one.labels for one in videos], labels_of(self._given, params, videos))
        return {**values, "miss": 1 - values["macro F1"]}


def labels_of(given: Problem, params: Params, videos: Sequence[Video]) -> Labels:
    """The labels that a network with these parameters gives to videos."""
    answers = label_frames(given.model, params, [one.features for one in videos])
    return [answer.labels for answer in answers]


def summarise(
    config: Config, workdir: Workdir, given: Problem, outcome: Outcome, params: Params
) -> dict[str, Any]:
    """The run in a few numbers; the test videos are labelled only here.

    Args:
        config: of the run.
        workdir: gets the labels of the test videos.
        given: the videos and the model.
        outcome: of the training.
        params: of the best checkpoint.
    """
    step, test = best_step(outcome), given.splits.test
    (evaluated,) = (row for row in outcome.evaluations if row["step"] == step)
    centred, settings = config.network.bidirectional, config.baselines
    gold = [one.labels for one in test]
    found = {NETWORK: labels_of(given, params, test)}
    found |= baselines.answers(given.splits, settings, centred)
    _write(workdir, test, {RIGHT: gold, **found})
    summary: dict[str, Any] = {"best step": step, "validation macro F1": evaluated["macro F1"]}
    for name, labels in found.items():
        prefix = "" if name == NETWORK else f"{name}: "
        summary |= {f"{prefix}test {what}": v for what, v in scores(gold, labels).items()}
    if settings.shuffled:
        answered, right = baselines.shuffled(given.splits, settings, centred)
        leaked = scores([right], [answered])
        for what in ("macro F1", "accuracy"):
            summary[f"gradient boosting, shuffled frames: {what}"] = leaked[what]
    parameters = sum(leaf.size for leaf in jax.tree.leaves(params))
    return {**summary, "test frames": sum(map(len, gold)), "parameters": parameters}


def _write(workdir: Workdir, test: Sequence[Video], found: dict[str, Labels]) -> None:
    kept = [
        {
            "video": video.name,
            "seconds": video.seconds.tolist(),
            "labels": {name: labels[place].tolist() for name, labels in found.items()},
        }
        for place, video in enumerate(test)
    ]
    workdir.write(ANSWERS, json.dumps(kept))


def answers_of(workdir: Workdir) -> list[dict[str, Any]]:
    """For each test video its name, its seconds, and its labels by what they are called."""
    return json.loads(workdir.path(ANSWERS).read_text(encoding="utf-8"))
