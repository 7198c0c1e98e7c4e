"""Curve, attention, BLEU by length and adjoints of a network that translates, as a page."""

from __future__ import annotations

from typing import Any

from matplotlib.figure import Figure

from experiments.translation import measure
from experiments.translation.adjoints import Profiles
from rnnlab import plots
from rnnlab.arrays import Params
from rnnlab.run.report import Report
from rnnlab.run.workdir import Workdir
from rnnlab.trained import attention_picture
from rnnlab.training import log
from rnnlab.training.translating import Coders, attention_of
from rnnlab.training.translation import Model

CURVE, LENGTHS, ADJOINTS = "curve.png", "lengths.png", "adjoints.png"
#: Sentences whose attention is drawn: the first of the test with so many symbols at most; and
#: translations that are shown.
DRAWN, SYMBOLS, SHOWN = 4, 24, 12


def write(
    workdir: Workdir,
    epoch: int,
    summary: dict[str, Any],
    model: Model,
    params: Params,
    coders: Coders,
) -> None:
    """Draws the pictures and writes the page.

    Args:
        workdir: of the run, with its metrics, translations and adjoints.
        epoch: training steps of an epoch.
        summary: the run in a few numbers.
        model: the network.
        params: of the best checkpoint.
        coders: of both languages.
    """
    rows = workdir.path(log.METRICS).read_text(encoding="utf-8")
    trained, evaluated = log.read(rows, "train"), log.read(rows, "evaluation")
    kept, profiles = measure.translations_of(workdir), measure.adjoints_of(workdir.root)
    page = Report("How much does attention help a recurrent network to translate?")
    page.text(INTRODUCTION)
    page.table(list(summary.items()), columns=("what", "value"), caption=CAPTION)
    with plots.style():
        plots.save(plot_curve(trained, evaluated, epoch), workdir.path(CURVE))
        plots.save(plot_lengths(summary), workdir.path(LENGTHS))
        drawn = draw_attention(workdir, model, params, coders, kept)
        if profiles is not None:
            plots.save(plot_adjoints(profiles), workdir.path(ADJOINTS))
    page.figure(workdir.path(CURVE), caption=CURVE_CAPTION, alt="Loss against epochs.")
    page.figure(workdir.path(LENGTHS), caption=LENGTHS_CAPTION, alt="BLEU against length.")
    if profiles is not None:
        page.figure(
            workdir.path(ADJOINTS), caption=ADJOINTS_CAPTION, alt="Adjoint norm against distance."
        )
    for name in drawn:
        page.figure(workdir.path(name), caption=ATTENTION_CAPTION, alt="Attention of a sentence.")
    page.table(
        [(row["source"], row["reference"], row["beams"]) for row in kept[:SHOWN]],
        columns=("source", "reference", "translation"),
        caption="The first test sentences.",
    )
    page.settings(workdir)
    page.write(workdir.path("report.html"))


def plot_curve(
    trained: list[dict[str, Any]], evaluated: list[dict[str, Any]], epoch: int
) -> Figure:
    """Losses against epochs."""
    figure, axes = plots.subplots(1, 1, width=6, height=3.6)
    ax = axes[0, 0]
    means = [trained[i : i + 50] for i in range(0, len(trained), 50)]
    ax.plot(
        [rows[-1]["step"] / epoch for rows in means],
        [sum(row["loss"] for row in rows) / len(rows) for rows in means],
        lw=0.8,
        label="training, smoothed labels",
    )
    ax.plot(
        [row["step"] / epoch for row in evaluated],
        [row["loss"] for row in evaluated],
        "o-",
        label="validation",
    )
    ax.set(xlabel="epoch", ylabel="nats for each symbol")
    ax.legend()
    return figure


def plot_lengths(summary: dict[str, Any]) -> Figure:
    """BLEU of test sentences by the length of their source."""
    prefix = measure.BY_LENGTH
    groups = {k.removeprefix(prefix): v for k, v in summary.items() if k.startswith(prefix)}
    figure, axes = plots.subplots(1, 1, width=6, height=3.2)
    ax = axes[0, 0]
    ax.bar(range(len(groups)), list(groups.values()))
    ax.set_xticks(range(len(groups)), labels=list(groups), fontsize=8)
    ax.set(ylabel="BLEU", xlabel="length of the source")
    return figure


def draw_attention(
    workdir: Workdir, model: Model, params: Params, coders: Coders, kept: list[dict[str, str]]
) -> list[str]:
    """Draws the attention of some test sentences; the names of the pictures."""
    names: list[str] = []
    for row in kept:
        source = coders.source.tokens(row["source"])
        target = coders.target.tokens(row["beams"])
        if not 0 < len(source) <= SYMBOLS or len(names) == DRAWN:
            continue
        codes = (
            coder.vocabulary.encode(tokens)
            for coder, tokens in ((coders.source, source), (coders.target, target))
        )
        weights = attention_of(model, params, *codes)
        if weights is None:
            return []
        names.append(f"attention{len(names) + 1}.png")
        picture = attention_picture.plot(weights, source, [*target, "</s>"])
        plots.save(picture, workdir.path(names[-1]))
    return names


def plot_adjoints(profiles: Profiles) -> Figure:
    """How far back the loss is felt by the encoder."""
    figure, axes = plots.subplots(1, 1, width=6, height=3.6)
    ax = axes[0, 0]
    count = profiles.reach
    for values, label in (
        (profiles.all_ways, "by all ways"),
        (profiles.by_the_end, "through the final state alone"),
    ):
        ax.plot(range(count), values[:count], "o-", ms=3, label=label)
    ax.set(xlabel="symbols before the end of the source", ylabel="log10 ‖∂L/∂h‖")
    ax.legend()
    return figure


INTRODUCTION = """\
    The encoder reads a sentence in both directions. The decoder writes its translation from what
    the encoder hands over: its final state, a context vector at every step, or, with attention, a
    weighted mean of all its outputs at every step. The test sentences were translated once, with
    the checkpoint of the lowest validation loss."""
CAPTION = """\
    BLEU is sacreBLEU's of detokenised text in its own case, with the signature; lengths are in
    words between white space. Losses are in nats for each symbol of the target."""
CURVE_CAPTION = """\
    Cross-entropy: of training batches, with dropout and smoothed labels, means of 50 updates; and
    of the validation sentences, without either."""
LENGTHS_CAPTION = "BLEU of the test sentences, by the number of words of their source."
ADJOINTS_CAPTION = """\
    Norm of the gradient of a translation's loss with respect to the state of the encoder's forward
    layer (h; of LSTM h and c together), so many symbols before the end of the source: mean of the
    logarithm over validation sentences. With attention the loss reaches every state directly;
    through the final state alone it has to take the long way."""
ATTENTION_CAPTION = """\
    What the decoder attended to, by columns, for each symbol that it wrote, by rows: white is 0,
    black is 1."""
