"""Finished runs of one experiment, put side by side on a page.

    python run.py --experiment=translation --each.network.hand_over=attention,context,state
    python run.py --mode=compare --workdir=FOLDER

An experiment may offer `compare(runs, folder)`, which reads finished work directories, measures
nothing, and writes `comparison.html` and its pictures into the folder. It is called when the last
run of `--each` has ended, and by the mode `compare` for work directories that exist.
"""

import json
import pathlib
from types import ModuleType
from typing import Any, NamedTuple

from rnnlab.errors import RunError, UsageError
from rnnlab.run import collect

#: The page that puts runs side by side.
PAGE = "comparison.html"


class Finished(NamedTuple):
    """A run that is done.

    Attributes:
        root: its work directory.
        config: values of its fields by their dotted names, lists as tuples.
        summary: its numbers by name, as `summary.json` has them.
    """

    root: pathlib.Path
    config: dict[str, Any]
    summary: dict[str, Any]


class Found(NamedTuple):
    """What lies at some paths.

    Attributes:
        runs: those that are done, each configuration once.
        left_out: why others are not among them, by path.
    """

    runs: list[Finished]
    left_out: dict[str, str]


def experiment_of(folder: pathlib.Path) -> str:
    """The experiment whose runs a folder holds.

    Raises:
        UsageError: no run, or runs of several experiments.
    """
    found, left_out = collect.read_all([folder], lambda run: run.experiment)
    names = sorted({name for _, name in found})
    if not names:
        raise UsageError(_nothing(folder, "run", left_out))
    if len(names) > 1:
        raise UsageError(
            f"--workdir={folder}: holds runs of several experiments; choose "
            f"{' or '.join(f'--experiment={name}' for name in names)}"
        )
    return names[0]


def find(paths: list[pathlib.Path], experiment: str) -> Found:
    """The finished runs of an experiment.

    Args:
        paths: work directories, and folders that are searched for them at any depth.
        experiment: its name.
    """

    def read(run: collect.Run) -> Finished:
        if run.experiment != experiment:
            raise RunError(f"is a run of {run.experiment}")
        if run.state != "done":
            raise RunError(f"is not done but {run.state or 'has not begun'}")
        summary = collect.summary(run)
        if not summary:
            raise RunError("has no summary.json")
        return Finished(run.root, run.config, summary)

    read_runs, left_out = collect.read_all(paths, read)
    kept: dict[str, Finished] = {}
    for _, run in read_runs:
        same = kept.setdefault(json.dumps(run.config, sort_keys=True), run)
        if same is not run:
            left_out[str(run.root)] = f"has the configuration of {same.root}"
    return Found(list(kept.values()), left_out)


def in_folder(folder: pathlib.Path, experiment: str) -> Found:
    """The finished runs of an experiment that a folder holds.

    Raises:
        UsageError: none.
    """
    found = find([folder], experiment)
    if not found.runs:
        raise UsageError(_nothing(folder, f"finished run of {experiment}", found.left_out))
    return found


def write(module: ModuleType, runs: list[Finished], folder: pathlib.Path) -> pathlib.Path:
    """Lets an experiment put runs side by side, and returns the page.

    Raises:
        UsageError: the experiment cannot.
        RunError: a run lacks what is needed.
    """
    if not offered(module):
        raise UsageError(
            f"--mode=compare: {module.__name__.rpartition('.')[2]} offers no comparison; "
            "rnnlab.collect(…) has its runs as a table"
        )
    folder.mkdir(parents=True, exist_ok=True)
    module.compare(runs, folder)
    return folder / PAGE


def offered(module: ModuleType) -> bool:
    """Whether an experiment, a package, can put its runs side by side."""
    return callable(getattr(module, "compare", None))


def _nothing(folder: pathlib.Path, wanted: str, left_out: dict[str, str]) -> str:
    reasons = [f"{path} ({reason})" for path, reason in left_out.items()]
    shown = ", ".join(reasons[:5]) + (f" and {len(reasons) - 5} more" if len(reasons) > 5 else "")
    return f"--workdir={folder}: holds no {wanted}" + (f": {shown}" if shown else "")
