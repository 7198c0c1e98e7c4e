"""The metrics of a training run: `metrics.jsonl`, and the same for TensorBoard.

`metrics.jsonl` contains no times, so an interrupted run ends with the same file, byte for byte.
TensorBoard's events also contain the speed.
"""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np

from rnnlab.run.workdir import METRICS, Workdir

EVENTS = "tensorboard"


class Log:
    """The rows of a run, each with the number of training steps made.

    Args:
        workdir: where to write.
        text: the rows up to the checkpoint that training resumes from; later ones are dropped.
        step: the training step of that checkpoint.
    """

    def __init__(self, workdir: Workdir, text: str = "", step: int = 0):
        self._path = workdir.write(METRICS, text)
        self._lines = text.splitlines()
        self._folder, self._purge = workdir.path(EVENTS), step + 1 if text else None
        self._writer: Any = None

    def write(self, step: int, group: str, values: dict[str, Any]) -> None:
        """Appends a row.

        Args:
            step: training steps made.
            group: what the row is about, such as "train".
            values: numbers, or arrays of them for the members of a population.
        """
        row = {"step": step, group: {name: _as_json(value) for name, value in values.items()}}
        self._lines.append(json.dumps(row))
        with open(self._path, "a", encoding="utf-8") as file:
            file.write(self._lines[-1] + "\n")
        self.event(step, group, values)

    def event(self, step: int, group: str, values: dict[str, Any]) -> None:
        """Writes numbers for TensorBoard only; of a population, the median of the finite ones."""
        self.open()
        for name, value in values.items():
            finite = np.asarray(value, np.float64)
            finite = finite[np.isfinite(finite)]
            if finite.size:
                self._writer.add_scalar(f"{group}/{name}", float(np.median(finite)), step)

    def open(self) -> None:
        """Opens the file of events, unless it is open; the import of its library takes a while."""
        if self._writer is None:
            from tensorboardX import SummaryWriter

            self._writer = SummaryWriter(str(self._folder), purge_step=self._purge, max_queue=1000)

    @property
    def text(self) -> str:
        """All rows so far."""
        return "".join(line + "\n" for line in self._lines)

    def close(self) -> None:
        """Writes what is buffered."""
        if self._writer is not None:
            self._writer.close()


def read(text: str, group: str) -> list[dict[str, Any]]:
    """The rows of a group in the text of `metrics.jsonl`, with their steps as `step`."""
    rows = [json.loads(line) for line in text.splitlines()]
    return [{"step": row["step"], **row[group]} for row in rows if group in row]


def _as_json(value: Any) -> Any:
    """A number, or a list of them; null for what is not finite, which JSON cannot represent."""
    array = np.asarray(value)
    if array.ndim:
        return [_as_json(element) for element in array]
    number = array.item()
    return number if not isinstance(number, float) or math.isfinite(number) else None
