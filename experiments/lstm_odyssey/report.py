"""Pictures, tables and page of what the searches found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import xarray as xr

from experiments.lstm_odyssey import analysis, pictures, tables
from experiments.lstm_odyssey.analysis import ALARM, Compared
from experiments.lstm_odyssey.config import Config
from rnnlab import plots
from rnnlab.run.report import Report
from rnnlab.run.tables import print_table
from rnnlab.run.workdir import Workdir
from rnnlab.training.importance import Importance

RANKING, RATES, SHARES = "ranking.png", "learning_rates.png", "importance.png"
Rankings = Mapping[str, Sequence[Compared]]
Importances = Mapping[str, Mapping[str, Importance]]


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
    _page(workdir, data, config, rankings, importances)
    for task, cells in rankings.items():
        title = f"{task}: {units(data)[task]} on test, the best first"
        print_table(tables.losses(cells), title=title)
    for task, cells in rankings.items():
        rows = tables.searched(data, task, cells, importances[task])
        print_table(rows, title=f"{task}: what was chosen, and what moves the loss")
    print_table(tables.ranks(data), title="Mean rank over the tasks, 1 is best")
    beside = tables.greff(rankings)
    if beside:
        print_table(beside, title="What Greff et al. (2017) found, and what was measured")


def units(data: xr.Dataset) -> dict[str, str]:
    """The unit of the loss of each task."""
    return {str(task): str(data.unit.sel(task=task).item()) for task in data.task.values}


def _page(
    workdir: Workdir, data: xr.Dataset, config: Config, rankings: Rankings, importances: Importances
) -> None:
    page = Report("Which parts of an LSTM matter?")
    page.text(_introduction(config))
    page.figure(
        workdir.path(RANKING),
        caption=RANKING_CAPTION.format(reference=config.reference),
        alt="For each task, how the losses of all cells differ, with means and intervals.",
    )
    page.table(tables.ranks(data), caption=RANKS_CAPTION)
    beside = tables.greff(rankings)
    if beside:
        page.table(beside, caption=GREFF_CAPTION)
    for task, cells in rankings.items():
        page.heading(task)
        caption = LOSSES.format(
            unit=units(data)[task], baseline=data.baseline.sel(task=task).item()
        )
        page.table(tables.losses(cells), caption=caption)
        page.table(tables.searched(data, task, cells, importances[task]), caption=SEARCHED)
    page.heading("What moves a loss")
    page.figure(workdir.path(RATES), caption=RATES_CAPTION, alt="Maps of loss by learning rate.")
    page.figure(
        workdir.path(SHARES), caption=SHARES_CAPTION, alt="Shares of variance for each cell."
    )
    page.settings(workdir)
    page.write(workdir.path("report.html"))


def _introduction(config: Config) -> str:
    search = config.search
    return INTRODUCTION.format(
        searches=search.searches,
        trials=search.trials * len(search.sizes),
        sizes=len(search.sizes),
        low=search.lowest_rate,
        high=search.highest_rate,
        steps=config.training.steps,
        reference=config.reference,
        alarm=ALARM,
    )


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
    Circles: by how much the loss of a search's choice exceeds that of the search of {reference}
    with the same number. Bars: the mean of these differences and its 95 % interval. Colours:
    verdicts after Holm's adjustment, for which a bar beside the dashed line is not enough."""
RANKS_CAPTION = """\
    Each search ranks the cells of each task, and ranks are averaged over tasks; the interval is
    that of the mean over searches. It says nothing about other tasks."""
GREFF_CAPTION = """\
    There: 200 trials of each change, speech frames (TIMIT), handwriting (IAM Online) and music (JSB
    chorales), larger networks trained to the end, in both directions for the first two. Here: small
    networks and short trainings, as above."""
LOSSES = """\
    In {unit}; the best answer without input has {baseline:.4g}. Trials that diverged count as that,
    and the last column says how many did."""
SEARCHED = """\
    Units and parameters of each size. The last columns share out the variance of the validation
    loss over the space of learning rate and size, as a random forest has learned it (Hutter et al.
    2014); explained is its R² for trials that it has not seen, and the rest is due to seeds or was
    not found. Near 0 the shares mean nothing."""
RATES_CAPTION = """\
    Median loss on validation over seeds and sizes; the darkest colour is that of having learned
    nothing, or worse. Grey: no trial."""
SHARES_CAPTION = """\
    How the variance of the validation loss over learning rates and sizes is shared out."""
