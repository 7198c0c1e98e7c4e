"""Report of `precision`."""

import xarray as xr

from experiments.precision.accuracy import shifts
from experiments.precision.config import Config
from experiments.precision.pictures import FLOOR, plot_chaos, plot_errors, plot_values
from experiments.precision.schema import CONTROL
from experiments.precision.tables import table_of_chaos, table_of_failures, table_of_lengths
from rnnlab import plots
from rnnlab.run.report import Report
from rnnlab.run.tables import print_table
from rnnlab.run.workdir import Workdir

#: A p-value below this counts as a difference. Two tests are made.
LEVEL = 0.025


def write(config: Config, workdir: Workdir, data: xr.Dataset) -> None:
    """Writes pictures and report, and prints the tables."""
    with plots.style():
        plots.save(plot_values(config, data), workdir.path("values.png"))
        plots.save(plot_errors(config, data), workdir.path("errors.png"))
        plots.save(plot_chaos(config, data), workdir.path("chaos.png"))
    write_report(config, workdir, data)
    print_table(table_of_lengths(config, data), title=lengths_title(config))
    print_table(table_of_failures(config, data), title="Right and wrong values")
    print_table(table_of_chaos(data), title=chaos_title(config))


def write_report(config: Config, workdir: Workdir, data: xr.Dataset) -> None:
    """Writes `report.html`."""
    report = Report("Where a gradient norm stops being right")
    report.text(
        "The norm of the gradient of a loss at step T with respect to the state before the first "
        "step, of the same networks, computed in four ways. Naive: automatic differentiation, then "
        "the norm. Log-domain: the adjoint is renormalised at every step and its scale kept as an "
        "exponent. A norm squares its entries, so it fails at the square root of the limits of the "
        "type: near 1e−19 and 1e19 in float32, 1e−154 and 1e154 in float64."
    )
    report.figure(
        workdir.path("values.png"),
        caption=f"log10 of the norm for the first of {config.seeds} networks with H = "
        f"{config.hidden} at each radius. A missing marker is a 0, an inf or a nan.",
        alt="Norms against the length, computed in four ways, and the limits of the types.",
    )
    report.table(table_of_lengths(config, data), caption=lengths_title(config))
    _report_errors(config, workdir, data, report)
    _report_chaos(config, workdir, data, report)
    report.settings(workdir)
    report.write(workdir.path("report.html"))


def _report_errors(config: Config, workdir: Workdir, data: xr.Dataset, report: Report) -> None:
    """How far the values are from the right ones."""
    report.text(
        f"The right value is known exactly for the {CONTROL} network, T log10 ρ. For the others "
        "the float64 log-domain value is taken as right, which cannot show its own rounding. Where "
        "float32 is wrong in the log domain too, the trajectory differs: see the last section."
    )
    report.figure(
        workdir.path("errors.png"),
        caption=f"Absolute error in decades, median of {config.seeds} networks; errors below "
        f"{FLOOR:g} are plotted there. A cross: from here on the median is 0, inf or nan.",
        alt="Error of each way of computing against the length, a row for each network.",
    )
    report.table(
        table_of_failures(config, data),
        caption=f"All values; wrong is an error above {config.tolerance:g} decades.",
    )


def _report_chaos(config: Config, workdir: Workdir, data: xr.Dataset, report: Report) -> None:
    """What rounding does to a chaotic network."""
    report.heading("One trajectory of a chaotic network")
    report.text(
        "In a chaotic network rounding changes the trajectory itself, in float64 too, only later. "
        "No way of computing the norm changes this: beyond the length at which a curve on the left "
        "reaches the tolerance, the value of one seed is one of many equally right ones. What can "
        f"be compared is the distribution over seeds. {shift_found(config, data)}"
    )
    report.figure(
        workdir.path("chaos.png"),
        caption=f"{config.chaotic_seeds} {config.cells[0]} networks with H = {config.hidden} and "
        f"ρ = {config.chaotic_radius:g}, log-domain. Left: distance of a seed's value from the one "
        "in float64, median and quartiles; dotted line: the tolerance. Middle: median and "
        "quartiles of the value. Right: its distribution over seeds.",
        alt="Distance of single values from float64, and distributions over seeds, by rounding.",
    )
    report.table(table_of_chaos(data), caption=chaos_title(config))


def shift_found(config: Config, data: xr.Dataset) -> str:
    """What the test of the two roundings says."""
    p = shifts(data)
    shifted = [rounding for rounding, value in p.items() if value < LEVEL]
    tested = ", ".join(f"{rounding}: p = {value:.2g}" for rounding, value in p.items())
    return (
        f"Whether its median differs from that in float64 at T = {config.chaotic_lengths[-1]} was "
        f"tested over {config.chaotic_seeds} networks (Wilcoxon's signed-rank test, {tested}): "
        + (f"it does for {', '.join(shifted)}." if shifted else "no difference was found.")
    )


def lengths_title(config: Config) -> str:
    """Title of the table of lengths."""
    return (
        f"Longest T up to which all {config.seeds} networks are right within "
        f"{config.tolerance:g} decades, of the lengths {config.lengths[0]} to {config.lengths[-1]}"
    )


def chaos_title(config: Config) -> str:
    """Title of the table of the chaotic networks."""
    return (
        f"log10 ‖∂L/∂s_0‖ at T = {config.chaotic_lengths[-1]} of {config.chaotic_seeds} "
        f"{config.cells[0]} networks with ρ = {config.chaotic_radius:g}: quantiles over seeds"
    )
