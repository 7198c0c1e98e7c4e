"""The adjoint state, backwards through time in the log domain.

The adjoint `a_t = ∂L/∂s_t` obeys

    a_t = (∂s_{t+1}/∂s_t)ᵀ (a_{t+1} + (∂y_t/∂s_{t+1})ᵀ ∂L/∂y_t),

the backward pass of the network. It is kept as `mantissa * 2**exponent`, one exponent for each
sequence and each layer, and renormalised at every step (see `scaled`), so that neither 10,000 steps
nor a layer that outgrows another one loses it.

Here `s_0` is the state before the first step, `s_{t+1}` and `y_t` follow from `s_t` and `x_t`, for
t = 0..T-1. Paths from `s_{t+1}` to `y_t` count as belonging to `s_{t+1}`, as in `y_t = h_{t+1}`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, reduce
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from rnnlab import precision
from rnnlab.arrays import Array, Float, Inputs, Key, Outputs, Params, State
from rnnlab.errors import UsageError
from rnnlab.gradients import parts as state_parts
from rnnlab.gradients import scaled
from rnnlab.gradients.ends import blank_padding, last_steps, without_padding
from rnnlab.gradients.scaled import Scaled
from rnnlab.gradients.step_halves import (
    StepHalves,
    check_finite,
    check_measurable,
    halve_step,
    is_finite,
    prepare,
    trajectory,
)
from rnnlab.layer import Cell, Layer
from rnnlab.unroll import unroll

#: "last", "every", the cotangents `∂L/∂y`, or a function of the outputs.
Loss = str | Outputs | Callable[[Outputs], Array]

#: Adjoint of a state: for each group of leaves, its leaves with their common exponent.
Adjoint = tuple[Scaled, ...]


class AdjointProfile(NamedTuple):
    """Gradient of the loss with respect to the state at every time.

    Attributes:
      log10_joint: `log10 ‖∂L/∂s_t‖` of the joint state, `[T+1, *batch]`; -inf where it is zero,
        NaN for a sequence whose state has overflowed.
      log10_parts: the same for each part by its name (`h`, `c`; `0.h`, … in a stack).
    """

    log10_joint: Float[Array, "T+1 *batch"]
    log10_parts: dict[str, Float[Array, "T+1 *batch"]]


def adjoint_profile(
    cell: Layer,
    params: Params,
    xs: Inputs,
    state: State | None = None,
    *,
    loss: Loss = "last",
    lengths: ArrayLike | None = None,
    parts: tuple[str, ...] | None = None,
    key: Key | None = None,
) -> AdjointProfile:
    """Measures `log10 ‖∂L/∂s_t‖` for t = 0..T: how far back a loss is felt.

    It costs a forward and a backward pass, and with a function as the loss another forward pass.
    Noise (dropout, zoneout) is off, as in `unroll` without a key.

    Args:
      cell: a cell or a combinator with a state of one time (not bidirectional).
      params: its parameters, float32 or float64.
      xs: inputs `[T, *batch, D]`.
      state: the state before the first step; None for `cell.initial_state`.
      loss: "last" for `L = <w, y_{T-1}>`, "every" for `L = Σ_t <w, y_t>`, with a unit vector w; the
        cotangents `∂L/∂y [T, *batch, H_out]`; or a function from all outputs to one number, such as
        `lambda ys: jnp.mean((ys - targets) ** 2)`.
      lengths: number of steps of each sequence, `[*batch]`; None for T. The last output is that of
        the sequence's own last step; past it outputs are zero, and the profile is -inf.
      parts: names of the parts to measure; None for all.
      key: draws w uniformly from the unit sphere; None takes `w = (1, …, 1)/√H_out`.

    Returns:
      Norms of the joint state and its parts.

    Raises:
      UsageError: shapes, dtypes or lengths that do not fit, NaN or inf, an unknown loss or part.
    """
    cell, xs, state, valid = measurable(cell, params, xs, state, lengths)
    names = state_parts.part_names(state) if parts is None else tuple(parts)
    for name in names:
        state_parts.find(state, name, "parts")
    kind, weights = resolve_loss(cell, params, xs, state, loss, key, valid)
    return _profile(cell, params, xs, state, weights, valid, kind, names)


@partial(jax.jit, static_argnums=(0, 6, 7))
def _profile(
    cell: Cell,
    params: Params,
    xs: Inputs,
    state: State,
    weights: Array,
    valid: Array | None,
    kind: str,
    names: tuple[str, ...],
) -> AdjointProfile:
    with precision.products():
        prepared = prepare(cell, params, xs, state)
        us, befores = prepared.us, trajectory(prepared, state, valid)
        step = halve_step(prepared.advance, jax.tree.map(lambda a: a[0], us), state)

        def body(adjoint: Adjoint, inputs: Any) -> tuple[Adjoint, Any]:
            time, u, before = inputs
            dy = cotangent(kind, weights, time, xs.shape[0])
            adjoint = inject(step, u, before, adjoint, dy)
            after = (_leaf_norms(adjoint), is_nonzero(adjoint))
            return pull_state(step, u, before, adjoint, dy), after

        inputs = (jnp.arange(xs.shape[0]), us, befores)
        adjoint, (norms, reached) = jax.lax.scan(body, zero_adjoint(state), inputs, reverse=True)
        lost = behind_overflow(step, befores, reached)
        lost = jnp.concatenate([lost, jnp.zeros_like(lost[:1])])
        norms = jax.tree.map(
            lambda a, b: jnp.concatenate([a[None], b]), _leaf_norms(adjoint), norms
        )

    def log10_norm(part: str | None) -> Array:
        leaves = state_parts.find(state, part, "parts")
        norm = scaled.hypot(*(norms[order.index(leaf)] for leaf in leaves))
        return jnp.where(lost, jnp.nan, scaled.log10(norm))

    order = [leaf for group in state_parts.groups(state) for leaf in group]
    return AdjointProfile(log10_norm(None), {name: log10_norm(name) for name in names})


def measurable(
    cell: Layer, params: Params, xs: Inputs, state: State | None, lengths: ArrayLike | None
) -> tuple[Cell, Inputs, State, Array | None]:
    """The layer as one that has a step, its inputs and state, and where sequences go on.

    Returns:
      The cell, its inputs without what the padding holds, the state before the first step, and
      which steps `[T, *batch]` belong to a sequence; None for all.

    Raises:
      UsageError: what cannot be measured.
    """
    valid = None
    if lengths is not None:
        xs, valid = blank_padding(xs, lengths)
    cell, state = check_measurable(cell, params, xs, state)
    return cell, xs, state, valid


def is_nonzero(adjoint: Adjoint) -> Array:
    """Whether anything of a loss is left for each sequence, `[*batch]`."""
    return reduce(jnp.logical_or, [part.exponent != scaled.ZERO_EXPONENT for part in adjoint])


def behind_overflow(step: StepHalves, befores: State, reached: Array) -> Array:
    """Whether the way back to each of `s_0 … s_{T-1}` led through a state that was not finite.

    Args:
      step: the step.
      befores: these states, `[T, *batch, H]`.
      reached: whether the adjoint was nonzero after each step, `[T, *batch]`.
    """
    bad = ~is_finite(befores) & reached & step.curved
    return jnp.cumsum(bad[::-1], axis=0, dtype=jnp.int32)[::-1] > 0


def resolve_loss(
    cell: Cell,
    params: Params,
    xs: Inputs,
    state: State,
    loss: Loss,
    key: Key | None,
    valid: Array | None = None,
) -> tuple[str, Array]:
    """The kind of the loss ("last", "every", "given") and its weights, for `cotangent`."""
    y = jax.eval_shape(lambda p, x, s: cell.step(p, x, s)[1], params, xs[0], state)
    expected = (xs.shape[0], *y.shape)
    known = isinstance(loss, str) and loss in ("last", "every")
    if not known and not callable(loss) and not isinstance(loss, jax.Array | np.ndarray):
        raise UsageError(
            f"loss={loss!r}: must be 'last', 'every', the cotangents [T, *batch, H_out] or a "
            "function of the outputs"
        )
    if isinstance(loss, str):
        w = jnp.full(y.shape[-1:], y.shape[-1] ** -0.5, y.dtype)
        if key is not None:
            w = jax.random.normal(key, y.shape[-1:], y.dtype)
            w = w / jnp.linalg.norm(w)
        if valid is None:
            return loss, w
        counts = valid if loss == "every" else last_steps(valid)
        return "given", jnp.where(counts[..., None], w, jnp.zeros_like(w))
    if callable(loss):
        loss = _cotangents(cell, params, xs, state, loss, valid)
    if (loss.shape, loss.dtype) != (expected, y.dtype):
        raise UsageError(
            f"loss is {loss.dtype}{list(loss.shape)}: cotangents must be {y.dtype}{list(expected)}"
        )
    if valid is not None:
        loss = without_padding(loss, valid)
    check_finite("loss", loss)
    return "given", loss


def _cotangents(
    cell: Cell,
    params: Params,
    xs: Inputs,
    state: State,
    loss: Callable[[Outputs], Array],
    valid: Array | None,
) -> Array:
    """`∂L/∂y [T, *batch, H_out]` of a function of the outputs."""
    lengths = None if valid is None else jnp.sum(valid, axis=0, dtype=jnp.int32)
    with precision.products():
        ys = unroll(cell, params, xs, state, lengths=lengths)[1]
        value = jax.eval_shape(loss, ys)
        shape, dtype = getattr(value, "shape", None), getattr(value, "dtype", type(value))
        if shape != () or dtype != ys.dtype:
            raise UsageError(
                f"loss={getattr(loss, '__name__', loss)}: must map the outputs {ys.dtype}"
                f"{list(ys.shape)} to one number of that type, and returns {dtype}{shape or ''}"
            )
        return jax.grad(loss)(ys)


def cotangent(kind: str, weights: Array, time: Array, steps: int) -> Array:
    """`∂L/∂y_t`, which broadcasts against `[*batch, H_out]`."""
    if kind == "given":
        return jax.lax.dynamic_index_in_dim(weights, time, keepdims=False)
    if kind == "last":
        return jnp.where(time == steps - 1, weights, jnp.zeros_like(weights))
    return weights


def zero_adjoint(state: State) -> Adjoint:
    """The adjoint of a state that nothing follows."""
    return _by_group(state, jax.tree.map(jnp.zeros_like, state))


def inject(step: StepHalves, inputs: Any, before: State, adjoint: Adjoint, dy: Array) -> Adjoint:
    """Adds what the loss at `y_t` says about `s_{t+1}`: `a_{t+1} += (∂y_t/∂s_{t+1})ᵀ ∂L/∂y_t`."""
    after = step.advance(inputs, before)
    y, pull = jax.vjp(lambda s: step.emit(inputs, before, s), after)
    (d_after,) = pull(jnp.broadcast_to(dy, y.shape))
    return _add(adjoint, _by_group(after, d_after))


def pull_state(
    step: StepHalves, inputs: Any, before: State, adjoint: Adjoint, dy: Array
) -> Adjoint:
    """The adjoint one step earlier, `a_t`, from `a_{t+1}` after the injection.

    Each group of `s_{t+1}` is pulled back by itself, with its own exponent, before they are added.
    """
    pulled = []
    for group, d_after in zip(state_parts.groups(before), adjoint, strict=True):
        _, pull = jax.vjp(partial(advance_group, step, group, inputs), before)
        lifted = scaled.lift(d_after)
        pulled.append(_by_group(before, pull(lifted.mantissa)[0], lifted.exponent))
    if step.emit_reads:
        after = step.advance(inputs, before)
        y, pull = jax.vjp(lambda s: step.emit(inputs, s, after), before)
        pulled.append(_by_group(before, pull(jnp.broadcast_to(dy, y.shape))[0]))
    return reduce(_add, pulled)


def advance_group(
    step: StepHalves, group: tuple[int, ...], inputs: Any, before: State
) -> list[Array]:
    """The leaves of one group of `s_{t+1}`."""
    leaves = jax.tree.leaves(step.advance(inputs, before))
    return [leaves[i] for i in group]


def _by_group(state: State, d_state: State, exponent: Array | None = None) -> Adjoint:
    """`d_state * 2**exponent` with one exponent for each sequence and group."""
    leaves = jax.tree.leaves(d_state)
    if exponent is None:
        exponent = jnp.zeros(leaves[0].shape[:-1], jnp.int32)
    return tuple(
        scaled.normalise([leaves[i] for i in group], exponent)
        for group in state_parts.groups(state)
    )


def _add(a: Adjoint, b: Adjoint) -> Adjoint:
    return tuple(scaled.add(x, y) for x, y in zip(a, b, strict=True))


def _leaf_norms(adjoint: Adjoint) -> list[Scaled]:
    return [scaled.norm(Scaled(leaf, part.exponent)) for part in adjoint for leaf in part.mantissa]
