"""Pictures of how a network learns to name images, and of those that it misreads."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from rnnlab import plots
from rnnlab.data.images import CLASSES, Images

#: Rows and columns of misread digits.
SHOWN = 3, 8
#: Points of a curve, about.
POINTS = 500


def plot_curve(
    trained: list[dict[str, Any]],
    evaluated: list[dict[str, Any]],
    epoch: int,
    what: str = "image",
) -> Figure:
    """Accuracy and loss against epochs; of training, means of rows where there are many.

    Args:
        trained: rows of training.
        evaluated: rows of evaluations.
        epoch: training steps of an epoch.
        what: is named.
    """
    figure, axes = plots.subplots(1, 2, width=9)
    size = max(len(trained) // POINTS, 1)
    parts = [trained[start : start + size] for start in range(0, len(trained), size)]
    ends = [part[-1]["step"] / epoch for part in parts]
    for ax, name in zip(axes[0], ("accuracy", "loss"), strict=True):
        ax.plot(ends, [np.mean([r[name] for r in part]) for part in parts], lw=0.8, alpha=0.6)
        ax.plot([r["step"] / epoch for r in evaluated], [r[name] for r in evaluated], "o-")
        ax.set(xlabel="epoch", ylabel=name)
    loss = axes[0, 1]
    loss.set(ylabel=f"nats for each {what}", yscale="log")
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
