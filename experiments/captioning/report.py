"""Curve, captions and attention of a network that writes about images, as a page."""

from __future__ import annotations

import textwrap
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from experiments.captioning import measure
from experiments.captioning.config import Config
from rnnlab import plots
from rnnlab.arrays import Params
from rnnlab.data import scenes
from rnnlab.data.captions import CaptionData
from rnnlab.run.report import Report
from rnnlab.run.workdir import Workdir
from rnnlab.trained import caption_picture
from rnnlab.training import log
from rnnlab.training.captioning import attention_of

CURVE, CAPTIONED, ATTENDED = "curve.png", "captions.png", "attended.png"
#: Test images that are shown with their captions, in so many columns, and those whose attention is
#: drawn; captions of the table.
SHOWN, WIDE, DRAWN, TABLED = 15, 5, 4, 20


def write(
    workdir: Workdir, config: Config, summary: dict[str, Any], data: CaptionData, params: Params
) -> None:
    """Draws the pictures and writes the page.

    Args:
        workdir: of the run, with its metrics and captions.
        config: of the run.
        summary: the run in a few numbers.
        data: of the run.
        params: of the best checkpoint.
    """
    rows = workdir.path(log.METRICS).read_text(encoding="utf-8")
    trained, evaluated = log.read(rows, "train"), log.read(rows, "evaluation")
    captions, attended = measure.captions_of(workdir), measure.attended_of(workdir)
    with plots.style():
        plots.save(plot_curve(trained, evaluated), workdir.path(CURVE))
        plots.save(plot_captions(data, captions, config.of_scenes), workdir.path(CAPTIONED))
        drawn = draw_attention(workdir, config, data, params, captions)
        if attended is not None:
            plots.save(plot_attended(np.concatenate(attended)), workdir.path(ATTENDED))
    page = Report("Can a network say what an image shows, and does it look at what it names?")
    page.text(INTRODUCTION)
    page.table(list(summary.items()), columns=("what", "value"), caption=CAPTION)
    page.figure(workdir.path(CURVE), caption=CURVE_CAPTION, alt="Loss against training steps.")
    page.figure(workdir.path(CAPTIONED), caption=CAPTIONS_CAPTION, alt="Images with captions.")
    for name in drawn:
        page.figure(workdir.path(name), caption=ATTENTION_CAPTION, alt="Attention word by word.")
    if attended is not None:
        page.figure(workdir.path(ATTENDED), caption=ATTENDED_CAPTION, alt="Histogram of shares.")
    chosen = [row for row in captions if row["greedy"] != row["reference"]][:TABLED]
    if chosen:
        page.table(
            [tuple(row.values()) for row in chosen],
            columns=tuple(chosen[0]),
            caption="The first test captions that are not the reference.",
        )
    page.settings(workdir)
    page.write(workdir.path("report.html"))


def plot_curve(trained: list[dict[str, Any]], evaluated: list[dict[str, Any]]) -> Figure:
    """Loss, and the measure of captions, against training steps."""
    figure, axes = plots.subplots(1, 2, width=9, height=3.4)
    loss, other = axes[0]
    size = max(len(trained) // 150, 1)
    means = [trained[i : i + size] for i in range(0, len(trained), size)]
    name = "nats" if "nats" in trained[0] else "loss"
    loss.plot(
        [rows[-1]["step"] for rows in means],
        [np.mean([row[name] for row in rows]) for rows in means],
        lw=0.8,
        label="training",
    )
    steps = [row["step"] for row in evaluated]
    loss.plot(steps, [row["loss"] for row in evaluated], "o-", label="validation")
    loss.set(xlabel="training step", ylabel="nats for each symbol", yscale="log")
    loss.legend()
    measured = "right" if "right" in evaluated[0] else "CIDEr-D"
    other.plot(steps, [row[measured] for row in evaluated], "C1o-")
    label = "captions exactly right" if measured == "right" else "CIDEr-D"
    other.set(xlabel="training step", ylabel=f"{label}, validation", ylim=(0, None))
    return figure


def plot_captions(data: CaptionData, captions: list[dict[str, str]], judged: bool) -> Figure:
    """The first test images with what was written about them; what is wrong is red."""
    columns = WIDE if data.shape[0] == data.shape[1] else 2
    count = min(SHOWN - SHOWN % columns, len(captions))
    rows = -(-count // columns)
    height = 2.0 if columns == WIDE else 1.5
    figure, axes = plots.subplots(rows, columns, width=9, height=height * rows)
    for ax in axes.flat[count:]:
        ax.axis("off")
    for ax, pixels, row in zip(axes.flat, data.test.pixels[:count], captions, strict=False):
        caption_picture.show_pixels(ax, pixels)
        wrong = judged and row["greedy"] != row["reference"]
        text = textwrap.fill(row["greedy"], 26 if columns == WIDE else 60)
        ax.set_title(text, fontsize=7, color="#C00000" if wrong else "black", parse_math=False)
    return figure


def draw_attention(
    workdir: Workdir,
    config: Config,
    data: CaptionData,
    params: Params,
    captions: list[dict[str, str]],
) -> list[str]:
    """Draws the attention of some test images; the names of the pictures."""
    model = measure.model_of(config, data)
    order = list(range(len(captions)))
    if config.of_scenes:  # the most digits first
        order.sort(key=lambda row: -len(captions[row]["reference"].split()))
        order = order[:: max(len(order) // (2 * DRAWN), 1)]
    rows = order[:DRAWN]
    words = [captions[row]["greedy"].split() for row in rows]
    codes = [data.vocabulary.encode(each) for each in words]
    weights = attention_of(model, params, data.test.pixels[rows], codes)
    if weights is None:
        return []
    names = []
    for number, (row, each, one) in enumerate(zip(rows, words, weights, strict=True), start=1):
        boxes = _boxes(data, row, each)
        names.append(f"attention{number}.png")
        picture = caption_picture.plot(data.test.pixels[row], each, one, boxes)
        plots.save(picture, workdir.path(names[-1]))
    return names


def _boxes(data: CaptionData, row: int, words: list[str]) -> list[tuple[int, float, float, float]]:
    """Squares around the digits that words name, where the scene has as many."""
    shown = data.test.scenes
    if shown is None or not isinstance(data.train, scenes.Glyphs):
        return []
    named = [place for place, word in enumerate(words) if word in scenes.NAMES]
    corners = shown.corners[row][shown.labels[row] >= 0]
    if len(corners) != len(named):
        return []
    side = float(data.train.side)
    return [(at, float(y), float(x), side) for at, (y, x) in zip(named, corners, strict=True)]


def plot_attended(masses: np.ndarray) -> Figure:
    """How much of the attention is on the digit that is being named."""
    figure, axes = plots.subplots(1, 1, width=5.5, height=3.2)
    ax = axes[0, 0]
    ax.hist(masses, bins=np.linspace(0, 1, 41), weights=np.full(len(masses), 1 / len(masses)))
    ax.axvline(0.5, color="k", ls=":")
    ax.set(xlabel="share of the attention in the square of the digit", ylabel="share of digits")
    return figure


INTRODUCTION = """\
    Convolutions look at the image. The decoder writes a sentence about it, word by word, from what
    it gets of them: with attention, a weighted mean of the places of the image at every step, or
    one vector. The test images were described once, with the checkpoint that did best on the
    validation images."""
CAPTION = """\
    Captions of scenes are right where they are the one sentence of the scene, word for word; the
    interval is Wilson's. Attention is on a digit where the middle of a place lies in its square;
    measured while the right sentence is written. BLEU-4 is sacreBLEU's of words in lower case
    without punctuation, CIDEr and CIDEr-D as defined in rnnlab/training/cider.py, times ten, with
    one reference each.
    Losses are in nats for each symbol."""
CURVE_CAPTION = "Cross-entropy and captions, written greedily, during training."
CAPTIONS_CAPTION = (
    "The first test images with what was written about them greedily; wrong ones red."
)
ATTENTION_CAPTION = """\
    What was attended to for each word: the redder, the more. The square is the digit that the word
    names."""
ATTENDED_CAPTION = (
    "How much of the attention is on the digit that is being named, of all test digits."
)
