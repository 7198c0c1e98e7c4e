"""Report of `jacobian_spectra`."""

import math

import xarray as xr

from experiments.jacobian_spectra.config import Config
from experiments.jacobian_spectra.pictures import plot_histograms, plot_validity
from experiments.jacobian_spectra.schema import ORTHOGONAL, POWER, PRODUCT
from experiments.jacobian_spectra.tables import case_rows, validity_rows
from rnnlab import plots
from rnnlab.run.report import Report
from rnnlab.run.tables import print_table
from rnnlab.run.workdir import Workdir


def write(config: Config, workdir: Workdir, data: xr.Dataset) -> None:
    """Writes pictures and report, and prints the tables."""
    report = Report("Singular values of products of Jacobians")
    report_histograms(config, workdir, data, report)
    report_validity(config, workdir, data, report)
    report.settings(workdir)
    report.write(workdir.path("report.html"))


def report_histograms(config: Config, workdir: Workdir, data: xr.Dataset, report: Report) -> None:
    """The histograms: text, picture and table."""
    with plots.style():
        picture = plots.save(plot_histograms(config, data), workdir.path("histograms.png"))
    spread = float(
        abs(
            data.log10_sigma.sel(case=ORTHOGONAL).isel(index=slice(0, config.hidden))
            - data.length * math.log10(config.gain)
        ).max()
    )
    report.text(
        "The singular values of ∂s_T/∂s_0 are the factors by which a perturbation of the state at "
        "time 0 has grown at time T, along each direction, and by which a gradient grows on the "
        "way back. Power: the "
        "linear network with one Gaussian matrix, applied T times. Product: T independent ones. "
        f"The singular values of the orthogonal network are gain^T to within {spread:.1e} decades."
    )
    report.figure(
        picture,
        caption=f"Density of (1/T) log10 σ, pooled over {config.seeds} networks of width "
        f"{config.hidden}, a row for each T. Black: theory, a point for orthogonal matrices, "
        "Fuss–Catalan for products and for powers of Gaussian ones. The nonlinear cells have "
        "orthogonal recurrent matrices and an input of standard deviation "
        f"{config.input_scale:g} to each gate; those with a cell state c are measured in the joint "
        "state (h, c).",
        alt="Histograms of log10 of singular values, a row for each T, a column for each case.",
    )
    rows = case_rows(data)
    report.table(rows, caption="Quantiles of log10 σ in decades, pooled over the networks.")
    print_table(rows, title="log10 σ of ∂s_T/∂s_0")


def _which_departs(data: xr.Dataset) -> str:
    """At how many widths the powers are farther from the law than the products at the last T."""
    last = data.distance.isel(length=-1)
    farther = int((last.sel(kind=POWER) > last.sel(kind=PRODUCT)).sum())
    return (
        f"At T = {int(data.length[-1])} the powers are farther from the law than the products of "
        f"independent matrices at {farther} of {data.sizes['width']} widths."
    )


def report_validity(config: Config, workdir: Workdir, data: xr.Dataset, report: Report) -> None:
    """Where the theory ends: text, picture and table."""
    with plots.style():
        picture = plots.save(plot_validity(data), workdir.path("validity.png"))
    report.heading("Where Fuss–Catalan holds")
    report.text(
        "The law is exact for infinite width at fixed T. At finite width the largest singular "
        "value of the powers of one matrix ends up following the spectral radius of that matrix, "
        f"which a single eigenvalue decides. {_which_departs(data)}"
    )
    report.figure(
        picture,
        caption="Left: largest difference between the distribution functions of the pooled log10 σ "
        "and of the Fuss–Catalan law. Right: median and quartiles over "
        f"{config.seeds} networks of log10 σ_max, minus the edge of the law. Circles and solid "
        "lines: independent products; squares and dashed lines: powers of one matrix, the same as "
        "the first factor of the product; dotted: T = √N.",
        alt="Distance from the law, and largest singular value over its edge, against T by width.",
    )
    rows = validity_rows(data)
    report.table(rows, caption="Distance from the law, and the largest singular value in decades.")
    print_table(rows, title="distance from Fuss-Catalan")
