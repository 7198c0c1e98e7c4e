"""Report of `gradient_norms`: pictures, tables, what they mean and what they do not."""

from collections.abc import Sequence

import xarray as xr

from experiments.gradient_norms.comparison import FLOAT32_FLOOR, Measured, each_cell
from experiments.gradient_norms.config import Config
from experiments.gradient_norms.pictures import (
    plot_growth,
    plot_phase_diagrams,
    plot_weight_gradients,
)
from experiments.gradient_norms.tables import table_of_cells, table_of_radii
from rnnlab import plots
from rnnlab.run.report import Report
from rnnlab.run.tables import print_table
from rnnlab.run.workdir import Workdir

#: Radii in a printed table; the report has all.
PRINTED_RADII = 5


def write(config: Config, workdir: Workdir, data: xr.Dataset) -> None:
    """Writes pictures and report, and prints the tables."""
    measured = list(each_cell(data))
    pictures = {
        "phase_diagram.png": plot_phase_diagrams,
        "growth.png": plot_growth,
        "weight_gradients.png": plot_weight_gradients,
    }
    with plots.style():
        for name, plot in pictures.items():
            plots.save(plot(measured), workdir.path(name))
    write_report(config, workdir, measured)
    rows = [row for one in measured for row in table_of_radii(one, PRINTED_RADII)]
    title = f"Gradients at T = {max(config.lengths)}, median (quartiles) of {config.seeds} seeds"
    print_table(rows, title=title)
    print_table(table_of_cells(measured), title="Zero growth, and what float32 would hold (points)")
    print(f"All {len(config.radii)} radii: {workdir.path('report.html')}")


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
            f"10^{FLOAT32_FLOOR:.1f}, where a float32 gradient becomes zero; the square of "
            f"a norm does so below 10^{FLOAT32_FLOOR / 2:.1f} already. Colours are linear "
            "between -1 and 1 and logarithmic beyond."
        ),
        alt="Phase diagrams of the gradient norm over spectral radius and length, by cell.",
    )
    report.text(THEORY)
    report.figure(
        workdir.path("growth.png"),
        caption=(
            f"Growth per step. Median and quartiles over {over}. A band that is not visible is "
            "narrower than its line. Above, the vertical axes differ; below, they are shared."
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
        gate, all of the same {config.scale} within a network, were run in {config.dtype} on the
        inputs {config.inputs}. The loss is a random projection of the last output. Adjoints are
        renormalised at every step and their scale is kept as an integer exponent, so that no value
        here was rounded to zero or infinity.

        Measured standard deviation of the input that reaches the gates, x @ wx: {strengths}.

        What is shown is the distribution over seeds. Above the radius of zero growth the tanh
        network is chaotic: a single trajectory, and with it the gradient at one point, depends on
        the last bit of every sum (and on the machine), while its distribution does not. Nothing
        here should be read off one seed."""


THEORY = """\
    T log10 ρ is exact for linear networks with normal matrices. Elsewhere it is neither a bound nor
    a limit: a saturating activation has slopes below 1, and a gated cell has a second path, which
    forgets at a rate that its biases set and not ρ. For a gated cell ρ is the spectral radius of
    each of its recurrent matrices.

    The bound T log10(γ σ_max), with γ the largest slope of the activation, holds for the Jacobian
    of a simple network whatever the input, hence for every gradient here, since L is a projection
    on a unit vector. It says nothing where γ σ_max > 1. With orthogonal matrices σ_max = ρ, and for
    tanh the bound is T log10 ρ. Gated cells have no bound by σ_max alone, since the state scales
    the slopes of their gates.

    Mean field, λ, is the Lyapunov exponent of a network of infinitely many units in its stationary
    state, driven by independent Gaussian input of the measured strength. Its gain is the gain that
    was set, or ρ where the radius was set. The latter is exact for orthogonal matrices, for which
    ‖wh‖_F² / H = ρ², and holds in the limit of many units for independent entries, whose ρ at 64
    units is a few per cent above the gain. Mean field is left out for gated cells, for identity
    matrices, for texts, whose input has another mean for each unit, and for networks that stay at
    h = 0 for lack of input.
    """
WEIGHTS = """\
    Where the gradient of the first state vanishes, that of the weights does not, because the last
    steps contribute at every length. It levels off at a value that says nothing about long-term
    memory, and grows with T only where gradients explode."""
CELLS_CAPTION = """\
    Lowest spectral radius at which the median gradient at the longest T neither grows nor decays,
    measured and by mean field; and how many of all points (radius × seed × length) a float32
    program would return as 0 or inf: the gradient itself (‖∂L/∂s_0‖ below 10^-37.9 or above
    10^38.5), or its norm as the root of a sum of squares (below 10^-19.0, above 10^19.3)."""
