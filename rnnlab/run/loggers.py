"""What takes the metrics of a run that trains, besides its `metrics.jsonl`: `--loggers=NAME,…`.

    tensorboard        event files in the folder `tensorboard` of the work directory; the default
    wandb, mlflow      these services, where their packages are installed; they read their own
                       environment variables (WANDB_PROJECT, MLFLOW_TRACKING_URI, …)
    MODULE:NAME        your own: a class, in a module that Python finds, with two methods

A logger of your own, complete:

    class Lines:
        def __init__(self, workdir, step):
            self._file = open(workdir.path("lines.txt"), "a", encoding="utf-8")

        def write(self, step, group, values):
            print(step, group, values, file=self._file)

        def close(self):
            self._file.close()

A logger is told what it may show and has no influence on the run: where one fails it is left out
from then on, with one line on standard error, and training goes on.
"""

from __future__ import annotations

import hashlib
import importlib
import os
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from rnnlab import own
from rnnlab.errors import UsageError
from rnnlab.run.fields import flatten_json
from rnnlab.run.registry import unknown
from rnnlab.run.workdir import Workdir

#: The folder of TensorBoard's event files.
EVENTS = "tensorboard"


class Logger(Protocol):
    """Takes the metrics of one training, made by `NAME(workdir, step)`.

    `workdir` is the open work directory, `step` the training step after which a run that was
    stopped continues, 0 at a start. Rows of later steps may have been written before the run was
    stopped, and are written again.
    """

    def write(self, step: int, group: str, values: Mapping[str, Any]) -> None:
        """Takes a row.

        Args:
            step: training steps made.
            group: what the row is about: "train", "evaluation", "speed".
            values: numbers by name, or arrays `[members]` of them where a population is trained.
                They may be NaN.
        """
        ...

    def close(self) -> None:
        """Ends; called once, also where training fails or is interrupted."""
        ...


class TensorBoard:
    """Event files for TensorBoard; of a population, medians."""

    def __init__(self, workdir: Workdir, step: int):
        from tensorboardX import SummaryWriter  # the import takes a while

        purge = step + 1 if step else None
        folder = str(workdir.path(EVENTS))
        self._writer = SummaryWriter(folder, purge_step=purge, max_queue=1000)

    def write(self, step: int, group: str, values: Mapping[str, Any]) -> None:
        """Adds the numbers as scalars `GROUP/NAME`."""
        for name, value in medians(values).items():
            self._writer.add_scalar(f"{group}/{name}", value, step)

    def close(self) -> None:
        """Writes what is buffered."""
        self._writer.close()


class WeightsAndBiases:
    """A run of Weights & Biases; a run that continues here continues there."""

    def __init__(self, workdir: Workdir, step: int):
        del step
        place = str(workdir.root.resolve())
        self._run = _package("wandb").init(
            project=os.environ.get("WANDB_PROJECT", "rnnlab"),
            name=workdir.root.name,
            id=hashlib.sha256(place.encode()).hexdigest()[:16],
            resume="allow",
            dir=place,
            config={"experiment": workdir.experiment, **workdir.config},
        )

    def write(self, step: int, group: str, values: Mapping[str, Any]) -> None:
        """Logs the numbers as `GROUP/NAME`; of a population, medians."""
        self._run.log({f"{group}/{name}": v for name, v in medians(values).items()}, step=step)

    def close(self) -> None:
        """Ends the run there."""
        self._run.finish()


class MLflow:
    """A run of MLflow; its identifier is kept in `mlflow.txt`, by which it is continued."""

    def __init__(self, workdir: Workdir, step: int):
        del step
        self._mlflow = _package("mlflow")
        self._mlflow.set_experiment(workdir.experiment)
        kept = workdir.path("mlflow.txt")
        if kept.exists():
            self._mlflow.start_run(run_id=kept.read_text("utf-8").strip())
            return
        run = self._mlflow.start_run(run_name=workdir.root.name)
        workdir.write(kept.name, run.info.run_id + "\n")
        self._mlflow.log_params(flatten_json(workdir.config))

    def write(self, step: int, group: str, values: Mapping[str, Any]) -> None:
        """Logs the numbers as `GROUP/NAME`; of a population, medians."""
        named = {f"{group}/{name}": v for name, v in medians(values).items()}
        # It refuses other characters.
        named = {re.sub(r"[^\w\-. /]", "_", name): value for name, value in named.items()}
        self._mlflow.log_metrics(named, step=step)

    def close(self) -> None:
        """Ends the run there."""
        self._mlflow.end_run()


#: Loggers by the name that the flag uses.
LOGGERS: dict[str, Callable[[Workdir, int], Logger]] = {
    "tensorboard": TensorBoard,
    "wandb": WeightsAndBiases,
    "mlflow": MLflow,
}
#: The packages that they need and that rnnlab does not require.
PACKAGES = ("wandb", "mlflow")


def by_name(name: str) -> Callable[[Workdir, int], Logger]:
    """What makes the logger called `name`: one of `LOGGERS`, or `MODULE:NAME` of your own.

    Raises:
        UsageError: there is none, or its package is not installed.
    """
    if ":" in name:
        return own.load("logger", name)
    if name not in LOGGERS:
        raise unknown(f"logger={name!r}", "logger", name, [*LOGGERS, "MODULE:NAME of your own"])
    if name in PACKAGES:
        _package(name)
    return LOGGERS[name]


def check(names: Sequence[str]) -> None:
    """Checks the names of a command line before anything runs; errors as of `by_name`."""
    for name in names:
        by_name(name)


def medians(values: Mapping[str, Any]) -> dict[str, float]:
    """The finite numbers of a row; of a population, the median of the finite ones."""
    import numpy as np  # the names of loggers are checked without it

    found = {}
    for name, value in values.items():
        array = np.asarray(value, np.float64)
        finite = array[np.isfinite(array)]
        if finite.size:
            found[name] = float(np.median(finite))
    return found


def _package(name: str) -> Any:
    """A package that rnnlab does not require."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise UsageError(
            f"logger={name!r}: the package {error.name} is not installed; run "
            f"`python -m pip install {name}`, or choose another logger"
        ) from error
