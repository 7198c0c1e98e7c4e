"""Chaotic systems, each a cell without parameters and input that `unroll` integrates in float64.

ys = trajectory(by_name("lorenz"), 10_000, batch=4)  # [T, B, D], on the attractor
lyapunov_exponents(system, {}, xs, state)  # of a system as of a network
"""

from collections.abc import Callable

from rnnlab.errors import UsageError
from rnnlab.systems.base import System, run, trajectory
from rnnlab.systems.kuramoto_sivashinsky import KuramotoSivashinsky
from rnnlab.systems.lorenz import Lorenz
from rnnlab.systems.mackey_glass import MackeyGlass

#: Every system by the name that flags use.
SYSTEMS: dict[str, Callable[[], System]] = {
    "lorenz": Lorenz,
    "mackey_glass": MackeyGlass,
    "kuramoto_sivashinsky": KuramotoSivashinsky,
}

__all__ = [
    "SYSTEMS",
    "KuramotoSivashinsky",
    "Lorenz",
    "MackeyGlass",
    "System",
    "by_name",
    "run",
    "trajectory",
]


def by_name(name: str) -> System:
    """The system of that name, sampled as its source does.

    Raises:
      UsageError: there is none.
    """
    if name not in SYSTEMS:
        raise UsageError(f"system={name!r}: unknown, choose one of {', '.join(SYSTEMS)}")
    return SYSTEMS[name]()
