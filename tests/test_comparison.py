"""Rows of runs that differ in the seed alone, and their numbers."""

import pathlib

import numpy as np
import pytest

from rnnlab import comparison, plots
from rnnlab.comparison import rows_of, spread_text, table
from rnnlab.run.compare import Finished
from rnnlab.run.report import Report


def run(number, seed=0, crf=True, cell="gru", place="/a", **numbers):
    config = {
        "source.data_dir": place,
        "network.crf": crf,
        "network.cell": cell,
        "network.width": float("nan"),
        "training.boundaries": (1, 2),
        "seed": seed,
    }
    return Finished(pathlib.Path(f"w{number}"), config, {"score": number, **numbers})


def test_runs_that_differ_in_the_seed_or_in_where_data_lie_are_one_row():
    runs = [run(1.0), run(3.0, seed=1, place="/b"), run(9.0, crf=False), run(2.0, seed=2)]
    rows = rows_of(runs)
    assert [row.settings for row in rows] == [{"crf": True}, {"crf": False}]
    assert [row.values("score") for row in rows] == [[1, 3, 2], [9]]
    assert [row.label for row in rows] == ["crf", "no crf"]
    assert [row.mean("score") for row in rows_of(runs, by="score")] == [9, 2]
    (alone,) = rows_of(runs[:2])
    assert (alone.label, len(alone.runs)) == ("all runs", 2)
    assert [row.label for row in rows_of([run(1), run(1, cell="lstm")])] == ["gru", "lstm"]
    sized = rows_of([Finished(pathlib.Path("w"), {"hidden": n}, {}) for n in (8, 16)])
    assert [row.label for row in sized] == ["hidden=8", "hidden=16"]
    several = rows_of([run(1), run(1, crf=False, cell="lstm")])
    assert [row.label for row in several] == ["crf, cell=gru", "no crf, cell=lstm"]


def test_a_field_that_a_run_does_not_have_is_another_setting():
    older = run(1.0)
    del older.config["network.crf"]
    assert [row.settings for row in rows_of([older, run(2.0)])] == [{"crf": None}, {"crf": True}]


def test_a_number_is_a_mean_with_half_its_interval_and_its_ends():
    """By hand: t of 2 degrees of freedom is 4.3027, s of 1, 2, 3 is 1: 4.3027 / √3 = 2.4842."""
    assert spread_text([40.0, 41.0, 42.0]) == "41.00 ± 2.48 (40.00 … 42.00)"
    assert spread_text([0.952, 0.953, 0.951]) == "0.9520 ± 0.0025 (0.9510 … 0.9530)"
    assert spread_text([4000.2, 4004.2]) == "4002 (4000 … 4004)"
    assert spread_text([5.0, 5.0]) == 5 and spread_text([0.25]) == 0.25 and spread_text([]) is None
    assert spread_text([-1.0, 1.0]) == "0.0000 (-1.0000 … 1.0000)"


def test_the_table_has_the_numbers_that_are_there():
    rows = rows_of([run(1.0, beam=7), run(2.0, crf=False, beam=None), run(4.0, 1, crf=False)])
    assert table(rows, ["beam", "score", "nothing"]) == [
        {"crf": "true", "seeds": 1, "beam": 7, "score": 1},
        {"crf": "false", "seeds": 2, "beam": None, "score": "3.000 (2.000 … 4.000)"},
    ]
    assert comparison.numbers_of(rows, "be") == ["beam"]
    assert comparison.numbers_of(rows) == ["score", "beam"]


@pytest.mark.parametrize("seeds", [1, 2, 4])
def test_dots(seeds):
    """A circle for each run; the mean from two runs on, and its interval from three."""
    runs = [run(float(s), s, beside=0.5) for s in range(seeds)] + [run(9.0, crf=False)]
    with plots.style():
        figure = comparison.plot_dots(rows_of(runs), ["score", "nothing"], ["beside"])
    (ax,) = figure.axes
    baseline, *lines = ax.lines
    assert set(baseline.get_xdata()) == {0.5} or set(lines[-1].get_xdata()) == {0.5}
    circles = [line.get_xdata().tolist() for line in ax.lines if line.get_marker() == "o"]
    assert circles == [list(map(float, range(seeds))), [9.0]]
    means = [line.get_xdata().tolist() for line in ax.lines if line.get_marker() == "|"]
    assert means == ([[np.mean(range(seeds))]] if seeds > 1 else [])
    assert len(ax.collections) == (seeds > 2)
    assert [text.get_text() for text in ax.get_yticklabels()] == ["crf", "no crf"]


def test_the_runs_are_named():
    page = Report("t")
    comparison.add_runs(page, rows_of([run(1, 4), run(2, 5, crf=False)]), pathlib.Path())
    html = page.html()
    assert all(word in html for word in ("no crf", "w1", "w2", ">4<", ">5<"))
