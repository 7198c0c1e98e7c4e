"""From the settings of `jacobian_spectra` to its report."""

from experiments.jacobian_spectra import report
from experiments.jacobian_spectra.config import Config
from experiments.jacobian_spectra.measure import measure
from rnnlab.run.workdir import Status, Workdir


def run(config: Config, workdir: Workdir) -> Status:
    """Measures what is not there yet, and writes pictures, report and tables."""
    report.write(config, workdir, measure(config, workdir))
    return "done"
