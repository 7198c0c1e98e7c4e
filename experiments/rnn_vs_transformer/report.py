"""The page of the comparison."""

from __future__ import annotations

from typing import Any

from experiments.rnn_vs_transformer import pictures, tables
from experiments.rnn_vs_transformer.clocks import SYMBOL, WINDOW, Row
from experiments.rnn_vs_transformer.measure import Trained
from rnnlab import plots
from rnnlab.run.report import Report
from rnnlab.run.workdir import Workdir

SLOPES, CURVES = "slopes.png", "curves.png"


def write(
    workdir: Workdir,
    summary: dict[str, Any],
    rows: list[Row],
    updates: list[Trained],
    time: list[Trained],
) -> None:
    """Draws the pictures and writes the page.

    Args:
        workdir: of the run.
        summary: the run in a few numbers.
        rows: what was timed.
        updates: networks after as many updates.
        time: networks after as much time.
    """
    training = workdir.config["training"]
    symbols = training["batch"] * training["length"]
    with plots.style():
        plots.save(pictures.plot_slopes(summary, rows), workdir.path(SLOPES))
        plots.save(pictures.plot_curves(updates, time, symbols), workdir.path(CURVES))
    page = Report(
        "What does a transformer cost, and what does it learn, beside recurrent networks?"
    )
    page.text(INTRODUCTION.format(symbols=symbols, length=training["length"]))
    if summary["rows on a busy machine"]:
        page.text(tables.BUSY.format(summary["rows on a busy machine"]))
    page.table(tables.claims(summary, rows), caption=CLAIMS)
    page.figure(
        workdir.path(SLOPES),
        caption="Medians with quartiles, and power laws fitted to the larger two thirds of the "
        "sizes (dashed).",
        alt="Time and memory against the length of windows and against the position in a text.",
    )
    page.heading("What they learn")
    page.table(tables.losses(summary), caption=LOSSES)
    page.figure(
        workdir.path(CURVES),
        caption="Left: after as many updates. Right: after as much time, that of the slowest.",
        alt="Validation losses against symbols read and against seconds.",
    )
    page.heading("What was timed")
    page.table(tables.timed(rows, WINDOW), caption=f"One update of {symbols} symbols.")
    page.table(tables.timed(rows, SYMBOL), caption="One generated symbol, and what is kept for it.")
    page.settings(workdir)
    page.write(workdir.path("report.html"))


INTRODUCTION = """\
    Networks with as many parameters predict the next character of a text. The recurrent networks
    have one layer and read characters one-hot; the transformer is decoder-only, with normalisation
    before each part and rotary positions. In training all of them continue from window to window
    ({length} steps): the recurrent networks with their state, the transformer with the keys and
    values of the window before; no gradient flows back into either.

    Training against T is that of updates of {symbols} symbols, which are cut into fewer windows the
    longer these are, each read from the initial state. Memory is what XLA reserves for
    temporaries (memory analysis of the compiled program), to which parameters and optimiser add
    the same for all. Generated symbols are those of one text, the likeliest each, in a compiled
    loop; the transformer's cache has as many places as symbols were read before. All networks of a
    size took turns in one process; numbers are medians."""
CLAIMS = """\
    Exponents p of size^p by least squares on logarithms, with 95 % intervals (Student's t over the
    sizes), fitted to the larger two thirds of the sizes. Those of training are at a fixed number of
    symbols. O is about sizes without limit: constants, such as the linear maps of a transformer,
    keep an exponent below it for long."""
LOSSES = """\
    Nats per character, of the checkpoint with the lowest validation loss. Seconds are updates times
    the median of one, timed beside the others; evaluations are left out. Each number of updates is
    a training of its own, with a schedule of its own."""
