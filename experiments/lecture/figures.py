"""The figures of the lectures, from what was measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rnnlab import plots

#: What is drawn of a topic, by name.
Series = Mapping[str, Any]


def vanishing(series: Series) -> Figure:
    """Gradients of linear units against the number of steps."""
    figure, ax = _one()
    for w, values in _lines(series, "T"):
        ax.plot(series["T"], values, label=f"w = {w}")
    ax.set(xlabel="steps T", ylabel="∂h_T/∂h_0", yscale="log")
    ax.legend()
    return figure


def bound(series: Series) -> Figure:
    """The bound, dashed, and what was measured, for some largest singular values."""
    figure, ax = _one()
    for place, (sigma, found) in enumerate(series.items()):
        shade = plots.COLORS[place]
        ax.plot(found["T"], found["measured"], color=shade, ls="-", label=f"σ_max = {sigma}")
        ax.plot(found["T"], found["bound"], color=shade, ls="--")
    ax.set(xlabel="steps T", ylabel="log10 ‖∂h_T/∂h_0‖")
    ax.legend(title="dashed: T log10 (γ σ_max)")
    return figure


def thresholds(series: Series) -> Figure:
    """Gradients through ten steps of units that stay where they are steepest."""
    figure, ax = _one()
    for kind, values in _lines(series, "w"):
        if kind != "identity":  # which is that of tanh
            ax.plot(series["w"], values, label=kind)
    ax.axhline(1, color="black", lw=0.8)
    ax.set(xlabel="weight w", ylabel="∂h_10/∂h_0", yscale="log", ylim=(1e-4, 1e4))
    ax.legend()
    return figure


def adjoints(series: Series) -> Figure:
    """Gradients of the state against time, every tenth step."""
    figure, ax = _one()
    for name, values in series.items():
        ax.plot(10 * np.arange(len(values)), values, label=_label(name))
    ax.set(xlabel="step t", ylabel="log10 ‖∂L/∂s_t‖")
    ax.legend()
    return figure


def clipping(series: Series) -> Figure:
    """Losses of both descents, and their ways in the plane."""
    figure, axes = plots.subplots(1, 2, width=9)
    for name, found in series.items():
        axes[0, 0].plot(found["loss"], label=f"{name} clipping")
        axes[0, 1].plot(found["w"], found["b"], marker=".", ms=3, lw=0.8)
    axes[0, 0].set(xlabel="update", ylabel="loss", yscale="log")
    axes[0, 0].legend()
    axes[0, 1].set(xlabel="w", ylabel="b")
    return figure


def truncation(series: Series) -> Figure:
    """Cosines of cut gradients against where they are cut."""
    figure, ax = _one()
    for radius, values in _lines(series, "k"):
        ax.plot(series["k"], values, marker="o", label=f"orthogonal, times {radius}")
    ax.set(xlabel="cut every k steps, of 128", ylabel="cosine to the whole gradient", xscale="log")
    plots.ticks_at(ax.xaxis, series["k"])
    ax.set_ylim(top=1.03)
    ax.legend()
    return figure


def _one() -> tuple[Figure, Axes]:
    figure, axes = plots.subplots(1, 1, width=5.5, height=3.4)
    return figure, axes[0, 0]


def _lines(series: Series, x: str) -> list[tuple[str, Any]]:
    return [(name, values) for name, values in series.items() if name != x]


def _label(name: str) -> str:
    return f"forget bias {float(name):g}" if name.replace(".", "").isdigit() else name


#: The figure of each topic that has one, and what it shows.
FIGURES: dict[str, tuple[Callable[[Series], Figure], str]] = {
    "vanishing": (vanishing, "The gradient through T steps of a linear unit, for three weights."),
    "bound": (
        bound,
        "Norm of the Jacobian of tanh networks with 64 units, one seed, and the bound for their "
        "largest singular value (dashed).",
    ),
    "thresholds": (
        thresholds,
        "The gradient through ten steps of a unit at its steepest, against its weight; it is 1 at "
        "1 and at 4.",
    ),
    "identity": (adjoints, "Gradient of the state, with the loss at step 1,000; 64 units."),
    "carousel": (adjoints, "Gradient of the memory c, as a share of that at step 1,000."),
    "clipping": (clipping, "Loss of both descents, and their ways in the plane of the parameters."),
    "truncation": (
        truncation,
        "Cosine of the angle between the gradient of W that is cut every k steps and the whole "
        "one; tanh networks of 32 units.",
    ),
}
