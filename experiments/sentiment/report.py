"""Curve, confusions and misread texts of a network that names the class of texts, as a page."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from rnnlab import plots
from rnnlab.data.sentences import Labelled
from rnnlab.run.report import Report
from rnnlab.run.workdir import Workdir
from rnnlab.statistics import confusion
from rnnlab.training import log
from rnnlab.training.confusion_picture import plot_confusions

CURVE, CONFUSION = "curve.png", "confusion.png"
#: Misread texts that are shown, and characters of each.
SHOWN, CHARACTERS = 20, 200
TITLES = {"network": "recurrent network", "baseline": "TF-IDF and logistic regression"}


def write(
    workdir: Workdir,
    epoch: int,
    summary: dict[str, Any],
    test: Labelled,
    answers: dict[str, np.ndarray],
) -> None:
    """Draws the pictures and writes the page.

    Args:
        workdir: of the run, with its metrics.
        epoch: training steps of an epoch.
        summary: the run in a few numbers.
        test: the test texts.
        answers: of the network and perhaps the baseline, `[N]` each.
    """
    rows = workdir.path(log.METRICS).read_text(encoding="utf-8")
    trained, evaluated = log.read(rows, "train"), log.read(rows, "evaluation")
    counts = {
        TITLES[name]: confusion(test.labels, given, len(test.names))
        for name, given in answers.items()
    }
    with plots.style():
        plots.save(plot_curve(trained, evaluated, epoch, summary), workdir.path(CURVE))
        plots.save(plot_confusions(counts, test.names), workdir.path(CONFUSION))
    page = Report("Which of a few classes is a text of?")
    page.text(INTRODUCTION)
    page.table(list(summary.items()), columns=("what", "value"), caption=CAPTION)
    page.figure(workdir.path(CURVE), caption=CURVE_CAPTION, alt="Accuracy and F1 against epochs.")
    page.figure(
        workdir.path(CONFUSION),
        caption="Share of the test texts of each class, by rows, that were taken for each class.",
        alt="Confusion matrices of network and baseline.",
    )
    page.heading("Misread texts")
    page.table(misread(test, answers), columns=("text", "class", "network", "baseline"))
    page.settings(workdir)
    page.write(workdir.path("report.html"))


def misread(test: Labelled, answers: dict[str, np.ndarray]) -> list[tuple[str, ...]]:
    """Some texts that the network took for another class, spread evenly over all of them."""
    wrong = np.flatnonzero(answers["network"] != test.labels)
    chosen = wrong[np.linspace(0, len(wrong) - 1, min(SHOWN, len(wrong))).astype(int)]
    return [
        (
            test.texts[row][:CHARACTERS],
            test.names[test.labels[row]],
            *(test.names[answers[n][row]] if n in answers else "–" for n in TITLES),
        )
        for row in chosen
    ]


def plot_curve(
    trained: list[dict[str, Any]],
    evaluated: list[dict[str, Any]],
    epoch: int,
    summary: dict[str, Any],
) -> Figure:
    """Accuracy, macro-F1 and loss against epochs; dotted, the baseline on the test texts."""
    figure, axes = plots.subplots(1, 3, width=11)
    steps = [row["step"] / epoch for row in evaluated]
    window = max(len(trained) // 100, 1)
    for ax, name in zip(axes[0], ("accuracy", "macro F1", "loss"), strict=True):
        if name in trained[0]:
            values = np.array([row[name] for row in trained])
            means = [
                part.mean() for part in np.array_split(values, range(window, len(values), window))
            ]
            ends = np.minimum(np.arange(1, len(means) + 1) * window, len(values)) / epoch
            ax.plot(ends, means, "C0", lw=0.8, alpha=0.6, label="training")
        ax.plot(steps, [row[name] for row in evaluated], "C1o-", label="validation")
        if f"baseline test {name}" in summary:
            ax.axhline(summary[f"baseline test {name}"], color="k", ls=":", label="baseline, test")
        ax.set(xlabel="epoch", ylabel=name if name != "loss" else "nats for each text")
    axes[0, 0].legend()
    return figure


INTRODUCTION = """\
    The network reads the words of a text one after the other and names its class once, from what is
    pooled of its outputs. The test texts were evaluated once, with the checkpoint that did best on
    the validation texts. The baseline has the same words of the same texts without their order; its
    settings are those that did best on the same validation texts."""
CAPTION = """\
    The loss is the cross-entropy in nats for each text. The interval of the accuracy is Wilson's;
    those of macro-F1 and of the differences are from 2,000 bootstrap samples of the test texts, for
    the differences with both answers to a text drawn together."""
CURVE_CAPTION = """\
    Accuracy, macro-F1 and loss: of each training batch with dropout (means over a hundredth of the
    training), of the validation texts, and of the baseline on the test texts (dotted)."""
