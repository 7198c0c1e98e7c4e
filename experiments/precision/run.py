"""From the settings of `precision` to its report."""

from experiments.precision import report
from experiments.precision.config import Config
from experiments.precision.measure import measure
from rnnlab.run.workdir import Status, Workdir


def run(config: Config, workdir: Workdir) -> Status:
    """Measures all networks in all ways, and writes results, pictures, report."""
    report.write(config, workdir, measure(config, workdir))
    return "done"
