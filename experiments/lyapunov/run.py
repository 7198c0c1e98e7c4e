"""From the settings of `lyapunov` to its report."""

from experiments.lyapunov import report
from experiments.lyapunov.config import Config
from experiments.lyapunov.measure import measure
from rnnlab.run.workdir import Status, Workdir


def run(config: Config, workdir: Workdir) -> Status:
    """Measures what is not there yet, and writes pictures, report and tables."""
    report.write(config, workdir, measure(config, workdir))
    return "done"
