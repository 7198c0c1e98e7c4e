"""The networks of `clipping` at their start, as the paper draws them.

The number of the paper's N(0, ·) is the standard deviation, as in the code published with it. All
biases are zero.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from rnnlab import initializers
from rnnlab.cells import Elman
from rnnlab.data.tasks import TemporalOrder
from rnnlab.initializers import Initializer
from rnnlab.training.model import Reader

TASK = TemporalOrder(2)
#: Incoming connections of a unit, and spectral radius, of the sparse start.
CONNECTIONS, RADIUS = 15, 0.95


def smart_tanh(hidden: int) -> Reader:
    """A sparse recurrent matrix, rescaled to a spectral radius just below 1."""
    sparse = initializers.Sparse(initializers.Gaussian(), min(CONNECTIONS, hidden))
    return _network("tanh", hidden, 0.01, initializers.Rescaled(sparse, RADIUS))


def basic_tanh(hidden: int) -> Reader:
    """All weights from N(0, 0.1²)."""
    return _network("tanh", hidden, 0.1, _normal(0.1, hidden))


def sigmoid(hidden: int) -> Reader:
    """All weights from N(0, 0.01²)."""
    return _network("sigmoid", hidden, 0.01, _normal(0.01, hidden))


#: Networks of H hidden units, by the names that flags use.
STARTS: dict[str, Callable[[int], Reader]] = {
    "smart_tanh": smart_tanh,
    "basic_tanh": basic_tanh,
    "sigmoid": sigmoid,
}


def _network(activation: str, hidden: int, deviation: float, wh_init: Initializer) -> Reader:
    """A simple network whose other weights are drawn from N(0, deviation²)."""
    wx_init = _normal(deviation, TASK.features_in)
    cell = Elman(hidden, activation=activation, wx_init=wx_init, wh_init=wh_init)
    return Reader(cell, TASK.features_out, deviation=deviation)


def _normal(deviation: float, fan_in: int) -> initializers.Gaussian:
    return initializers.Gaussian(deviation * math.sqrt(fan_in))
