"""Report of `lyapunov`."""

import xarray as xr

from experiments.lyapunov.config import Config
from experiments.lyapunov.pictures import plot_exponents, plot_spectra
from experiments.lyapunov.tables import exponent_rows, spectrum_rows
from rnnlab import plots
from rnnlab.run.report import Report
from rnnlab.run.tables import print_table
from rnnlab.run.workdir import Workdir


def write(config: Config, workdir: Workdir, data: xr.Dataset) -> None:
    """Writes pictures and report, and prints the tables."""
    report = Report("Lyapunov exponents of random recurrent networks")
    report_exponents(config, workdir, data, report)
    if config.spectrum_cells:
        report_spectra(config, workdir, data, report)
    report.settings(workdir)
    report.write(workdir.path("report.html"))


def report_exponents(config: Config, workdir: Workdir, data: xr.Dataset, report: Report) -> None:
    """The first measurement: picture, text and table."""
    with plots.style():
        picture = plots.save(plot_exponents(data), workdir.path("exponents.png"))
    report.text(
        "The largest Lyapunov exponent λ is the mean growth of a generic small perturbation, in "
        "nats per step. Gradients vanish on average where it is negative and explode where it is "
        "positive. Mean field predicts it for infinite width; every network has a finite one."
    )
    report.figure(
        picture,
        caption=f"Top: largest exponent of random tanh networks, mean and standard error over "
        f"{config.seeds} networks, against the gain; black: mean field; dotted: its critical gain. "
        "Bottom: the distance from mean field. Dashed, without input and below gain 1: ln ρ(wh) − "
        "ln gain of the same matrices, which is what a network at rest must have. At gain 1 and "
        f"without input the state has not come to rest after {config.steps} steps.",
        alt="Measured exponents approach the mean-field curve as the width grows.",
    )
    rows = exponent_rows(data)
    report.table(rows, caption="Largest exponent, nats per step, mean ± standard error.")
    print_table(rows, title="largest Lyapunov exponent of tanh networks, nats per step")


def report_spectra(config: Config, workdir: Workdir, data: xr.Dataset, report: Report) -> None:
    """The second measurement: picture, text and table."""
    with plots.style():
        picture = plots.save(plot_spectra(config, data), workdir.path("spectra.png"))
    report.heading("Whole spectra")
    report.figure(
        picture,
        caption=f"Top: Lyapunov spectra at width N = {config.spectrum_hidden}, mean over "
        f"{config.spectrum_seeds} networks, band from the least to the largest, on an axis that is "
        "linear between −1 and 1; a cross marks the mean-field value of the largest exponent. "
        "Exponents of the LSTM belong to the joint state (h, c). Input of standard deviation "
        f"{config.spectrum_input_std:g} to every gate. Bottom: the largest exponent over the steps "
        "so far, median and quartiles.",
        alt="Gated cells keep many directions near zero; those of the tanh network decay faster.",
    )
    rows = spectrum_rows(data)
    report.table(
        rows,
        caption="Exponents in nats per step; `positive` counts expanding directions, on average.",
    )
    print_table(rows, title="Lyapunov spectra, nats per step")
