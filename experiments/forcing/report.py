"""Valid times, exponents and gradients against the interval of forcing, as a picture and a page."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from experiments.forcing.config import GRID, Config
from rnnlab import plots
from rnnlab.comparison import spread_text
from rnnlab.run.report import Report
from rnnlab.run.tables import print_table
from rnnlab.run.workdir import Workdir
from rnnlab.training import populations
from rnnlab.training.series import Series

PICTURE = "forcing.png"
#: What is drawn, and its name.
PANELS = {
    "valid": "valid time (Lyapunov times)",
    "exponent": "largest exponent (nats per time)",
    "histograms": "distance of histograms",
    "log10_gradient": "log10 of the largest gradient",
}


def write(workdir: Workdir, data: xr.Dataset, config: Config, series: Series) -> None:
    """Writes picture and page, and prints the table."""
    best = np.log(2) * series.lyapunov_steps
    with plots.style():
        plots.save(plot(data, series, best), workdir.path(PICTURE))
    rows = table(data)
    page = Report("How often must a network that learns chaos be shown the truth?")
    page.text(
        f"""Networks that learn to predict a series are shown one observation in τ steps, and read
        their own predictions in between. Where small errors double, in {best:.0f} steps, Mikhaeil
        et al. (2022) find the best τ. {config.population.seeds} seeds; the largest τ is all of a
        window of {config.training.length} steps, so that clipping alone, to a norm of
        {config.training.clip_norm:g}, keeps the gradient in bounds."""
    )
    page.figure(
        workdir.path(PICTURE),
        caption="Against the interval of forcing τ, median and quartiles of seeds. Dashed: "
        "ln 2 / λ, in which small errors double; dotted: the published exponent of the system.",
        alt="Valid times, exponents, distances and gradients against the interval of forcing.",
    )
    page.table(rows, caption=CAPTION)
    page.settings(workdir)
    page.write(workdir.path("report.html"))
    print_table(rows, title="One observation shown in τ steps")


def plot(data: xr.Dataset, series: Series, best: float) -> Figure:
    """A panel for each number, against the interval."""
    figure, axes = plots.subplots(1, len(PANELS), width=12, height=3.4)
    every = data.every.values
    for ax, (variable, label) in zip(axes[0], PANELS.items(), strict=True):
        for index, network in enumerate(data.network.values):
            values = data[variable].sel(network=network)
            values = values.median("start") if "start" in values.dims else values
            samples = values.transpose("seed", "every").values
            look = {"color": plots.COLORS[index], "linestyle": "-", "finite_only": True}
            plots.quantile_band(ax, every, samples, str(network), **look)
        ax.axvline(best, color="#555555", linestyle="--", linewidth=1)
        ax.set(xlabel="τ (steps)", ylabel=label, xscale="log")
        plots.ticks_at(ax.xaxis, every)
    if series.exponent:
        axes[0, 1].axhline(series.exponent, color="#555555", linestyle=":", linewidth=1)
    plots.legend_below(figure, axes[0, 0])
    return figure


def table(data: xr.Dataset) -> list[dict[str, object]]:
    """A row for each network and interval: the seeds with their spread."""
    rows: list[dict[str, object]] = []
    for one in populations.points(data, GRID):
        valid = one.valid.median("start").values
        rows.append(
            {
                "network": str(one.network.item()),
                "τ": int(one.every),
                "valid time": spread_text(valid.tolist()),
                "exponent": spread_text(one.exponent.values.tolist()),
                "distance of histograms": spread_text(one.histograms.values.tolist()),
                "distance of spectra": spread_text(one.spectra.values.tolist()),
                "error of one step": spread_text(one.one_step.values.tolist()),
                "log10 of the largest gradient norm": spread_text(
                    one.log10_gradient.values.tolist()
                ),
                "diverged": int(np.isfinite(one.diverged_at.values).sum()),
            }
        )
    return rows


CAPTION = """\
    Mean of the seeds, for three or more ± half its 95 % interval by Student's t, and in brackets
    the least and the largest value. Valid times are medians over starts, in Lyapunov times;
    exponents in nats for each unit of time; distances are Hellinger's, between a long run without
    any observation and the test split; the gradient is the largest mean norm of a dispatch of
    training steps, before it is clipped."""
