"""Curve, confusions, misread digits and adjoints of a network that reads digits, as a page."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from rnnlab import plots
from rnnlab.data.images import CLASSES, Images
from rnnlab.run.report import Report
from rnnlab.run.workdir import Workdir
from rnnlab.statistics import confusion
from rnnlab.training import image_pictures, log

CURVE, CONFUSION, MISREAD, ADJOINTS = "curve.png", "confusion.png", "misread.png", "adjoints.png"


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
    counts = confusion(np.asarray(test.labels), answers, CLASSES)
    with plots.style():
        plots.save(image_pictures.plot_curve(trained, evaluated, epoch), workdir.path(CURVE))
        plots.save(image_pictures.plot_confusion(counts), workdir.path(CONFUSION))
        plots.save(plot_adjoints(evaluated), workdir.path(ADJOINTS))
        if np.any(answers != test.labels):
            plots.save(image_pictures.plot_misread(test, answers), workdir.path(MISREAD))
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
