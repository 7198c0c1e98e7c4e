"""Sweeps: a grid of networks to one labelled, resumable set of measured gradient norms.

from rnnlab import sweep
result = sweep.run(sweep.Grid(cells=("tanh", "lstm"), scales=(0.9, 1.1), lengths=(10, 1000)))
"""

from rnnlab.sweep.grid import Grid
from rnnlab.sweep.kernel import gradient_norms
from rnnlab.sweep.run import run
from rnnlab.sweep.table import QUANTITIES

__all__ = ["QUANTITIES", "Grid", "gradient_norms", "run"]
