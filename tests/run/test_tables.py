import numpy as np
import pandas as pd
import pytest
import xarray as xr

from rnnlab.errors import UsageError
from rnnlab.run.tables import as_rows, format_cell, numeric_columns, print_table

EXPECTED = (["cell", "rate"], [["tanh", 0.5], ["lstm", 0.25]])


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


def test_cells():
    assert format_cell(1 / 3) == "0.3333"
    assert format_cell(np.float32(1e-30)) == "1e-30"
    assert format_cell(float("nan")) == "nan"
    assert format_cell(100_000) == "100000"
    assert format_cell((0.5, 1.0)) == "0.5, 1"
    assert format_cell(np.int64(3)) == "3" and format_cell(True) == "True"


def test_only_columns_of_numbers_are_aligned_right():
    rows = [[1, "a", True], [np.float64(2.5), 3, False]]
    assert numeric_columns("abc", rows) == [True, False, False]


def test_a_printed_table_keeps_brackets_and_long_rows(capsys):
    print_table([{"cell": "[red]x[/red]" + "y" * 120, "rate": 0.5}], title="[b]t")
    out = capsys.readouterr().out
    assert "[red]x[/red]" + "y" * 120 in out and "[b]t" in out and "0.5" in out
