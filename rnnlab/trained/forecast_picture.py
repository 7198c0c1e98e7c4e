"""The picture of a forecast: the end of what was observed, and what follows with its spread."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from rnnlab import plots

if TYPE_CHECKING:
    from rnnlab.trained.forecaster import Forecast

#: Variables that are drawn, at most, and observations for each step of the forecast.
MOST, BEFORE = 6, 1


def plot(names: tuple[str, ...], observed: np.ndarray, forecast: Forecast) -> Figure:
    """A panel for each variable; the first ones where there are many."""
    shown = names[:MOST]
    figure, axes = plots.subplots(
        len(shown), 1, width=8, height=1.0 + 1.6 * len(shown), sharex=True
    )
    past = observed[-BEFORE * len(forecast.values) :]
    before, after = np.arange(1 - len(past), 1), np.arange(1, 1 + len(forecast.values))
    for place, (ax, name) in enumerate(zip(axes[:, 0], shown, strict=True)):
        ax.plot(before, past[:, place], color="k", ls="-", label="observed")
        low, high = forecast.low[:, place], forecast.high[:, place]
        ax.fill_between(after, low, high, color="C0", alpha=0.25, lw=0, label="nine tenths")
        ax.plot(after, forecast.values[:, place], color="C0", ls="-", label="forecast")
        ax.axvline(0.5, color="#555555", ls="--", lw=1)
        ax.set(ylabel=name)
    axes[-1, 0].set(xlabel="steps after the last observation")
    plots.legend_below(figure, axes[0, 0], columns=3)
    return figure
