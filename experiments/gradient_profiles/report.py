"""Report of `gradient_profiles`."""

import xarray as xr

from experiments.gradient_profiles.config import Config
from experiments.gradient_profiles.pictures import (
    FAMILIES,
    MEMORIES,
    plot_forgetting,
    plot_profiles,
    plot_together,
)
from experiments.gradient_profiles.tables import forgetting_rows, growth_rows
from rnnlab import plots
from rnnlab.run.report import Report
from rnnlab.run.tables import print_table
from rnnlab.run.workdir import Workdir


def write(config: Config, workdir: Workdir, data: xr.Dataset) -> None:
    """Writes pictures and report, and prints the tables."""
    report = Report("How far back a loss is felt")
    report_profiles(config, workdir, data, report)
    if config.forget_cells:
        report_forgetting(config, workdir, data, report)
    report.settings(workdir)
    report.write(workdir.path("report.html"))


def report_profiles(config: Config, workdir: Workdir, data: xr.Dataset, report: Report) -> None:
    """The first measurement: text, picture and table."""
    with plots.style():
        picture = plots.save(plot_profiles(data), workdir.path("profiles.png"))
        together = plots.save(plot_together(data), workdir.path("together.png"))
    report.text(
        f"The loss is the mean of the last output times √{config.hidden}. The recurrent matrix of "
        f"every gate is {config.init} and has the spectral radius {config.radius:g}. The input "
        f"adds Gaussian noise of standard deviation {config.input_scale:g} to every gate. Biases "
        "are the initial ones of each cell, 1 for forget gates."
    )
    report.figure(
        picture,
        caption="log10 of the norm of the gradient of the loss with respect to the state, against "
        "the number of steps before the loss: joint state (grey), h (blue) and c (orange). Median "
        f"and quartiles over {config.seeds} networks, each the mean over {config.batch} sequences. "
        "A line ends where the gradient is exactly zero. Scales are shared within a family."
        + _of_memories(config),
        alt="Gradient against the number of steps before the loss, a panel for each cell.",
    )
    report.figure(
        together,
        caption=f"The joint state of several cells: median and quartiles over {config.seeds} "
        "networks.",
        alt="How fast the gradient of each cell decays, for comparison.",
    )
    rows = growth_rows(data)
    report.table(
        rows,
        caption="Growth of the gradient with respect to the joint state per step back in time, in "
        "decades, over the half of the sequence that is farther from the loss; last column: median "
        "at t = 0.",
    )
    print_table(rows, title="growth of ‖∂L/∂s_t‖ per step back, decades")


def _of_memories(config: Config) -> str:
    """What to know of memories that never forget, where there are any but the additive one."""
    if not {*FAMILIES[MEMORIES]} & {*config.cells} - {"additive"}:
        return ""
    return (
        f" {MEMORIES} have no constant rate: c grows with time, and the tanh after it saturates, "
        "which closes the paths through h."
    )


def report_forgetting(config: Config, workdir: Workdir, data: xr.Dataset, report: Report) -> None:
    """The second measurement: text, picture and table."""
    with plots.style():
        picture = plots.save(plot_forgetting(data), workdir.path("forget_bias.png"))
    report.heading("Forget bias and time constant")
    report.text(
        "The curve is τ = −1 / ln σ(b), the time constant of a forget gate that depends on its "
        "bias alone. It is exact where the recurrent matrices are zero. Where they are not, the "
        "error also returns to c through h and the gates, and adds to what the forget gate keeps."
    )
    report.figure(
        picture,
        caption="Time constant of ‖∂L/∂c_t‖, from the slope of its logarithm far from the loss, "
        f"against the forget bias; median and quartiles over {config.seeds} networks, input scale "
        f"{config.forget_input_scale:g}. Solid: without recurrence. Dotted: the most that an LSTM "
        "at rest can keep, whose input and output gates are ½. Triangles on the upper edge: the "
        "gradient grows.",
        alt="Time constant against the forget bias by cell, a panel for each spectral radius.",
    )
    rows = forgetting_rows(data)
    report.table(rows, caption="Median time constant of ‖∂L/∂c_t‖ in steps.")
    print_table(rows, title="time constant of ‖∂L/∂c_t‖, steps")
