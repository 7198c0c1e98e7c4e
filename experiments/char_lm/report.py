"""Curve, texts and cells of a trained character model, as pictures and a page."""

from __future__ import annotations

from typing import Any

from matplotlib.figure import Figure

from experiments.char_lm import cells, samples
from experiments.char_lm.cells import Follower
from rnnlab import plots
from rnnlab.arrays import Params
from rnnlab.data.corpus import Corpus
from rnnlab.run.report import Report
from rnnlab.run.workdir import Workdir
from rnnlab.training import log
from rnnlab.training.language import LanguageModel

CURVE, CELLS = "curve.png", "cells.png"
#: Characters in which cells are looked for.
READ = 20_000


def write(
    workdir: Workdir,
    summary: dict[str, Any],
    corpus: Corpus,
    model: LanguageModel,
    params: Params,
) -> None:
    """Draws the pictures and writes the page.

    Args:
        workdir: of the run, with its metrics and generated texts.
        summary: the run in a few numbers.
        corpus: the text.
        model: the language model.
        params: its parameters, of the best checkpoint.
    """
    text = "".join(corpus.symbols["validation"][:READ])
    layers = cells.memories(model, params, corpus.vocabulary.read(text))
    found = cells.followers(text, layers)
    with plots.style():
        plots.save(plot_curve(workdir, summary), workdir.path(CURVE))
        following = [one for one in found if one.follows]
        if following:
            plots.save(cells.plot(text[len(text) // 2 :], following), workdir.path(CELLS))
    page = Report("What does a character model learn of a text, and when?")
    page.text(INTRODUCTION)
    page.table(list(summary.items()), columns=("what", "value"), caption=CAPTION)
    page.figure(
        workdir.path(CURVE),
        caption="Loss of training windows and of the validation split; share of generated words "
        "that exist. Dotted: the entropy of the frequencies of characters.",
        alt="Loss and share of existing words against training steps.",
    )
    _add_samples(page, workdir)
    if found:
        _add_cells(page, workdir, found)
    page.settings(workdir)
    page.write(workdir.path("report.html"))


def plot_curve(workdir: Workdir, summary: dict[str, Any]) -> Figure:
    """Losses, and words that exist, against steps."""
    rows = workdir.path(log.METRICS).read_text(encoding="utf-8")
    trained, evaluated = log.read(rows, "train"), log.read(rows, "evaluation")
    figure, axes = plots.subplots(1, 2, width=9)
    loss, words = axes[0]
    loss.plot([r["step"] for r in trained], [r["loss"] for r in trained], label="training")
    steps = [r["step"] for r in evaluated]
    loss.plot(steps, [r["validation"] for r in evaluated], "o-", label="validation")
    loss.axhline(
        summary["without context"], color="#555555", linestyle=":", label="without context"
    )
    loss.set(xlabel="training step", ylabel="nats per character")
    loss.legend()
    for name, label in (("known_words", "all words"), ("known_long_words", "5 letters or more")):
        shares = [float("nan") if r[name] is None else r[name] for r in evaluated]
        words.plot(steps, shares, "o-", label=label)
    words.set(xlabel="training step", ylabel="share of generated words that exist", ylim=(0, 1))
    words.legend()
    return figure


def _add_samples(page: Report, workdir: Workdir) -> None:
    """The generated texts with what was measured beside them."""
    rows = workdir.path(log.METRICS).read_text(encoding="utf-8")
    page.heading("What it writes")
    for row in log.read(rows, "evaluation"):
        path = workdir.path(samples.FOLDER) / f"{row['step']:06}.txt"
        if path.exists():
            share = row["known_words"]
            exist = "no words" if share is None else f"{share:.0%} of its words exist"
            page.text(f"Step {row['step']}: {row['validation']:.3f} nats per character, {exist}.")
            page.verbatim(path.read_text(encoding="utf-8"))


def _add_cells(page: Report, workdir: Workdir, found: list[Follower]) -> None:
    page.heading("Single cells")
    page.text(CELLS_TEXT)
    following = ", ".join(one.feature for one in found if one.follows)
    if following:
        page.figure(
            workdir.path(CELLS),
            caption="Each character in the colour of what the cell remembers after it.",
            alt=f"Text coloured by the memory of single cells, which follow {following}.",
        )
    else:
        page.text("No cell of this network follows one of these features.")
    rows = [
        {
            "feature": one.feature,
            "layer": one.layer,
            "unit": one.unit,
            "r where chosen": round(one.found, 3),
            "r where checked": round(one.checked, 3),
            "95 % interval": "{:.2f} … {:.2f}".format(*one.interval),
            "follows": "yes" if one.follows else "no",
        }
        for one in found
    ]
    page.table(
        rows,
        caption="Pearson's correlation of a cell's memory with a feature of the text. The interval "
        f"is that of the jackknife over {cells.PARTS} stretches of the text.",
    )


INTRODUCTION = """\
    The network reads a text character by character and predicts the next one. Training sees the
    first 90 % of the text. The loss is the mean cross-entropy of a split in nats for each
    character: every character but the first is predicted once, from all before it in its row of
    the split (16 rows are read side by side). The test split was evaluated once, with the
    checkpoint of the lowest validation loss."""
CAPTION = """\
    Losses in nats per character. A word exists if it occurs in the training text, in whatever
    case; words that were cut off at the end of a sample do not count."""
CELLS_TEXT = """\
    For each feature of the text the cell of the highest absolute correlation was chosen in the
    first half of a stretch of the validation text, and checked in the second: it follows the
    feature if the whole 95 % interval of its correlation there lies beyond 0.3, on the side where
    it was chosen, so that at least 9 % of what varies in the one is in the other. The picture shows
    the cells that do, in the second half. What a cell remembers is tanh(c) where it has a memory
    cell, and its output elsewhere."""
