"""Curve, confusions and labelled sentences of a tagger, as pictures and a page."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from rnnlab import plots
from rnnlab.run.report import Report
from rnnlab.run.workdir import Workdir
from rnnlab.trained import tag_picture
from rnnlab.training import log

CURVE, CONFUSION, SENTENCES = "curve.png", "confusion.png", "sentences.png"
#: Labelled sentences that are shown, and words of them at most; wrongly labelled words in a table.
SHOWN, WORDS, WRONG = 8, 25, 20


def write(
    workdir: Workdir,
    summary: dict[str, Any],
    answers: tuple[list[list[str]], list[list[str]], list[list[str]]],
    types: list[dict[str, Any]],
) -> None:
    """Draws the pictures and writes the page.

    Args:
        workdir: of the run, with its metrics.
        summary: the run in a few numbers.
        answers: words, right and answered labels of the test sentences.
        types: scores of entities by their type.
    """
    rows = workdir.path(log.METRICS).read_text(encoding="utf-8")
    trained, evaluated = log.read(rows, "train"), log.read(rows, "evaluation")
    words, gold, found = answers
    with plots.style():
        plots.save(plot_curve(trained, evaluated), workdir.path(CURVE))
        plots.save(plot_confusion(gold, found), workdir.path(CONFUSION))
        plots.save(plot_sentences(words, found), workdir.path(SENTENCES))
    page = Report("How well does a recurrent network label the words of a sentence?")
    page.text(INTRODUCTION)
    page.table(list(summary.items()), columns=("what", "value"), caption=CAPTION)
    if types:
        page.table(types, caption="Entities of the test split by their type.")
    page.figure(
        workdir.path(CURVE),
        caption="Thin: loss of training batches, in nats for each word. Dots: share of wrong "
        "labels, or 1 - F1 of entities, of the validation split.",
        alt="Loss and error against training steps.",
    )
    page.figure(
        workdir.path(CONFUSION),
        caption="Words of the test split by their label and by the answered one, as shares of "
        "each row.",
        alt="Confusion matrix of the labels.",
    )
    page.figure(
        workdir.path(SENTENCES),
        caption="Sentences of the test split with the answered labels.",
        alt="Words with their labels over them.",
    )
    page.heading("What it takes for what")
    page.table(frequent_errors(words, gold, found), caption="The most frequent errors.")
    page.settings(workdir)
    page.write(workdir.path("report.html"))


def plot_curve(trained: list[dict[str, Any]], evaluated: list[dict[str, Any]]) -> Figure:
    """Loss and error against training steps."""
    figure, axes = plots.subplots(1, 2, width=9)
    axes[0, 0].plot(*log.smoothed(trained), lw=0.8)
    axes[0, 0].set(xlabel="training step", ylabel="nats for each word", yscale="log")
    axes[0, 1].plot([r["step"] for r in evaluated], [r["error"] for r in evaluated], "o-")
    axes[0, 1].set(xlabel="training step", ylabel="error, validation", yscale="log")
    return figure


def plot_confusion(gold: list[list[str]], found: list[list[str]]) -> Figure:
    """Shares of the answered labels, by right labels in rows."""
    counts = Counter(_pairs(gold, found))
    names = sorted({name for pair in counts for name in pair})
    table = np.array([[counts[a, b] for b in names] for a in names], float)
    shares = table / np.maximum(table.sum(axis=1, keepdims=True), 1)
    size = 2.5 + 0.28 * len(names)
    figure, axes = plots.subplots(1, 1, width=size + 0.8, height=size)
    ax = axes[0, 0]
    ax.imshow(shares, cmap="Reds", vmin=0, vmax=1)
    for (row, column), share in np.ndenumerate(shares):
        if share >= 0.005:
            text = f"{100 * share:.0f}"
            colour = "white" if share > 0.5 else "black"
            ax.text(column, row, text, ha="center", va="center", fontsize=6, color=colour)
    ax.set(xlabel="answered", ylabel="label", xticks=range(len(names)), yticks=range(len(names)))
    ax.set_xticklabels(names, rotation=90)
    ax.set_yticklabels(names)
    return figure


def plot_sentences(words: list[list[str]], found: list[list[str]]) -> Figure:
    """Some sentences with their labels, spread over the test split."""
    good = [row for row, sentence in enumerate(words) if 3 < len(sentence) <= WORDS]
    good = good or [row for row, sentence in enumerate(words) if sentence][:1]
    chosen = np.linspace(0, len(good) - 1, min(SHOWN, len(good))).astype(int)
    return tag_picture.plot([(words[good[place]], found[good[place]]) for place in chosen])


def frequent_errors(
    words: list[list[str]], gold: list[list[str]], found: list[list[str]]
) -> list[dict[str, Any]]:
    """Labels that were taken for others, how often, and words of which that happened most."""
    wrong: dict[tuple[str, str], Counter[str]] = {}
    for sentence, right, answered in zip(words, gold, found, strict=True):
        for word, a, b in zip(sentence, right, answered, strict=True):
            if a != b:
                wrong.setdefault((a, b), Counter())[word] += 1
    most = sorted(wrong.items(), key=lambda item: -item[1].total())[:WRONG]
    return [
        {
            "label": a,
            "answered": b,
            "words": counts.total(),
            "such as": ", ".join(word for word, _ in counts.most_common(5)),
        }
        for (a, b), counts in most
    ]


def _pairs(gold: list[list[str]], found: list[list[str]]) -> list[tuple[str, str]]:
    return [pair for a, b in zip(gold, found, strict=True) for pair in zip(a, b, strict=True)]


INTRODUCTION = """\
    The network reads words, as vectors and by their characters, and gives each a label. The test
    split was labelled once, with the checkpoint that labelled the validation split best."""
CAPTION = """\
    F1, precision and recall are of whole entities in strict IOB2; accuracy is of words. New words
    are those that the training split does not have."""
