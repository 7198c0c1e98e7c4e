"""Populations on a grid: each point is measured once, and numbers of seeds come out of the log."""

import jax
import numpy as np
import pytest
import xarray as xr

from rnnlab.run.workdir import open_workdir
from rnnlab.training import populations
from rnnlab.training.starts import Population

GRID = {"length": (3, 5), "network": ("b", "a")}


class Measure:
    """Counts its calls, and fails at one point."""

    def __init__(self, fails=()):
        self.calls, self.fails = [], fails

    def __call__(self, length, network):
        if (length, network) == self.fails:
            raise KeyboardInterrupt
        self.calls.append((length, network))
        return xr.Dataset({"loss": ("seed", [length, length + 0.5])}, {"seed": [0, 1]})


def measured(folder, measure):
    with open_workdir(folder, "toy", Population()) as workdir:
        return populations.measured(workdir, GRID, measure)


def test_every_point_is_measured_once(tmp_path):
    first, second, third = Measure(fails=(5, "b")), Measure(), Measure()
    with pytest.raises(KeyboardInterrupt):
        measured(tmp_path / "w", first)
    data = measured(tmp_path / "w", second)
    assert first.calls == [(3, "b"), (3, "a")] and second.calls == [(5, "b"), (5, "a")]
    assert data.sizes == {"length": 2, "network": 2, "seed": 2}
    assert data.network.values.tolist() == ["b", "a"]  # in the order of the grid
    assert data.loss.sel(length=5, network="a").values.tolist() == [5, 5.5]
    xr.testing.assert_identical(measured(tmp_path / "w", third), data)
    assert third.calls == []


def test_points_are_in_the_order_of_the_grid(tmp_path):
    data = measured(tmp_path / "w", Measure())
    found = [(one.length.item(), one.network.item()) for one in populations.points(data, GRID)]
    assert found == [(3, "b"), (3, "a"), (5, "b"), (5, "a")]


def test_keys_are_those_of_the_seeds():
    keys = populations.keys(3)
    assert keys.shape == (3,) and keys[2] == jax.random.key(2)


def test_one_member_of_a_population():
    tree = {"w": np.arange(6).reshape(3, 2)}
    assert populations.member(tree, 1)["w"].tolist() == [2, 3]


def test_curves_of_seeds():
    rows = [{"step": 5, "x": [1.0, None]}, {"step": 7, "x": [2.0, 2.0]}, {"step": 9, "x": [3.0, 4]}]
    values = populations.series(rows, "x", [5, 9, 11], 2)
    np.testing.assert_array_equal(values, [[1, np.nan], [3, 4], [np.nan, np.nan]])
    np.testing.assert_array_equal(populations.last(values), [3, 4])
    np.testing.assert_array_equal(populations.last(values[2:]), [np.nan, np.nan])
