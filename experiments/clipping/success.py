"""Whether networks have solved a task: the share of fresh sequences that they answer wrongly."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from functools import partial
from typing import Any

import jax
import numpy as np

from rnnlab.cells.base import Params
from rnnlab.data.tasks import Task
from rnnlab.run.workdir import Workdir
from rnnlab.training import log, model, populations
from rnnlab.training.evaluators import Evaluator
from rnnlab.training.model import Reader

#: Seed of evaluations; those of networks are 0, 1, ...
SEED = 1_000_000
#: Sequences drawn at a time. A network whose share of wrong answers is more than `FAR` times the
#: one that solves the task is not shown further ones: its distance is known well enough.
DRAW, FAR = 1000, 3
#: What the log of a network that has diverged says is not finite.
FINITE = ("loss", "gradient_norm")


@dataclasses.dataclass(frozen=True)
class Success(Evaluator):
    """Evaluates a population, and records in its log which network had solved the task when.

    Attributes:
        folder: of the training, whose log holds earlier evaluations.
        reader: the model.
        task: what it learns, with classes as answers.
        length: T of the task.
        batch: fresh sequences that decide.
        solved: a smaller share of wrong answers solves the task.
    """

    folder: Workdir
    reader: Reader
    task: Task
    length: int
    batch: int
    solved: float

    def __call__(self, params: Params, step: int) -> dict[str, Any]:
        """Loss, wrong answers, ρ and σ_max of the recurrent matrix, and who is decided.

        `solved_at` is the step of the first evaluation at which a network had solved the task, and
        nan before; `diverged` says whose loss or gradient was not finite.
        """
        loss, wrong = self._measure(params, step)
        matrices = np.asarray(params["cell"]["wh"], np.float64)
        before, diverged = self._so_far(len(loss))
        now = np.where(wrong < self.solved, float(step), np.nan)
        return {
            "loss": loss,
            "wrong": wrong,
            "spectral_radius/h": np.abs(np.linalg.eigvals(matrices)).max(axis=-1),
            "sigma_max/h": np.linalg.svd(matrices, compute_uv=False).max(axis=-1),
            "solved_at": np.where(np.isfinite(before), before, now),
            "diverged": diverged,
        }

    def finished(self, values: Mapping[str, Any]) -> bool:
        """Whether every network has solved the task or diverged."""
        pairs = zip(values["solved_at"], values["diverged"], strict=True)
        return all(step is not None or diverged for step, diverged in pairs)

    def wrong(self, params: Params, step: int) -> np.ndarray:
        """The share of wrong answers of each network, `[members]`."""
        return self._measure(params, step)[1]

    def _measure(self, params: Params, step: int) -> tuple[np.ndarray, np.ndarray]:
        key = jax.random.fold_in(jax.random.key(SEED), step)
        members = range(len(jax.tree.leaves(params)[0]))
        shares = [self._one(populations.member(params, i), key) for i in members]
        return np.array([loss for loss, _ in shares]), np.array([wrong for _, wrong in shares])

    def _one(self, params: Params, key: jax.Array) -> tuple[float, float]:
        """Loss and share of wrong answers of one network."""
        sizes = [min(DRAW, self.batch - first) for first in range(0, self.batch, DRAW)]
        losses = wrong = count = 0.0
        for draw, size in enumerate(sizes):
            loss, errors = _answers(
                self.reader, self.task, self.length, size, params, jax.random.fold_in(key, draw)
            )
            losses, wrong, count = losses + float(loss), wrong + float(errors), count + size
            if wrong > FAR * self.solved * count:
                break
        return losses / count, wrong / count

    def _so_far(self, members: int) -> tuple[np.ndarray, np.ndarray]:
        """From the log: who had solved the task when, and who has diverged, `[members]`."""
        path = self.folder.path(log.METRICS)
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        rows = log.read(text, "evaluation")
        solved_at = np.full(members, np.nan)
        if rows:
            solved_at = np.array(populations.numbers(rows[-1]["solved_at"]))
        trained = [row[name] for row in log.read(text, "train") for name in FINITE]
        diverged = np.zeros(members, bool)
        for values in trained:
            diverged |= np.array([value is None for value in values])
        return solved_at, diverged


@partial(jax.jit, static_argnums=(0, 1, 2, 3))
def _answers(
    reader: Reader, task: Task, length: int, batch: int, params: Params, key: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Sums over fresh sequences of the loss and of wrong answers."""
    drawn = task.sample(key, batch, length)
    _, ys = reader.run(params, drawn.xs)
    loss, right = model.losses(task, model.answer(reader, task, params, ys, drawn.lengths), drawn)
    return loss.sum(), (1 - right).sum()
