"""How fast does the gradient vanish or explode with radius, length and cell?

A network of each cell is drawn for every seed, its recurrent matrices (one for each gate) are
rescaled to each spectral radius ρ, and it reads T inputs. With the loss at the last step only,
L = mean over the batch of <r_b, y_{T,b}> for random unit vectors r_b, measured are

    log10 ‖∂L/∂s_0‖   of the whole state (h; h and c), one sequence at a time, mean over the batch
    log10 ‖∂L/∂wh‖    of all recurrent weights

for every T of one run, in a representation that neither underflows nor overflows. The report
compares them with T log10 ρ, with the bound T log10(γ σ_max) (Pascanu, Mikolov and Bengio 2013) and
with mean field, T λ / ln 10 (Molgedey, Schuchhardt and Schuster 1992; Poole et al. 2016), where
they apply.

Command: python run.py --experiment=gradient_norms --config.hidden=64
Real text: --config.inputs=tiny_shakespeare --config.input_scale=4 (and --config.manual_dir=FOLDER
with its input.txt, where there is no network)
Expected: for the tanh network log10 gradients from -527.5 (ρ = 0.3, T = 1000) to 62 (ρ = 2), and
zero growth at ρ = 1.20, where mean field has it for this input; the LSTM's gradient begins to grow
near ρ = 1.5, the GRU's still vanishes at 2. Takes about 45 s on two cores.
"""

import dataclasses
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from experiments import _phase
from experiments._phase import Measured
from rnnlab import cells, plots, sweep
from rnnlab.errors import UsageError
from rnnlab.run import results
from rnnlab.run.report import Report
from rnnlab.run.tables import print_table
from rnnlab.run.workdir import Workdir

#: What the fields of `Config` are called in `sweep.Grid` and `rnnlab.data`, to correct messages.
FIELDS = {
    "cell": "cells",
    "scales": "radii",
    "radius": "radii",
    "gain": "radii",
    "input_scales": "input_scale",
    "length": "lengths",
    "memory": "memory_mib",
}
MADE_INPUTS = ("gaussian", "zeros", "tiny_shakespeare")
PRINTED_RADII = 5


@dataclasses.dataclass(frozen=True)
class Config:
    """What is swept, and what all points share."""

    #: Cells to compare, by their names in rnnlab.cells.CELLS: tanh, relu, sigmoid, linear, lstm,
    #: gru, lstm_peephole, gru_reset_before, mgu, minimal, mut1, ...
    cells: tuple[str, ...] = ("tanh", "lstm", "gru")
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
    #: Where TensorFlow Datasets keeps prepared data; empty for its own default. For
    #: inputs=tiny_shakespeare only.
    data_dir: str = ""
    #: Folder that holds the original file of the data set (tiny_shakespeare: input.txt), for use
    #: without a network; empty to download it.
    manual_dir: str = ""
    #: MiB for the trajectories of the points computed at once; the whole process takes two to three
    #: times as much.
    memory_mib: int = 512

    def __post_init__(self) -> None:
        """Checks every field."""
        try:
            self.grid()
        except UsageError as error:
            raise _named_as_flags(error) from error
        if self.memory_mib < 1:
            raise UsageError(f"memory_mib={self.memory_mib}: must be a positive number of MiB")
        for name in self.cells:
            if not cells.by_name(name, 1).recurrent_blocks:
                raise UsageError(f"cells={name}: has no recurrent matrix to rescale; leave it out")
        if self.inputs not in MADE_INPUTS and not pathlib.Path(self.inputs).expanduser().exists():
            raise UsageError(
                f"inputs={self.inputs}: no such file; give the path of a text file or one of "
                + ", ".join(MADE_INPUTS)
            )

    def grid(self) -> sweep.Grid:
        """The sweep."""
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
        )


def run(config: Config, workdir: Workdir) -> None:
    """Measures, or reads what was measured; then writes pictures and report, and prints tables."""
    data = measure(config, workdir)
    measured = list(_phase.each_cell(data))
    pictures = {
        "phase_diagram.png": _phase.draw_phase_diagrams,
        "growth.png": _phase.draw_growth,
        "weight_gradients.png": _phase.draw_weight_gradients,
    }
    with plots.style():
        for name, draw in pictures.items():
            plots.save(draw(measured), workdir.path(name))
    write_report(config, workdir, measured)
    rows = [row for one in measured for row in table_of_radii(one, PRINTED_RADII)]
    title = f"Gradients at T = {max(config.lengths)}, median (quartiles) of {config.seeds} seeds"
    print_table(rows, title=title)
    print_table(table_of_cells(measured), title="Zero growth, and what float32 would hold (points)")
    print(f"All {len(config.radii)} radii: {workdir.path('report.html')}")


def measure(config: Config, workdir: Workdir) -> xr.Dataset:
    """The result of the sweep; finished chunks are in `chunks`, the whole in `results.nc`."""
    path = workdir.path(results.FILE)
    if path.exists():
        return results.load_dataset(path)
    try:
        data = sweep.run(
            config.grid(),
            workdir.first / "chunks",
            memory=config.memory_mib * 2**20,
            data_dir=config.data_dir or None,
            manual_dir=config.manual_dir or None,
        )
    except UsageError as error:
        raise _named_as_flags(error) from error
    results.save_dataset(data, path)
    return data


def table_of_radii(one: Measured, most: int | None = None) -> list[dict[str, Any]]:
    """Rows for the radii of a cell, or for `most` of them, at the longest length."""
    count = len(one.radius)
    indices = np.linspace(0, count - 1, min(most or count, count)).round().astype(int)
    theories = one.theories(one.radius)
    rows = []
    for index in indices:
        low, middle, high = _quartiles(one.state[:, index, -1])
        row = {
            "cell": one.cell,
            "ρ": round(float(one.radius[index]), 3),
            "σ_max": round(float(one.sigma_max[index]), 3),
            "log10 ‖∂L/∂s_0‖": f"{middle:.2f} ({low:.2f} … {high:.2f})",
            "per step": f"{middle / one.lengths[-1]:.4f}",
        }
        for name, heading in _phase.RATES.items():
            if name != _phase.BOUND:
                row[heading] = f"{theories[name][index]:.4f}" if name in theories else "-"
        rows.append(row)
    return rows


def table_of_cells(measured: Sequence[Measured]) -> list[dict[str, Any]]:
    """For each cell where growth is zero, and how many gradients float32 could not hold.

    A point is a radius, a seed and a length. The root of a sum of squares, written naively, is 0
    or inf as soon as the squares are out of range, the gradient itself later.
    """
    floor, top = _phase.FLOAT32_FLOOR, _phase.FLOAT32_TOP
    rows = []
    for one in measured:
        fine = np.linspace(one.radius[0], one.radius[-1], 1000)
        mean_field = one.theories(fine).get(_phase.MEAN_FIELD)
        zero = _first_zero(one.radius, np.median(one.growth[:, :, -1], axis=0))
        rows.append(
            {
                "cell": one.cell,
                "growth 0 at ρ": zero,
                "mean field": "-" if mean_field is None else _first_zero(fine, mean_field),
                "points": one.state.size,
                "gradient 0": int(np.sum(one.state < floor)),
                "norm 0": int(np.sum(one.state < floor / 2)),
                "norm inf": int(np.sum(one.state > top / 2)),
                "gradient inf": int(np.sum(one.state > top)),
            }
        )
    return rows


def write_report(config: Config, workdir: Workdir, measured: Sequence[Measured]) -> None:
    """Pictures, tables, what they mean and what they do not."""
    report = Report("How fast does the gradient vanish or explode?")
    report.text(_what_was_measured(config, measured))
    over = f"{config.seeds} seeds; each value is a mean over {config.batch} sequences"
    report.figure(
        workdir.path("phase_diagram.png"),
        caption=(
            f"Median over {over}. Lines at the same levels: measured, T log10 ρ, and for simple "
            "networks the bound and mean field. Hatched: below the smallest normal float32, "
            f"10^{_phase.FLOAT32_FLOOR:.1f}, where a float32 gradient becomes zero; the square of "
            f"a norm does so below 10^{_phase.FLOAT32_FLOOR / 2:.1f} already. Colours are linear "
            "between -1 and 1 and logarithmic beyond."
        ),
        alt="Phase diagrams of the gradient norm over spectral radius and length, by cell.",
    )
    report.text(THEORY)
    report.figure(
        workdir.path("growth.png"),
        caption=(
            f"Growth per step. Median and quartiles over {over}; where no band is to be seen, it "
            "is narrower than the line. Above, the vertical axes differ; below, they are shared."
        ),
        alt="Growth of the gradient per step against length and against spectral radius.",
    )
    report.figure(
        workdir.path("weight_gradients.png"),
        caption=(
            f"Gradient of the recurrent weights of all gates. Median and quartiles over "
            f"{config.seeds} seeds. The vertical axis is linear to ±2, logarithmic beyond."
        ),
        alt="Norm of the weights' gradient against length, for some radii of each cell.",
    )
    report.text(WEIGHTS)
    report.heading("Numbers")
    report.table(table_of_cells(measured), caption=CELLS_CAPTION)
    for one in measured:
        report.table(
            table_of_radii(one),
            caption=f"{one.name} at T = {one.lengths[-1]}: median (quartiles) over {over}.",
        )
    report.settings(workdir)
    report.write(workdir.path("report.html"))


def _what_was_measured(config: Config, measured: Sequence[Measured]) -> str:
    strengths = ", ".join(f"{one.name} {one.input_std:.3g}" for one in measured)
    return f"""\
        Networks of {config.hidden} units with {config.init} recurrent matrices, a matrix for each
        gate, all of the same {config.scale} within a network, were run in {config.dtype} on inputs
        of kind {config.inputs}. The loss is a random projection of the last output. Adjoints are
        renormalised on the way back and their scale is kept as an integer exponent, so that no
        value here was ever rounded to zero or infinity.

        Measured standard deviation of the input that reaches the gates, x @ wx: {strengths}.

        What is shown is the distribution over seeds. Above the radius of zero growth the tanh
        network is chaotic: a single trajectory, and with it the gradient at one point, depends on
        the last bit of every sum (and on the machine), while its distribution does not. Nothing
        here should be read off one seed."""


THEORY = """\
    T log10 ρ is exact for linear networks with normal matrices, and elsewhere neither a bound nor
    a limit: a saturating activation has slopes below 1, and gates add a path of their own, which
    forgets at a rate that biases set and not ρ. For a gated cell ρ is that of each of its matrices.

    The bound T log10(γ σ_max), with γ the largest slope of the activation, holds for the Jacobian
    of a simple network whatever the input, hence for every gradient here, since L is a projection
    on a unit vector. It says nothing where γ σ_max > 1. With orthogonal matrices σ_max = ρ, and for
    tanh the bound is T log10 ρ. Gated cells have no bound by σ_max alone, since the state scales
    the slopes of their gates.

    Mean field, λ, is the Lyapunov exponent of a network of infinitely many units in its stationary
    state, driven by independent Gaussian input of the measured strength; correlations of a text
    do not enter. Its gain is the one set or else ρ: exact for orthogonal matrices, for which
    ‖wh‖_F² / H = ρ², and a limit of many units for independent entries, whose ρ at 64 units is some
    per cent above the gain. It is left out for gated cells, identity matrices, and networks that
    no input moves from h = 0."""
WEIGHTS = """\
    Where the gradient of the first state vanishes, that of the weights does not: the last steps
    contribute whatever the length. It levels off at a value that says nothing of long memories,
    and grows with T only where gradients explode."""
CELLS_CAPTION = """\
    Spectral radius at which the median gradient at the longest T neither grows nor decays (the
    first from below), measured and by mean field; and of all points (radius × seed × length) how
    many a float32 program would get as 0 or inf: the gradient itself (‖∂L/∂s_0‖ below 10^-37.9 or
    above 10^38.5), or already its norm as the root of a sum of squares (below 10^-19.0, above
    10^19.3)."""


def _first_zero(radius: np.ndarray, growth: np.ndarray) -> str:
    """The radius at which growth first turns positive, by linear interpolation."""
    rising = np.flatnonzero((growth[:-1] <= 0) & (growth[1:] > 0))
    if not len(rising):
        return "not in range"
    i = rising[0]
    share = growth[i] / (growth[i] - growth[i + 1])
    return f"{radius[i] + share * (radius[i + 1] - radius[i]):.3f}"


def _quartiles(samples: np.ndarray) -> tuple[float, ...]:
    """Lower quartile, median, upper quartile; -inf where gradients are exactly zero."""
    # Nothing can be interpolated between two of -inf.
    method = "linear" if np.isfinite(samples).all() else "nearest"
    return tuple(map(float, np.quantile(samples, [0.25, 0.5, 0.75], method=method)))


def _named_as_flags(error: UsageError) -> UsageError:
    """The same error with the name of the field that a user has written."""
    name, equals, rest = str(error).partition("=")
    return UsageError(f"{FIELDS.get(name, name)}{equals}{rest}")
