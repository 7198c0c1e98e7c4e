"""Pictures, tables and report of what the networks of `memory_tasks` have learned."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from scipy.stats import spearmanr

from experiments.memory_tasks import pictures
from experiments.memory_tasks.config import GRID, Config
from rnnlab import plots
from rnnlab.run.report import Report
from rnnlab.run.tables import print_table
from rnnlab.run.workdir import Workdir
from rnnlab.statistics import median_text, rank_correlation_interval, rate_text
from rnnlab.training import populations


def write(workdir: Workdir, data: xr.Dataset, config: Config) -> None:
    """Writes pictures and report, and prints the tables."""
    with plots.style():
        plots.save(pictures.losses(data), workdir.path("losses.png"))
        plots.save(pictures.success(data), workdir.path("success.png"))
    rows, correlations = table(data), foretold(data)
    report = Report("What can a network remember?")
    report.text(
        f"""A network has solved a task when its loss on fresh sequences is below {config.solved:g}
        of the loss that is reached without learning. Rates are over {config.population.seeds}
        seeds, with Wilson's 95 % interval. The gradient is log10 ‖∂L/∂s_0‖ at the start, for a loss
        at the last step; where it is far below zero, what happened T steps ago moves no weight."""
    )
    _add_pictures(report, workdir, config.population.seeds)
    report.table(
        correlations,
        caption="Does the gradient at the start foretell the loss at the end? Spearman's rank "
        "correlation of log10 ‖∂L/∂s_0‖ with the last loss, over all networks, lengths and seeds "
        "of a task, with its 95 % interval: -1 where a larger gradient always means a smaller "
        "loss, 0 where it means nothing.",
    )
    report.table(rows, caption="Every task, length and network.")
    report.settings(workdir)
    report.write(workdir.path("report.html"))
    title = f"Solved: loss below {config.solved:g} of the baseline, {config.population.seeds} seeds"
    print_table(rows, title=title)
    print_table(
        correlations, title="Gradient at the start against the last loss: Spearman's correlation"
    )


def _add_pictures(report: Report, workdir: Workdir, seeds: int) -> None:
    report.figure(
        workdir.path("losses.png"),
        caption=f"Loss on fresh sequences, median and quartiles of {seeds} seeds; dashed: without "
        "learning.",
        alt="Loss against training steps for every task and length, by network.",
    )
    report.figure(
        workdir.path("success.png"),
        caption=f"Share of {seeds} seeds that solve the task with Wilson's 95 % interval, against "
        "length, and against the gradient at the start.",
        alt="Success rate against sequence length and against the gradient at initialisation.",
    )


def table(data: xr.Dataset) -> list[dict[str, Any]]:
    """A row for every task, length and network."""
    rows = []
    for one in populations.points(data, GRID):
        solved, last = one.solved_at.values, populations.last(one.loss.values)
        row = {
            "task": str(one.task.item()),
            "T": int(one.length),
            "network": str(one.network.item()),
            "solved": rate_text(solved),
            "steps": median_text(solved, "{:.0f}"),
            "loss": median_text(last, "{:.3g}"),
            "best": f"{np.nanmin(last):.3g}" if np.isfinite(last).any() else "-",
            "baseline": f"{one.baseline.item():.3g}",
            "right": median_text(populations.last(one.right.values), "{:.3f}"),
            "log10 gradient": median_text(one.log10_gradient.values, "{:.1f}"),
            "diverged": int(np.isfinite(one.diverged_at.values).sum()),
        }
        for length in data.test_length.values:
            right = one.test_right.sel(test_length=length).values
            row[f"right at {length}"] = median_text(right, "{:.3f}")
        rows.append(row)
    return rows


def foretold(data: xr.Dataset) -> list[dict[str, Any]]:
    """For every task, the rank correlation of the gradient at the start with the last loss."""
    rows = []
    for task in data.task.values:
        trials = populations.points(data.sel(task=[task]), GRID)
        gradient = np.concatenate([one.log10_gradient.values for one in trials])
        last = np.concatenate([populations.last(one.loss.values) for one in trials])
        known = ~np.isnan(gradient) & np.isfinite(last)
        gradient, last = gradient[known], last[known]
        varied = len(set(gradient)) > 1 and len(set(last)) > 1
        found: Any = spearmanr(gradient, last) if varied else None
        rows.append(
            {
                "task": str(task),
                "networks": len(last),
                "correlation": "-" if found is None else f"{found.statistic:.2f}",
                "95 % interval": "-" if found is None else _interval(found.statistic, len(last)),
                "p": "-" if found is None else f"{found.pvalue:.1g}",
            }
        )
    return rows


def _interval(correlation: float, count: int) -> str:
    return "{:.2f} … {:.2f}".format(*rank_correlation_interval(correlation, count))
