"""Pictures of `clipping`: success rates against T, and curves against training steps."""

from __future__ import annotations

from typing import Any

import xarray as xr
from matplotlib.figure import Figure

from rnnlab import plots

#: Methods as the paper calls them.
TITLES = {"sgd": "MSGD", "clip": "MSGD-C", "clip_penalty": "MSGD-CR"}
#: Files of curves: variable, label of the axis, and scale.
CURVES = {
    "losses.png": ("loss", "loss in nats", "log"),
    "gradients.png": ("gradient_norm", "gradient norm before clipping", "log"),
    "radii.png": ("spectral_radius", "spectral radius ρ of W_h", "linear"),
}


def success(data: xr.Dataset) -> Figure:
    """A panel for every start: success rate against T."""
    starts, lengths = data.start.values, data.length.values
    figure, axes = plots.subplots(1, len(starts), width=1.6 + 3.4 * len(starts), height=3.4)
    for ax, start in zip(axes[0], starts, strict=True):
        for index, (method, style) in enumerate(_styles(data)):
            aside = 1.015 ** (index - (data.sizes["method"] - 1) / 2)  # so that none hides another
            solved_at = data.solved_at.sel({"start": start, "method": method}).values
            plots.success_rates(ax, lengths * aside, solved_at, **style)
        ax.set_title(str(start))
        plots.rates_by_length(ax, lengths)
    axes[0, 0].set_ylabel("share of seeds that solve it")
    plots.legend_below(figure, axes[0, 0])
    return figure


def curves(data: xr.Dataset, variable: str, label: str, scale: str) -> Figure:
    """A panel for every start and length: a variable against training steps, by method."""
    starts, lengths = data.start.values, data.length.values
    figure, axes = plots.subplots(
        len(starts), len(lengths), width=1.2 + 3.6 * len(lengths), height=0.8 + 2.8 * len(starts)
    )
    for row, start in zip(axes, starts, strict=True):
        for ax, length in zip(row, lengths, strict=True):
            panel = data[variable].sel(start=start, length=length)
            steps = panel[panel.dims[-2]].values
            for method, style in _styles(data):
                samples = panel.sel({"method": method}).values.T
                plots.quantile_band(ax, steps, samples, finite_only=True, **style)
            ax.set(title=f"{start}, T = {length}", xlabel="training steps", yscale=scale)
            ax.locator_params(axis="x", nbins=5)
            if variable == "loss":
                baseline = float(data.baseline.values.flat[0])
                ax.axhline(baseline, color="#555555", linestyle="--", label="baseline")
        row[0].set_ylabel(label)
    plots.legend_below(figure, axes[0, 0])
    return figure


def _styles(data: xr.Dataset) -> list[tuple[str, dict[str, Any]]]:
    """Colour and name in the legend of every method."""
    colors = dict(zip(TITLES, plots.COLORS, strict=False))
    return [
        (name, {"color": colors[name], "linestyle": "-", "label": TITLES[name]})
        for name in map(str, data.method.values)
    ]
