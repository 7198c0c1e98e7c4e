"""What a translator attends to, as a picture."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from rnnlab import plots
from rnnlab.arrays import Float

#: Inches of a symbol's row or column, and of a letter of its name.
ROOM, LETTER = 0.24, 0.08


def plot(weights: Float[np.ndarray, "T S"], source: Sequence[str], target: Sequence[str]) -> Figure:
    """The weights as shades, from white for 0 to black for 1, as in Bahdanau et al. (2015), fig. 3.

    Args:
        weights: of each symbol that was written, by rows, for each that was read.
        source: the symbols that were read.
        target: those that were written.
    """
    rows, columns = weights.shape
    figure, axes = plots.subplots(
        1,
        1,
        width=1.5 + LETTER * max(map(len, target)) + ROOM * columns,
        height=1.5 + LETTER * max(map(len, source)) + ROOM * rows,
    )
    ax = axes[0, 0]
    ax.imshow(weights, cmap="gray_r", vmin=0, vmax=1, aspect="auto", interpolation="nearest")
    ax.set_xticks(range(columns), labels=_plain(source), rotation=90, fontsize=7)
    ax.set_yticks(range(rows), labels=_plain(target), fontsize=7)
    ax.xaxis.tick_top()
    ax.set(xlabel="read", ylabel="written")
    return figure


def _plain(tokens: Sequence[str]) -> list[str]:
    """Tokens that matplotlib shows as they are, and not as mathematics."""
    return [token.replace("\u2581", "\u00b7").replace("$", r"\$") for token in tokens]
