"""Figures in the project's style, and the files that they become."""

from __future__ import annotations

import contextlib
import io
import os
import pathlib
import warnings
from collections.abc import Iterator
from typing import Any

import matplotlib
import numpy as np
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import Formatter, LogFormatterMathtext, LogFormatterSciNotation

from rnnlab.plots.axes import in_full
from rnnlab.run.files import atomic_write, expanded
from rnnlab.run.pictures import FORMATS, also, check_format

#: Okabe & Ito (2008), "Color Universal Design": told apart with every common colour blindness.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")

#: Numbers on a logarithmic axis are written in full up to this one, and down to its inverse.
LONGEST = 20_000
#: What writes powers where nothing else was chosen.
_LOG_FORMATTERS = (LogFormatterSciNotation, LogFormatterMathtext)

_STYLE: dict[Any, Any] = {
    "figure.dpi": 100,
    "savefig.dpi": 200,
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.labelsize": 10,
    "legend.fontsize": 9,
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    # Seven colours in four dashes: 28 lines that differ.
    "axes.prop_cycle": cycler(linestyle=["-", "--", ":", "-."]) * cycler(color=COLORS),
    "lines.linewidth": 1.6,
    "hatch.linewidth": 0.6,
    "hatch.color": "#555555",
}


@contextlib.contextmanager
def style() -> Iterator[None]:
    """Makes figures in the project's style, within a `with` statement."""
    with matplotlib.rc_context(_STYLE):
        yield


def subplots(
    rows: int = 1,
    columns: int = 1,
    *,
    width: float = 7.0,
    height: float | None = None,
    **kwargs: Any,
) -> tuple[Figure, np.ndarray]:
    """A figure and its axes.

    Args:
        rows: rows of axes.
        columns: columns of axes.
        width: inches; 7 fills a page of text.
        height: inches; by default axes of 4:5.
        **kwargs: for `Figure.subplots`, such as `sharey=True`.

    Returns:
        The figure and its axes, always `[rows, columns]`.
    """
    height = 0.8 * width / columns * rows if height is None else height
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.subplots(rows, columns, squeeze=False, **kwargs)


def save(figure: Figure, path: str | os.PathLike[str]) -> pathlib.Path:
    """Writes a picture as a whole or not at all, and returns its path.

    The same figure gives the same bytes. An axis whose lines differ by rounding errors alone is
    widened until they are one, and numbers on a logarithmic axis are written in full where none is
    long. Pixels, and maps within vector pictures, have 200 dots per
    inch. Within `also_as` the picture is written beside it in other formats too.

    Args:
        figure: the figure.
        path: a file that ends in .png, .pdf or .svg, which says what is written.

    Raises:
        UsageError: another ending.
        OSError: if the disk is full or the place cannot be written.
    """
    path = expanded(path)
    for ax in figure.axes:
        _hide_rounding(ax)
        for axis in (ax.xaxis, ax.yaxis):
            _write_in_full(axis)
    written = {path.suffix.lower().removeprefix("."): path}
    written |= {name: path.with_suffix(f".{name}") for name in also() if name not in written}
    for name, place in written.items():
        atomic_write(place, _picture(figure, check_format(f"path={str(path)!r}", name)))
    return path


def _hide_rounding(ax: Axes) -> None:
    """Widens a vertical axis that shows nothing but rounding errors of a constant."""
    low, high = ax.get_ylim()
    middle = (low + high) / 2
    if ax.get_yscale() == "linear" and 0 < high - low < 1e-9 * max(1.0, abs(middle)):
        half = 0.05 * max(1.0, abs(middle))
        ax.set_ylim(middle - half, middle + half)


def _write_in_full(axis: Axis) -> None:
    """Writes 0.6 and 1000 for 6 × 10⁻¹ and 10³ on an axis whose numbers all are as short."""
    low, high = sorted(map(abs, axis.get_view_interval()))
    least = getattr(axis.get_transform(), "linthresh", low)  # next to zero on a symlog axis
    short = high <= LONGEST and least >= 1 / LONGEST
    formatters = (axis.get_major_formatter(), axis.get_minor_formatter())
    if short and all(type(each) in _LOG_FORMATTERS for each in formatters[:1]):
        axis.set_major_formatter(_InFull(formatters[0]))
        if type(formatters[1]) in _LOG_FORMATTERS:
            axis.set_minor_formatter(_InFull(formatters[1]))


class _InFull(Formatter):
    """Labels the ticks that another formatter labels, with their numbers in full."""

    def __init__(self, chooser: Formatter):
        self._chooser = chooser

    def set_axis(self, axis: Any) -> None:
        self._chooser.set_axis(axis)
        super().set_axis(axis)

    def set_locs(self, locs: Any) -> None:
        self._chooser.set_locs(locs)
        super().set_locs(locs)

    def __call__(self, x: float, pos: int | None = None) -> str:
        return in_full(x) if self._chooser(x, pos) else ""


def _picture(figure: Figure, name: str) -> bytes:
    """The contents of a file."""
    contents = io.BytesIO()
    # Letters stay letters; the ids within a drawing do not depend on the time.
    fixed: dict[Any, Any] = {"svg.hashsalt": "rnnlab", "svg.fonttype": "none", "pdf.fonttype": 42}
    with matplotlib.rc_context(fixed):
        dpi = _STYLE["savefig.dpi"]
        with warnings.catch_warnings():  # what the font lacks is drawn as a box
            warnings.filterwarnings("ignore", "Glyph .* missing from", UserWarning)
            figure.savefig(contents, format=name, dpi=dpi, metadata=FORMATS[name])
    return contents.getvalue()
