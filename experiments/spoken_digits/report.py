"""Curve, confusions and spectrograms of a network that hears digits, as a page."""

from __future__ import annotations

from typing import Any

import numpy as np

from experiments.spoken_digits.measure import confusions
from rnnlab import plots
from rnnlab.data.recordings import Recordings
from rnnlab.run.report import Report
from rnnlab.run.workdir import Workdir
from rnnlab.trained.listener import SpeechModel
from rnnlab.training import image_pictures, log

CURVE, CONFUSION = "curve.png", "confusion.png"
#: Misheard recordings that are drawn, and listed.
DRAWN, LISTED = 2, 20


def write(
    workdir: Workdir,
    epoch: int,
    summary: dict[str, Any],
    test: Recordings,
    answers: dict[str, np.ndarray],
    model: SpeechModel,
) -> None:
    """Draws the pictures and writes the page.

    Args:
        workdir: of the run, with its metrics.
        epoch: training steps of an epoch.
        summary: the run in a few numbers.
        test: the test recordings.
        answers: for what they were taken by `network` and baselines, `[N]` each.
        model: what was trained.
    """
    rows = workdir.path(log.METRICS).read_text(encoding="utf-8")
    trained, evaluated = log.read(rows, "train"), log.read(rows, "evaluation")
    page = Report("Which digit is spoken?")
    page.text(INTRODUCTION)
    page.table(list(summary.items()), columns=("what", "value"), caption=CAPTION)
    with plots.style():
        figure = image_pictures.plot_curve(trained, evaluated, epoch, "recording")
        plots.save(figure, workdir.path(CURVE))
        counts = confusions(test.labels, answers["network"])
        plots.save(image_pictures.plot_confusion(counts), workdir.path(CONFUSION))
        page.figure(workdir.path(CURVE), caption=CURVE_CAPTION, alt="Accuracy against epochs.")
        page.figure(
            workdir.path(CONFUSION),
            caption="Test recordings by their digit and by the digit for which they were taken. "
            "Colours are of the misheard ones.",
            alt="Confusion matrix of the ten digits.",
        )
        page.heading("What the network hears")
        for number, row in enumerate(drawn(test, answers["network"])):
            path = workdir.path(f"heard_{number}.png")
            name = f"{test.labels[row]} by {test.speakers[row]}, number {test.numbers[row]}"
            plots.save(model.plot(test.samples[row], name), path)
            page.figure(path, caption=HEARD, alt="A spectrogram and the answers below it.")
    page.heading("Misheard recordings")
    names = list(answers)
    page.table(misheard(test, answers), columns=("digit", "speaker", "number", *names))
    page.settings(workdir)
    page.write(workdir.path("report.html"))


def drawn(test: Recordings, answers: np.ndarray) -> list[int]:
    """A recording that was heard well, and some that were misheard."""
    right, wrong = (np.flatnonzero((answers == test.labels) == is_it) for is_it in (True, False))
    return [*right[:1].tolist(), *wrong[:DRAWN].tolist()]


def misheard(test: Recordings, answers: dict[str, np.ndarray]) -> list[tuple[Any, ...]]:
    """Some recordings that the network took for another digit, spread evenly over all of them."""
    wrong = np.flatnonzero(answers["network"] != test.labels)
    chosen = wrong[np.linspace(0, len(wrong) - 1, min(LISTED, len(wrong))).astype(int)]
    return [
        (
            int(test.labels[row]),
            test.speakers[row],
            int(test.numbers[row]),
            *(int(each[row]) for each in answers.values()),
        )
        for row in chosen
    ]


INTRODUCTION = """\
    The network hears a recording of one digit as log-mel frames and names the digit. Training
    recordings are changed at random, in speed, loudness, noise and the silence around them. Test
    recordings were heard once, with the checkpoint that did best on the validation recordings. The
    baselines read mean and standard deviation of each band over time, which have no order."""
CAPTION = "Losses are cross-entropies in nats for each recording; the interval is Wilson's."
CURVE_CAPTION = """\
    Accuracy and loss: thin, of training batches before their update, with dropout and changed at
    random; dots, of the validation recordings without either."""
HEARD = """\
    Above: the log-mel frames. Below: the probability of each digit. Of a network that reads
    forwards alone it is that of what was heard so far; of one that reads in both directions, what
    each step by itself says, of whose outputs the answer is the mean."""
