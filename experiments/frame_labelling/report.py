"""Curve, timelines and confusions of a network that labels frames, as pictures and a page."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from rnnlab import plots
from rnnlab.data.labelled_frames import PHASES
from rnnlab.run.report import Report
from rnnlab.run.workdir import Workdir
from rnnlab.statistics import confusion
from rnnlab.trained import timeline_picture
from rnnlab.training import log
from rnnlab.training.confusion_picture import plot_confusions

CURVE, CONFUSION = "curve.png", "confusion.png"
#: Names of the labellings whose confusions are shown.
SHOWN = ("network", "gradient boosting")


def write(workdir: Workdir, summary: dict[str, Any], answers: list[dict[str, Any]]) -> None:
    """Draws the pictures and writes the page.

    Args:
        workdir: of the run, with its metrics.
        summary: the run in a few numbers.
        answers: name, seconds and labellings of each test video.
    """
    rows = workdir.path(log.METRICS).read_text(encoding="utf-8")
    page = Report("How well does a recurrent network label every frame of a video?")
    page.text(INTRODUCTION)
    page.table(list(summary.items()), columns=("what", "value"), caption=CAPTION)
    with plots.style():
        figure = plot_curve(log.read(rows, "train"), log.read(rows, "evaluation"), summary)
        plots.save(figure, workdir.path(CURVE))
        page.figure(workdir.path(CURVE), caption=CURVE_CAPTION, alt="Loss and F1 against steps.")
        page.heading("The test videos")
        for place, answer in enumerate(answers):
            path = workdir.path(f"timeline_{place}.png")
            plots.save(plot_timeline(answer), path)
            page.figure(
                path,
                caption=f"The phases of video {answer['video']}, as they are and as they were "
                "labelled.",
                alt=f"Coloured bars along the seconds of {answer['video']}.",
            )
        plots.save(plot_confusions(confusions(answers), PHASES), workdir.path(CONFUSION))
    page.figure(
        workdir.path(CONFUSION),
        caption="Frames of the test videos by their phase and the answered one, with the shares of "
        "each row.",
        alt="Confusion matrices.",
    )
    page.settings(workdir)
    page.write(workdir.path("report.html"))


def plot_curve(
    trained: list[dict[str, Any]], evaluated: list[dict[str, Any]], summary: dict[str, Any]
) -> Figure:
    """Loss of training and F1 of validation against training steps; the best step is marked."""
    figure, axes = plots.subplots(1, 2, width=9)
    axes[0, 0].plot(*log.smoothed(trained), lw=0.8)
    axes[0, 0].set(xlabel="training step", ylabel="nats for each frame", yscale="log")
    for name in ("macro F1", "F1@50"):
        axes[0, 1].plot([r["step"] for r in evaluated], [r[name] for r in evaluated], label=name)
    axes[0, 1].axvline(summary["best step"], color="black", lw=0.8, ls=":", label="chosen")
    axes[0, 1].set(xlabel="training step", ylabel="validation", ylim=(0, 1))
    axes[0, 1].legend()
    return figure


def plot_timeline(answer: dict[str, Any]) -> Figure:
    """All labellings of a video."""
    rows = [(name, np.array(labels)) for name, labels in answer["labels"].items()]
    return timeline_picture.plot(rows, np.array(answer["seconds"]), PHASES, answer["video"])


def confusions(answers: list[dict[str, Any]]) -> dict[str, np.ndarray]:
    """Tables of right and answered labels, by what answered."""

    def all_of(name: str) -> np.ndarray:
        return np.concatenate([np.array(answer["labels"][name], int) for answer in answers])

    return {name: confusion(all_of("right"), all_of(name), len(PHASES)) for name in SHOWN}


INTRODUCTION = """\
    The network reads where hands and wrists are in each frame of a video, and how fast they move,
    and names the phase of the gesture. It was trained on videos of two people, and tested once on
    those of a third, with the checkpoint that labelled the validation video best. Logistic
    regression and gradient boosting read the same numbers of a window of frames; their settings are
    those that did best on the same validation video."""
CAPTION = """\
    Macro-F1 is the mean F1 of the phases, by frames. F1@50 counts segments: one is right if it
    overlaps a segment of its phase by half of what both cover. The edit score counts the order of
    segments, whatever their lengths. Shuffled frames: windows of all videos, of which a random
    fifth tests. Its neighbours, nearly the same, are in training; that number says nothing of new
    videos."""
CURVE_CAPTION = """\
    Left: loss of training windows, with noise and dropout, labels weighed. Right: the validation
    video."""
