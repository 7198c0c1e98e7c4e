"""Parameter gradients in the log domain, in total and by the step they come from.

With the adjoint `a_t` of `adjoint`, the gradient is a sum over time,

    ∂L/∂θ = Σ_t g_t,    g_t = Σ_batch (∂(s_{t+1}, y_t)/∂θ)ᵀ (a_{t+1}, ∂L/∂y_t),

where θ acts at step t only, its copy there. Sequences of one batch are aligned at the largest
exponent among them before they are added; so are the steps.
"""

from __future__ import annotations

from functools import partial, reduce
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from rnnlab import precision
from rnnlab.arrays import Array, Inputs, Key, Params, State
from rnnlab.gradients import parts as state_parts
from rnnlab.gradients import scaled
from rnnlab.gradients.adjoint import (
    Adjoint,
    Loss,
    advance_group,
    behind_overflow,
    cotangent,
    inject,
    is_nonzero,
    measurable,
    pull_state,
    resolve_loss,
    zero_adjoint,
)
from rnnlab.gradients.scaled import Scaled
from rnnlab.gradients.step_halves import (
    StepHalves,
    halve_step,
    prepare,
    trajectory,
)
from rnnlab.layer import Cell, Layer


class ParameterGradients(NamedTuple):
    """Norms of the gradient of the loss, for each parameter leaf; trees like the parameters.

    Attributes:
      log10_norm: `log10 ‖∂L/∂θ‖` (Frobenius), scalars; -inf where the gradient is zero, NaN where
        the state of a sequence has overflowed.
      log10_contributions: `log10 ‖g_t‖` of each step, `[T]`; step t reads `x_t` and `s_t`.
    """

    log10_norm: Params
    log10_contributions: Params


def parameter_gradients(
    cell: Layer,
    params: Params,
    xs: Inputs,
    state: State | None = None,
    *,
    loss: Loss = "last",
    lengths: ArrayLike | None = None,
    key: Key | None = None,
) -> ParameterGradients:
    """Measures `log10 ‖∂L/∂θ‖` for each parameter, also where the gradient itself is 0 or inf.

    The gradient is summed over the batch. Arguments, loss, lengths and errors are those of
    `adjoint_profile`.

    Returns:
      The norms, and what each time step contributes.
    """
    cell, xs, state, valid = measurable(cell, params, xs, state, lengths)
    kind, weights = resolve_loss(cell, params, xs, state, loss, key, valid)
    return _gradients(cell, params, xs, state, weights, valid, kind)


@partial(jax.jit, static_argnums=(0, 6))
def _gradients(
    cell: Cell,
    params: Params,
    xs: Inputs,
    state: State,
    weights: Array,
    valid: Array | None,
    kind: str,
) -> ParameterGradients:
    with precision.products():
        befores = trajectory(prepare(cell, params, xs, state), state, valid)
        step = halve_step(
            lambda inputs, s: cell.step(inputs[0], inputs[1], s),
            (params, xs[0]),
            state,
        )

        def body(carry: tuple[Adjoint, list[Scaled]], inputs: Any) -> Any:
            adjoint, total = carry
            time, x, before = inputs
            dy = cotangent(kind, weights, time, xs.shape[0])
            adjoint = inject(step, (params, x), before, adjoint, dy)
            share = _pull_params(step, params, x, before, adjoint, dy)
            after = (_norms(share), is_nonzero(adjoint))
            adjoint = pull_state(step, (params, x), before, adjoint, dy)
            return (adjoint, _add(total, share)), after

        start = (zero_adjoint(state), _leaves(jax.tree.map(jnp.zeros_like, params), jnp.int32(0)))
        inputs = (jnp.arange(xs.shape[0]), xs, befores)
        (_, total), (norms, reached) = jax.lax.scan(body, start, inputs, reverse=True)
        lost = behind_overflow(step, befores, reached)
        lost = jnp.any(lost, axis=tuple(range(1, lost.ndim)))

        def logs(norms: list[Scaled], lost: Array) -> Params:
            values = [jnp.where(lost, jnp.nan, scaled.log10(a)) for a in norms]
            return jax.tree.unflatten(jax.tree.structure(params), values)

        return ParameterGradients(logs(_norms(total), lost[0]), logs(norms, lost))


def _pull_params(
    step: StepHalves, params: Params, x: Array, before: State, adjoint: Adjoint, dy: Array
) -> list[Scaled]:
    """`g_t`: the gradient of the copy of the parameters that acts at this step, leaf by leaf."""
    shares = []
    for group, d_after in zip(state_parts.groups(before), adjoint, strict=True):
        aligned = scaled.lift(scaled.share_exponent(d_after))
        _, pull = jax.vjp(lambda p, g=group: advance_group(step, g, (p, x), before), params)
        shares.append(_leaves(pull(aligned.mantissa)[0], aligned.exponent))
    if step.emit_reads:
        after = step.advance((params, x), before)
        y, pull = jax.vjp(lambda p: step.emit((p, x), before, after), params)
        shares.append(_leaves(pull(jnp.broadcast_to(dy, y.shape))[0], jnp.int32(0)))
    return reduce(_add, shares)


def _leaves(tree: Any, exponent: Array) -> list[Scaled]:
    """Each leaf of `tree * 2**exponent` with an exponent of its own."""
    return [scaled.normalise(leaf, exponent) for leaf in jax.tree.leaves(tree)]


def _add(a: list[Scaled], b: list[Scaled]) -> list[Scaled]:
    return [scaled.add(x, y) for x, y in zip(a, b, strict=True)]


def _norms(leaves: list[Scaled]) -> list[Scaled]:
    return [scaled.norm(leaf) for leaf in leaves]
