"""What a grid accepts, refuses and counts."""

import numpy as np
import pytest

from rnnlab.errors import UsageError
from rnnlab.sweep import Grid


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("cells", ("tanhh",), "cell='tanhh': unknown, did you mean 'tanh'?"),
        ("cells", (), "cells=(): must be a tuple with at least one entry"),
        ("cells", "tanh", "cells='tanh': must be a tuple"),
        ("inits", ("orthogonol",), "init='orthogonol': unknown initialiser"),
        ("inputs", ("",), "inputs='': must be zeros, gaussian"),
        ("scale", "norm", "scale='norm': must be one of radius, gain"),
        ("scales", (0.9, 0.0), "radius=0.0: must be a positive, finite number"),
        ("scales", (-1.0,), "radius=-1.0: must be a positive"),
        ("scales", (float("nan"),), "radius=nan: must be a positive"),
        ("scales", ("1",), "radius='1': must be a positive"),
        ("scales", (1.0, 1.0), "scales=(1.0, 1.0): 1.0 occurs twice"),
        ("hidden", (0,), "hidden=0: must be a positive integer"),
        ("lengths", (10, 0), "lengths=0: must be a positive integer"),
        ("lengths", (2.5,), "lengths=2.5: must be a positive integer"),
        ("input_scales", (-0.1,), "input_scales=-0.1: must be a non-negative, finite number"),
        ("input_scales", (float("inf"),), "input_scales=inf: must be a non-negative"),
        ("seeds", True, "seeds=True: must be a positive integer"),
        ("batch", 0, "batch=0: must be a positive integer"),
        ("features", -1, "features=-1: must be a positive integer"),
        ("dtype", "bfloat16", "dtype='bfloat16': must be float32 or float64"),
    ],
)
def test_refused_in_one_line(field, value, message):
    with pytest.raises(UsageError) as caught:
        Grid(**{field: value})
    assert str(caught.value).startswith(message) and "\n" not in str(caught.value)


def test_axes_may_be_lists_and_arrays():
    axes = {"cells": ["gru"], "scales": np.linspace(0.5, 1.5, 3), "lengths": np.array([30, 10])}
    grid = Grid(**axes)
    assert grid == Grid(cells=("gru",), scales=(0.5, 1.0, 1.5), lengths=(30, 10))
    assert all(type(value) is float for value in grid.scales)
    hash(grid)


def test_lengths_are_measured_in_ascending_order():
    assert Grid(lengths=(100, 10, 1000)).sorted_lengths == (10, 100, 1000)


def test_programs_and_points():
    grid = Grid(
        cells=("tanh", "gru"),
        inits=("orthogonal", "gaussian"),
        hidden=(4, 8),
        inputs=("zeros", "gaussian"),
        input_scales=(0.1, 0.2, 0.3),
        scale="gain",
        scales=(1.0, 2.0),
        seeds=5,
    )
    programs = grid.programs()
    assert len(set(programs)) == len(programs) == 16
    assert grid.points_per_seed == 6
    sizes = [len(values) for values in grid.axes.values()]
    assert grid.size == np.prod(sizes[:-1]) and sizes[-1] == len(grid.lengths)
    assert list(grid.axes) == [
        "cell", "init", "hidden", "inputs", "input_scale", "gain", "seed", "length"
    ]  # fmt: skip


def test_sizes_of_numpy_are_integers():
    sizes = {"hidden": (np.int64(4),), "lengths": [np.int32(2), 3]}
    grid = Grid(cells=("tanh",), seeds=np.int64(2), batch=np.int32(3), **sizes)
    assert grid == Grid(cells=("tanh",), seeds=2, batch=3, hidden=(4,), lengths=(2, 3))
    plain = (*grid.hidden, *grid.lengths, grid.seeds, grid.batch)
    assert all(type(size) is int for size in plain)
    with pytest.raises(UsageError, match=r"^seeds=2147483648: must be at most 2147483647"):
        Grid(seeds=2**31)


def test_any_sequence_is_an_axis_and_a_type_a_dtype():
    grid = Grid(cells=("tanh",), lengths=range(1, 4), scales=(0.5,), dtype=np.float32)
    assert grid == Grid(cells=("tanh",), lengths=(1, 2, 3), scales=(0.5,), dtype="float32")
    assert type(grid.dtype) is str
    assert Grid(dtype=np.dtype("float64")) == Grid(dtype="float64")


@pytest.mark.parametrize("given", [5, ["forget_bias"], "forget_bias"])
def test_hyperparameters_are_a_dict(given):
    with pytest.raises(UsageError, match=r"^hyperparameters=.*: must map names to values, as in"):
        Grid(cells=("lstm",), hyperparameters=given)


def test_what_float32_cannot_hold_is_refused():
    with pytest.raises(UsageError, match=r"^input_scales=1e\+300: must be"):
        Grid(input_scales=(1e300,))
