"""The engine: one `unroll` for every cell, combinator and strategy, and the sequence contract.

The contract. Sequences lie in `xs [T, *batch, D]`, time first, padded on the right.
  lengths  [*batch] integers in 0..T. Past the end the state is frozen and the output is zero;
           padding never affects outputs or gradients, even if it is NaN.
  resets   [T, *batch] booleans. A new sequence starts at this step, from the cell's initial state.
  reverse  each sequence, between resets and within its length, is read backwards by itself;
           outputs stay in the order of time.
The given state enters the first sequence of a row, and the final state is that of the last, in
either direction. Length 0 returns the given state.
"""

from __future__ import annotations

import dataclasses
import sys
import types
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.typing import ArrayLike

from rnnlab import strategies
from rnnlab.arrays import Array, Input, Inputs, Key, Lengths, Output, Outputs, Params, State
from rnnlab.errors import UsageError
from rnnlab.layer import Arrangement, Cell, Layer, NoisyCell, streams
from rnnlab.strategies import Control, Strategy
from rnnlab.strategies.base import Runner
from rnnlab.strategies.control import select


def unroll(
    cell: Layer,
    params: Params,
    xs: Inputs,
    state: State | None = None,
    *,
    lengths: ArrayLike | None = None,
    resets: ArrayLike | None = None,
    reverse: bool = False,
    strategy: str | Strategy | Runner = "autodiff",
    key: Key | None = None,
) -> tuple[State, Outputs]:
    """Runs `cell` over `xs`, by the contract in the module's docstring.

    Args:
      cell: a cell, or a combinator made of cells.
      params: what `cell.init` returned, or a tree of that structure.
      xs: inputs `[T, *batch, D]` in the dtype of the parameters.
      state: the state before the first step; None for `cell.initial_state`.
      lengths: number of steps of each row, `[*batch]`.
      resets: where a new sequence starts, `[T, *batch]`.
      reverse: read each sequence backwards.
      strategy: how to run and differentiate the scan; a name or a function.
      key: PRNG key of dropout and zoneout; None evaluates without noise.

    Returns:
      The final state and the outputs `ys [T, *batch, H]`.

    Raises:
      UsageError: shapes, dtypes or lengths that do not fit, naming the argument.
    """
    strategy = strategies.by_name(strategy)
    batch_shape = check_inputs(cell, params, xs)
    if state is None:
        state = cell.initial_state(batch_shape, xs.dtype)
    else:
        check_state(cell, state, batch_shape, xs.dtype)
    control = _control(xs.shape[0], batch_shape, lengths, resets)
    if control.valid is not None:  # so that not even NaN in the padding reaches a gradient
        xs = select(control.valid, xs, jnp.zeros_like(xs))

    return _Run(strategy, control)(cell, params, xs, state, reverse, key)


@dataclasses.dataclass(frozen=True)
class _Run:
    """Runs one layer after the other under the strategy and the flags of one call."""

    strategy: Strategy
    control: Control

    def __call__(
        self,
        layer: Layer,
        params: Params,
        xs: Inputs,
        state: State,
        reverse: bool,
        key: Key | None,
    ) -> tuple[State, Outputs]:
        if isinstance(layer, Arrangement):
            return layer.compose(self, params, xs, state, reverse, key)
        assert isinstance(layer, Cell)
        if key is not None and isinstance(layer, NoisyCell):
            params, xs = layer.randomise(key, params, xs)
        if not reverse:
            return self.strategy(layer, params, xs, state, self.control)
        turn = _turn(self.control, xs)
        state, ys = self.strategy(layer, params, turn(xs), state, self.control)
        return state, turn(ys)

    def pair(
        self,
        cell: Cell,
        params: tuple[Params, Params],
        xs: Inputs,
        states: tuple[State, State],
        reverse: bool,
        keys: Any,
    ) -> tuple[tuple[State, State], tuple[Outputs, Outputs]]:
        """Both directions of a cell; the first reads from the start unless `reverse`."""
        weights, inputs = list(params), [xs, xs]
        if isinstance(cell, NoisyCell):
            for place, key in enumerate(keys):
                if key is not None:
                    weights[place], inputs[place] = cell.randomise(key, params[place], xs)
        turn = _turn(self.control, xs)
        turned = 0 if reverse else 1
        inputs[turned] = turn(inputs[turned])
        finals, ys = self.strategy.pair(
            cell, (weights[0], weights[1]), (inputs[0], inputs[1]), states, self.control
        )
        outputs = list(ys)
        outputs[turned] = turn(outputs[turned])
        return finals, (outputs[0], outputs[1])


def step(cell: Layer, params: Params, x: Input, state: State) -> tuple[State, Output]:
    """One step for streaming: `x [*batch, D]` to the next state and `y [*batch, H]`.

    Memory does not grow with the steps taken. Compile it once and feed the state back:
    `jax.jit(rnnlab.step, static_argnums=0, donate_argnums=3)`.
    """
    if not streams(cell) or not isinstance(cell, Cell):
        raise UsageError(
            f"cell={type(cell).__name__}: reads the sequence in both directions and cannot stream; "
            "use unroll"
        )
    check_state(cell, state, check_inputs(cell, params, x[None]), x.dtype)
    return cell.step(params, x, state)


def check_inputs(cell: Layer, params: Params, xs: Inputs) -> tuple[int, ...]:
    """Raises UsageError unless `params` and `xs [T, *batch, D]` fit; returns the batch shape."""
    if not isinstance(xs, jax.Array | np.ndarray) or xs.ndim < 2:
        raise UsageError(f"xs has shape {np.shape(xs)}: must be [T, *batch, D], time first")
    leaves = jax.tree.leaves(params)
    dtype = _dtype(leaves[0]) if leaves else xs.dtype
    if xs.dtype != dtype:
        raise UsageError(f"xs is {xs.dtype} but params are {dtype}: cast one, xs.astype({dtype})")
    expected = _param_shapes(cell, xs.shape[-1], np.dtype(dtype))
    _check_tree("params", expected, params, f"{type(cell).__name__} with {xs.shape[-1]} inputs")
    return xs.shape[1:-1]


def check_state(cell: Layer, state: State, batch_shape: tuple[int, ...], dtype: Any) -> None:
    """Raises UsageError unless `state` has the shapes and dtype of the cell's initial state."""
    expected = _state_shapes(cell, batch_shape, np.dtype(dtype))
    _check_tree("state", expected, state, f"{type(cell).__name__} with batch {batch_shape}")


@lru_cache(maxsize=256)
def _param_shapes(cell: Layer, features_in: int, dtype: np.dtype) -> Params:
    return jax.eval_shape(lambda: cell.init(jax.random.key(0), features_in, dtype))


@lru_cache(maxsize=256)
def _state_shapes(cell: Layer, batch_shape: tuple[int, ...], dtype: np.dtype) -> State:
    return jax.eval_shape(lambda: cell.initial_state(batch_shape, dtype))


def _check_tree(name: str, expected: Any, given: Any, owner: str) -> None:
    if jax.tree.structure(expected) != jax.tree.structure(given):
        raise UsageError(
            f"{name} has the structure {jax.tree.structure(given)}: {owner} needs "
            f"{jax.tree.structure(expected)}"
        )
    for (path, want), got in zip(
        jax.tree_util.tree_leaves_with_path(expected), jax.tree.leaves(given), strict=True
    ):
        if (want.shape, want.dtype) != (np.shape(got), _dtype(got)):
            raise UsageError(
                f"{name}{jax.tree_util.keystr(path)} is {_dtype(got)}{list(np.shape(got))}: "
                f"{owner} needs {want.dtype}{list(want.shape)}"
            )


def _dtype(leaf: Any) -> Any:
    """The dtype of an array; of anything else its Python type, which no array has."""
    if isinstance(leaf, jax.Array | np.ndarray | np.generic):
        return leaf.dtype
    return type(leaf).__name__


def _control(
    steps: int, batch_shape: tuple[int, ...], lengths: ArrayLike | None, resets: ArrayLike | None
) -> Control:
    """Turns lengths and resets into flags for each step."""
    valid = fresh = None
    if lengths is not None:
        lengths = check_lengths(lengths, steps, batch_shape)
        time = jnp.arange(steps, dtype=jnp.int32)
        valid = time.reshape(-1, *(1,) * len(batch_shape)) < lengths
    if resets is not None:
        fresh = jnp.asarray(resets)
        if fresh.shape != (steps, *batch_shape) or fresh.dtype != jnp.bool_:
            raise UsageError(
                f"resets is {fresh.dtype}{list(fresh.shape)}: must be bool"
                f"{[steps, *batch_shape]}, true where a sequence starts"
            )
        fresh = fresh if valid is None else fresh & valid
    return Control(valid, fresh)


def check_lengths(lengths: ArrayLike, steps: int, batch_shape: tuple[int, ...]) -> Lengths:
    """The lengths as int32. Their values can be checked only where they are known, not traced."""
    known = None if isinstance(lengths, Tracer) else np.asarray(lengths)
    array = jnp.asarray(lengths) if known is None else known
    if array.shape != batch_shape or not jnp.issubdtype(array.dtype, jnp.integer):
        raise UsageError(
            f"lengths is {array.dtype}{list(array.shape)}: must be integers{list(batch_shape)}"
        )
    if known is not None:
        wrong = known[(known < 0) | (known > steps)]
        if wrong.size:
            raise UsageError(f"lengths contains {wrong[0]}: must lie in 0..{steps}, the T of xs")
    return jnp.asarray(array, jnp.int32)


def _turn(control: Control, xs: Any) -> Any:
    """The map that turns each sequence around in its place; it is its own inverse."""
    if control.valid is None and control.fresh is None:
        return lambda tree: jax.tree.map(lambda a: jnp.flip(a, 0), tree)
    flags = control.valid if control.valid is not None else control.fresh
    assert flags is not None
    steps = flags.shape[0]
    time = jnp.broadcast_to(jnp.arange(steps).reshape(-1, *(1,) * (flags.ndim - 1)), flags.shape)
    # A boundary lies before every first step of a sequence, and before the padding.
    starts = time == 0 if control.fresh is None else (time == 0) | control.fresh
    ends = starts if control.valid is None else starts | ~control.valid
    first = jax.lax.cummax(jnp.where(starts, time, 0), axis=0)
    boundaries = jnp.where(ends, time, steps)
    boundary_after = jnp.concatenate([boundaries[1:], jnp.full_like(boundaries[:1], steps)])
    last = jax.lax.cummin(boundary_after, axis=0, reverse=True) - 1
    source = first + last - time
    if control.valid is not None:
        source = jnp.where(control.valid, source, time)

    def turn(a: Array) -> Array:
        index = source.reshape(source.shape + (1,) * (a.ndim - source.ndim))
        return jnp.take_along_axis(a, index, axis=0)

    return lambda tree: jax.tree.map(turn, tree)


class _Module(types.ModuleType):
    """This module, callable as its main function.

    Importing a submodule binds its name in the package, here to a module of the name that
    `from rnnlab import unroll` asks for. Called, it is that function.
    """

    __call__ = staticmethod(unroll)


sys.modules[__name__].__class__ = _Module
