"""Tables of `lstm_odyssey`, rows from the best cell to the worst."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from experiments.lstm_odyssey import analysis
from experiments.lstm_odyssey.analysis import HYPERPARAMETERS, Compared
from experiments.lstm_odyssey.literature import FOUND
from rnnlab.training.importance import Importance


def losses(cells: Sequence[Compared]) -> list[dict[str, Any]]:
    """A row for each cell of a task: its loss, and how it differs from the reference."""
    rows = []
    for one in cells:
        apart = one.difference
        differs = {
            "difference": f"{apart.mean:+.4f}",
            "its 95 %": f"{apart.low:+.4f} … {apart.high:+.4f}",
            "p (Holm)": "" if one.p is None else f"{one.p:.2g}",
        }
        rows.append(
            {
                "cell": one.cell,
                "loss": f"{one.mean:.4f}",
                "95 %": "{:.4f} … {:.4f}".format(*one.interval),
                **(dict.fromkeys(differs, "") if one.p is None else differs),
                "verdict": one.verdict,
                "diverged": f"{one.diverged} of {one.trials}",
            }
        )
    return rows


def searched(
    data: xr.Dataset,
    task: str,
    cells: Sequence[Compared],
    importances: Mapping[str, Importance],
) -> list[dict[str, Any]]:
    """A row for each cell of a task: what was searched and chosen, and what moves the loss."""
    chosen, largest = analysis.chosen(data).sel(task=task), float(data["size"].max())
    rows = []
    for one in cells:
        mine, here = chosen.sel(cell=one.cell), data.sel(task=task, cell=one.cell)
        importance = importances[one.cell]
        rows.append(
            {
                "cell": one.cell,
                "units": ", ".join(str(int(n)) for n in here.hidden.values),
                "parameters": ", ".join(str(int(n)) for n in here.parameters.values),
                "chosen rate": f"{np.median(mine.learning_rate.values):.2g}",
                "chose the largest size": f"{np.mean(mine.chosen_size.values == largest):.0%}",
                **{
                    name: _share(importance.shares[place])
                    for place, name in HYPERPARAMETERS.items()
                },
                "explained": _share(importance.explained),
            }
        )
    return rows


def _share(value: float) -> str:
    return f"{value:.2f}" if np.isfinite(value) else "–"


def ranks(data: xr.Dataset) -> list[dict[str, Any]]:
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
