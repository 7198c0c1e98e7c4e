"""Pictures, table and report of what truncation costs."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from experiments.bptt_horizon import pictures
from experiments.bptt_horizon.config import STAGES
from rnnlab import plots
from rnnlab.run.report import Report
from rnnlab.run.tables import print_table
from rnnlab.run.workdir import Workdir


def write(workdir: Workdir, data: xr.Dataset) -> None:
    """Writes pictures and report, and prints the table."""
    with plots.style():
        plots.save(pictures.horizons(data), workdir.path("horizons.png"))
        plots.save(pictures.curves(data), workdir.path("curves.png"))
    rows, seeds = table(data), data.sizes["seed"]
    report = Report("What does truncated backpropagation through time cost?")
    report.text(
        f"""The gradient is cut every k steps. Cosine and relative bias compare it with the full
        gradient, over the same batches; the bias is what averaging over batches does not remove,
        and where it is below the noise of a batch, a step cannot tell. The final loss is that of
        training with the cut gradient. Medians and quartiles are over {seeds} seeds."""
    )
    report.figure(
        workdir.path("horizons.png"),
        caption="Dashed: at the start. Solid: after training with the full gradient. Dotted, with "
        "the bias: noise of one batch. Dots and dashes, with the loss: loss without memory.",
        alt="Cosine, bias and final loss against the horizon k, by task and network.",
    )
    report.figure(
        workdir.path("curves.png"),
        caption="Loss while training with gradients that are cut after k steps.",
        alt="Loss against training steps for each horizon, by task and network.",
    )
    report.table(rows, caption="Every task, network and horizon; medians over seeds.")
    report.settings(workdir)
    report.write(workdir.path("report.html"))
    print_table(rows, title=f"What truncation costs; medians of {seeds} seeds")


def table(data: xr.Dataset) -> list[dict[str, Any]]:
    """A row for every task, network and horizon."""
    rows = []
    for task in data.task.values:
        for network in data.network.values:
            for horizon in pictures.horizons_of(data, task):
                one = data.sel(task=task, network=network, horizon=horizon)
                row = {"task": str(task), "network": str(network), "k": int(horizon)}
                for stage in STAGES:
                    row[f"cosine, {stage}"] = f"{one.cosine.sel(stage=stage).median():.3f}"
                for stage in STAGES:
                    row[f"bias, {stage}"] = f"{one.bias.sel(stage=stage).median():.3g}"
                row["noise, trained"] = f"{one.noise.sel(stage='trained').median():.3g}"
                row["final loss"] = f"{one.loss.isel(step=-1).median():.4g}"
                row["loss without memory"] = f"{one.baseline.item():.4g}"
                row["diverged"] = int(np.isfinite(one.diverged_at.values).sum())
                rows.append(row)
    return rows
