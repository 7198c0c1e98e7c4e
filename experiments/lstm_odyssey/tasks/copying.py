"""Copy memory, which is generated."""

from __future__ import annotations

import jax

from experiments.lstm_odyssey.config import Copying
from experiments.lstm_odyssey.tasks.base import Model, Task
from rnnlab import cells
from rnnlab.arrays import Array, Key, Params
from rnnlab.data.tasks import Batch
from rnnlab.training.model import Reader, answer, losses

#: Seeds of the sequences that validate and test.
VALIDATION, TEST = 1_000_000, 1_000_001


class CopyTask(Task):
    """Nats for each step, blanks among them; fresh sequences at every update."""

    unit = "nats a step"

    def __init__(self, settings: Copying):
        self._settings, self._task = settings, settings.task()
        self.parameters = settings.parameters
        self.baseline = self._task.baseline(settings.pause)
        self.validation, self.test = (
            self._task.sample(jax.random.key(seed), settings.evaluated, settings.pause)
            for seed in (VALIDATION, TEST)
        )

    def model(self, cell: str, hidden: int, strategy: str) -> Model:
        """The cell with a linear readout of the classes."""
        task = self._task
        reader = Reader(cells.by_name(cell, hidden), task.features_out, strategy)

        def loss(params: Params, batch: Batch) -> Array:
            _, ys = reader.run(params, batch.xs)
            answers = answer(reader, task, params, ys, batch.lengths)
            return losses(task, answers, batch)[0].mean()

        return Model(lambda key: reader.init(key, task.features_in), loss)

    def sample(self, key: Key) -> Batch:
        """Fresh sequences."""
        return self._task.sample(key, self._settings.batch, self._settings.pause)
