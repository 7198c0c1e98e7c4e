"""Labelled results on disk: netCDF-4 files that are whole or absent, and checked when read.

`xarray.Dataset`s with named axes, units and meanings; any netCDF or HDF5 tool reads them.

    data = results.measured(workdir, "lyapunov", jobs, combine)     # measures once, then re-reads

For work with pandas, `to_dataframe` and `metrics` give the results and the log of a run as tables.
"""

import io
import json
import os
import pathlib
import shutil
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from rnnlab.errors import RunError
from rnnlab.run import reading
from rnnlab.run.progress import Progress
from rnnlab.run.workdir import CLOCK, METRICS, Workdir, atomic_write

#: The finished result of an experiment, and the folder of its partial results until then.
FILE = "results.nc"
PARTIAL = "partial"


def save_dataset(dataset: xr.Dataset, path: str | os.PathLike[str]) -> pathlib.Path:
    """Writes a data set as a whole or not at all, compressed and with checksums.

    Args:
        dataset: coordinates and variables of numbers, booleans or strings.
        path: the netCDF-4 file.

    Returns:
        The path.

    Raises:
        OSError: if the disk is full or the place cannot be written; an old file is untouched.
    """
    encoding: dict[str, Any] = {
        str(name): {"zlib": True, "fletcher32": True}
        for name, variable in dataset.variables.items()
        if variable.size and variable.ndim and variable.dtype.kind in "biuf"
    }
    file = io.BytesIO()
    # What was read remembers how long its strings were, and longer ones would be cut to that.
    dataset.drop_encoding().to_netcdf(file, engine="h5netcdf", encoding=encoding)
    return atomic_write(path, file.getvalue())


def load_dataset(path: str | os.PathLike[str]) -> xr.Dataset:
    """Reads a data set into memory, so that the file can be replaced while it is in use.

    Raises:
        FileNotFoundError: if there is no such file.
        RunError: if it is damaged, or there is no memory for it.
    """
    contents = pathlib.Path(path).read_bytes()  # OSError here is about the disk, below the file
    try:
        return xr.load_dataset(io.BytesIO(contents), engine="h5netcdf")
    except Exception as error:  # what a damaged HDF5 file raises depends on where it is damaged
        again = "delete it and rerun the same command to measure again"
        raise reading.unusable(pathlib.Path(path), error, again) from error


def measured(
    workdir: Workdir,
    title: str,
    jobs: Mapping[str, Callable[[], xr.Dataset]],
    combine: Callable[[dict[str, xr.Dataset]], xr.Dataset],
) -> xr.Dataset:
    """The result of a run: read if it is there, otherwise measured job by job.

    Every finished job is kept, so that a run that was stopped, even by `kill -9`, continues with
    the others and ends with the same bits.

    Args:
        workdir: holds `results.nc` and, until that is there, a file for each job.
        title: of the progress bar.
        jobs: what measures each partial result, by a name that can name a file. The attribute
            `numbers` of a partial result is shown beside the bar.
        combine: makes the result from the partial results, in the order of `jobs`.

    Raises:
        RunError: a damaged file.
        OSError: if the disk is full or cannot be written.
    """
    path, folder = workdir.path(FILE), workdir.path(PARTIAL)
    if path.exists():
        data = load_dataset(path)
        shutil.rmtree(folder, ignore_errors=True)  # where a kill came between the two
        return data
    folder.mkdir(exist_ok=True)
    done = {name: file for name in jobs if (file := folder / f"{name}.nc").exists()}
    partial_results = {}
    with Progress(title, total=len(jobs), done=len(done)) as bar:
        for name, job in jobs.items():
            if name in done:
                partial_results[name] = load_dataset(done[name])
                continue
            partial_results[name] = job()
            save_dataset(partial_results[name], folder / f"{name}.nc")
            bar.advance(1, partial_results[name].attrs.get("numbers", name))
    data = combine(partial_results)
    save_dataset(data, path)
    shutil.rmtree(folder)
    return data


def to_dataframe(source: xr.Dataset | str | os.PathLike[str]) -> pd.DataFrame:
    """The variables of a data set as columns, with a row for each point of their dimensions.

    Variables that do not vary in some of the dimensions are repeated. Those with dimensions that no
    other variable has get rows of their own, in which the other columns are empty (NaN).

    Args:
        source: the data set; or the path of its file, or of a work directory with `results.nc`.

    Returns:
        The coordinates, then the variables, as columns.

    Raises:
        FileNotFoundError: if there is no such file.
        RunError: if it is damaged.
    """
    if not isinstance(source, xr.Dataset):
        path = pathlib.Path(source)
        source = load_dataset(path / FILE if path.is_dir() else path)
    everything = {frozenset(variable.dims) for variable in source.data_vars.values()}
    largest = [dims for dims in everything if not any(dims < other for other in everything)]
    frames = []
    for dims in sorted(largest, key=lambda dims: [name in dims for name in source.sizes])[::-1]:
        names = [name for name, values in source.data_vars.items() if dims.issuperset(values.dims)]
        part = source[names] if dims else source[names].expand_dims("_")
        frames.append(part.to_dataframe().reset_index().drop(columns="_", errors="ignore"))
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()


def metrics(workdir: Workdir | str | os.PathLike[str]) -> pd.DataFrame:
    """The log of a run that trains, with a row for each time that something was written down.

    Args:
        workdir: the work directory.

    Returns:
        The columns `step` and `group` (such as "train" or "evaluation"), then the `seconds` of
        training and the `time` (UTC) when the row was written, then the numbers by name, NaN where
        a row does not have one or it was not finite. Where a population was trained, there is a row
        for each `member`. Where a run trained several times, the folder of each training is in the
        column `training`. Half a row at the end, of a run that is writing it or was killed while it
        did, is left out.

    Raises:
        FileNotFoundError: if nothing was logged.
        RunError: if a log is damaged.
    """
    root = workdir.root if isinstance(workdir, Workdir) else pathlib.Path(workdir)
    logs = sorted(root.rglob(METRICS))
    if not logs:
        raise FileNotFoundError(f"{root}: holds no {METRICS}")
    frames = []
    for log in logs:
        frame = pd.DataFrame(list(_log_rows(log)))
        if log.parent != root:
            frame.insert(0, "training", log.parent.relative_to(root).as_posix())
        frames.append(frame)
    return pd.concat(frames, ignore_index=True)


def _log_rows(path: pathlib.Path) -> Iterator[dict[str, Any]]:
    """The rows of a log; one of a population becomes one for each of its members."""
    clock = _lines(path.with_name(CLOCK)) if path.with_name(CLOCK).exists() else []
    for number, row in enumerate(_lines(path), start=1):
        try:
            step = row.pop("step")
        except (LookupError, AttributeError, TypeError) as error:
            raise RunError(f"{path}: line {number} is damaged") from error
        written = clock[number - 1] if number <= len(clock) else {}
        for group, values in row.items():
            place = {"step": step, "group": group}
            if (written.get("step"), written.get("group")) == (step, group):
                place["seconds"] = written["seconds"]
                place["time"] = pd.Timestamp(written["time"])
            for member, numbers in enumerate(_by_member(values)):
                several = {"member": member} if _members(values) else {}
                yield place | several | {k: np.nan if v is None else v for k, v in numbers.items()}


def _lines(path: pathlib.Path) -> list[Any]:
    """The JSON values in the lines of a file, without half a line at its end."""
    try:
        *whole, _ = path.read_text(encoding="utf-8").split("\n")
    except UnicodeDecodeError as error:
        raise RunError(f"{path}: is damaged") from error
    values = []
    for number, line in enumerate(whole, start=1):
        try:
            values.append(json.loads(line))
        except (ValueError, RecursionError) as error:
            raise RunError(f"{path}: line {number} is damaged") from error
    return values


def _members(values: dict[str, Any]) -> int:
    """Over how many members the numbers of a row are lists; 0 where none is a list."""
    return max((len(value) for value in values.values() if isinstance(value, list)), default=0)


def _by_member(values: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for member in range(_members(values) or 1):
        yield {k: v[member] if isinstance(v, list) else v for k, v in values.items()}
