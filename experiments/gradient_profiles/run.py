"""From the settings of `gradient_profiles` to its report."""

from experiments.gradient_profiles import report
from experiments.gradient_profiles.config import Config
from experiments.gradient_profiles.measure import measure
from rnnlab.run.workdir import Status, Workdir


def run(config: Config, workdir: Workdir) -> Status:
    """Measures what is not there yet, and writes pictures, report and tables."""
    report.write(config, workdir, measure(config, workdir))
    return "done"
