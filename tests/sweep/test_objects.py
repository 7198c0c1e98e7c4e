"""Cells, initialisers and hyperparameters as axes: their names, their results, what is refused."""

from __future__ import annotations

import dataclasses
import json
from functools import partial

import numpy as np
import pytest
import xarray as xr

from rnnlab import GRU, LSTM, LayerNorm, sweep
from rnnlab.cells import Elman, GreffLSTM
from rnnlab.errors import UsageError
from rnnlab.initializers import Gaussian, Orthogonal, Sparse
from rnnlab.run import results
from rnnlab.sweep import grid_chunks
from rnnlab.sweep.labels import description, label

SMALL = {"scales": (0.9, 1.2), "lengths": (3, 6), "seeds": 2, "batch": 2}


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ("lstm", "lstm"),
        (LSTM(8), "lstm"),
        (LSTM(8, forget_bias=2.0), "lstm(forget_bias=2)"),
        (Elman(8), "tanh"),
        (Elman(8, activation="relu"), "relu"),
        (GreffLSTM(8, variant="NIG"), "lstm_nig"),
        (LayerNorm(GRU(8)), "LayerNorm(cell=gru)"),
        (Orthogonal(), "orthogonal"),
        (Gaussian(0.5), "gaussian(gain=0.5)"),
        (Sparse(Gaussian(), 3), "Sparse(base=gaussian, connections=3)"),
        (np.zeros, "zeros"),
        (2.0, 2.0),
    ],
)
def test_names_are_short_and_say_what_differs(value, name):
    assert label(value) == name


def test_descriptions_hold_everything_and_no_addresses():
    assert description(LSTM(8)) != description(LSTM(8, forget_bias=2.0)) != description(LSTM(9))
    assert "0x" not in description(LayerNorm(LSTM(8))) + description(np.tanh)
    assert description(partial(LSTM, forget_bias=2.0)).endswith("LSTM(forget_bias=2.0)")
    assert description(np.arange(3)) != description(np.arange(1, 4))


@pytest.fixture(scope="module")
def objects() -> xr.Dataset:
    grid = sweep.Grid(
        cells=("tanh", LSTM(4), partial(LSTM, forget_bias=3.0)),
        hidden=(4,),
        **SMALL,
    )
    return sweep.run(grid)


def test_objects_are_measured_and_have_names(objects, tmp_path):
    assert objects.cell.values.tolist() == ["tanh", "lstm", "lstm(forget_bias=3)"]
    assert json.loads(objects.attrs["settings"])["cells"] == objects.cell.values.tolist()
    by_name = sweep.run(sweep.Grid(cells=("tanh", "lstm"), hidden=(4,), **SMALL))
    both = objects.sel(cell=["tanh", "lstm"])
    xr.testing.assert_equal(both.log10_grad_state, by_name.log10_grad_state)
    biased = objects.log10_grad_c.sel(cell="lstm(forget_bias=3)")
    assert bool((biased > objects.log10_grad_c.sel(cell="lstm")).all())
    results.save_dataset(objects, tmp_path / "results.nc")
    xr.testing.assert_identical(results.load_dataset(tmp_path / "results.nc"), objects)


def test_a_dict_chooses_the_names():
    cells_ = {"plain": LSTM(4), "biased": LSTM(4, forget_bias=3.0)}
    grid = sweep.Grid(cells=cells_, inits={"small": Gaussian(0.1)}, **SMALL)
    assert grid.hidden == (4,)
    assert grid.axes["cell"] == ("plain", "biased") and grid.axes["init"] == ("small",)
    assert dataclasses.replace(grid, seeds=1).axes["cell"] == ("plain", "biased")
    hash(grid)


@pytest.fixture(scope="module")
def biases() -> xr.Dataset:
    grid = sweep.Grid(
        cells=("tanh", "lstm"), hidden=(4,), hyperparameters={"forget_bias": (0, 1, 3)}, **SMALL
    )
    assert len(grid.programs()) == 4  # the simple network once
    return sweep.run(grid)


def test_a_hyperparameter_is_an_axis(biases, objects):
    assert biases.log10_grad_state.dims[:3] == ("cell", "init", "forget_bias")
    assert biases.forget_bias.values.tolist() == [0, 1, 3]
    one = biases.sel(cell="lstm", forget_bias=3).squeeze(drop=True)
    other = objects.sel(cell="lstm(forget_bias=3)").squeeze(drop=True)
    for name in ("log10_grad_state", "log10_grad_c", "log10_grad_wh", "input_std"):
        np.testing.assert_array_equal(one[name], other[name])
    growing = biases.log10_grad_c.sel(cell="lstm").diff("forget_bias")
    assert bool((growing > 0).all())


def test_a_cell_without_it_has_the_same_result_at_all_values(biases, objects):
    tanh = biases.sel(cell="tanh").squeeze(drop=True)
    expected = objects.sel(cell="tanh").squeeze(drop=True)
    for bias in (0, 1, 3):
        here = tanh.sel(forget_bias=bias)
        np.testing.assert_array_equal(here.log10_grad_state, expected.log10_grad_state)
        np.testing.assert_array_equal(here.spectral_radius, expected.spectral_radius)
    assert biases.attrs["overflowed"] == 0


def test_the_same_network_under_two_names_is_measured_once(monkeypatch):
    measured = []
    measure = grid_chunks.measure
    monkeypatch.setattr(
        grid_chunks, "measure", lambda *given: measured.append(given[1]) or measure(*given)
    )
    same = {"a": "tanh", "b": Elman(4)}
    grid = sweep.Grid(cells=same, inits=(Gaussian(0.5), "gaussian"), **SMALL)
    result = sweep.run(grid)
    assert len(measured) == 2
    assert result.init.values.tolist() == ["gaussian(gain=0.5)", "gaussian"]
    np.testing.assert_allclose(
        result.spectral_radius.sel(init="gaussian"), result.spectral_radius.isel(init=0)
    )
    np.testing.assert_array_equal(
        result.log10_grad_state.sel(cell="a"), result.log10_grad_state.sel(cell="b")
    )


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"cells": (LSTM(4),), "hidden": (8,)}, "hidden=(8,): the cell lstm has 4 units"),
        ({"cells": (LSTM(4), GRU(5))}, "cells: have 4, 5 units; give all of them the same"),
        ({"cells": (LSTM(4), "lstm")}, "cells: two of them are called 'lstm'; name them"),
        ({"cells": (3,)}, "cells=3: must be a name, a cell, or what makes"),
        ({"cells": (LSTM(4, wh_init=Gaussian(0.5)),)}, "cells='lstm(wh_init=gaussian(gain=0.5))'"),
        ({"inits": (Gaussian,)}, "inits='gaussian': must be a name, or an initialiser"),
        ({"inits": (3.0,)}, "inits=3.0: must be a name, or an initialiser"),
        ({"hyperparameters": {"bias": (1,)}}, "hyperparameters='bias': none of the cells has it"),
        ({"hyperparameters": {"hidden": (1,)}}, "hyperparameters='hidden': is an axis of its own"),
        ({"hyperparameters": {"wh_init": (1,)}}, "hyperparameters='wh_init': is an axis of its o"),
        ({"hyperparameters": {"forget_bias": ()}}, "forget_bias=(): must be a tuple with at"),
        ({"hyperparameters": {"forget_bias": (1, 1)}}, "forget_bias=(1, 1): 1 occurs twice"),
    ],
)
def test_what_is_refused(fields, message):
    with pytest.raises(UsageError) as caught:
        sweep.Grid(**fields)
    assert str(caught.value).startswith(message) and "\n" not in str(caught.value)
