"""Training of a model that translates, in rnnlab and in PyTorch: tokens per second."""

from __future__ import annotations

from collections.abc import Iterator

from experiments.benchmark import models
from experiments.benchmark.candidate import OURS
from experiments.benchmark.config import Config
from experiments.benchmark.results import Result, Rows, Table
from experiments.benchmark.translators import Task, candidates, make_task

TITLE = "Training a model that translates, float32"
#: Largest relative difference of the losses of the first updates at which candidates agree.
AGREE = 1e-4


def run(config: Config) -> Iterator[Result]:
    """Times sentences of one length, and then of several, which are padded."""
    strategies = {f"{OURS}{name}": name for name in config.translation.model_strategies}
    rows: Rows = []
    for varied in (False, True):
        task = make_task(config.translation, varied)
        makers = candidates(task, strategies, "torch" in config.candidates.peers)
        about = {"sentences": _sentences(task)}
        rows += models.measure(makers, about, task.symbols, config.candidates, AGREE)
        yield Table(TITLE, list(rows), complete=varied)


def _sentences(task: Task) -> str:
    source, target = task.batch.values
    steps = f"{source.shape[1]} and {target.shape[1] - 1} steps"
    return f"{len(source)} pairs, {'up to ' if task.varied else ''}{steps}"
