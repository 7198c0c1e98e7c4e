"""What every preset has to do: run, and be what the record says."""

import json

from rnnlab.run.workdir import open_workdir
from tests.experiments.settings import assert_recorded


def run_tiny(experiment, folder):
    """Runs the preset `tiny` of an experiment (a package) and checks its record.

    Returns:
        The names of the files and folders that it made.
    """
    name = experiment.__name__.rpartition(".")[2]
    config = experiment.PRESETS["tiny"]
    with open_workdir(folder, name, config, preset="tiny") as workdir:
        assert experiment.run(config, workdir) == "done"
    assert_recorded(folder, name, config)
    assert json.loads((folder / "status.json").read_text())["state"] == "done"
    return {path.name for path in folder.iterdir()}
