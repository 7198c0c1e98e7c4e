"""How points are cut into chunks, and that these take the memory that was estimated."""

import dataclasses

import numpy as np
import pytest

from rnnlab.sweep import chunks
from rnnlab.sweep.draws import Corpora
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
    corpora = Corpora()
    return {
        program: chunks.bytes_per_point(grid, program, chunks.features_in(grid, program, corpora))
        for program in grid.programs()
    }


@pytest.mark.parametrize("points", [0.1, 1, 2, 4, 6, 7, 13, 18, 1000])
def test_chunks_hold_every_point_once_and_fit_in_memory(points):
    per_point = sizes(GRID)
    memory = points * max(per_point.values())
    cut = chunks.cut(GRID, memory, Corpora())
    for number, program in enumerate(GRID.programs()):
        own = [chunk for chunk in cut if chunk.program == program]
        assert {chunk.number for chunk in own} == {number}
        shapes = {(len(chunk.seeds), len(chunk.points)) for chunk in own}
        assert len(shapes) == 1  # one compiled program
        ((seeds, width),) = shapes
        assert seeds * width == 1 or seeds * width * per_point[program] <= memory
        found = [point for chunk in own for point in zip(*chunk.indices(GRID), strict=True)]
        assert sorted(found) == sorted(np.ndindex(2, 3, 5))
    assert sum(chunk.size(GRID) for chunk in cut) == GRID.size == 60
    assert len({chunk.name for chunk in cut}) == len(cut)


def test_much_memory_gives_one_chunk_for_each_program():
    assert len(chunks.cut(GRID, 1e12, Corpora())) == 2


@pytest.mark.parametrize(("cell", "lengths"), [("tanh", (500,)), ("lstm", tuple(range(1, 80, 2)))])
def test_estimate_is_close_to_what_xla_allocates(cell, lengths, monkeypatch):
    monkeypatch.setattr(chunks, "SIDE_BY_SIDE", 1000)  # all points at the same time
    grid = dataclasses.replace(
        GRID, cells=(cell,), lengths=lengths, input_scales=(1.0,), hidden=(16,), seeds=2
    )
    (chunk,) = chunks.cut(grid, 1e12, Corpora())
    program = chunks._start_compiling(grid, chunk, Corpora()).result()
    allocated = program.memory_analysis().temp_size_in_bytes
    estimate = chunk.size(grid) * sizes(grid)[chunk.program]
    assert 1 / 1.5 < allocated / estimate < 1.5
