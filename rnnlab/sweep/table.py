"""The result of a sweep: one labelled data set, filled by grid chunks."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import xarray as xr

from rnnlab.gradients.recurrent import recurrent_leaves
from rnnlab.sweep.grid import Grid, Point, Program
from rnnlab.sweep.grid_chunks import Values

#: Name, in the result, of what `gradient_norms` returns under the key, and what it means.
QUANTITIES = {
    "state": ("log10_grad_state", "log10 ‖∂L/∂s_0‖ of the joint state, mean over the batch"),
    "h": ("log10_grad_h", "log10 ‖∂L/∂h_0‖, mean over the batch"),
    "c": ("log10_grad_c", "log10 ‖∂L/∂c_0‖, mean over the batch"),
    "wh": ("log10_grad_wh", "log10 ‖∂L/∂wh‖ of the loss averaged over the batch"),
}

#: Measured of each recurrent matrix, on the axis `gate`.
RADII = {
    "spectral_radius": "measured spectral radius ρ of each recurrent matrix",
    "sigma_max": "measured largest singular value σ_max of each recurrent matrix",
}

INPUT_STD = "standard deviation of x @ wx over time and batch, root mean square over units"


class Table:
    """The arrays of a data set, NaN until they are filled.

    Attributes:
      overflowed: how many pairs of point and length are lost because the state of the network left
        the range of the dtype.
    """

    def __init__(self, grid: Grid) -> None:
        self.overflowed = 0
        self._grid = grid
        self._axes = {name: list(values) for name, values in grid.axes.items()}
        gates = dict.fromkeys(gate for program in grid.programs() for gate in _gates(program))
        self._axes["gate"] = list(gates) or ["none"]
        self._variables: dict[str, xr.Variable] = {}
        for name, meaning in QUANTITIES.values():
            self._add_variable(name, meaning, tuple(grid.axes))
        points = [name for name in grid.axes if name not in ("input_scale", "length")]
        for name, meaning in RADII.items():
            self._add_variable(name, meaning, (*points, "gate"))
        points = [name for name in grid.axes if name not in (grid.scale, "length")]
        self._add_variable("input_std", INPUT_STD, points)

    def fill(self, program: Program, points: Sequence[Point], values: Values) -> None:
        """Writes the values of points, `[points, ...]`, to their places."""
        grid, place = self._grid, program.place(self._grid)
        scales, input_scales = (list(map(float, a)) for a in (grid.scales, grid.input_scales))
        seed = np.array([point.seed for point in points])
        scale = np.array([scales.index(point.scale) for point in points])
        input_scale = np.array([input_scales.index(point.input_scale) for point in points])
        for key, (name, _) in QUANTITIES.items():
            if key in values:
                self._values(name)[place][..., input_scale, scale, seed, :] = values[key]
        gates = [self._axes["gate"].index(gate) for gate in _gates(program)]
        for name in RADII:
            places = (scale[:, None], seed[:, None], gates)
            self._values(name)[place][(..., *places)] = values[name]
        self._values("input_std")[place][..., input_scale, seed] = values["input_std"]
        self.overflowed += int(np.isnan(values["state"]).sum())

    def dataset(self) -> xr.Dataset:
        """The data set, with the settings of the grid."""
        settings = json.dumps(self._grid.settings())
        attributes = {"settings": settings, "overflowed": self.overflowed}
        result = xr.Dataset(self._variables, self._axes, attributes)
        result["length"].attrs = {"long_name": "sequence length T", "units": "steps"}
        return result

    def _add_variable(self, name: str, meaning: str, axes: Sequence[str]) -> None:
        empty = np.full([len(self._axes[axis]) for axis in axes], np.nan)
        self._variables[name] = xr.Variable(axes, empty, {"long_name": meaning})

    def _values(self, name: str) -> np.ndarray:
        return self._variables[name].values


def _gates(program: Program) -> tuple[str, ...]:
    """The gates of the cell that have a recurrent matrix."""
    return recurrent_leaves(program.network).gates
