"""Curve, misheard strings and spectrograms of a network that writes down digits, as a page."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from rnnlab import plots
from rnnlab.data.digit_strings import DigitString
from rnnlab.run.report import Report
from rnnlab.run.workdir import Workdir
from rnnlab.trained.transcriber import Transcriber
from rnnlab.training import log

CURVE = "curve.png"
#: Misheard strings that are drawn, and listed.
DRAWN, LISTED = 1, 20


def write(
    workdir: Workdir,
    epoch: int,
    summary: dict[str, Any],
    test: list[DigitString],
    answers: dict[str, list[tuple[int, ...]]],
    model: Transcriber,
) -> None:
    """Draws the pictures and writes the page.

    Args:
        workdir: of the run, with its metrics.
        epoch: training steps of an epoch.
        summary: the run in a few numbers.
        test: the test strings.
        answers: for what they were taken by beams (`network`) and greedily.
        model: what was trained.
    """
    rows = workdir.path(log.METRICS).read_text(encoding="utf-8")
    page = Report("Which digits are spoken, one after the other?")
    page.text(INTRODUCTION)
    page.table(list(summary.items()), columns=("what", "value"), caption=CAPTION)
    with plots.style():
        figure = plot_curve(log.read(rows, "train"), log.read(rows, "evaluation"), epoch)
        plots.save(figure, workdir.path(CURVE))
        page.figure(workdir.path(CURVE), caption=CURVE_CAPTION, alt="Loss and errors over time.")
        page.heading("What the network hears")
        for number, row in enumerate(drawn(test, answers["network"])):
            path = workdir.path(f"heard_{number}.png")
            name = f"said {spelt(test[row].digits)}"
            plots.save(model.plot(test[row].samples, name), path)
            page.figure(path, caption=HEARD, alt="A spectrogram and the answers below it.")
    page.heading("Misheard strings")
    page.table(misheard(test, answers), columns=("said", "beams", "greedy"))
    page.settings(workdir)
    page.write(workdir.path("report.html"))


def spelt(digits: Any) -> str:
    """Digits with spaces between them."""
    return " ".join(str(int(digit)) for digit in digits) or "–"


def drawn(test: list[DigitString], answers: list[tuple[int, ...]]) -> list[int]:
    """A string that was heard well, and some that were misheard."""
    pairs = zip(answers, test, strict=True)
    right = np.array([said == tuple(string.digits.tolist()) for said, string in pairs])
    return [*np.flatnonzero(right)[:1].tolist(), *np.flatnonzero(~right)[:DRAWN].tolist()]


def misheard(
    test: list[DigitString], answers: dict[str, list[tuple[int, ...]]]
) -> list[tuple[str, ...]]:
    """Some strings that the network took for others."""
    rows = zip(test, answers["network"], answers["greedy"], strict=True)
    wrong = [
        (spelt(string.digits), spelt(said), spelt(path))
        for string, said, path in rows
        if said != tuple(string.digits.tolist())
    ]
    return wrong[:LISTED]


def plot_curve(
    trained: list[dict[str, Any]], evaluated: list[dict[str, Any]], epoch: int
) -> Figure:
    """Loss of training and error rate of validation against epochs."""
    figure, axes = plots.subplots(1, 2, width=9)
    left, right = axes[0]
    steps, losses = log.smoothed(trained)
    left.plot(steps / epoch, losses, lw=0.8)
    left.set(xlabel="epoch", ylabel="nats for each digit", yscale="log")
    wrong = [
        row for row in evaluated if row["error"]
    ]  # no error has no place on a logarithmic axis
    epochs = [row["step"] / epoch for row in wrong]
    right.plot(epochs, [100 * row["error"] for row in wrong], "o-", ms=3)
    right.set(xlabel="epoch", ylabel="digit error rate (%)", yscale="log")
    return figure


INTRODUCTION = """\
    Recordings of one speaker are joined with pauses. The network hears such a string and writes
    down its digits, without ever having been told when a digit is said (CTC, Graves et al. 2006).
    Training strings are made without end, of training recordings, and changed at random; the test
    strings are always the same ones, of test recordings, and were heard once, with the checkpoint
    that made the fewest errors on the validation strings."""
CAPTION = """\
    The digit error rate counts digits that were inserted, left out or exchanged, as a share of
    those that were said. Its interval holds 95 % of as many strings drawn with replacement."""
CURVE_CAPTION = """\
    Left: the loss of training strings, with dropout and changed at random. Right: errors in the
    validation strings, with the likeliest path."""
HEARD = """\
    Above: the log-mel frames. Below: what the network says at each time, – for nothing. It says a
    digit in a few steps and is silent else."""
