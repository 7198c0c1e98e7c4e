"""Single cells of a character model that follow quotes, lines or words: found, checked and plotted.

After A. Karpathy, J. Johnson and L. Fei-Fei, "Visualizing and understanding recurrent networks"
(2015), section 4.2. What a cell remembers is tanh(c) in the LSTM family and h elsewhere.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import numpy as np
from matplotlib import font_manager
from matplotlib.figure import Figure
from matplotlib.ft2font import FT2Font

from rnnlab import plots
from rnnlab.arrays import Params
from rnnlab.gradients.parts import leaf_names
from rnnlab.statistics import correlation_interval, correlations
from rnnlab.training.language import LanguageModel

#: Characters that open and close a quotation; a straight quote does both in turn.
OPENING, CLOSING, STRAIGHT = "“«„", "”»", '"'
#: Stretches of the text from which the interval of a correlation is estimated.
PARTS = 20
#: Lines and columns of a picture.
LINES, COLUMNS = 9, 72
#: A cell follows a feature if the whole interval of its correlation lies beyond this: at least 9 %
#: of what varies in the one is in the other. Less is not to be seen in a picture.
LEAST = 0.3
#: Share of the largest memory above which its colour is too dark for black letters.
DARK = 0.6


class Follower(NamedTuple):
    """The cell that follows a feature of the text best.

    Attributes:
        feature: name of the feature.
        layer: of the cell, counted from 1.
        unit: of the cell, counted from 0.
        found: Pearson's correlation where the cell was looked for, the first half of the text.
        checked: the correlation in the second half.
        interval: its 95 % interval.
        values: what the cell remembers after each character of the second half, `[N]`.
        targets: the feature there, `[N]`.
    """

    feature: str
    layer: int
    unit: int
    found: float
    checked: float
    interval: tuple[float, float]
    values: np.ndarray
    targets: np.ndarray

    @property
    def follows(self) -> bool:
        """Whether the correlation is one: large, and of the same sign where it was checked."""
        low, high = self.interval
        return low > LEAST if self.found > 0 else high < -LEAST


def features(text: str) -> dict[str, np.ndarray]:
    """What a cell might follow, after each of the N characters, by name; arrays `[N]`."""
    column = within_word = 0
    quoted = bracketed = False
    rows = []
    for before, now in zip("\n" + text, text, strict=False):
        column = 0 if now == "\n" else column + 1
        within_word = within_word + 1 if now.isalpha() else 0
        if now in OPENING or (now == STRAIGHT and not quoted):
            quoted = True
        elif now in CLOSING or now == STRAIGHT or now == before == "\n":
            quoted = False
        bracketed = now in "([{" or (bracketed and now not in ")]}")
        rows.append((column, quoted, bracketed, within_word))
    names = ("position in the line", "inside quotes", "inside brackets", "position in the word")
    return dict(zip(names, np.asarray(rows, np.float64).T, strict=True))


def memories(model: LanguageModel, params: Params, codes: np.ndarray) -> list[np.ndarray]:
    """What the cells of each layer remember after each character, arrays `[N, H]`."""

    @jax.jit
    def read(params: Params, codes: jax.Array) -> Any:
        def one(state: Any, code: jax.Array) -> Any:
            state, _ = model.step(params, code[None], state)
            return state, [_memory(layer)[0] for layer in state if layer != ()]

        return jax.lax.scan(one, model.initial_state(1), codes)[1]

    return [np.asarray(layer, np.float64) for layer in read(params, codes)]


def _memory(state: Any) -> jax.Array:
    parts = dict(zip(leaf_names(state), jax.tree.leaves(state), strict=True))
    if "c" in parts:
        return jax.numpy.tanh(parts["c"])
    return parts["h"] if "h" in parts else next(iter(parts.values()))


def followers(text: str, layers: list[np.ndarray]) -> list[Follower]:
    """For each feature that varies in both halves of the text, the cell that comes closest to it.

    It is chosen in the first half by the absolute correlation and checked in the second, since the
    best of many cells correlates with anything where it is chosen.
    """
    half = len(text) // 2
    found = []
    for name, targets in features(text).items():
        if np.std(targets[:half]) == 0 or np.std(targets[half:]) == 0:
            continue
        first = [correlations(layer[:half], targets[:half]) for layer in layers]
        layer = int(np.argmax([np.abs(values).max() for values in first]))
        unit = int(np.argmax(np.abs(first[layer])))
        values = layers[layer][half:, unit]
        checked = float(correlations(values[:, None], targets[half:])[0])
        best = float(first[layer][unit])
        interval = (-1.0, 1.0)
        if len(values) >= 2 * PARTS:
            interval = correlation_interval(values, targets[half:], PARTS)
        found.append(
            Follower(name, layer + 1, unit, best, checked, interval, values, targets[half:])
        )
    return found


def plot(text: str, found: list[Follower]) -> Figure:
    """The text in the colours of each follower's memory; `text` is the second half."""
    rows = max(len(found), 1)
    figure, axes = plots.subplots(rows, 1, width=9, height=2.1 * rows)
    known = FT2Font(font_manager.findfont("DejaVu Sans Mono"))
    for ax, one in zip(axes[:, 0], found, strict=False):
        start = _first_change(text, one.targets)
        cells = _lay_out(text, start)
        width = 1 + max((column for _, column in cells.values()), default=0)
        grid = np.full((LINES, width), np.nan)
        largest = max(float(np.abs(one.values).max()), 1e-12)
        for index, (line, column) in cells.items():
            grid[line, column] = one.values[index]
            if text[index].isprintable():
                letter = text[index] if known.get_char_index(ord(text[index])) else "□"
                dark = abs(one.values[index]) > DARK * largest
                color = "white" if dark else "black"
                ax.text(column, line, letter, parse_math=False, color=color, **_LETTER)
        mesh = ax.imshow(grid, cmap="RdBu_r", vmin=-largest, vmax=largest, aspect="auto")
        ax.set(xticks=[], yticks=[])
        ax.set_title(
            f"{one.feature}: layer {one.layer}, unit {one.unit}, r = {one.checked:.2f}", loc="left"
        )
        figure.colorbar(mesh, ax=ax, label="memory")
    if not found:
        axes[0, 0].set_axis_off()
    return figure


_LETTER: dict[str, Any] = {
    "family": "DejaVu Sans Mono",
    "fontsize": 6.5,
    "ha": "center",
    "va": "center",
}


def _first_change(text: str, targets: np.ndarray) -> int:
    """The start of the line before the one where a feature that is mostly absent first appears."""
    rare = np.mean(targets > 0) < 0.5
    at = int(np.argmax(targets > 0)) if rare else 0
    line = text.rfind("\n", 0, at)
    return max(text.rfind("\n", 0, max(line, 0)) + 1, 0)


def _lay_out(text: str, start: int) -> dict[int, tuple[int, int]]:
    """Line and column of each character from `start` on that the picture has room for."""
    places = {}
    line = column = 0
    for index in range(start, len(text)):
        if column == COLUMNS:
            line, column = line + 1, 0
        if line == LINES:
            break
        places[index] = (line, column)
        line, column = (line + 1, 0) if text[index] == "\n" else (line, column + 1)
    return places
