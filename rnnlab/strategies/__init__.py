"""Ways to run a cell over a sequence; all give the outputs and gradients of `autodiff`.

(`Truncated` has its outputs, and by design another gradient.) A strategy is a frozen dataclass
that is called, and says itself which cells it runs; `unroll` takes one, a function like one, or one
of the names in `STRATEGIES`, of which `supported` tells those that run a layer on the default
device.
"""

from rnnlab.errors import UsageError
from rnnlab.layer import Layer, cells_of
from rnnlab.strategies.auto import auto
from rnnlab.strategies.autodiff import autodiff
from rnnlab.strategies.base import (
    BaseStrategy,
    Runner,
    Strategy,
    StrategyWarning,
    as_strategy,
    default_device,
    on_cuda,
)
from rnnlab.strategies.control import Control
from rnnlab.strategies.cudnn import CuDNN, cudnn
from rnnlab.strategies.hoisted import hoisted
from rnnlab.strategies.persistent import Persistent, persistent
from rnnlab.strategies.rematerialised import Rematerialised, rematerialised
from rnnlab.strategies.split import Split, split
from rnnlab.strategies.truncated import Truncated

#: Strategies that need no setting, by the name that flags use.
STRATEGIES: dict[str, Strategy] = {
    "autodiff": autodiff,
    "hoisted": hoisted,
    "rematerialised": rematerialised,
    "split": split,
    "cudnn": cudnn,
    "persistent": persistent,
    "auto": auto,
}

__all__ = [
    "STRATEGIES",
    "BaseStrategy",
    "Control",
    "CuDNN",
    "Persistent",
    "Rematerialised",
    "Split",
    "Strategy",
    "StrategyWarning",
    "Truncated",
    "auto",
    "autodiff",
    "automatic",
    "by_name",
    "cudnn",
    "default_device",
    "hoisted",
    "on_cuda",
    "persistent",
    "rematerialised",
    "split",
    "supported",
]


def by_name(strategy: str | Strategy | Runner, argument: str = "strategy") -> Strategy:
    """The strategy called by that name; a strategy or a function like one as it is.

    Args:
      strategy: any of them.
      argument: what errors call it.

    Raises:
      UsageError: an unknown name.
    """
    if callable(strategy):
        return as_strategy(strategy, argument)
    if not isinstance(strategy, str) or strategy not in STRATEGIES:
        raise UsageError(
            f"{argument}={strategy!r}: unknown, choose one of {', '.join(STRATEGIES)}, or pass "
            "Truncated(steps), Rematerialised(time_block) or Split(inner, devices)"
        )
    return STRATEGIES[strategy]


def automatic() -> tuple[str, ...]:
    """Names of the strategies among which `auto` chooses."""
    return tuple(
        name
        for name, strategy in STRATEGIES.items()
        if isinstance(strategy, BaseStrategy) and strategy.automatic
    )


def supported(layer: Layer) -> tuple[str, ...]:
    """Names of the strategies that run a cell, or all cells of a combinator, on this device.

    `cudnn` may still refuse a dtype or resets, which belong to a call and not to the layer.
    """
    cells = cells_of(layer)
    return tuple(
        name
        for name, strategy in STRATEGIES.items()
        if all(strategy.refuses(cell) is None for cell in cells)
    )
