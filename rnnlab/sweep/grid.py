"""What a sweep varies: the axes of its grid, checked, and the settings that all points share."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from rnnlab import cells, initializers
from rnnlab.errors import UsageError
from rnnlab.sizes import check_positive

#: How `scales` are meant.
SCALES = ("radius", "gain")


@dataclasses.dataclass(frozen=True)
class Grid:
    """The product of all axes, from `cells` to `seeds`; every length is measured at each point.

    An axis is any sequence or array of distinct values; it is kept as a tuple.

    Attributes:
      cells: names in `rnnlab.cells.CELLS`. The activation of the simple network is an axis of
        these names: tanh, relu, sigmoid, linear.
      inits: names in `rnnlab.initializers.INITIALIZERS`, of the recurrent matrix of every gate.
      scale: `radius` rescales each gate's recurrent matrix to a measured spectral radius, `gain`
        multiplies it, as drawn.
      scales: the radii or gains.
      hidden: numbers of units `H`.
      lengths: sequence lengths `T` in steps.
      inputs: `zeros`, `gaussian` (independent N(0, 1)), `tiny_shakespeare` or the path of a text,
        whose characters are read one-hot from random places.
      input_scales: factors of the inputs.
      seeds: number of draws of weights, inputs and readout; seed 0, 1, ...
      batch: sequences `B` in each network.
      features: inputs `D` of the network for zeros and Gaussian inputs; None takes 1 and `H`.
      dtype: `float32` or `float64`.

    Raises:
      UsageError: a value that does not fit, named with its field.
    """

    cells: tuple[str, ...] = ("tanh", "lstm", "gru")
    inits: tuple[str, ...] = ("orthogonal",)
    scale: str = "radius"
    scales: tuple[float, ...] = (0.5, 0.9, 1.0, 1.1, 1.5)
    hidden: tuple[int, ...] = (64,)
    lengths: tuple[int, ...] = (10, 100, 1000)
    inputs: tuple[str, ...] = ("gaussian",)
    input_scales: tuple[float, ...] = (0.1,)
    seeds: int = 5
    batch: int = 8
    features: int | None = None
    dtype: str = "float64"

    def __post_init__(self) -> None:
        for name in ("cells", "inits", "scales", "hidden", "lengths", "inputs", "input_scales"):
            object.__setattr__(self, name, _axis(name, getattr(self, name)))
        for name in self.cells:
            cells.by_name(name, 1)
        for name in self.inits:
            initializers.by_name(name)
        for name in self.inputs:
            if not isinstance(name, str) or not name:
                raise UsageError(
                    f"inputs={name!r}: must be zeros, gaussian, tiny_shakespeare or a text's path"
                )
        if self.scale not in SCALES:
            raise UsageError(f"scale={self.scale!r}: must be one of {', '.join(SCALES)}")
        for value in self.scales:
            _check_number(self.scale, value, positive=True)
        for value in self.input_scales:
            _check_number("input_scales", value, positive=False)
        for name in ("hidden", "lengths"):
            for value in getattr(self, name):
                check_positive(name, value)
        for name in ("seeds", "batch"):
            object.__setattr__(self, name, check_positive(name, getattr(self, name)))
        if self.features is not None:
            object.__setattr__(self, "features", check_positive("features", self.features))
        if self.dtype not in ("float32", "float64"):
            raise UsageError(f"dtype={self.dtype!r}: must be float32 or float64")

    @property
    def sorted_lengths(self) -> tuple[int, ...]:
        """The lengths, ascending."""
        return tuple(sorted(self.lengths))

    @property
    def axes(self) -> dict[str, Sequence[Any]]:
        """Names and values of the axes of the result, in their order."""
        return {
            "cell": self.cells,
            "init": self.inits,
            "hidden": self.hidden,
            "inputs": self.inputs,
            "input_scale": self.input_scales,
            self.scale: self.scales,
            "seed": range(self.seeds),
            "length": self.sorted_lengths,
        }

    def programs(self) -> list[Program]:
        """The parts of the grid that run as one compiled program each."""
        axes = (self.cells, self.inits, self.hidden, self.inputs)
        return [Program(*values) for values in itertools.product(*axes)]

    @property
    def points_per_seed(self) -> int:
        """Points of one program that share a seed: input scales × radii."""
        return len(self.input_scales) * len(self.scales)

    @property
    def size(self) -> int:
        """Points of the whole grid; each is measured at every length."""
        return len(self.programs()) * self.seeds * self.points_per_seed


@dataclasses.dataclass(frozen=True)
class Program:
    """The axes that are fixed within one program; input scale, radius and seed vary in it."""

    cell: str
    init: str
    hidden: int
    inputs: str


def _axis(name: str, values: Any) -> tuple[Any, ...]:
    """The values of an axis as a tuple of plain Python values; an array may hold them."""
    plain = values.tolist() if isinstance(values, np.ndarray | jax.Array) else values
    if isinstance(plain, tuple | list):  # NumPy's scalars may be in a list
        plain = [value.item() if isinstance(value, np.generic) else value for value in plain]
    if not isinstance(plain, tuple | list) or not plain:
        raise UsageError(f"{name}={values!r}: must be a tuple with at least one entry")
    for value in plain:
        if plain.count(value) > 1:
            raise UsageError(f"{name}={values!r}: {value!r} occurs twice")
    return tuple(plain)


def _check_number(name: str, value: Any, *, positive: bool) -> None:
    good = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if not good or value < 0 or (positive and value == 0):
        kind = "positive" if positive else "non-negative"
        raise UsageError(f"{name}={value!r}: must be a {kind}, finite number")
