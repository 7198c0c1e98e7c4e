import numpy as np
import pandas as pd
import pytest
import xarray as xr

from rnnlab.errors import UsageError
from rnnlab.run.tables import as_frame, format_cell, numeric_columns, print_table, texts

EXPECTED = (["cell", "rate"], [["tanh", 0.5], ["lstm", 0.25]])


def as_rows(data, columns=None):
    frame = as_frame(data, columns)
    return list(frame.columns), [list(row) for row in frame.itertuples(index=False)]


@pytest.mark.parametrize(
    "data",
    [
        [{"cell": "tanh", "rate": 0.5}, {"cell": "lstm", "rate": 0.25}],
        pd.DataFrame({"cell": ["tanh", "lstm"], "rate": [0.5, 0.25]}),
        xr.Dataset({"rate": ("cell", [0.5, 0.25])}, coords={"cell": ["tanh", "lstm"]}),
        xr.DataArray([0.5, 0.25], coords={"cell": ["tanh", "lstm"]}, name="rate"),
    ],
    ids=["dicts", "pandas", "dataset", "dataarray"],
)
def test_every_kind_of_table_gives_the_same_rows(data):
    assert as_rows(data) == EXPECTED


def test_columns_name_sequences_and_choose_keys():
    assert as_rows([("tanh", 0.5), ("lstm", 0.25)], ("cell", "rate")) == EXPECTED
    assert as_rows([{"a": 1, "b": 2}], ["b"]) == (["b"], [[2]])
    assert as_rows([], ["a"]) == (["a"], [])


def test_a_row_of_another_length_is_refused():
    with pytest.raises(UsageError, match="row 1: 1 cells for 2 columns"):
        as_rows([(1, 2), (3,)], ("a", "b"))


def test_values_stay_what_they_were():
    frame = as_frame([{"a": 3, "b": (1, 2)}, {"a": None}, {"a": 0.5, "c": 1}])
    assert frame.to_numpy().tolist() == [[3, (1, 2)], [None, ""], [0.5, ""]]
    assert [type(value) for value in frame["a"]] == [int, type(None), float]
    assert texts(frame).to_numpy().tolist() == [["3", "1, 2"], ["–", ""], ["0.5", ""]]


def test_cells():
    assert format_cell(None) == "–"
    assert format_cell(1 / 3) == "0.3333"
    assert format_cell(np.float32(1e-30)) == "1e-30"
    assert format_cell(float("nan")) == "nan"
    assert format_cell(100_000) == "100000"
    assert format_cell((0.5, 1.0)) == "0.5, 1"
    assert format_cell(np.int64(3)) == "3" and format_cell(True) == "True"


def test_columns_of_numbers_and_gaps_are_aligned_right():
    rows = [[1, "a", True, 2, None], [np.float64(2.5), 3, False, None, None]]
    assert numeric_columns(as_frame(rows, tuple("abcde"))) == [True, False, False, True, False]
    assert numeric_columns(as_frame([], ["a"])) == [False]
    gaps = [{"a": 1.5, "b": "-", "c": "–"}, {"a": 2, "c": 3}, {"b": 7}]
    assert numeric_columns(as_frame(gaps, "abc")) == [True, True, True]
    assert numeric_columns(pd.DataFrame({"x": [1.0, np.nan], "y": ["1", "2"]})) == [True, False]


def test_a_printed_table_keeps_brackets_and_long_rows(capsys):
    print_table([{"cell": "[red]x[/red]" + "y" * 120, "rate": 0.5}], title="[b]t")
    out = capsys.readouterr().out
    assert "[red]x[/red]" + "y" * 120 in out and "[b]t" in out and "0.5" in out
