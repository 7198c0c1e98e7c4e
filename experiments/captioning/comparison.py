"""What the decoder gets of an image, and whatever else differs between runs, side by side."""

from __future__ import annotations

import pathlib

from rnnlab import comparison, plots
from rnnlab.run.compare import PAGE, Finished
from rnnlab.run.report import Report
from rnnlab.run.tables import print_table

DOTS = "dots.png"
#: Of scenes, and of sentences that people wrote.
SCENES = ("test captions right", "digits named with most of the attention on them")
PEOPLE = ("test BLEU-4, beams", "test CIDEr-D, beams")
MORE = (
    *(f"right of scenes with {count}" for count in range(1, 5)),
    "attention on the digit being named, mean",
    "test CIDEr, beams",
    "test BLEU-4, nearest image",
    "test CIDEr-D, nearest image",
    "test BLEU-4, language model",
    "test CIDEr-D, language model",
    "test loss",
    "parameters",
    "seconds of training",
)


def compare(runs: list[Finished], folder: pathlib.Path) -> None:
    """Writes the page and its picture."""
    of_scenes = any(SCENES[0] in run.summary for run in runs)
    shown = SCENES[:1] if of_scenes else PEOPLE
    rows = comparison.rows_of(runs, by=shown[0])
    table = comparison.table(rows, (*SCENES, *PEOPLE, *MORE))
    page = Report("What networks say of images, side by side")
    page.text(INTRODUCTION)
    page.table(table, caption=CAPTION + comparison.SPREAD)
    baselines = [name.replace("beams", "nearest image") for name in shown]
    with plots.style():
        picture = comparison.plot_dots(rows, shown, () if of_scenes else baselines)
        plots.save(picture, folder / DOTS)
    page.figure(folder / DOTS, caption=comparison.DOTS, alt="Dots of how good captions are.")
    comparison.add_runs(page, rows, folder)
    page.write(folder / PAGE)
    print_table(table, title="Side by side")


INTRODUCTION = """\
    Networks that write about images, each trained by itself. The test images were described once,
    with the checkpoint that did best on the validation images."""
CAPTION = "The loss is in nats for each symbol. "
