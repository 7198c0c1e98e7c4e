"""Labelled results on disk: netCDF-4 files that are whole or absent, and checked when read.

`xarray.Dataset`s with named axes, units and meanings; any netCDF or HDF5 tool reads them.

    data = results.measured(workdir, "lyapunov", jobs, combine)     # measures once, then re-reads
"""

import io
import os
import pathlib
import shutil
from collections.abc import Callable, Mapping
from typing import Any

import xarray as xr

from rnnlab.errors import RunError
from rnnlab.run.progress import Progress
from rnnlab.run.workdir import Workdir, atomic_write

#: The finished result of an experiment, and the folder of its parts until then.
FILE = "results.nc"
PARTS = "parts"


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
    dataset.to_netcdf(file, engine="h5netcdf", encoding=encoding)
    return atomic_write(path, file.getvalue())


def load_dataset(path: str | os.PathLike[str]) -> xr.Dataset:
    """Reads a data set into memory, so that the file can be replaced while it is in use.

    Raises:
        FileNotFoundError: if there is no such file.
        RunError: if it is damaged.
    """
    contents = pathlib.Path(path).read_bytes()  # OSError here is about the disk, below the file
    try:
        return xr.load_dataset(io.BytesIO(contents), engine="h5netcdf")
    except Exception as error:  # what a damaged HDF5 file raises depends on where it is damaged
        raise RunError(
            f"{path}: is damaged ({type(error).__name__}); delete it, and the same command "
            "measures again"
        ) from error


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
        jobs: what measures each part, by a name that can name a file. The attribute `numbers` of a
            part is shown beside the bar.
        combine: makes the result from the parts, in the order of `jobs`.

    Raises:
        RunError: a damaged file.
        OSError: if the disk is full or cannot be written.
    """
    path, folder = workdir.path(FILE), workdir.path(PARTS)
    if path.exists():
        return load_dataset(path)
    folder.mkdir(exist_ok=True)
    done = {name: file for name in jobs if (file := folder / f"{name}.nc").exists()}
    parts = {}
    with Progress(title, total=len(jobs), done=len(done)) as bar:
        for name, job in jobs.items():
            if name in done:
                parts[name] = load_dataset(done[name])
                continue
            parts[name] = job()
            save_dataset(parts[name], folder / f"{name}.nc")
            bar.advance(1, parts[name].attrs.get("numbers", name))
    data = combine(parts)
    save_dataset(data, path)
    shutil.rmtree(folder)
    return data
