"""Many runs as one table.

    import rnnlab

    rnnlab.collect("runs")                       # a row for each run: what differs, how it ended
    rnnlab.collect("runs/char_lm-*", "metrics")  # a row for each step that was logged
    rnnlab.collect("runs", "results")            # a row for each point of the measured results

Work directories are only read, also those of runs that are still in progress.
"""

import glob
import json
import os
import pathlib
import warnings
from collections.abc import Callable, Iterable
from typing import Any, Literal, NamedTuple, TypeVar, get_args

import pandas as pd

from rnnlab.errors import RunError, UsageError
from rnnlab.run import identity, results
from rnnlab.run.fields import flatten_json

T = TypeVar("T")
What = Literal["final", "metrics", "results"]
Paths = str | os.PathLike[str] | Iterable[str | os.PathLike[str]]


class CollectWarning(UserWarning):
    """Some paths are left out of a table; the warning says which, and why."""


class Run(NamedTuple):
    """A run on disk.

    Attributes:
        root: its work directory.
        experiment: its name.
        config: values of its fields by their dotted names, lists as tuples.
        state: running, done, failed, interrupted, diverged; None before it is recorded. A run that
            was killed still says running.
    """

    root: pathlib.Path
    experiment: str
    config: dict[str, Any]
    state: str | None


def collect(
    runs: Paths = "runs", what: What = "final", *, all_fields: bool = False
) -> pd.DataFrame:
    """One table of many runs.

    Args:
        runs: work directories, folders that are searched for them at any depth, or patterns of
            these such as "runs/char_lm-*"; one, or several in a list.
        what: `"final"` for the last numbers of each run: a row for each, or for each `training` and
            `member` of one that trained several networks. The columns are `summary/NAME` of the
            finished run, `train/NAME`, `evaluation/NAME`, and the `step` and `seconds` of training.
            `"metrics"` for all that training has logged, as `results.metrics` returns it, and
            `"results"` for the measured data set, as `results.to_dataframe` does.
        all_fields: whether to have all fields of the configurations as columns, not only those that
            differ between the runs.

    Returns:
        The columns `workdir`, `experiment` and `state`, then the fields of the configuration under
        their dotted names, then those of `what`. What was left out is in `attrs["left_out"]`, as a
        dict from path to reason.

    Raises:
        UsageError: no path holds a run that has what is asked for.

    Warns:
        CollectWarning: paths without a run, and runs that are damaged or do not have what is asked
            for, are left out.
    """
    if what not in get_args(What):
        raise UsageError(f"what={what!r}: must be one of {', '.join(get_args(What))}")
    given = list(runs) if isinstance(runs, Iterable) and not isinstance(runs, str) else [runs]
    tables, left_out = read_all([found for each in given for found in _expanded(each)], _READ[what])
    _tell(given, what, left_out, found=bool(tables))
    fields = _fields([run for run, _ in tables], all_fields)
    whole = _stacked([_with_run(run, fields, frame) for run, frame in tables])
    whole.attrs["left_out"] = left_out
    return whole


def read_all(
    paths: list[pathlib.Path], read: Callable[[Run], T]
) -> tuple[list[tuple[Run, T]], dict[str, str]]:
    """What can be read of all runs at the paths, and why the others are left out.

    Args:
        paths: work directories, and folders that are searched for them at any depth.
        read: what is read of each; a RunError leaves the run out.
    """
    found: list[tuple[Run, T]] = []
    left_out: dict[str, str] = {}
    for path in dict.fromkeys(paths):
        roots = _work_directories(path)
        if not roots:
            left_out[str(path)] = (
                f"holds no {identity.FILE}, so it is no work directory"
                if path.is_dir()
                else ("is no folder" if path.exists() else "does not exist")
            )
        for root in roots:
            try:
                run = _read(root)
                found.append((run, read(run)))
            except (RunError, OSError) as error:
                left_out[str(root)] = str(error).removeprefix(f"{root}: ")
    return found, left_out


def _stacked(frames: list[pd.DataFrame]) -> pd.DataFrame:
    """All rows; columns in the order in which they occur first."""
    columns = list(dict.fromkeys(name for frame in frames for name in frame.columns))
    # pandas lets columns without a value change the type of the others.
    filled = [frame.dropna(axis="columns", how="all") for frame in frames]
    return pd.concat(filled, ignore_index=True).reindex(columns=columns)


def _expanded(path: str | os.PathLike[str]) -> list[pathlib.Path]:
    """The paths that a pattern matches; a path that exists is no pattern."""
    try:
        path = pathlib.Path(os.path.expanduser(path))
        if "\0" in str(path):
            raise ValueError("embedded null byte")
        if path.exists() or not glob.has_magic(str(path)):
            return [path]
    except (OSError, TypeError, ValueError) as error:  # too long, no path, with a NUL
        raise UsageError(f"runs={path!r}: is no path or pattern ({error})") from error
    return [pathlib.Path(found) for found in sorted(glob.glob(str(path), recursive=True))]


def _work_directories(path: pathlib.Path) -> list[pathlib.Path]:
    """The work directory, or those in the folder at any depth."""
    found, seen = [], set[str]()
    for root, folders, files in os.walk(path, followlinks=True):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        if os.path.realpath(root) in seen:  # a link to a folder above it has no end
            folders.clear()
            continue
        seen.add(os.path.realpath(root))
        if identity.FILE in files:
            folders.clear()  # nothing in a work directory is one
            found.append(pathlib.Path(root))
    return found


def _read(root: pathlib.Path) -> Run:
    """The record of a run.

    Raises:
        RunError: it is damaged.
    """
    recorded = identity.read(root)
    config = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in flatten_json(recorded.config).items()
    }
    return Run(root, recorded.experiment, config, _json(root / "status.json").get("state"))


def _json(path: pathlib.Path) -> dict[str, Any]:
    """The object in a file; empty where there is none."""
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return {}
    except (ValueError, TypeError, RecursionError) as error:
        raise RunError(f"{path}: is damaged") from error


def summary(run: Run) -> dict[str, Any]:
    """The numbers of a finished run by name; empty where it has written none.

    Raises:
        RunError: they are damaged.
    """
    return _json(run.root / "summary.json")


def _final(run: Run) -> pd.DataFrame:
    """The last row of each group of the log, side by side, and the summary."""
    try:
        log = results.metrics(run.root)
    except FileNotFoundError:
        log = pd.DataFrame({"step": [], "group": []})
    keys = [name for name in ("training", "member") if name in log.columns]
    whole = pd.DataFrame([{}]) if not keys else log[keys].drop_duplicates(ignore_index=True)
    for name in ("step", "seconds"):
        if name in log.columns and len(log):
            whole = _joined(whole, _last(log, [name], keys), keys)
    plain = {"step", "group", "seconds", "time", *keys}
    for group in log["group"].unique() if len(log) else ():  # a run that has just begun has none
        part = log[log["group"] == group].dropna(axis="columns", how="all")
        names = [name for name in part.columns if name not in plain]
        last = _last(part, names, keys).rename(columns={n: f"{group}/{n}" for n in names})
        whole = _joined(whole, last, keys)
    for name, value in summary(run).items():
        if isinstance(value, int | float | str):
            whole[f"summary/{name}"] = value
    return whole


def _last(log: pd.DataFrame, names: list[str], keys: list[str]) -> pd.DataFrame:
    """The last row of a log, or of each of the keys."""
    rows = log.drop_duplicates(keys, keep="last") if keys else log.tail(1)
    return rows[[*keys, *names]].reset_index(drop=True)


def _joined(left: pd.DataFrame, right: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    return left.merge(right, how="left", on=keys) if keys else pd.concat([left, right], axis=1)


def _metrics(run: Run) -> pd.DataFrame:
    try:
        return results.metrics(run.root)
    except FileNotFoundError as error:
        raise RunError(f"{run.root}: has logged no metrics (yet)") from error


def _results(run: Run) -> pd.DataFrame:
    try:
        return results.to_dataframe(run.root)
    except FileNotFoundError as error:
        raise RunError(f"{run.root}: holds no {results.FILE} (yet)") from error


_READ: dict[str, Callable[[Run], pd.DataFrame]] = {
    "final": _final,
    "metrics": _metrics,
    "results": _results,
}


def _fields(runs: list[Run], all_fields: bool) -> list[str]:
    """The fields to show: all, or those whose values differ between runs that have them."""
    texts: dict[str, set[str]] = {}
    for run in runs:
        for name, value in run.config.items():  # as text: nan equals itself there
            texts.setdefault(name, set()).add(json.dumps(value))
    return [name for name, values in texts.items() if all_fields or len(values) > 1]


def _with_run(run: Run, fields: list[str], frame: pd.DataFrame) -> pd.DataFrame:
    """The table with columns before it that say which run it is of."""
    values = {"workdir": str(run.root), "experiment": run.experiment, "state": run.state}
    values |= {name: run.config.get(name) for name in fields}
    # A measured coordinate may have the name of a field, and says more.
    values = {name: value for name, value in values.items() if name not in frame.columns}
    before = pd.DataFrame({n: pd.Series([v] * len(frame)) for n, v in values.items()})
    return pd.concat([before, frame], axis=1)


def _tell(given: list[Any], what: str, left_out: dict[str, str], *, found: bool) -> None:
    """Warns of what is left out, or raises where nothing else is there."""
    reasons = [f"{path} ({reason})" for path, reason in left_out.items()]
    shown = ", ".join(reasons[:5]) + (f" and {len(reasons) - 5} more" if len(reasons) > 5 else "")
    if not found:
        where = ", ".join(map(str, given))
        raise UsageError(f"runs={where}: no run there" + (f": {shown}" if shown else ""))
    if shown:
        warnings.warn(f"collect: left out {shown}", CollectWarning, stacklevel=3)
