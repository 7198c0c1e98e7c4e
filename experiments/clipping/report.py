"""Pictures, table and report of `clipping`."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from experiments.clipping import pictures
from experiments.clipping.config import GRID, Config
from rnnlab import plots
from rnnlab.run.report import Report
from rnnlab.run.tables import print_table
from rnnlab.run.workdir import Workdir
from rnnlab.statistics import median_text, rate_text
from rnnlab.training import populations


def write(workdir: Workdir, data: xr.Dataset, config: Config) -> None:
    """Writes pictures and report, and prints the table."""
    with plots.style():
        plots.save(pictures.success(data), workdir.path("success.png"))
        for name, (variable, label, scale) in pictures.CURVES.items():
            plots.save(pictures.curves(data, variable, label, scale), workdir.path(name))
    rows = table(data)
    report = Report("Clipping and regularising the gradient: temporal order")
    report.text(
        f"""MSGD is plain stochastic gradient descent, MSGD-C clips the norm of the gradient, and
        MSGD-CR also has the regulariser Ω that keeps the gradient's norm on its way back. A network
        has solved the task when less than {100 * config.solved:g} % of fresh sequences are answered
        wrongly. Rates are over {config.seeds} seeds, with Wilson's 95 % interval."""
    )
    _add_pictures(report, workdir, config.seeds)
    report.table(rows, caption="Every start, length and method; of seeds, medians.")
    report.settings(workdir)
    report.write(workdir.path("report.html"))
    title = f"Solved: less than {100 * config.solved:g} % wrong, {config.seeds} seeds"
    print_table(rows, title=title)


def _add_pictures(report: Report, workdir: Workdir, seeds: int) -> None:
    report.figure(
        workdir.path("success.png"),
        caption=f"Share of {seeds} seeds that solve the task, with Wilson's 95 % interval.",
        alt="Success rate against the length of sequences, by method, for every start.",
    )
    for name, (_, label, _) in pictures.CURVES.items():
        report.figure(
            workdir.path(name),
            caption=f"{label.capitalize()}: median and quartiles of the seeds."
            + (" Dashed: without learning." if name == "losses.png" else ""),
            alt=f"{label} against training steps for every start and length, by method.",
        )


def table(data: xr.Dataset) -> list[dict[str, Any]]:
    """A row for every start, length and method."""
    rows = []
    for one in populations.points(data, GRID):
        row = {
            "start": str(one.start.item()),
            "T": int(one.length),
            "method": str(one.method.item()),
            "solved": rate_text(one.solved_at.values),
            "steps": median_text(one.solved_at.values, "{:.0f}"),
            "of": int(one.steps_made),
            "loss": median_text(populations.last(one.loss.values), "{:.3g}"),
            "wrong": median_text(populations.last(one.wrong.values), "{:.3f}"),
            "ρ": median_text(populations.last(one.spectral_radius.values), "{:.2f}"),
            "σ_max": median_text(populations.last(one.sigma_max.values), "{:.2f}"),
            "clipped": median_text(_mean(one.clipped.values), "{:.2f}"),
            "diverged": int(np.isfinite(one.diverged_at.values).sum()),
        }
        for length in data.test_length.values:
            wrong = one.test_wrong.sel(test_length=length).values
            row[f"wrong at {length}"] = median_text(wrong, "{:.3f}")
        rows.append(row)
    return rows


def _mean(values: np.ndarray) -> np.ndarray:
    """Mean of each seed over the steps that it has made, `[until, seed]` to `[seed]`."""
    counts = np.isfinite(values).sum(axis=0)
    return np.where(counts > 0, np.nansum(values, axis=0) / np.maximum(counts, 1), np.nan)
