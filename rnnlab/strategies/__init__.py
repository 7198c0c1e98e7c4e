"""Ways to run a cell over a sequence; all give the outputs and gradients of `autodiff`.

(`Truncated` gives its outputs, and by design another gradient.) A strategy is a plain function, or
a frozen dataclass that is called like one; `unroll` takes either, or one of the names below, of
which `supported` tells those that run a layer on the device at hand.
"""

from rnnlab.errors import UsageError
from rnnlab.strategies.auto import auto
from rnnlab.strategies.autodiff import autodiff
from rnnlab.strategies.control import Control, Strategy
from rnnlab.strategies.cudnn import CuDNN, cudnn
from rnnlab.strategies.hoisted import hoisted
from rnnlab.strategies.rematerialised import Rematerialised, rematerialised
from rnnlab.strategies.split import Split, split
from rnnlab.strategies.support import supported
from rnnlab.strategies.truncated import Truncated

#: Strategies that need no setting, by the name that flags use.
STRATEGIES: dict[str, Strategy] = {
    "autodiff": autodiff,
    "hoisted": hoisted,
    "rematerialised": rematerialised,
    "split": split,
    "cudnn": cudnn,
    "auto": auto,
}

__all__ = [
    "STRATEGIES",
    "Control",
    "CuDNN",
    "Rematerialised",
    "Split",
    "Strategy",
    "Truncated",
    "auto",
    "autodiff",
    "by_name",
    "cudnn",
    "hoisted",
    "rematerialised",
    "split",
    "supported",
]


def by_name(strategy: str | Strategy) -> Strategy:
    """The strategy called by that name; anything callable is returned as it is."""
    if callable(strategy):
        return strategy
    if not isinstance(strategy, str) or strategy not in STRATEGIES:
        raise UsageError(
            f"strategy={strategy!r}: unknown, choose one of {', '.join(STRATEGIES)}, "
            "or pass Truncated(steps), Rematerialised(chunk) or Split(inner, devices)"
        )
    return STRATEGIES[strategy]
