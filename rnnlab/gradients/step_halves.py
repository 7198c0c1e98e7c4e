"""One step of any cell in two halves, for differentiation, and the trajectory it makes.

A step is `s' = advance(inputs, s)` followed by `y = emit(inputs, s, s')`. A cell returns both at
once; they are separated in its jaxpr, by cutting the output's dependence at the new state. So a
loss on `y_t` acts on the state *after* step t wherever the cell computes its output from that
state, as `y = h'` does, and `∂L/∂s_T` exists for a loss at the last step.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from functools import reduce
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.extend.core import ClosedJaxpr, Jaxpr, Var, jaxpr_as_fun

from rnnlab.arrays import Array, Inputs, Output, Params, State
from rnnlab.errors import UsageError
from rnnlab.gradients.slopes import Saturating
from rnnlab.layer import Cell, Layer, streams
from rnnlab.strategies.control import select
from rnnlab.tracing import TracedStep, project_all, trace
from rnnlab.unroll import check_inputs, check_state


class StepHalves(NamedTuple):
    """The two halves of a step, and what they read.

    Attributes:
      advance: `(inputs, s) -> s'`.
      emit: `(inputs, s, s') -> y`.
      emit_reads: whether `y` depends on `inputs` or `s` in another way than through `s'`.
      reads: for each leaf of `s'`, the indices of the leaves of `s` it depends on.
      follows: for each leaf of `s'`, whether it is a function of the inputs and other leaves of
        `s'`, as `h' = tanh(c')` is.
      curved: whether `∂s'/∂s` depends on `s`, as it does but in linear networks.
    """

    advance: Callable[[Any, State], State]
    emit: Callable[[Any, State, State], Array]
    emit_reads: bool
    reads: tuple[frozenset[int], ...]
    follows: tuple[bool, ...]
    curved: bool


def check_measurable(
    cell: Layer, params: Params, xs: Inputs, state: State | None
) -> tuple[Cell, State]:
    """The layer as one that has a step, and the state before the first one.

    Saturated units of the step keep their slopes (see `slopes`).

    Raises:
      UsageError: what cannot be measured.
    """
    if not streams(cell) or not isinstance(cell, Cell):
        raise UsageError(
            f"cell={type(cell).__name__}: reads the sequence in both directions, so that it has no "
            "state of one time; measure each direction by itself, the backward one on xs[::-1]"
        )
    batch_shape = check_inputs(cell, params, xs)
    if xs.shape[0] == 0:
        raise UsageError(f"xs has shape {list(xs.shape)}: T=0, must have at least one step")
    if xs.dtype not in (jnp.float32, jnp.float64):
        raise UsageError(f"xs is {xs.dtype}: gradients are measured in float32 or float64")
    if state is None:
        state = cell.initial_state(batch_shape, xs.dtype)
    else:
        check_state(cell, state, batch_shape, xs.dtype)
    for name, tree in (("params", params), ("xs", xs), ("state", state)):
        check_finite(name, tree)
    return Saturating(cell), state


def check_finite(name: str, tree: Any) -> None:
    """Raises UsageError if a concrete leaf holds NaN or inf, naming the leaf and the first one."""
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        if isinstance(leaf, Tracer):
            continue
        values = np.asarray(leaf)  # in NumPy: within a jit, JAX would trace constants as well
        finite = np.isfinite(values)
        if finite.all():
            continue
        index = tuple(int(i) for i in np.argwhere(~finite)[0])
        raise UsageError(
            f"{name}{jax.tree_util.keystr(path)} holds {values[index]} at {list(index)}: "
            "must be finite"
        )


class Prepared(NamedTuple):
    """A cell and its inputs, with all that depends on the inputs alone computed.

    Attributes:
      us: the projected inputs of all steps, leaves `[T, ...]`.
      advance: `(u, s) -> (s', y)`, the step from the projected input.
    """

    us: tuple[Array, ...]
    advance: Callable[[Any, State], tuple[State, Output]]


def prepare(cell: Cell, params: Params, xs: Inputs, state: State) -> Prepared:
    """Projects the inputs `xs [T, *batch, D]` in one product for all steps."""
    traced: TracedStep = trace(cell, params, xs, state)
    return Prepared(
        project_all(traced, params, xs), lambda u, state: traced.advance(params, u, state)
    )


def trajectory(prepared: Prepared, state: State, valid: Array | None = None) -> State:
    """The states before each step, `s_0 … s_{T-1}` `[T, *batch, H]`.

    Past the end of a sequence, where `valid [T, *batch]` is false, its state is frozen.
    """

    def body(state: State, inputs: Any) -> tuple[State, State]:
        u, goes_on = inputs
        after = prepared.advance(u, state)[0]
        return select(goes_on, after, state), state

    return jax.lax.scan(body, state, (prepared.us, valid))[1]


def halve_step(
    step: Callable[[Any, State], tuple[State, Array]], inputs: Any, state: State
) -> StepHalves:
    """Splits `step(inputs, s) -> (s', y)` at `s'`; the arguments serve as examples of the types."""
    closed = jax.make_jaxpr(step)(inputs, state)
    jaxpr = closed.jaxpr
    count = len(jax.tree.leaves(state))
    before, after = jaxpr.invars[len(jaxpr.invars) - count :], jaxpr.outvars[:count]
    y = jaxpr.outvars[count]
    emitted, emit_reads = _cut_at_state(closed, after, y)

    def emit(inputs: Any, before: State, after: State) -> Array:
        return emitted(jax.tree.leaves((inputs, before)), jax.tree.leaves(after))

    return StepHalves(
        advance=lambda inputs, before: step(inputs, before)[0],
        emit=emit,
        emit_reads=emit_reads,
        reads=tuple(
            frozenset(i for i, var in enumerate(before) if var in _walk_back(jaxpr, out))
            for out in after
        ),
        follows=tuple(_follows(jaxpr, i, before, after) for i in range(count)),
        curved=_is_curved(lambda s: step(inputs, s)[0], state),
    )


def is_finite(state: State) -> Array:
    """Whether each sequence of a state `[*batch, H]` holds neither NaN nor inf, `[*batch]`.

    What the slopes are behind these means nothing: that of a ReLU is zero there.
    """
    return reduce(
        jnp.logical_and, [jnp.all(jnp.isfinite(a), axis=-1) for a in jax.tree.leaves(state)]
    )


def _is_curved(function: Callable[[State], State], state: State) -> bool:
    derivative = jax.make_jaxpr(lambda s, ds: jax.jvp(function, (s,), (ds,))[1])(state, state)
    arguments = derivative.jaxpr.invars[: len(jax.tree.leaves(state))]
    seen = [_walk_back(derivative.jaxpr, out) for out in derivative.jaxpr.outvars]
    return not frozenset().union(*seen).isdisjoint(arguments)


def _follows(jaxpr: Jaxpr, index: int, before: Sequence[Any], after: Sequence[Any]) -> bool:
    """Whether a leaf of `s'` depends on `s` through other leaves of `s'` alone."""
    out = after[index]
    if any(out is other for other in after[:index]):
        return True
    others = [var for var in after if isinstance(var, Var) and var is not out]
    return _walk_back(jaxpr, out, others).isdisjoint(before)


def _cut_at_state(
    closed: ClosedJaxpr, after: Sequence[Any], y: Any
) -> tuple[Callable[[list[Array], list[Array]], Array], bool]:
    """`y` as a function of the arguments and of `s'`, and whether it reads the arguments at all."""
    jaxpr = closed.jaxpr
    places = {var: i for i, var in enumerate(after) if isinstance(var, Var)}
    if y in places:
        return lambda arguments, after: after[places[y]], False
    cut = [var for var in places if var not in jaxpr.invars]
    seen = _walk_back(jaxpr, y, cut)
    output = ClosedJaxpr(
        jaxpr.replace(
            invars=[*jaxpr.invars, *cut],
            outvars=[y],
            eqns=[eqn for eqn in jaxpr.eqns if not seen.isdisjoint(eqn.outvars)],
        ),
        closed.consts,
    )

    def emitted(arguments: list[Array], after: list[Array]) -> Array:
        return jaxpr_as_fun(output)(*arguments, *(after[places[var]] for var in cut))[0]

    return emitted, not seen.isdisjoint(jaxpr.invars)


def _walk_back(jaxpr: Jaxpr, target: Any, cut: Container[Any] = ()) -> set[Var]:
    """All variables that `target` depends on and itself, not looking behind those of `cut`."""
    producers = {out: eqn for eqn in jaxpr.eqns for out in eqn.outvars}
    seen: set[Var] = set()
    queue = [target]
    while queue:
        var = queue.pop()
        if isinstance(var, Var) and var not in seen and var not in cut:
            seen.add(var)
            queue.extend(producers[var].invars if var in producers else ())
    return seen
