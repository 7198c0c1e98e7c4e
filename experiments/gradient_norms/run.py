"""From the settings of `gradient_norms` to its report."""

from experiments.gradient_norms import report
from experiments.gradient_norms.config import Config
from experiments.gradient_norms.measure import measure
from rnnlab.run.workdir import State, Workdir


def run(config: Config, workdir: Workdir) -> State:
    """Measures, or reads what was measured; then writes pictures and report, and prints tables."""
    report.write(config, workdir, measure(config, workdir))
    return "done"
