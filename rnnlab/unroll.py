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
from functools import lru_cache, wraps
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.typing import ArrayLike

from rnnlab import eager, strategies
from rnnlab.arrays import Array, Input, Inputs, Key, Output, Outputs, Params, State
from rnnlab.errors import UsageError
from rnnlab.layer import Arrangement, Cell, Layer, NoisyCell, streams
from rnnlab.strategies import Control, Strategy
from rnnlab.strategies.base import BaseStrategy, OwnStrategy, Runner
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

    Outside of `jax.jit` the call is compiled once for each cell, strategy and shape (the latest 64
    are kept), so that further calls run at full speed; under `jax.jit` it is part of the program
    around it.

    Returns:
      The final state and the outputs `ys [T, *batch, H]`.

    Raises:
      UsageError: shapes, dtypes or lengths that do not fit, naming the argument.
    """
    strategy = strategies.by_name(strategy)
    batch_shape = check_inputs(cell, params, xs)
    if state is not None:
        check_state(cell, state, batch_shape, xs.dtype, xs.shape)
    if lengths is not None:
        lengths = check_lengths(lengths, xs.shape)
    if resets is not None:
        resets = _check_resets(resets, xs.shape)
    static: Any = (cell, strategy, bool(reverse))
    arguments: Any = (params, xs, state, lengths, resets, key)
    if isinstance(strategy, OwnStrategy):  # of which nobody knows whether it is pure
        return _unroll(*static, *arguments)
    if isinstance(strategy, BaseStrategy):
        strategy.check_places(params, xs, state)
    return eager.call(_unroll, static, arguments)


def _unroll(
    cell: Layer,
    strategy: Strategy,
    reverse: bool,
    params: Params,
    xs: Inputs,
    state: State | None,
    lengths: Array | None,
    resets: Array | None,
    key: Key | None,
) -> tuple[State, Outputs]:
    """`unroll` with arguments that have been checked."""
    batch_shape = xs.shape[1:-1]
    if state is None:
        state = cell.initial_state(batch_shape, xs.dtype)
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
    if not isinstance(xs, jax.Array | np.ndarray):
        raise UsageError(
            f"xs is a {type(xs).__name__}: must be an array [T, *batch, D], time first, such as "
            "jnp.asarray makes of a nested list"
        )
    if xs.ndim < 2:
        raise UsageError(f"xs has shape {xs.shape}: must be [T, *batch, D], time first")
    leaves = jax.tree.leaves(params)
    dtype = _dtype(leaves[0]) if leaves else xs.dtype
    if xs.dtype != dtype:
        raise UsageError(f"xs is {xs.dtype} but params are {dtype}: cast one, xs.astype({dtype})")
    expected = _param_shapes(cell, xs.shape[-1], np.dtype(dtype))
    _check_tree("params", expected, params, f"{type(cell).__name__} with {xs.shape[-1]} inputs")
    return xs.shape[1:-1]


def check_state(
    cell: Layer,
    state: State,
    batch_shape: tuple[int, ...],
    dtype: Any,
    inputs_shape: tuple[int, ...] | None = None,
) -> None:
    """Raises UsageError unless `state` has the shapes and dtype of the cell's initial state.

    Args:
      cell: the cell.
      state: its state.
      batch_shape: axes of the state before its own.
      dtype: of the state.
      inputs_shape: of the inputs of an unroll, to tell where they are batch first.
    """
    expected = _state_shapes(cell, batch_shape, np.dtype(dtype))
    shapes = {np.shape(leaf)[: len(batch_shape)] for leaf in jax.tree.leaves(state)}
    hint = _batch_first(inputs_shape, *shapes) if inputs_shape and len(shapes) == 1 else ""
    _check_tree("state", expected, state, f"{type(cell).__name__} with batch {batch_shape}", hint)


def _batch_first(inputs_shape: tuple[int, ...], batch_shape: tuple[int, ...]) -> str:
    """What to add to an error about the batch where the inputs have it first."""
    if inputs_shape[1:-1] == batch_shape or inputs_shape[:-2] != batch_shape:
        return ""
    return (
        f"; xs{list(inputs_shape)} seems to have the batch first, its first axis must be the time: "
        "jnp.moveaxis(xs, -2, 0)"
    )


def _cached(function: Any) -> Any:
    """Keeps the results for the latest arguments; those that cannot be hashed are not kept."""
    kept = lru_cache(maxsize=256)(function)

    @wraps(function)
    def look_up(*arguments: Any) -> Any:
        try:
            hash(arguments)
        except TypeError:
            return function(*arguments)
        return kept(*arguments)

    return look_up


@_cached
def _param_shapes(cell: Layer, features_in: int, dtype: np.dtype) -> Params:
    return jax.eval_shape(lambda: cell.init(jax.random.key(0), features_in, dtype))


@_cached
def _state_shapes(cell: Layer, batch_shape: tuple[int, ...], dtype: np.dtype) -> State:
    return jax.eval_shape(lambda: cell.initial_state(batch_shape, dtype))


def _check_tree(name: str, expected: Any, given: Any, owner: str, hint: str = "") -> None:
    if jax.tree.structure(expected) != jax.tree.structure(given):
        _refuse_lists(name, given)
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
                f"{owner} needs {want.dtype}{list(want.shape)}{hint}"
            )


def _refuse_lists(name: str, tree: Any) -> None:
    for path, part in jax.tree_util.tree_leaves_with_path(tree, is_leaf=_is_list_of_numbers):
        if _is_list_of_numbers(part):
            raise UsageError(
                f"{name}{jax.tree_util.keystr(path)} is a list: must be an array, such as "
                "jnp.asarray makes of it"
            )


def _is_list_of_numbers(tree: Any) -> bool:
    """Whether it is a list, nested or not, that a user may have meant as an array."""
    while isinstance(tree, list) and tree:
        tree = tree[0]
        if isinstance(tree, int | float):
            return True
    return False


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
        lengths = jnp.asarray(lengths, jnp.int32)
        time = jnp.arange(steps, dtype=jnp.int32)
        valid = time.reshape(-1, *(1,) * len(batch_shape)) < lengths
    if resets is not None:
        fresh = jnp.asarray(resets)
        fresh = fresh if valid is None else fresh & valid
    return Control(valid, fresh)


def check_lengths(lengths: ArrayLike, inputs_shape: tuple[int, ...]) -> Any:
    """The lengths as an array; their values can be checked only where they are not traced."""
    steps, *batch_shape = inputs_shape[:-1]
    array = _as_array("lengths", lengths)
    if list(array.shape) != batch_shape or not jnp.issubdtype(array.dtype, jnp.integer):
        raise UsageError(
            f"lengths is {array.dtype}{list(array.shape)}: must be integers{batch_shape}"
            + _batch_first(inputs_shape, array.shape)
        )
    if not isinstance(array, Tracer):
        known = np.asarray(array)
        wrong = known[(known < 0) | (known > steps)]
        if wrong.size:
            raise UsageError(f"lengths contains {wrong[0]}: must lie in 0..{steps}, the T of xs")
    return array


def _check_resets(resets: ArrayLike, inputs_shape: tuple[int, ...]) -> Any:
    """The resets as an array."""
    array = _as_array("resets", resets)
    if array.shape != inputs_shape[:-1] or array.dtype != jnp.bool_:
        first = len(array.shape) > 1 and array.shape[::-1] == inputs_shape[:-1]
        raise UsageError(
            f"resets is {array.dtype}{list(array.shape)}: must be "
            f"bool{list(inputs_shape[:-1])}, true where a sequence starts"
            + ("; either xs or resets has the batch first, both need the time first" * first)
        )
    return array


def _as_array(name: str, value: ArrayLike) -> Any:
    """An array as it is, a list as one of NumPy."""
    if isinstance(value, jax.Array):
        return value
    try:
        return np.asarray(value)
    except ValueError as error:
        raise UsageError(f"{name} is a list of unequal lists: must be an array") from error


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
