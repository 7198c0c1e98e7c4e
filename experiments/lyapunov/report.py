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
        "ln gain of the same matrices, which is what a network at rest must have."
        + _at_critical_gain(config),
        alt="Largest exponents against the gain by width, and their distance from mean field.",
    )
    rows = exponent_rows(data)
    report.table(rows, caption="Largest exponent, nats per step, mean ± standard error.")
    print_table(rows, title="largest Lyapunov exponent of tanh networks, nats per step")


def _at_critical_gain(config: Config) -> str:
    """A warning where the state is measured at gain 1 without input, where it decays as 1/√T."""
    if 1.0 not in config.gains or 0.0 not in config.input_stds:
        return ""
    return (
        " At gain 1 and without input the state decays as 1/√T only, and has not come to rest "
        f"after {config.steps} steps."
    )


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
        "so far, median and quartiles. Directions in which nothing is left of a perturbation, and "
        "networks whose state has overflowed, are counted in the table and not drawn.",
        alt="Lyapunov spectra by cell and gain, and how the largest exponents converge.",
    )
    rows = spectrum_rows(data)
    report.table(
        rows,
        caption="Exponents in nats per step: the largest, mean ± standard error over the networks, "
        "and medians. On average `positive` directions expand, and of `lost` ones, with the "
        "exponent -inf, nothing is left; `overflowed` counts networks.",
    )
    print_table(rows, title="Lyapunov spectra, nats per step")
