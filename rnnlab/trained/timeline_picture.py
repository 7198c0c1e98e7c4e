"""Labels of the frames of a video as coloured bars along its seconds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from rnnlab import plots
from rnnlab.arrays import Float, Int
from rnnlab.training.segments import frame_ends, segments

#: Colours of labels up to this number are told apart with every colour blindness.
FEW = len(plots.COLORS) - 1


def plot(
    rows: Sequence[tuple[str, Int[np.ndarray, "T"]]],
    seconds: Float[np.ndarray, "T"],
    names: Sequence[str],
    title: str = "",
) -> Figure:
    """A bar for each labelling of one video.

    Args:
        rows: what a labelling is called, and its labels, from the top down.
        seconds: when each frame was taken.
        names: of the labels.
        title: over the bars.
    """
    figure, axes = plots.subplots(1, 1, width=9, height=1.1 + 0.42 * len(rows))
    draw(axes[0, 0], rows, seconds, names, title)
    handles = [Patch(color=colour(label, names), label=name) for label, name in enumerate(names)]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(names))
    return figure


def draw(
    ax: Axes,
    rows: Sequence[tuple[str, Int[np.ndarray, "T"]]],
    seconds: Float[np.ndarray, "T"],
    names: Sequence[str],
    title: str = "",
) -> None:
    """Draws the bars; arguments as in `plot`."""
    for row, (_, labels) in enumerate(rows):
        for one in segments(labels):
            start, end = one.seconds(seconds)
            ax.broken_barh(
                [(start, end - start)], (-row - 0.4, 0.8), color=colour(one.label, names)
            )
    ax.set_yticks(range(0, -len(rows), -1), labels=[name for name, _ in rows])
    ax.set(xlim=(0, max(frame_ends(seconds)[-1], 1e-3)), xlabel="seconds", title=title)
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)


def colour(label: int, names: Sequence[str]) -> Any:
    """The colour of a label; the first one, of what is not of interest, is grey."""
    if label == 0:
        return "#cccccc"
    if len(names) <= FEW:
        return plots.COLORS[label - 1]
    return matplotlib.colormaps["tab20"](label % 20)
