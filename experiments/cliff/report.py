"""Report of `cliff`."""

import xarray as xr

from experiments.cliff.config import Config
from experiments.cliff.pictures import LEVELS, REACH, plot_cliff, plot_descents, plot_gradients
from experiments.cliff.schema import THIN
from experiments.cliff.tables import table_of_neighbours, table_of_paths
from rnnlab import plots
from rnnlab.run.report import Report
from rnnlab.run.tables import print_table
from rnnlab.run.workdir import Workdir


def write(config: Config, workdir: Workdir, data: xr.Dataset) -> None:
    """Writes pictures and report, and prints the tables."""
    with plots.style():
        plots.save(plot_cliff(config, data), workdir.path("cliff.png"))
        plots.save(plot_descents(config, data), workdir.path("descents.png"))
        plots.save(plot_gradients(config, data), workdir.path("gradients.png"))
    write_report(config, workdir, data)
    print_table(table_of_paths(data), title=path_title(config))
    print_table(table_of_neighbours(data), title=neighbour_title(config))


def write_report(config: Config, workdir: Workdir, data: xr.Dataset) -> None:
    """Writes `report.html`."""
    report = Report("Gradient descent at a cliff of the loss")
    report.text(
        f"One unit, x_t = w σ(x_(t−1)) + b, is to reach σ(x_T) = {config.target:g} after T = "
        f"{config.length} steps from x_0 = {config.x_0:g}; the loss is E = (σ(x_T) − "
        f"{config.target:g})² (Pascanu, Mikolov and Bengio 2013, equation 8 and Fig. 6). On the "
        "line b = x_0 − w σ(x_0) the unit starts in a fixed point; where w σ'(x_0) > 1 it is "
        "unstable: above the line x_T rises to one stable state, below it falls to another. That "
        "line is the wall."
    )
    report.figure(
        workdir.path("cliff.png"),
        caption=f"The loss over (w, b), in perspective within {REACH:g} of the wall (points: the "
        "parameters after each update) and from above (lines: the same paths). Thin: E = "
        f"{', '.join(map(str, LEVELS))}. Dotted: where σ(x_T) converges to the target as T grows.",
        alt="The loss around its wall, and a path of descent for each rule of clipping.",
    )
    report.table(table_of_paths(data), caption=path_title(config))
    report.text(
        "On the wall the gradient depends on the parameters through a factor that grows "
        "exponentially with T. Where a single path ends therefore depends on its last digits, and "
        "on the machine. The effect of a rule shows in many paths that start near each other."
    )
    report.figure(
        workdir.path("descents.png"),
        caption="Above: the path from the same start with each rule, in height over the wall. "
        f"Below: the loss along it, and median and quartiles of {config.neighbours} neighbours.",
        alt="Height over the wall and loss along the descents, a column for each rule of clipping.",
    )
    report.table(table_of_neighbours(data), caption=neighbour_title(config))
    report.figure(
        workdir.path("gradients.png"),
        caption="Left: log10 of the norm of ∂E/∂(w, b); the axis of heights is linear within "
        f"{THIN:g} of the wall. Right: its largest value at each w, and its value on the wall, as "
        "measured and in closed form.",
        alt="The gradient around the wall, and its largest value against w.",
    )
    report.settings(workdir)
    report.write(workdir.path("report.html"))


def path_title(config: Config) -> str:
    """Title of the table of the three paths."""
    return (
        f"{config.updates} updates from (w, b) = ({config.start[0]:g}, {config.start[1]:g}), "
        f"learning rate {config.learning_rate:g}, clipped at {config.threshold:g}"
    )


def neighbour_title(config: Config) -> str:
    """Title of the table of the further starts."""
    return (
        f"{config.neighbours} starts around it (standard deviation {config.spread:g}): "
        "median (10 % to 90 %)"
    )
