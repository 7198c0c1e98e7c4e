"""What a sweep varies: the axes of its grid, checked, and the settings that all points share."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from rnnlab.errors import UsageError
from rnnlab.initializers import Initializer
from rnnlab.layer import Cell
from rnnlab.sizes import check_positive
from rnnlab.sweep.axes import (
    axis_of,
    cell_of,
    check_cell,
    check_number,
    fields_of,
    initializer_of,
    label_of,
    labelled_axis_of,
    labels_of,
    sizes_of,
)
from rnnlab.sweep.labels import description

#: How `scales` are meant.
SCALES = ("radius", "gain")


@dataclasses.dataclass(frozen=True)
class Grid:
    """The product of all axes, from `cells` to `seeds`; every length is measured at each point.

    An axis is any sequence or array of distinct values; it is kept as a tuple. Where objects are
    taken, they have short names in the result, such as `lstm(forget_bias=2)`; a dict from names to
    objects chooses the names.

        Grid(cells=("tanh", LSTM(64, forget_bias=2.0)), inits=("orthogonal", Gaussian(0.5)))
        Grid(cells=("lstm", "gru"), hyperparameters={"forget_bias": (0.0, 1.0, 2.0)})

    Attributes:
      cells: names in `rnnlab.cells.CELLS` or `MODULE:NAME`; cells, of a size of their own; or what
        makes a cell from a number of units: a class, a function, `partial(LSTM, forget_bias=2.0)`.
        The activation of the simple network is an axis of the names: tanh, relu, sigmoid, linear.
      inits: names in `rnnlab.initializers.INITIALIZERS`, or initialisers, of the recurrent matrix
        of every gate.
      scale: `radius` rescales each gate's recurrent matrix to a measured spectral radius, `gain`
        multiplies it, as drawn.
      scales: the radii or gains.
      hidden: numbers of units `H`; None for that of the cells that are given as objects, else 64.
      lengths: sequence lengths `T` in steps.
      inputs: `zeros`, `gaussian` (independent N(0, 1)), `tiny_shakespeare` or the path of a text,
        whose characters are read one-hot from random places.
      input_scales: factors of the inputs.
      seeds: number of draws of weights, inputs and readout; seed 0, 1, ...
      batch: sequences `B` in each network.
      features: inputs `D` of the network for zeros and Gaussian inputs; None takes 1 and `H`.
      dtype: `float32` or `float64`.
      hyperparameters: fields of the cells with their values, each an axis of its own. A cell
        without such a field is measured once, and has the same result at all its values.

    Raises:
      UsageError: a value that does not fit, named with its field.
    """

    cells: Any = ("tanh", "lstm", "gru")
    inits: Any = ("orthogonal",)
    scale: str = "radius"
    scales: tuple[float, ...] = (0.5, 0.9, 1.0, 1.1, 1.5)
    hidden: Any = None
    lengths: tuple[int, ...] = (10, 100, 1000)
    inputs: tuple[str, ...] = ("gaussian",)
    input_scales: tuple[float, ...] = (0.1,)
    seeds: int = 5
    batch: int = 8
    features: int | None = None
    dtype: str = "float64"
    hyperparameters: Any = ()

    def __post_init__(self) -> None:
        for name in ("cells", "inits"):
            self._set(name, labelled_axis_of(name, getattr(self, name)))
        for name in ("scales", "lengths", "inputs", "input_scales"):
            self._set(name, axis_of(name, getattr(self, name)))
        self._set("hidden", axis_of("hidden", sizes_of(self.cells, self.hidden)))
        for cell in self.cells:
            check_cell(cell, self.hidden)
        for init in self.inits:
            initializer_of(init)
        for name in self.inputs:
            if not isinstance(name, str) or not name:
                raise UsageError(
                    f"inputs={name!r}: must be zeros, gaussian, tiny_shakespeare or a text's path"
                )
        if self.scale not in SCALES:
            raise UsageError(f"scale={self.scale!r}: must be one of {', '.join(SCALES)}")
        for value in self.scales:
            check_number(self.scale, value, positive=True)
        for value in self.input_scales:
            check_number("input_scales", value, positive=False)
        for name in ("hidden", "lengths"):
            for value in getattr(self, name):
                check_positive(name, value)
        for name in ("seeds", "batch"):
            object.__setattr__(self, name, check_positive(name, getattr(self, name)))
        if self.features is not None:
            object.__setattr__(self, "features", check_positive("features", self.features))
        self._set("dtype", getattr(self.dtype, "__name__", self.dtype))  # of a class, as NumPy's
        if str(self.dtype) not in ("float32", "float64"):
            raise UsageError(f"dtype={self.dtype!r}: must be float32 or float64")
        self._set("dtype", str(self.dtype))
        given = self.hyperparameters
        self._set("hyperparameters", ())
        self._set("hyperparameters", _hyperparameters(self, given))
        for program in self.programs():
            program.network  # noqa: B018  a cell may refuse its values

    def _set(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)

    @property
    def sorted_lengths(self) -> tuple[int, ...]:
        """The lengths, ascending."""
        return tuple(sorted(self.lengths))

    @property
    def axes(self) -> dict[str, Sequence[Any]]:
        """Names and values of the axes of the result, in their order; objects by their names."""
        return {
            "cell": labels_of(self.cells),
            "init": labels_of(self.inits),
            **{name: labels_of(values) for name, values in self.hyperparameters},
            "hidden": self.hidden,
            "inputs": self.inputs,
            "input_scale": self.input_scales,
            self.scale: self.scales,
            "seed": range(self.seeds),
            "length": self.sorted_lengths,
        }

    def settings(self) -> dict[str, Any]:
        """The fields as plain values that JSON holds; objects by their names."""
        fields = {each.name: getattr(self, each.name) for each in dataclasses.fields(self)}
        fields |= {name: labels_of(fields[name]) for name in ("cells", "inits")}
        varied = {name: labels_of(values) for name, values in self.hyperparameters}
        return fields | {"hyperparameters": varied}

    def programs(self) -> list[Program]:
        """The parts of the grid that run as one compiled program each."""
        return [
            Program(cell, init, settings, hidden, inputs)
            for cell in self.cells
            for init in self.inits
            for settings in self._settings_of(cell)
            for hidden in self.hidden
            for inputs in self.inputs
        ]

    def _settings_of(self, cell: Any) -> Iterable[tuple[tuple[str, Any], ...]]:
        """The combinations of those hyperparameters that a cell has."""
        known = fields_of(cell)
        own = [(name, values) for name, values in self.hyperparameters if name in known]
        names = [name for name, _ in own]
        for values in itertools.product(*(values for _, values in own)):
            yield tuple(zip(names, values, strict=True))

    @property
    def points_per_seed(self) -> int:
        """Points of one program that share a seed: input scales × radii."""
        return len(self.input_scales) * len(self.scales)

    def points(self) -> list[Point]:
        """The points of one program, seed by seed."""
        return [
            Point(seed, float(input_scale), float(scale))
            for seed in range(self.seeds)
            for input_scale in self.input_scales
            for scale in self.scales
        ]

    @property
    def size(self) -> int:
        """Points of the whole grid; each is measured at every length."""
        return len(self.programs()) * self.seeds * self.points_per_seed


class Point(NamedTuple):
    """What varies within a program: the seed, the factor of the inputs, the radius or gain."""

    seed: int
    input_scale: float
    scale: float


@dataclasses.dataclass(frozen=True)
class Program:
    """The axes that are fixed within one program; input scale, radius and seed vary in it.

    Attributes:
      cell: as in `Grid.cells`.
      init: as in `Grid.inits`.
      settings: names and values of the hyperparameters that the cell has.
      hidden: number of units.
      inputs: their name.
    """

    cell: Any
    init: Any
    settings: tuple[tuple[str, Any], ...]
    hidden: int
    inputs: str

    @property
    def network(self) -> Cell:
        """The cell, the same object each time."""
        return cell_of(self.cell, self.hidden, self.settings)

    @property
    def initializer(self) -> Initializer:
        """Of the recurrent matrix of every gate."""
        return initializer_of(self.init)

    @property
    def name(self) -> str:
        """For readers: cell, hyperparameters, initialiser and size."""
        varied = "".join(f" {name}={label_of(value)}" for name, value in self.settings)
        return f"{label_of(self.cell)}{varied} {label_of(self.init)} H={self.hidden}"

    @property
    def description(self) -> str:
        """All that tells its weights from those of other programs, the same in every process."""
        return f"{description(self.network)} {description(self.initializer)}"

    def place(self, grid: Grid) -> tuple[int | slice, ...]:
        """Where it is on the axes of the grid from `cell` to `inputs`."""
        settings = dict(self.settings)
        return (
            grid.cells.index(self.cell),
            grid.inits.index(self.init),
            *(
                values.index(settings[name]) if name in settings else slice(None)
                for name, values in grid.hyperparameters
            ),
            grid.hidden.index(self.hidden),
            grid.inputs.index(self.inputs),
        )


def _hyperparameters(grid: Grid, given: Any) -> tuple[tuple[str, tuple[Any, ...]], ...]:
    """Hyperparameters with their values, each known to a cell of the grid."""
    try:
        pairs = dict(given).items()  # what is kept is a tuple of pairs
    except (TypeError, ValueError):
        raise UsageError(
            f"hyperparameters={given!r}: must map names to values, as in "
            "{'forget_bias': (0.0, 1.0)}"
        ) from None
    known = sorted({field for cell in grid.cells for field in fields_of(cell)})
    found = []
    for name, values in pairs:
        if name in ("wh_init", *grid.axes):
            own = "inits" if name == "wh_init" else name
            raise UsageError(f"hyperparameters={name!r}: is an axis of its own, {own}")
        if name not in known:
            raise UsageError(
                f"hyperparameters={name!r}: none of the cells has it, they have "
                f"{', '.join(known) or 'no field that can be set'}"
            )
        found.append((name, labelled_axis_of(name, values)))
    return tuple(found)
