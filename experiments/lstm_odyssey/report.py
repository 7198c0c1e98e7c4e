"""Tables, pictures and page of what the searches found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from experiments.lstm_odyssey import analysis, pictures
from experiments.lstm_odyssey.analysis import ALARM, Compared
from experiments.lstm_odyssey.config import Config
from experiments.lstm_odyssey.literature import FOUND
from rnnlab import plots
from rnnlab.run.report import Report
from rnnlab.run.tables import print_table
from rnnlab.run.workdir import Workdir
from rnnlab.training.importance import Importance

RANKING, RATES, SHARES = "ranking.png", "learning_rates.png", "importance.png"


def write(workdir: Workdir, data: xr.Dataset, config: Config) -> None:
    """Draws the pictures, writes the page and prints the tables."""
    rankings = {task: analysis.compared(data, config, task) for task in config.tasks}
    importances = {
        task: {cell: analysis.important(data, config, task, cell) for cell in config.cells}
        for task in config.tasks
    }
    with plots.style():
        plots.save(pictures.ranking(rankings, units(data)), workdir.path(RANKING))
        plots.save(pictures.rates(data, config, rankings), workdir.path(RATES))
        plots.save(pictures.shares(importances), workdir.path(SHARES))
    tables = {task: table(data, task, cells, importances[task]) for task, cells in rankings.items()}
    beside = greff(rankings)
    _page(workdir, data, config, tables, beside)
    for task, rows in tables.items():
        print_table(rows, title=f"{task}: {units(data)[task]} on test, the best first")
    print_table(rank_table(data), title="Mean rank over the tasks, 1 is best")
    if beside:
        print_table(beside, title="What Greff et al. (2017) found, and what was measured")


def units(data: xr.Dataset) -> dict[str, str]:
    """The unit of the loss of each task."""
    return {str(task): str(unit) for task, unit in zip(data.task.values, data.unit.values)}  # noqa: B905


def _page(
    workdir: Workdir,
    data: xr.Dataset,
    config: Config,
    tables: Mapping[str, list[dict[str, Any]]],
    beside: list[dict[str, Any]],
) -> None:
    page = Report("Which parts of an LSTM matter?")
    search = config.search
    page.text(
        INTRODUCTION.format(
            searches=search.searches,
            trials=search.trials * len(search.sizes),
            sizes=len(search.sizes),
            low=search.lowest_rate,
            high=search.highest_rate,
            steps=config.training.steps,
            reference=config.reference,
            alarm=ALARM,
        )
    )
    page.figure(
        workdir.path(RANKING),
        caption=RANKING_CAPTION.format(reference=config.reference),
        alt="For each task, losses of all cells with their means and intervals.",
    )
    page.table(rank_table(data), caption=RANKS_CAPTION)
    if beside:
        page.table(beside, caption=GREFF_CAPTION)
    for task, rows in tables.items():
        page.heading(f"{task}")
        baseline = float(data.baseline.sel(task=task))
        page.table(rows, caption=f"In {units(data)[task]}; {baseline:.4g} sees no input. " + TABLE)
    page.heading("What moves a loss")
    page.figure(workdir.path(RATES), caption=RATES_CAPTION, alt="Maps of loss by learning rate.")
    page.figure(
        workdir.path(SHARES), caption=SHARES_CAPTION, alt="Shares of variance for each cell."
    )
    page.settings(workdir)
    page.write(workdir.path("report.html"))


def table(
    data: xr.Dataset,
    task: str,
    cells: Sequence[Compared],
    importances: Mapping[str, Importance],
) -> list[dict[str, Any]]:
    """A row for each cell of a task, the best first."""
    chosen, largest = analysis.chosen(data).sel(task=task), float(data["size"].max())
    rows = []
    for one in cells:
        mine, here = chosen.sel(cell=one.cell), data.sel(task=task, cell=one.cell)
        importance = importances[one.cell]
        rows.append(
            {
                "cell": one.cell,
                "loss": f"{one.mean:.4f}",
                "95 %": "{:.4f} … {:.4f}".format(*one.interval),
                "difference": "" if one.p is None else f"{one.difference.mean:+.4f}",
                "its 95 %": ""
                if one.p is None
                else f"{one.difference.low:+.4f} … {one.difference.high:+.4f}",
                "p (Holm)": "" if one.p is None else f"{one.p:.2g}",
                "verdict": one.verdict,
                "units": ", ".join(str(int(n)) for n in here.hidden.values),
                "parameters": ", ".join(str(int(n)) for n in here.parameters.values),
                "chosen rate": f"{np.median(mine.learning_rate.values):.2g}",
                "chose the largest": f"{np.mean(mine.chosen_size.values == largest):.0%}",
                "diverged": f"{one.diverged}/{one.trials}",
                **{
                    name: f"{importance.shares[place]:.2f}"
                    for place, name in pictures.HYPERPARAMETERS.items()
                },
                "explained": f"{importance.explained:.2f}",
            }
        )
    return rows


def rank_table(data: xr.Dataset) -> list[dict[str, Any]]:
    """The mean rank of each cell over the tasks."""
    return [
        {"cell": cell, "mean rank": f"{mean:.2f}", "95 %": f"{low:.2f} … {high:.2f}"}
        for cell, (mean, low, high) in analysis.ranks(data).items()
    ]


def greff(rankings: Mapping[str, Sequence[Compared]]) -> list[dict[str, Any]]:
    """What Greff et al. found of each change, beside the verdicts here."""
    rows = []
    for cell, (change, speech, handwriting, music) in FOUND.items():
        verdicts = {
            f"here: {task}": next((one.verdict for one in cells if one.cell == cell), "")
            for task, cells in rankings.items()
        }
        if any(verdicts.values()):
            there = {"speech": speech, "handwriting": handwriting, "music": music}
            rows.append({"cell": cell, "change": change, **there, **verdicts})
    return rows


INTRODUCTION = """\
    All cells get the same search on each task: {searches} independent searches of {trials} trials,
    with learning rates drawn log-uniformly from {low:g} to {high:g} and networks of {sizes} sizes,
    {steps} training steps each. A size is a number of parameters, readout included; the width
    follows from it and the cell. A search chooses the trial with the least loss on validation, and
    its loss on test counts. Searches with the same number had the same seeds and learning rates for
    every cell. Differences are to {reference}, in pairs; intervals are Student's t; p-values are
    adjusted by Holm, so that the chance of a single false alarm among all cells of a task is
    {alarm:g}. Where a difference was not found there may be one that is smaller than its
    interval."""
RANKING_CAPTION = """\
    Circles: the loss of each search's choice. Bars: mean and its 95 % interval. Dashed: the mean of
    {reference}. Colours: verdicts after Holm's adjustment."""
RANKS_CAPTION = """\
    Each search ranks the cells of each task, and ranks are averaged over tasks; the interval is
    that of the mean over searches. It says nothing about other tasks."""
GREFF_CAPTION = """\
    There: 200 trials of each change, speech frames (TIMIT), handwriting (IAM Online) and music (JSB
    chorales), larger networks trained to the end, in both directions for the first two. Here: small
    networks and short trainings, as above."""
TABLE = """\
    Units and parameters are those of each size. Trials that diverged count as having learned
    nothing. The last columns share out the variance of the validation loss over the space of
    learning rate and size, as a random forest has learned it (Hutter et al. 2014); explained is its
    R² for trials that it has not seen, and the rest is due to seeds or was not found."""
RATES_CAPTION = """\
    Median loss on validation over seeds and sizes; the darkest colour is that of having learned
    nothing, or worse. Grey: no trial."""
SHARES_CAPTION = """\
    How the variance of the validation loss over learning rates and sizes is shared out."""
