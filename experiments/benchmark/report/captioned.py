"""A figure with what is said about it."""

from __future__ import annotations

from typing import NamedTuple

from matplotlib.figure import Figure


class CaptionedFigure(NamedTuple):
    """A figure to be saved.

    Attributes:
      name: of its file, without the ending.
      figure: the figure.
      caption: what it shows.
      alt: what a reader who cannot see it should know.
    """

    name: str
    figure: Figure
    caption: str
    alt: str
