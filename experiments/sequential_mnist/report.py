"""Curve, confusions, misread digits and adjoints of a network that reads digits, as a page."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from rnnlab import plots
from rnnlab.data.images import CLASSES, Images
from rnnlab.run.report import Report
from rnnlab.run.workdir import Workdir
from rnnlab.training import log

CURVE, CONFUSION, MISREAD, ADJOINTS = "curve.png", "confusion.png", "misread.png", "adjoints.png"
#: Rows and columns of misread digits.
SHOWN = 3, 8


def write(
    workdir: Workdir,
    epoch: int,
    summary: dict[str, Any],
    test: Images,
    answers: np.ndarray,
) -> None:
    """Draws the pictures and writes the page.

    Args:
        workdir: of the run, with its metrics.
        epoch: training steps of an epoch.
        summary: the run in a few numbers.
        test: the test images.
        answers: the digits for which they were taken, `[N]`.
    """
    rows = workdir.path(log.METRICS).read_text(encoding="utf-8")
    trained, evaluated = log.read(rows, "train"), log.read(rows, "evaluation")
    counts = confusion(np.asarray(test.labels), answers)
    with plots.style():
        plots.save(plot_curve(trained, evaluated, epoch), workdir.path(CURVE))
        plots.save(plot_confusion(counts), workdir.path(CONFUSION))
        plots.save(plot_adjoints(evaluated), workdir.path(ADJOINTS))
        if np.any(answers != test.labels):
            plots.save(plot_misread(test, answers), workdir.path(MISREAD))
    page = Report("Can a network read a digit as a sequence?")
    page.text(INTRODUCTION)
    page.table(list(summary.items()), columns=("what", "value"), caption=CAPTION)
    page.figure(workdir.path(CURVE), caption=CURVE_CAPTION, alt="Accuracy against epochs.")
    page.figure(
        workdir.path(CONFUSION),
        caption="Test images by their digit and by the digit for which they were taken. Colours "
        "are of the misread ones.",
        alt="Confusion matrix of the ten digits.",
    )
    if workdir.path(MISREAD).exists():
        page.figure(
            workdir.path(MISREAD),
            caption="Misread test images: the digit, and for what it was taken. They are shown as "
            "they look, in whatever order they were read.",
            alt="Images of misread digits.",
        )
    page.figure(workdir.path(ADJOINTS), caption=ADJOINTS_CAPTION, alt="Adjoint norm against lag.")
    page.settings(workdir)
    page.write(workdir.path("report.html"))


def confusion(labels: np.ndarray, answers: np.ndarray) -> np.ndarray:
    """Images of each digit, by rows, that were taken for each digit, by columns: `[10, 10]`."""
    return np.bincount(labels * CLASSES + answers, minlength=CLASSES**2).reshape(CLASSES, CLASSES)


def plot_curve(
    trained: list[dict[str, Any]],
    evaluated: list[dict[str, Any]],
    epoch: int,
) -> Figure:
    """Accuracy and loss against epochs."""
    figure, axes = plots.subplots(1, 2, width=9)
    for ax, name in zip(axes[0], ("accuracy", "loss"), strict=True):
        ax.plot([r["step"] / epoch for r in trained], [r[name] for r in trained], lw=0.8, alpha=0.6)
        ax.plot([r["step"] / epoch for r in evaluated], [r[name] for r in evaluated], "o-")
        ax.set(xlabel="epoch", ylabel=name)
    loss = axes[0, 1]
    loss.set(ylabel="nats for each image", yscale="log")
    loss.legend(["training", "validation"])
    return figure


def plot_confusion(counts: np.ndarray) -> Figure:
    """The confusion matrix with its numbers."""
    figure, axes = plots.subplots(1, 1, width=5.5, height=5)
    ax = axes[0, 0]
    wrong = np.where(np.eye(CLASSES, dtype=bool), 0, counts)
    ax.imshow(wrong, cmap="Reds", vmin=0, vmax=max(2 * wrong.max(), 1))
    for (row, column), count in np.ndenumerate(counts):
        if count:
            ax.text(column, row, str(count), ha="center", va="center", fontsize=7)
    ax.set(xlabel="taken for", ylabel="digit", xticks=range(CLASSES), yticks=range(CLASSES))
    return figure


def plot_misread(test: Images, answers: np.ndarray) -> Figure:
    """Some of the images that were misread, spread evenly over all of them."""
    wrong = np.flatnonzero(answers != test.labels)
    rows, columns = SHOWN
    chosen = wrong[np.linspace(0, len(wrong) - 1, min(rows * columns, len(wrong))).astype(int)]
    rows = -(-len(chosen) // columns)
    figure, axes = plots.subplots(rows, columns, width=7, height=1.2 * rows)
    for ax in axes.flat:
        ax.axis("off")
    for ax, index in zip(axes.flat, chosen, strict=False):
        ax.imshow(test.pixels[index], cmap="gray_r", vmin=0, vmax=255)
        ax.set_title(f"{test.labels[index]}, not {answers[index]}", fontsize=8)
    return figure


def plot_adjoints(evaluated: list[dict[str, Any]]) -> Figure:
    """How far back a loss is felt, at the first and at the last evaluation."""
    figure, axes = plots.subplots(1, 1, width=5.5, height=3.6)
    ax, prefix = axes[0, 0], "log10_adjoint/"
    for row, label in ((evaluated[0], "at the start"), (evaluated[-1], "at the end")):
        points = {int(k.removeprefix(prefix)): v for k, v in row.items() if k.startswith(prefix)}
        values = [float("nan") if v is None else v for v in points.values()]
        ax.plot(list(points), values, "o-", label=f"{label}, step {row['step']}")
    ax.set(xlabel="lag k (steps)", ylabel="log10 ‖∂L/∂s‖, k steps before the end")
    ax.set_xscale("symlog", base=2, linthresh=1)
    ax.legend()
    return figure


INTRODUCTION = """\
    The network reads an image as a sequence, row by row or pixel by pixel, and names the digit from
    its last output. The test images were evaluated once, with the checkpoint that misread the
    fewest validation images."""
CAPTION = "Losses are cross-entropies in nats for each image; the interval is Wilson's."
CURVE_CAPTION = """\
    Accuracy and loss: thin, of training batches before their update; dots, of the validation
    images."""
ADJOINTS_CAPTION = """\
    Norm of the gradient with respect to the state k steps before the end, for the mean of the last
    outputs, averaged over a few validation images."""
