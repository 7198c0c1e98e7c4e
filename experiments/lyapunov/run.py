"""From the settings of `lyapunov` to its report."""

from experiments.lyapunov import report
from experiments.lyapunov.config import Config
from experiments.lyapunov.measure import measure
from rnnlab.run.workdir import State, Workdir


def run(config: Config, workdir: Workdir) -> State:
    """Measures what is not there yet, and writes pictures, report and tables."""
    report.write(config, workdir, measure(config, workdir))
    return "done"
