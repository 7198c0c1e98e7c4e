"""From the settings of `cliff` to its report."""

from experiments.cliff import report
from experiments.cliff.config import Config
from experiments.cliff.measure import measure
from rnnlab.run.workdir import Status, Workdir


def run(config: Config, workdir: Workdir) -> Status:
    """Measures the surface, descends it in three ways, and writes results, pictures, report."""
    report.write(config, workdir, measure(config, workdir))
    return "done"
