"""A finished sweep is extended: nothing is measured twice, and the bits are those from scratch."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import xarray as xr

from rnnlab import cells, sweep
from rnnlab.errors import UsageError
from rnnlab.sweep import grid_chunks
from tests.sweep.small import GRID

#: Sizes and batches that fill no vector register, so that lanes of the last one differ.
ODD = dataclasses.replace(GRID, hidden=(5,), batch=3, scales=(0.9, 1.9), lengths=(7, 60))


@pytest.fixture
def measured(monkeypatch):
    """The points that are measured, by program."""
    found = []
    measure = grid_chunks.measure

    def count(grid, grid_chunk, input_texts):
        found.extend((grid_chunk.program.name, point) for point in grid_chunk.points)
        return measure(grid, grid_chunk, input_texts)

    monkeypatch.setattr(grid_chunks, "measure", count)
    return found


@pytest.mark.parametrize(
    "larger",
    [
        {"seeds": 4},
        {"scales": (0.9, 1.4, 1.9)},
        {"input_scales": (0.3, 0.1, 0.5)},
        {"cells": ("gru", "tanh")},
        {"seeds": 5, "scales": (0.3, 0.9, 1.9)},
    ],
    ids=lambda larger: "-".join(larger),
)
def test_extended_it_has_the_bits_from_scratch(larger, tmp_path, measured):
    sweep.run(ODD, tmp_path)
    before = list(measured)
    measured.clear()
    grid = dataclasses.replace(ODD, **larger)
    extended = sweep.run(grid, tmp_path)
    assert len(measured) == grid.size - ODD.size
    assert not set(measured) & set(before)
    measured.clear()
    xr.testing.assert_identical(sweep.run(grid), extended)
    assert len(measured) == grid.size


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", sorted(cells.CELLS))
def test_every_cell_has_the_same_bits_in_any_company(name, dtype, tmp_path):
    grid = dataclasses.replace(
        ODD, cells=(name,), dtype=dtype, seeds=1, input_scales=(0.5,), scales=(1.6,)
    )
    sweep.run(grid, tmp_path)
    more = dataclasses.replace(grid, scales=(0.4, 0.9, 1.6), seeds=2)
    xr.testing.assert_identical(sweep.run(more, tmp_path), sweep.run(more))


def test_a_smaller_grid_is_taken_from_a_larger_one(tmp_path, measured):
    larger = sweep.run(ODD, tmp_path)
    measured.clear()
    smaller = sweep.run(dataclasses.replace(ODD, scales=(1.9,), seeds=2), tmp_path)
    assert not measured
    expected = larger.sel(radius=[1.9], seed=[0, 1])
    xr.testing.assert_equal(smaller, expected)


def test_another_folder_is_extended_and_stays_as_it_was(tmp_path, measured):
    sweep.run(ODD, tmp_path / "old")
    before = {file: file.read_bytes() for file in (tmp_path / "old").iterdir()}
    measured.clear()
    grid = dataclasses.replace(ODD, seeds=4)
    result = sweep.run(grid, tmp_path / "new", extends=tmp_path / "old")
    assert len(measured) == grid.size - ODD.size
    assert {file: file.read_bytes() for file in (tmp_path / "old").iterdir()} == before
    measured.clear()
    xr.testing.assert_identical(sweep.run(grid, tmp_path / "new"), result)
    assert not measured  # what was taken over has been copied


def test_what_cannot_be_extended(tmp_path):
    with pytest.raises(UsageError, match=r"^extends='nowhere': holds no points of a sweep"):
        sweep.run(ODD, tmp_path / "new", extends="nowhere")
    with pytest.raises(UsageError, match=r"^extends='old': needs a folder"):
        sweep.run(ODD, extends="old")
    sweep.run(GRID, tmp_path / "old")
    with pytest.raises(UsageError, match=r"^extends=.*of another kind \(lengths is \[3, 6\] there"):
        sweep.run(ODD, tmp_path / "new", extends=tmp_path / "old")


def test_a_cell_whose_source_has_changed_is_another_cell(tmp_path, measured):
    def cell_that_leaks(leak):
        class Mine(cells.Elman):
            def step(self, params, x, state):
                after, y = super().step(params, x, state)
                return type(after)(leak * after.h), leak * y

        Mine.__qualname__ = f"Mine{leak}"  # stands for a source that differs
        return Mine(5)

    grid = dataclasses.replace(ODD, cells={"mine": cell_that_leaks(0.9)})
    sweep.run(grid, tmp_path)
    measured.clear()
    changed = dataclasses.replace(grid, cells={"mine": cell_that_leaks(0.5)})
    result = sweep.run(changed, tmp_path)
    assert len(measured) == grid.size
    assert float(result.log10_grad_state.sel(length=60).max()) < 60 * np.log10(0.5 * 1.9) + 1e-6
