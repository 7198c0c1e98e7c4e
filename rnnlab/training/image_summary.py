"""What a run of a network that names images comes to, in a few numbers."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from rnnlab.arrays import Int, Params
from rnnlab.data.images import Images
from rnnlab.run.workdir import Workdir
from rnnlab.statistics import wilson_interval
from rnnlab.training.images import Examination, ImageModel
from rnnlab.training.loop import Outcome
from rnnlab.training.summary import best_step

#: What a work directory keeps of the test: the class for which each image was taken.
ANSWERS = "answers.json"


def summarise(
    model: ImageModel, epoch: int, workdir: Workdir, test: Images, outcome: Outcome, params: Params
) -> dict[str, Any]:
    """The run in a few numbers; the test images are evaluated only here.

    Args:
        model: the network.
        epoch: training steps of an epoch.
        workdir: gets the answers.
        test: the test images.
        outcome: of the training.
        params: of the best checkpoint.
    """
    step = best_step(outcome)
    (evaluated,) = (row for row in outcome.evaluations if row["step"] == step)
    result = Examination(model, test)(params)
    count = len(test.labels)
    wrong = int(np.sum(result.answers != test.labels))
    low, high = wilson_interval(count - wrong, count)
    workdir.write(ANSWERS, json.dumps(result.answers.tolist()))
    return {
        "best step": step,
        "best epoch": step / epoch,
        "validation accuracy": evaluated["accuracy"],
        "validation loss": evaluated["loss"],
        "test accuracy": result.accuracy,
        "its 95 % interval from": low,
        "its 95 % interval to": high,
        "test loss": result.loss,
        "test images misread": wrong,
    }


def answers_of(workdir: Workdir) -> Int[np.ndarray, "images"]:
    """The classes for which the test images were taken."""
    return np.array(json.loads(workdir.path(ANSWERS).read_text(encoding="utf-8")))
