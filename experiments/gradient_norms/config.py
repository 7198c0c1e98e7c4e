"""What `gradient_norms` measures: the settings, their checks and presets."""

import dataclasses
import os
import pathlib

from rnnlab import cells, sweep
from rnnlab.errors import UsageError
from rnnlab.gradients import recurrent_leaves
from rnnlab.precision import PRECISIONS
from rnnlab.run import checks
from rnnlab.sweep.folder import GRID

#: What the fields of `Config` are called in `sweep.Grid` and `rnnlab.data`.
FIELDS = {
    "cell": "cells",
    "scales": "radii",
    "radius": "radii",
    "gain": "radii",
    "input_scales": "input_scale",
    "length": "lengths",
    "memory": "memory_mib",
    "hyperparameters": "hyperparameter",
}
#: Folder of the points of a run.
GRID_CHUNKS = "grid_chunks"
GENERATED_INPUTS = ("gaussian", "zeros")
CORPUS = "tiny_shakespeare"


@dataclasses.dataclass(frozen=True)
class Config:
    """What is swept, and what all points share."""

    #: Cells to compare, by their names in rnnlab.cells.CELLS: tanh, relu, sigmoid, linear, lstm,
    #: gru, lstm_peephole, gru_reset_before, mgu, minimal, mut1, ...
    cells: tuple[str, ...] = ("tanh", "lstm", "gru")
    #: A hyperparameter that is varied, such as forget_bias; empty for none. Cells without it are
    #: measured once.
    hyperparameter: str = ""
    #: Its values, as numbers.
    values: tuple[float, ...] = ()
    #: Spectral radii, each above 0, to which the recurrent matrix of every gate is rescaled; with
    #: scale=gain, factors of the matrices as drawn.
    radii: tuple[float, ...] = (
        *(0.3, 0.45, 0.6, 0.7, 0.8, 0.9, 0.95, 1.0, 1.05, 1.1, 1.2, 1.35, 1.5, 1.75, 2.0),
    )
    #: Sequence lengths T in steps, each at least 1; all are measured in one run of the longest.
    lengths: tuple[int, ...] = (10, 20, 50, 100, 200, 500, 1000)
    #: Hidden units H.
    hidden: int = 64
    #: Sequences in a network's batch; the logarithms of their gradient norms are averaged.
    batch: int = 8
    #: Networks drawn for each point, with seeds 0, 1, ...: what medians and quartiles are over.
    seeds: int = 8
    #: How recurrent matrices are drawn, gate by gate: orthogonal, gaussian, uniform or identity.
    init: str = "orthogonal"
    #: What `radii` mean: radius (measured, after rescaling) or gain (a factor, nothing rescaled).
    scale: str = "radius"
    #: What the networks read: gaussian (independent, H features), zeros, tiny_shakespeare, or the
    #: path of a text file; texts are read one-hot by character, from random places.
    inputs: str = "gaussian"
    #: Factor of the inputs, 0 or more. Stronger input suppresses chaos. With the default wx,
    #: Gaussian input of factor 0.1 has a standard deviation of 0.1 in x @ wx; characters need about
    #: 0.8 for that. The report states what was measured.
    input_scale: float = 0.1
    #: float64 or float32. In the chaotic regime float32 changes every single value.
    dtype: str = "float64"
    #: Where TensorFlow Datasets keeps prepared data; empty for its own default. Only with
    #: inputs=tiny_shakespeare.
    data_dir: str = ""
    #: Folder that holds the original file of the data set (tiny_shakespeare: input.txt), for use
    #: without a network; empty to download it. Only with inputs=tiny_shakespeare.
    manual_dir: str = ""
    #: MiB for the trajectories of the points computed at once; the whole process takes two to three
    #: times as much.
    memory_mib: int = 512
    #: Work directory of an earlier run, whose points are taken over; empty for none. More seeds,
    #: radii, cells or values cost only what is new, and give the bits of a run from scratch.
    extends: str = ""
    #: How a GPU or TPU multiplies float32: in float32, or fast, in the shorter type it prefers.
    precision: str = "float32"

    def __post_init__(self) -> None:
        """Checks every field."""
        checks.one_of(self, "precision", PRECISIONS)
        try:
            self.grid()
        except UsageError as error:
            raise with_field_names(error, self.hyperparameter) from error
        checks.at_least(self, memory_mib=1)
        for name in self.cells:
            if not recurrent_leaves(cells.by_name(name, 1)).gates:
                raise UsageError(f"cells={name}: has no recurrent matrix to rescale; leave it out")
        self._check_inputs()
        if self.extends and not (self.earlier / GRID).is_file():
            raise UsageError(f"extends={self.extends}: holds no run of gradient_norms")

    def _check_inputs(self) -> None:
        names = (*GENERATED_INPUTS, CORPUS)
        if self.inputs not in names and not os.path.exists(os.path.expanduser(self.inputs)):
            raise UsageError(
                f"inputs={self.inputs}: no such file; give the path of a text file or one of "
                + ", ".join(names)
            )
        for name in ("data_dir", "manual_dir"):
            if getattr(self, name) and self.inputs != CORPUS:
                raise UsageError(
                    f"{name}={getattr(self, name)}: is not used with inputs={self.inputs}, only "
                    f"with inputs={CORPUS}"
                )

    @property
    def earlier(self) -> pathlib.Path:
        """Where the run that is extended keeps its points."""
        return pathlib.Path(os.path.expanduser(self.extends)) / GRID_CHUNKS

    def grid(self) -> sweep.Grid:
        """The sweep."""
        if bool(self.hyperparameter) != bool(self.values):
            raise UsageError(
                f"values={self.values}: are those of a hyperparameter; set both hyperparameter and "
                "values, or neither"
            )
        return sweep.Grid(
            cells=self.cells,
            inits=(self.init,),
            scale=self.scale,
            scales=self.radii,
            hidden=(self.hidden,),
            lengths=self.lengths,
            inputs=(self.inputs,),
            input_scales=(self.input_scale,),
            seeds=self.seeds,
            batch=self.batch,
            dtype=self.dtype,
            hyperparameters={self.hyperparameter: self.values} if self.values else {},
        )


def with_field_names(error: UsageError, hyperparameter: str = "") -> UsageError:
    """An error of the sweep or of the data, with the name of the field that a user has written."""
    name, equals, rest = str(error).partition("=")
    names = FIELDS | {hyperparameter: "values"}
    return UsageError(f"{names.get(name, name)}{equals}{rest}")


PRESETS = {
    "tiny": Config(
        cells=("tanh", "lstm"),
        radii=(0.5, 0.9, 1.0, 1.1, 1.5),
        lengths=(10, 50, 200),
        hidden=16,
        batch=2,
        seeds=3,
    )
}
