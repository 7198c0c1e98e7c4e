"""Runs the sweep of `gradient_norms`."""

import xarray as xr

from experiments.gradient_norms.config import (
    GENERATED_INPUTS,
    GRID_CHUNKS,
    Config,
    with_field_names,
)
from rnnlab import sweep
from rnnlab.errors import UsageError
from rnnlab.run import results
from rnnlab.run.workdir import Workdir
from rnnlab.sweep.draws import InputTexts


def measure(config: Config, workdir: Workdir) -> xr.Dataset:
    """The result of the sweep, in `results.nc`; finished grid chunks are in `grid_chunks`."""
    path = workdir.path(results.FILE)
    try:
        if config.inputs not in GENERATED_INPUTS:
            texts = InputTexts(config.data_dir or None, config.manual_dir or None)
            text, _ = texts.read(config.inputs)
            workdir.rely_on(f"inputs={config.inputs}", text.encode("utf-8", "surrogatepass"))
        if config.extends:
            workdir.rely_on_run(config.earlier.parent)
        if path.exists():
            return results.load_dataset(path)
        data = sweep.run(
            config.grid(),
            workdir.first / GRID_CHUNKS,
            extends=config.earlier if config.extends else None,
            memory=config.memory_mib * 2**20,
            data_dir=config.data_dir or None,
            manual_dir=config.manual_dir or None,
        )
    except UsageError as error:
        raise with_field_names(error) from error
    results.save_dataset(data, path)
    return data
