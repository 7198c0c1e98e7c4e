"""What a strategy is, and what all of them share."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any, ClassVar, Protocol, runtime_checkable

import jax
import jax.numpy as jnp

from rnnlab.arrays import Inputs, Outputs, Params, State
from rnnlab.errors import UsageError
from rnnlab.layer import Cell
from rnnlab.strategies.control import Control

#: Rows of a batch up to which both directions of a layer run in one scan.
ROWS_OF_PAIR = 4

#: What runs a cell: the call of a strategy.
Runner = Callable[[Cell, Params, Any, State, Control], tuple[State, Outputs]]
#: Final states and outputs of both directions.
Pair = tuple[tuple[State, State], tuple[Outputs, Outputs]]


class StrategyWarning(UserWarning):
    """A strategy runs a cell in another way than its own, and says why."""


@runtime_checkable
class Strategy(Protocol):
    """A way to run a cell over a sequence, with the outputs and gradients of `autodiff`.

    It says itself what it runs: `refuses`. Derive from `BaseStrategy` to write `__call__` alone.
    """

    def __call__(
        self, cell: Cell, params: Params, xs: Inputs, state: State, control: Control
    ) -> tuple[State, Outputs]:
        """Returns the state after the last step and the outputs of all steps."""
        ...

    def pair(
        self,
        cell: Cell,
        params: tuple[Params, Params],
        xs: tuple[Inputs, Inputs],
        states: tuple[State, State],
        control: Control,
    ) -> Pair:
        """Runs a cell twice, with parameters and inputs of its own each time."""
        ...

    def refuses(self, cell: Cell) -> str | None:
        """Why it does not run this cell on the default device; None where it does."""
        ...


class BaseStrategy:
    """Runs every cell, and two directions of a layer in the faster way."""

    #: Whether `auto` may choose it: it runs one program on one device, in constant settings.
    automatic: ClassVar[bool] = False

    def __call__(
        self, cell: Cell, params: Params, xs: Inputs, state: State, control: Control
    ) -> tuple[State, Outputs]:
        """Returns the state after the last step and the outputs of all steps."""
        raise NotImplementedError

    def pair(
        self,
        cell: Cell,
        params: tuple[Params, Params],
        xs: tuple[Inputs, Inputs],
        states: tuple[State, State],
        control: Control,
    ) -> Pair:
        """Runs a cell twice: in one batched scan for few rows on a CPU, else one after the other.

        With few rows a step is too short to keep the cores busy. With many its products are large
        enough, and XLA:CPU runs two of them more slowly as one batched product.
        """
        rows = math.prod(jax.tree.leaves(xs[0])[0].shape[1:-1])
        if default_device().platform == "cpu" and rows <= ROWS_OF_PAIR:
            both = [
                jax.tree.map(lambda a, b: jnp.stack([a, b]), *each) for each in (params, xs, states)
            ]
            finals, ys = jax.vmap(lambda p, x, s: self(cell, p, x, s, control))(*both)
            return tuple(jax.tree.map(lambda a, i=i: a[i], finals) for i in (0, 1)), (ys[0], ys[1])  # pyright: ignore[reportReturnType]
        first, second = (
            self(cell, p, x, s, control) for p, x, s in zip(params, xs, states, strict=True)
        )
        return (first[0], second[0]), (first[1], second[1])

    def check_places(self, params: Params, xs: Inputs, state: State | None) -> None:
        """Raises UsageError for arrays that lie on devices where it does not run."""

    def refuses(self, cell: Cell) -> str | None:
        """None: it runs every cell, on every device."""
        del cell
        return None


@dataclasses.dataclass(frozen=True)
class OwnStrategy(BaseStrategy):
    """A function of the user as a strategy.

    Attributes:
      run: `(cell, params, xs, state, control) -> (state, ys)`.
    """

    run: Runner

    def __call__(
        self, cell: Cell, params: Params, xs: Inputs, state: State, control: Control
    ) -> tuple[State, Outputs]:
        """Calls the function."""
        return self.run(cell, params, xs, state, control)


def as_strategy(strategy: Strategy | Runner, argument: str = "strategy") -> Strategy:
    """A strategy as it is, a function as a strategy.

    Args:
      strategy: either.
      argument: what errors call it.

    Raises:
      UsageError: anything else.
    """
    if isinstance(strategy, Strategy):
        return strategy
    if callable(strategy) and not isinstance(strategy, type):
        return OwnStrategy(strategy)
    raise UsageError(f"{argument}={strategy!r}: must be a strategy, or a function like one")


def inner_strategy(strategy: str | Strategy | Runner) -> Strategy:
    """The strategy that another one applies: a name, a strategy or a function like one."""
    if not isinstance(strategy, str):
        return as_strategy(strategy, "inner")
    from rnnlab.strategies import by_name  # which has all strategies in its list

    return by_name(strategy, "inner")


def default_device() -> Any:
    """The device on which programs run where nothing else is said."""
    chosen = jax.config.jax_default_device  # pyright: ignore[reportAttributeAccessIssue]
    if chosen is None or isinstance(chosen, str):
        return jax.local_devices(backend=chosen)[0]
    return chosen


def on_cuda() -> bool:
    """Whether that device is a GPU with CUDA."""
    return "cuda" in default_device().client.platform_version.lower()
