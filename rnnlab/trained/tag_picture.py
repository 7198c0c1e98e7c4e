"""Pictures of words with their labels over them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from rnnlab import plots

#: Words that a picture shows at most, and inches of a line of it, of a letter, and between words.
MOST, WIDTH, LETTER, SPACE = 300, 9.0, 0.095, 0.12
#: The label of words that are of no entity, which has no box.
OUTSIDE = "O"

Line = list[tuple[str, str]]


def plot(sentences: Sequence[tuple[Sequence[str], Sequence[str]]]) -> Figure:
    """Words as they are read, with their labels over them; each type of label has a colour.

    Args:
        sentences: words and labels of each; a new one begins a new line.
    """
    lines = [line for words, labels in sentences for line in _lines(words, labels)]
    kinds = sorted({_kind(label) for line in lines for _, label in line} - {OUTSIDE})
    palette: Any = matplotlib.colormaps["tab10" if len(kinds) <= 10 else "tab20"]
    colours = {kind: palette(index % palette.N) for index, kind in enumerate(kinds)}
    width = max(sum(_width(*entry) + SPACE for entry in line) for line in lines)
    figure, axes = plots.subplots(1, 1, width=width, height=0.6 * len(lines) + 0.2)
    ax = axes[0, 0]
    ax.axis("off")
    ax.set(xlim=(0, width), ylim=(-len(lines) + 0.2, 1))
    for row, line in enumerate(lines):
        left = 0.0
        for word, label in line:
            middle = left + _width(word, label) / 2
            ax.text(middle, -row, word, ha="center", fontsize=9, parse_math=False)
            if label != OUTSIDE:
                box = {"facecolor": colours[_kind(label)], "alpha": 0.35, "lw": 0, "pad": 1.5}
                ax.text(middle, 0.42 - row, label, ha="center", fontsize=6.5, bbox=box)
            left += _width(word, label) + SPACE
    return figure


def _kind(label: str) -> str:
    return label[2:] if label.startswith(("B-", "I-")) else label


def _width(word: str, label: str) -> float:
    return LETTER * max(len(word), 0.8 * len(label), 1)


def _lines(words: Sequence[str], labels: Sequence[str]) -> list[Line]:
    """Words with labels, broken into lines that fit the picture."""
    lines: list[Line] = [[]]
    left = 0.0
    for word, label in zip(words, labels, strict=True):
        most = int(WIDTH / LETTER) - 1
        word = word if len(word) <= most else word[: most - 1] + "…"
        if lines[-1] and left + _width(word, label) > WIDTH:
            lines.append([])
            left = 0.0
        lines[-1].append((word, label))
        left += _width(word, label) + SPACE
    return lines
