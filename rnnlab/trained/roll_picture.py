"""A piano roll as a picture: beats from left to right, keys by their names from low to high."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import MultipleLocator

from rnnlab import plots
from rnnlab.data.piano_roll import KEYS, LOWEST, Roll, pitch_name

#: Inches of a beat and of a key, and beats of a bar of a picture, of which most chorales have four.
BEAT, KEY, BAR = 0.11, 0.055, 4
#: Colours of what the network wrote and of what it was given.
WRITTEN, GIVEN = plots.COLORS[0], plots.COLORS[1]
#: Semitones that have a black key.
BLACK = (1, 3, 6, 8, 10)


def plot(keys: Roll, given: Roll, title: str = "") -> Figure:
    """A picture of one roll; arguments as in `draw`."""
    low, high = span(keys)
    width = max(1.2 + BEAT * len(keys), 4.5)
    figure, axes = plots.subplots(1, 1, width=width, height=0.9 + KEY * (high - low))
    draw(axes[0, 0], keys, given, title)
    return figure


def draw(ax: Axes, keys: Roll, given: Roll, title: str = "") -> None:
    """Draws a roll: a bar for each key as long as it sounds.

    Args:
        ax: where.
        keys: the roll.
        given: the keys of it that the network was given, of the same shape; they have a colour of
            their own, and where whole frames were given, a line marks their end.
        title: over it.
    """
    low, high = span(keys)
    for pitch in range(low, high):
        if pitch % 12 in BLACK:
            ax.axhspan(pitch - 0.5, pitch + 0.5, color="#f2f2f2", lw=0, zorder=0)
    given = given.astype(bool) & keys.astype(bool)
    for part, colour in ((keys.astype(bool) & ~given, WRITTEN), (given, GIVEN)):
        for key in np.flatnonzero(part.any(axis=0)):
            changes = np.flatnonzero(np.diff(np.pad(part[:, key].astype(int), 1)))
            bars = [(start, stop - start) for start, stop in changes.reshape(-1, 2)]
            ax.broken_barh(bars, (key + LOWEST - 0.42, 0.84), color=colour, lw=0.4, ec="white")
    end = int(np.flatnonzero(given.any(axis=1)).max(initial=-1)) + 1
    if 0 < end < len(keys) and (given[:end] == keys[:end].astype(bool)).all():
        ax.axvline(end, color="black", lw=1.2, ls="--")
    names = [pitch for pitch in range(low, high) if pitch % 12 in (0, 7)]
    ax.set_yticks(names, labels=[pitch_name(pitch) for pitch in names])
    ax.set(xlim=(0, max(len(keys), 1)), ylim=(low - 0.5, high - 0.5), xlabel="beat", title=title)
    ax.xaxis.set_major_locator(MultipleLocator(BAR * max(1, round(len(keys) / 64))))
    ax.grid(axis="x", color="#dddddd", lw=0.5)
    ax.set_axisbelow(True)
    if given.any():
        what = (GIVEN, "given"), (WRITTEN, "written")
        ax.legend(
            handles=[Patch(color=colour, label=label) for colour, label in what],
            loc="lower right",
            bbox_to_anchor=(1, 1),
            ncols=2,
        )


def span(keys: Roll) -> tuple[int, int]:
    """The lowest pitch that a picture shows, and the one above its highest: octaves around it."""
    used = np.flatnonzero(keys.any(axis=0))
    if not len(used):
        return 48, 73
    low, high = int(used[0]) + LOWEST, int(used[-1]) + LOWEST
    return max(low - 2, LOWEST), min(high + 3, LOWEST + KEYS)
