"""What decoders get put side by side: BLEU by length, and how the gradient reaches the encoder."""

from __future__ import annotations

import pathlib
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.translation import measure
from experiments.translation.adjoints import Profiles
from rnnlab import comparison, plots
from rnnlab.comparison import Row
from rnnlab.run.compare import PAGE, Finished
from rnnlab.run.report import Report
from rnnlab.run.tables import print_table

LENGTHS, ADJOINTS = "lengths.png", "adjoints.png"
BEAMS, GREEDY = "test BLEU, beam", "test BLEU, greedy"
NUMBERS = (GREEDY, "validation loss", "test loss", "parameters", "seconds of training")
#: What the decoder gets, in words.
HAND_OVERS = {
    "attention": "attention",
    "context": "context at every step",
    "state": "final state as start",
}
#: Distances from the end of the source that are in the table.
DISTANCES = (0, 5, 10, 15, 20)


class Curve(NamedTuple):
    """Adjoints of the runs of a row.

    Attributes:
        label: of the row.
        row: its place.
        short: whether they are of all ways, else through the final state alone.
        values: `log10 ‖∂L/∂h‖` of each run, by distance from the end, `[S, K]`.
    """

    label: str
    row: int
    short: bool
    values: np.ndarray


def compare(runs: list[Finished], folder: pathlib.Path) -> None:
    """Writes the page and its pictures."""
    rows = comparison.rows_of(runs)
    table = comparison.table(rows, [*comparison.numbers_of(rows, BEAMS), *NUMBERS])
    curves = curves_of(rows)
    page = Report("Translation, side by side")
    page.text(INTRODUCTION)
    page.table(table, caption=CAPTION + comparison.SPREAD)
    with plots.style():
        plots.save(plot_lengths(rows), folder / LENGTHS)
        page.figure(folder / LENGTHS, caption=LENGTHS_CAPTION, alt="BLEU against length.")
        if curves:
            plots.save(plot_adjoints(curves), folder / ADJOINTS)
            page.figure(folder / ADJOINTS, caption=ADJOINTS_CAPTION, alt="Adjoints by distance.")
            page.table(adjoint_rows(curves), caption=TABLE_CAPTION)
    comparison.add_runs(page, rows, folder)
    page.write(folder / PAGE)
    print_table(table, title="Side by side")


def label_of(row: Row) -> str:
    """A row in words."""
    if list(row.settings) == ["hand_over"]:
        return HAND_OVERS[row.settings["hand_over"]]
    return row.label


def plot_lengths(rows: list[Row]) -> Figure:
    """BLEU by the length of the source: means over the seeds, and bars from least to largest."""
    groups = comparison.numbers_of(rows, measure.BY_LENGTH)
    groups.sort(key=lambda name: int(name.removeprefix(measure.BY_LENGTH).split()[0]))
    figure, axes = plots.subplots(1, 1, width=6.5, height=3.8)
    ax = axes[0, 0]
    for number, row in enumerate(rows):
        values = [row.values(name) for name in groups]
        places = [k + 0.05 * (number - (len(rows) - 1) / 2) for k, v in enumerate(values) if v]
        values = [v for v in values if v]
        means = np.array([np.mean(v) for v in values])
        bars = np.abs([[min(v) for v in values], [max(v) for v in values]] - means)
        whole = next((row.values(n) for n in comparison.numbers_of([row], BEAMS)), [])
        label = f"{label_of(row)}: {_bleu_text(whole)}"
        ax.errorbar(places, means, bars, fmt="o-", ms=5, capsize=2, label=label)
    names = [name.removeprefix(measure.BY_LENGTH).removesuffix(" words") for name in groups]
    ax.set_xticks(range(len(groups)), labels=names)
    ax.set(xlabel="words of the source", ylabel="BLEU, beam search")
    ax.set(xlim=(-0.4, len(groups) - 0.6), ylim=(0, None))
    figure.legend(title="BLEU of all test sentences", alignment="left", loc="outside upper left")
    return figure


def _bleu_text(values: list[float]) -> str:
    if len(values) < 2:
        return f"{values[0]:.1f}" if values else "–"
    spread = f"{min(values):.1f} … {max(values):.1f}"
    return f"{np.mean(values):.1f} ({spread}, {len(values)} seeds)"


def curves_of(rows: list[Row]) -> list[Curve]:
    """The adjoints of all rows that have them, where enough sentences are so long."""
    curves = []
    for number, row in enumerate(rows):
        read = (measure.adjoints_of(run.root) for run in row.runs)
        found = [profiles for profiles in read if profiles is not None]
        if not found:
            continue
        every, ends = (_stacked(found, name) for name in ("all_ways", "by_the_end"))
        curves.append(Curve(label_of(row), number, True, every))
        if not np.allclose(every, ends, atol=1e-3):
            label = f"{label_of(row)}, through\nthe final state alone"
            curves.append(Curve(label, number, False, ends))
    return curves


def _stacked(found: list[Profiles], name: str) -> np.ndarray:
    count = min(profiles.reach for profiles in found)
    return np.array([getattr(profiles, name)[:count] for profiles in found])


def plot_adjoints(curves: list[Curve]) -> Figure:
    """How far back the loss is felt by the encoder, in one picture, with labels at the lines."""
    figure, axes = plots.subplots(1, 1, width=8, height=4.2)
    ax = axes[0, 0]
    for curve in curves:
        color = plots.COLORS[curve.row % len(plots.COLORS)]
        style: dict[str, Any] = {"ls": "-" if curve.short else "--", "color": color}
        distances = np.arange(curve.values.shape[1])
        ax.plot(distances, curve.values.mean(axis=0), lw=2.4 if curve.short else 1.8, **style)
        if len(curve.values) > 1:
            low, high = curve.values.min(axis=0), curve.values.max(axis=0)
            ax.fill_between(distances, low, high, color=color, alpha=0.15, lw=0)
    ax.set_title("How far back the encoder feels the loss of a translation", loc="left")
    ax.set(xlabel="symbols before the end of the source", xlim=(0, None))
    ax.set_ylabel(r"$\log_{10}\,\|\partial L/\partial h_t\|$")
    _label(ax, curves)
    return figure


def _label(ax: Axes, curves: list[Curve]) -> None:
    """Writes the labels of lines at their right ends, in their order, one below the other."""
    low, high = ax.get_ylim()
    heights = [0.055 * (1 + curve.label.count("\n")) * (high - low) for curve in curves]
    order = np.argsort([-curve.values[:, -1].mean() for curve in curves])
    above, places = np.inf, {}
    for place in order:
        end, half = curves[place].values[:, -1].mean(), heights[place] / 2
        places[place] = min(end, above - half)
        above = places[place] - half
    for place, y in places.items():
        curve = curves[place]
        ax.annotate(
            curve.label,
            (curve.values.shape[1] - 1, y),
            xytext=(6, 0),
            textcoords="offset points",
            va="center",
            color=plots.COLORS[curve.row % len(plots.COLORS)],
            annotation_clip=False,
        )


def adjoint_rows(curves: list[Curve]) -> list[dict[str, Any]]:
    """The means of the adjoints at some distances, and how fast they fall."""
    return [
        {
            "": curve.label.replace("\n", " "),
            **{
                str(k): float(curve.values[:, k].mean()) if k < curve.values.shape[1] else None
                for k in DISTANCES
            },
            "halved every … symbols": _halved(curve.values.mean(axis=0)),
        }
        for curve in curves
    ]


def _halved(values: np.ndarray) -> float | None:
    """Distance over which the adjoint halves, by a line through its logarithm; None if beyond."""
    if len(values) < 2:
        return None
    slope = np.polyfit(np.arange(len(values)), values, 1)[0]
    return float(-np.log10(2) / slope) if -slope * len(values) > np.log10(2) else None


INTRODUCTION = """\
    Networks that translate, each trained by itself. The decoder writes from what the encoder hands
    over. The test sentences were translated once, with the checkpoint of the lowest validation
    loss."""
CAPTION = "BLEU is sacreBLEU's of detokenised text in its own case; losses are nats for a symbol. "
LENGTHS_CAPTION = """\
    BLEU of the test sentences by the number of words of their source, by beam search; the legend
    has that of all of them. With several seeds: means, bars from the least to the largest."""
ADJOINTS_CAPTION = """\
    Norm of the gradient of a translation's loss with respect to the state of the encoder's forward
    layer (h; of LSTM h and c together), so many symbols before the end of the source: mean of the
    logarithm over the validation sentences that are so long, at least eight of 64; with several
    seeds their mean, and a band from the least to the largest. With attention the loss reaches
    every state directly. The dashed line is what is left where it has to go through the final
    state, as it has to without attention."""
TABLE_CAPTION = """\
    The same at some distances, and the distance over which a line through the logarithm falls by
    log10 2; a dash where it is longer than the sentences."""
