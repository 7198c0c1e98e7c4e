"""Forecasts, valid times and attractors as pictures and a page."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from experiments.forecasting.config import Config
from rnnlab import plots
from rnnlab.run.report import Report
from rnnlab.run.workdir import Workdir
from rnnlab.training.forecasting import starts_of
from rnnlab.training.series import Series

FORECAST, ERRORS, ATTRACTOR = "forecast.png", "errors.png", "attractor.png"
#: Variables of a forecast that are drawn, at most; more are drawn as a map.
FEW = 3
#: Points of an attractor that are drawn.
POINTS = 4000
#: What the summary says of every forecaster.
COLUMNS = (
    "valid time",
    "valid time, first quartile",
    "valid time, third quartile",
    "error of one step",
    "distance of histograms",
    "distance of spectra",
)


def write(
    config: Config, workdir: Workdir, series: Series, summary: dict[str, Any], data: xr.Dataset
) -> None:
    """Draws the pictures and writes the page.

    Args:
        config: of the run.
        workdir: of the run.
        series: the series.
        summary: the run in a few numbers.
        data: the forecasts of all forecasters.
    """
    names = [str(name) for name in data.forecaster.values]
    page = Report("For how long can a recurrent network forecast a chaotic system?")
    page.text(INTRODUCTION)
    rows = [(name, *(summary[f"{what} of {name}"] for what in COLUMNS)) for name in names]
    page.table(rows, columns=("forecaster", *COLUMNS), caption=CAPTION)
    rest = [(k, v) for k, v in summary.items() if not k.endswith(tuple(f" of {n}" for n in names))]
    page.table(rest, columns=("what", "value"), caption=REST)
    with plots.style():
        pictures = {
            FORECAST: (plot_forecast(config, series, data), FORECAST_CAPTION),
            ERRORS: (plot_errors(config, series, data), ERRORS_CAPTION),
            ATTRACTOR: (plot_attractors(series, data), ATTRACTOR_CAPTION),
        }
        for name, (figure, caption) in pictures.items():
            plots.save(figure, workdir.path(name))
            page.figure(workdir.path(name), caption=caption, alt=caption.split(".")[0] + ".")
    page.settings(workdir)
    page.write(workdir.path("report.html"))


def plot_forecast(config: Config, series: Series, data: xr.Dataset) -> Figure:
    """The first forecast of the test split against the truth."""
    chosen = config.forecasts
    start = starts_of(series.test, chosen.starts, chosen.before, chosen.ahead)[0]
    truth = series.test[start : start + chosen.ahead]
    times = np.arange(chosen.ahead) / series.lyapunov_steps
    if len(series.names) > FEW:
        return _plot_maps(times, truth, data, series.unit)
    figure, axes = plots.subplots(
        len(series.names), 1, width=8, height=0.8 + 1.7 * len(series.names), sharex=True
    )
    for place, (ax, name) in enumerate(zip(axes[:, 0], series.names, strict=True)):
        middle, scale = series.mean[place], series.scale[place]
        real = truth[:, place] * scale + middle
        ax.plot(times, real, color="k", lw=1.6, label="truth")
        for index, forecaster in enumerate(data.forecaster.values[:3]):
            line = data.predicted.sel(forecaster=forecaster).values[:, place] * scale + middle
            ax.plot(times, line, color=plots.COLORS[index], lw=1.2, ls="-", label=str(forecaster))
        room = 0.15 * np.ptp(real)
        ax.set(ylabel=name, ylim=(real.min() - room, real.max() + room))
    axes[-1, 0].set(xlabel=f"{series.unit} since the last observation", xlim=(0, times[-1]))
    plots.legend_below(figure, axes[0, 0], columns=4)
    return figure


def _plot_maps(times: np.ndarray, truth: np.ndarray, data: xr.Dataset, unit: str) -> Figure:
    """Of many variables: truth, forecast of the network, and the difference, over time."""
    forecast = data.predicted.values[0]
    rows = {"truth": truth, "network": forecast, "difference": forecast - truth}
    figure, axes = plots.subplots(3, 1, width=8, height=6, sharex=True)
    limit = float(np.abs(truth).max())
    for ax, (name, values) in zip(axes[:, 0], rows.items(), strict=True):
        mesh = ax.pcolormesh(
            times,
            np.arange(truth.shape[1]),
            values.T,
            cmap="RdBu_r",
            vmin=-limit,
            vmax=limit,
            rasterized=True,
        )
        ax.set(ylabel="variable", title=name)
    plots.add_colorbar(mesh, axes, "standard deviations")
    axes[-1, 0].set(xlabel=f"{unit} since the last observation")
    return figure


def plot_errors(config: Config, series: Series, data: xr.Dataset) -> Figure:
    """How errors grow, and for how long forecasts are valid."""
    figure, axes = plots.subplots(1, 2, width=9, height=3.4)
    growth, valid = axes[0]
    steps = np.arange(1, data.sizes["step"] + 1) / series.lyapunov_steps
    names = [str(name) for name in data.forecaster.values]
    for index, name in enumerate(names):
        errors = np.minimum(data.errors.sel(forecaster=name).values.T, 1e3)
        color = plots.COLORS[index]
        plots.quantile_band(growth, steps, errors, name, color=color, linestyle="-")
        times = np.append(0, np.sort(data.valid.sel(forecaster=name).values))
        share = 1 - np.arange(len(times)) / (len(times) - 1)
        valid.step(times, share, where="post", color=color, ls="-", label=name)
    growth.axhline(config.forecasts.threshold, color="#555555", ls=":", lw=1)
    growth.set(
        xlabel=f"{series.unit} since the last observation",
        ylabel="error (standard deviations)",
        yscale="log",
        xlim=(0, steps[-1]),
        ylim=(max(float(data.errors.median("start").min()) / 4, 1e-7), 5),
    )
    valid.set(xlabel=series.unit, ylabel="share of forecasts still valid", xlim=(0, steps[-1]))
    plots.legend_below(figure, valid, columns=4)
    return figure


def plot_attractors(series: Series, data: xr.Dataset) -> Figure:
    """The test split, and what the network and the echo-state network make of themselves."""
    panels = {"truth": series.test}
    panels |= {str(n): data.alone.sel(forecaster=n).values for n in data.forecaster.values[:2]}
    figure, axes = plots.subplots(1, len(panels), width=9, height=3.3, sharex=True, sharey=True)
    labels, pair = _coordinates(series)
    limits = [(values.min(), values.max()) for values in pair(series.test)]
    for ax, (name, values) in zip(axes[0], panels.items(), strict=True):
        x, y = pair(values[:POINTS])
        ax.plot(x, y, lw=0.4, color="#333333", ls="-")
        if not (_within(x, limits[0]) & _within(y, limits[1])).any():
            ax.text(0.5, 0.5, "elsewhere", transform=ax.transAxes, ha="center", color="#555555")
        ax.set(title=name, xlabel=labels[0])
    axes[0, 0].set(ylabel=labels[1])
    for set_limits, (low, high) in zip(
        (axes[0, 0].set_xlim, axes[0, 0].set_ylim), limits, strict=True
    ):
        set_limits(low - 0.1 * (high - low), high + 0.1 * (high - low))
    return figure


def _within(values: np.ndarray, limits: tuple[float, float]) -> np.ndarray:
    """Which values lie within limits."""
    return (limits[0] <= values) & (values <= limits[1])


def _coordinates(series: Series) -> Any:
    """Labels of two axes, and what makes the two coordinates of states.

    They are two variables, or where there is one alone, it and its past.
    """
    name, *others = series.names
    if others:
        last = -1 if len(series.names) <= FEW else len(series.names) // 2

        def pair(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            return values[:, 0], values[:, last]

        return (name, series.names[last]), pair
    lag = max(round(0.1 * series.lyapunov_steps), 1)
    return (name, f"{name}, {lag} step{'s' * (lag > 1)} before"), lambda values: (
        values[lag:, 0],
        values[:-lag, 0],
    )


INTRODUCTION = """\
    A network was taught to predict the next observation of a series and then reads its own
    predictions. A forecast is valid until its error, the root of the mean square over variables in
    units of their standard deviations, first reaches a threshold (Vlachas et al. 2020). One
    Lyapunov time is that in which small errors grow by e. All forecasters are judged on the same
    starts of the test split; validation chose the checkpoint of the network, the settings of the
    echo-state network and the penalty of the autoregression."""
CAPTION = """\
    Valid times in Lyapunov times, or in steps where these are not known: median and quartiles over
    starts. Error of one step in standard deviations. Distances are Hellinger's, 0 to 1, between a
    long run without any observation and the test split: of the histograms of the variables, and of
    their power spectra, which say whether the climate is right long after the weather is not."""
REST = """\
    Exponents in nats for each unit of time. The band of a forecast holds the middle nine tenths of
    an ensemble, with noise like the errors of one step; nine tenths of the truth should lie within
    it."""
FORECAST_CAPTION = """\
    The first forecast of the test split. Black: truth; after time 0 forecasters see their own
    predictions only."""
ERRORS_CAPTION = """\
    Errors of forecasts. Left: median and quartiles over starts; dotted: the threshold. Right: share
    of the starts from which the forecast is still valid."""
ATTRACTOR_CAPTION = """\
    Long runs without any observation, in standard deviations. Left: test split. Then the network,
    and the echo-state network."""
