"""How points are cut into grid chunks, and that these take the memory that was estimated."""

import dataclasses

import jax
import numpy as np
import pytest

from rnnlab.sweep import grid_chunks
from rnnlab.sweep.draws import InputTexts
from rnnlab.sweep.grid import Grid

GRID = Grid(
    cells=("tanh", "gru"),
    scales=(0.5, 0.9, 1.1),
    hidden=(8,),
    lengths=(4, 50),
    input_scales=(0.1, 1.0),
    seeds=5,
    batch=2,
    dtype="float32",
)


def sizes(grid):
    input_texts = InputTexts()
    return {
        program: grid_chunks.bytes_per_point(
            grid, program, grid_chunks.features_in(grid, program, input_texts)
        )
        for program in grid.programs()
    }


@pytest.mark.parametrize("points", [0.1, 1, 2, 4, 6, 7, 13, 18, 1000])
def test_chunks_hold_every_point_once_and_fit_in_memory(points):
    per_point = sizes(GRID)
    memory = points * max(per_point.values())
    cut = grid_chunks.cut(GRID, memory, InputTexts())
    for number, program in enumerate(GRID.programs()):
        own = [grid_chunk for grid_chunk in cut if grid_chunk.program == program]
        assert {grid_chunk.number for grid_chunk in own} == {number}
        shapes = {(len(grid_chunk.seeds), len(grid_chunk.points)) for grid_chunk in own}
        assert len(shapes) == 1  # one compiled program
        ((seeds, width),) = shapes
        assert seeds * width == 1 or seeds * width * per_point[program] <= memory
        found = [
            point for grid_chunk in own for point in zip(*grid_chunk.indices(GRID), strict=True)
        ]
        assert sorted(found) == sorted(np.ndindex(2, 3, 5))
    assert sum(grid_chunk.size(GRID) for grid_chunk in cut) == GRID.size == 60
    assert len({grid_chunk.name for grid_chunk in cut}) == len(cut)


def test_much_memory_gives_one_chunk_for_each_program():
    assert len(grid_chunks.cut(GRID, 1e12, InputTexts())) == 2


@pytest.mark.parametrize(("cell", "lengths"), [("tanh", (500,)), ("lstm", tuple(range(1, 80, 2)))])
def test_estimate_is_close_to_what_xla_allocates(cell, lengths, monkeypatch):
    monkeypatch.setattr(grid_chunks, "SIDE_BY_SIDE", 1000)  # all points at the same time
    grid = dataclasses.replace(
        GRID, cells=(cell,), lengths=lengths, input_scales=(1.0,), hidden=(16,), seeds=2
    )
    (grid_chunk,) = grid_chunks.cut(grid, 1e12, InputTexts())
    program = grid_chunks._start_compiling(grid, grid_chunk, InputTexts()).result()
    allocated = program.memory_analysis().temp_size_in_bytes
    estimate = grid_chunk.size(grid) * sizes(grid)[grid_chunk.program]
    least = 1 / 1.5 if jax.default_backend() == "cpu" else 1 / 3
    assert least < allocated / estimate < 1.5
