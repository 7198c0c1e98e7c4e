"""Curve, confusions, misread digits and filters of a convolutional network, as a page."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from rnnlab import plots
from rnnlab.arrays import Params
from rnnlab.data.images import CLASSES, Images
from rnnlab.run.report import Report
from rnnlab.run.workdir import Workdir
from rnnlab.statistics import confusion
from rnnlab.training import image_pictures, log

CURVE, CONFUSION, MISREAD, FILTERS = "curve.png", "confusion.png", "misread.png", "filters.png"
#: Filters of a row.
COLUMNS = 8


def write(
    workdir: Workdir,
    epoch: int,
    summary: dict[str, Any],
    test: Images,
    answers: np.ndarray,
    params: Params,
) -> None:
    """Draws the pictures and writes the page.

    Args:
        workdir: of the run, with its metrics.
        epoch: training steps of an epoch.
        summary: the run in a few numbers.
        test: the test images.
        answers: the digits for which they were taken, `[N]`.
        params: of the best checkpoint.
    """
    rows = workdir.path(log.METRICS).read_text(encoding="utf-8")
    trained, evaluated = log.read(rows, "train"), log.read(rows, "evaluation")
    counts = confusion(np.asarray(test.labels), answers, CLASSES)
    with plots.style():
        plots.save(image_pictures.plot_curve(trained, evaluated, epoch), workdir.path(CURVE))
        plots.save(image_pictures.plot_confusion(counts), workdir.path(CONFUSION))
        plots.save(plot_filters(filters_of(params)), workdir.path(FILTERS))
        if np.any(answers != test.labels):
            plots.save(image_pictures.plot_misread(test, answers), workdir.path(MISREAD))
    page = Report("How well does a small convolutional network name digits?")
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
            caption="Misread test images: the digit, and for what it was taken.",
            alt="Images of misread digits.",
        )
    page.figure(workdir.path(FILTERS), caption=FILTERS_CAPTION, alt="Filters as pictures.")
    page.settings(workdir)
    page.write(workdir.path("report.html"))


def filters_of(params: Params) -> np.ndarray:
    """The kernels of the first layer, `[F, S, S]`."""
    kernels = np.asarray(params["convolutions"]["layers"][0]["kernel"])
    return np.moveaxis(kernels[:, :, 0], -1, 0)


def plot_filters(filters: np.ndarray) -> Figure:
    """Kernels as pictures: blue is negative, red positive."""
    rows = -(-len(filters) // COLUMNS)
    figure, axes = plots.subplots(rows, COLUMNS, width=7, height=0.95 * rows)
    most = np.abs(filters).max()
    for ax in axes.flat:
        ax.axis("off")
    for ax, kernel in zip(axes.flat, filters, strict=False):
        ax.imshow(kernel, cmap="RdBu_r", vmin=-most, vmax=most)
    return figure


INTRODUCTION = """\
    The network reads an image as a whole: convolutions, each followed by a pooling, a hidden layer
    and a softmax. Training images are moved at random. The test images were evaluated once, with
    the checkpoint that misread the fewest validation images."""
CAPTION = "Losses are cross-entropies in nats for each image; the interval is Wilson's."
CURVE_CAPTION = """\
    Accuracy and loss: thin, of training batches before their update, with dropout and moved at
    random; dots, of the validation images without either."""
FILTERS_CAPTION = """\
    The kernels of the first layer after training: red where ink raises the feature, blue where it
    lowers it, on one scale."""
