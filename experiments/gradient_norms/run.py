"""From the settings of `gradient_norms` to its report."""

from experiments.gradient_norms import report
from experiments.gradient_norms.config import Config
from experiments.gradient_norms.measure import measure
from rnnlab.run.workdir import Status, Workdir


def run(config: Config, workdir: Workdir) -> Status:
    """Measures, or reads what was measured; then writes pictures and report, and prints tables."""
    report.write(config, workdir, measure(config, workdir))
    return "done"
