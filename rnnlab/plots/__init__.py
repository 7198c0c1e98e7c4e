"""Pictures as a paper would print them.

Figures are made without pyplot, so that no backend and no setting outside of `style()` changes:

    with plots.style():
        figure, axes = plots.subplots(1, 3, width=10)
        plots.phase_diagram(axes[0], radii, lengths, log10_norm, ...)
        plots.save(figure, workdir.path("phase.png"))
"""

from rnnlab.plots.axes import even_columns, legend_below, shades, ticks_at
from rnnlab.plots.figures import COLORS, save, style, subplots
from rnnlab.plots.maps import add_colorbar, contour_lines, phase_diagram
from rnnlab.plots.seeds import quantile_band, rates_by_length, success_rates
from rnnlab.run.pictures import also_as

__all__ = [
    "COLORS",
    "add_colorbar",
    "also_as",
    "contour_lines",
    "even_columns",
    "legend_below",
    "phase_diagram",
    "quantile_band",
    "rates_by_length",
    "save",
    "shades",
    "style",
    "subplots",
    "success_rates",
    "ticks_at",
]
