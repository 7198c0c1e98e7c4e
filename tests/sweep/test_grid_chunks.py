"""How points are cut into grid chunks, and that these take the memory that was estimated."""

import dataclasses

import jax
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


def cut(grid, memory, program=None):
    program = program or grid.programs()[0]
    return grid_chunks.cut(grid, program, grid.points(), memory, InputTexts())


@pytest.mark.parametrize("points", [0.1, 1, 2, 4, 6, 7, 13, 18, 1000])
def test_chunks_hold_every_point_once_and_fit_in_memory(points):
    per_point = sizes(GRID)
    memory = points * max(per_point.values())
    names = set()
    for program in GRID.programs():
        own = cut(GRID, memory, program)
        names |= {grid_chunk.name for grid_chunk in own}
        most = max(len(grid_chunk.points) for grid_chunk in own)
        assert most == 1 or most * per_point[program] <= memory
        beside = 2 if memory >= 2 * per_point[program] else 1
        assert {grid_chunk.side_by_side for grid_chunk in own} == {beside}
        found = [point for grid_chunk in own for point in grid_chunk.points]
        assert len(found) == 30 and sorted(found) == sorted(GRID.points())
        split = [chunk for chunk in own if len(chunk.points) % GRID.points_per_seed]
        assert not split or most < GRID.points_per_seed  # seeds are whole where they fit
    assert len(names) == sum(len(cut(GRID, memory, program)) for program in GRID.programs())


def test_much_memory_gives_one_chunk_for_each_program():
    assert len(cut(GRID, 1e12)) == 1


@pytest.mark.parametrize(
    ("cell", "lengths"),
    [("tanh", (500,)), pytest.param("lstm", tuple(range(1, 80, 2)), marks=pytest.mark.slow)],
)
def test_estimate_is_close_to_what_xla_allocates(cell, lengths, monkeypatch):
    grid = dataclasses.replace(
        GRID, cells=(cell,), lengths=lengths, input_scales=(1.0,), hidden=(16,), seeds=2
    )
    points = -(-6 // jax.device_count())  # of each device, all at the same time
    monkeypatch.setattr(grid_chunks, "SIDE_BY_SIDE", points)
    (grid_chunk,) = cut(grid, 1e12)
    program = grid_chunks._start_compiling(grid, grid_chunk, InputTexts()).result()
    allocated = program.memory_analysis().temp_size_in_bytes
    estimate = points * sizes(grid)[grid_chunk.program]
    least = 1 / 1.5 if jax.default_backend() == "cpu" else 1 / 3
    assert least < allocated / estimate < 1.5
