"""Learning curve, right answers by digits and carries, and wrong answers, as a page."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from experiments.addition import tables
from experiments.addition.config import Config
from rnnlab import plots
from rnnlab.data.sums import Numbers
from rnnlab.run.report import Report
from rnnlab.run.workdir import Workdir
from rnnlab.training import log
from rnnlab.training.summary import REPORT

CURVE, DIGITS = "curve.png", "digits.png"


def write(
    workdir: Workdir,
    config: Config,
    summary: dict[str, Any],
    numbers: Numbers,
    answers: list[str],
    right: np.ndarray,
) -> None:
    """Draws the pictures and writes the page.

    Args:
        workdir: of the run, with its metrics.
        config: of the run.
        summary: the run in a few numbers.
        numbers: of the test sums.
        answers: to them, as decoded.
        right: whether each answer is right, `[N]`.
    """
    rows = workdir.path(log.METRICS).read_text(encoding="utf-8")
    trained, evaluated = log.read(rows, "train"), log.read(rows, "evaluation")
    least = 0.5 / config.held_out  # where no answer is wrong at all, on a logarithmic scale
    with plots.style():
        plots.save(
            plot_curve(trained, evaluated, config.training.batch, summary["best step"], least),
            workdir.path(CURVE),
        )
        share, count = tables.shares(numbers, right, config.digits)
        plots.save(plot_digits(share, count), workdir.path(DIGITS))
    page = Report("Can a network learn to add?")
    page.text(INTRODUCTION)
    page.table(list(summary.items()), columns=("what", "value"), caption=CAPTION)
    page.figure(workdir.path(CURVE), caption=CURVE_CAPTION, alt="Errors against sums read.")
    page.figure(workdir.path(DIGITS), caption=DIGITS_CAPTION, alt="Right answers by digits.")
    page.table(tables.by_digits(numbers, right), caption="Test sums by the longer number.")
    page.table(tables.by_carries(numbers, right), caption="Test sums by carries, as by hand.")
    if wrong := tables.wrong(numbers, answers, right):
        page.table(wrong, caption=f"Wrong answers, the first {tables.SHOWN} at most.")
    page.settings(workdir)
    page.write(workdir.path(REPORT))


def plot_curve(
    trained: list[dict[str, Any]],
    evaluated: list[dict[str, Any]],
    batch: int,
    best: int,
    least: float,
) -> Figure:
    """Loss and share of wrong answers, at least `least`, against the sums read."""
    figure, axes = plots.subplots(1, 2, width=9)
    loss, error = axes[0]
    loss.plot([r["step"] * batch for r in trained], [r["loss"] for r in trained], lw=0.8, alpha=0.6)
    loss.plot([r["step"] * batch for r in evaluated], [r["loss"] for r in evaluated], "o-")
    loss.set(ylabel="nats for each character", yscale="log")
    loss.legend(["training", "held out"])
    error.plot(
        [r["step"] * batch for r in evaluated], [max(r["error"], least) for r in evaluated], "o-"
    )
    error.axvline(best * batch, color="0.6", lw=0.8, zorder=0)
    error.set(ylabel="share of wrong answers", yscale="log")
    for ax in axes[0]:
        ax.set(xlabel="sums read")
    return figure


def plot_digits(share: np.ndarray, count: np.ndarray) -> Figure:
    """Right answers by the digits of both numbers, with the number of sums."""
    figure, axes = plots.subplots(1, 1, width=4.6, height=3.8)
    ax, digits = axes[0, 0], len(share)
    image = ax.imshow(share, cmap="viridis", vmin=0, vmax=1, origin="lower")
    for (row, column), value in np.ndenumerate(share):
        if count[row, column]:
            text = f"{value:.1%}\n{count[row, column]}"
            dark = value < 0.6
            ax.text(
                *(column, row, text),
                ha="center",
                va="center",
                fontsize=7,
                color="white" if dark else "black",
            )
    ticks = {"xticks": range(digits), "yticks": range(digits)}
    ax.set(xlabel="digits of the second number", ylabel="digits of the first number", **ticks)
    ax.set_xticklabels(range(1, digits + 1))
    ax.set_yticklabels(range(1, digits + 1))
    figure.colorbar(image, ax=ax, label="share of right answers")
    return figure


INTRODUCTION = """\
    The encoder reads a sum character by character, the decoder writes the answer. The test sums are
    held out: the network has never read these pairs of numbers, in either order. They were
    evaluated once, with the checkpoint that had the fewest wrong answers to other held-out sums."""
CAPTION = """\
    An answer is right if every character is, as decoded greedily; the interval is Wilson's. Losses
    are cross-entropies in nats for each character, of right characters before it."""
CURVE_CAPTION = """\
    Left: the loss, thin of training batches before their update, dots of sums that validate. Right:
    the share of wrong answers to these; the line marks the checkpoint that was tested."""
DIGITS_CAPTION = "Share of right answers to test sums, and below it how many sums there are."
