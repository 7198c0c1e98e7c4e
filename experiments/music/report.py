"""Curve and piano rolls of a network that writes chorales, as pictures and a page."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from rnnlab import plots
from rnnlab.data.piano_roll import Roll
from rnnlab.run.report import Report
from rnnlab.run.workdir import Workdir
from rnnlab.trained import roll_picture
from rnnlab.training import log

CURVE = "curve.png"
#: What each roll shows.
CAPTIONS = {
    "free": "What the network writes from nothing.",
    "continued": "How it continues a chorale of the test split, after the dashed line.",
    "harmonised": "The melody of that chorale, with voices that it wrote below it.",
    "original": "That chorale as it is.",
}


def write(workdir: Workdir, summary: dict[str, Any], written: dict[str, tuple[Roll, Roll]]) -> None:
    """Draws the pictures and writes the page.

    Args:
        workdir: of the run, with its metrics.
        summary: the run in a few numbers.
        written: what the network wrote, and which of its keys it was given.
    """
    rows = workdir.path(log.METRICS).read_text(encoding="utf-8")
    page = Report("How well does a recurrent network foresee the next chord of a chorale?")
    page.text(INTRODUCTION)
    page.table(list(summary.items()), columns=("what", "value"), caption=CAPTION)
    with plots.style():
        figure = plot_curve(log.read(rows, "train"), log.read(rows, "evaluation"))
        plots.save(figure, workdir.path(CURVE))
        page.figure(
            workdir.path(CURVE),
            caption="Line: loss of training batches, with dropout and in other keys. Dots: "
            "validation split.",
            alt="Nats of a frame against training steps.",
        )
        page.heading("What it writes")
        for name, (keys, given) in written.items():
            path = workdir.path(f"{name}.png")
            plots.save(roll_picture.plot(keys, given), path)
            page.figure(
                path, caption=f"{CAPTIONS[name]} To listen: {name}.mid.", alt=f"A roll: {name}."
            )
    page.settings(workdir)
    page.write(workdir.path("report.html"))


def plot_curve(trained: list[dict[str, Any]], evaluated: list[dict[str, Any]]) -> Figure:
    """Nats of a frame against training steps."""
    figure, axes = plots.subplots(1, 1, width=7, height=3.6)
    ax = axes[0, 0]
    ax.plot(*log.smoothed(trained), lw=0.8, label="training")
    nats = [row["nats"] for row in evaluated]
    ax.plot([r["step"] for r in evaluated], nats, "o-", ms=3, label="validation")
    least = np.nanmin(np.array(nats, float))
    ax.set(xlabel="training step", ylabel="nats for each frame", ylim=(0.9 * least, 1.6 * least))
    ax.legend()
    return figure


INTRODUCTION = """\
    The network reads a chorale beat by beat and says how likely each of 88 keys of the next frame
    is, independently of the others. The loss is -log p of a frame, summed over keys, in nats, as a
    mean over all frames but the first of each chorale. The test split was read once, with the
    checkpoint that foresees the validation split best. Published, on the Bach chorales with
    300,000 parameters (Bai et al. 2018, Table 1): tanh 8.91, LSTM 8.45, GRU 8.43, TCN 8.10."""
CAPTION = """\
    Particles are chorales that are written side by side below a melody, of which one is drawn; with
    one particle the melody is held down and no more. Keys in common are those below the melody:
    twice those of both, over those of each."""
