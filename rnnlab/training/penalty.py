"""The regulariser that keeps the norm of the gradient while it flows back.

Source: R. Pascanu, T. Mikolov and Y. Bengio, "On the difficulty of training recurrent neural
networks" (2013), equations 9 and 10.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from rnnlab.arrays import Array, Float, Inputs, Params, State
from rnnlab.errors import UsageError
from rnnlab.layer import Arrangement, Cell, Layer
from rnnlab.strategies.control import Control, enter, leave, select
from rnnlab.tracing import TracedStep, project_all, trace


def check(cell: Layer) -> None:
    """Raises UsageError for what the regulariser is not defined for."""
    if isinstance(cell, Arrangement) or not isinstance(cell, Cell) or not _multiplies_once(cell):
        raise UsageError(
            f"penalty: not for {type(cell).__name__}; it needs a single cell in whose step no "
            "product with the state follows another"
        )


@lru_cache(maxsize=256)
def _multiplies_once(cell: Cell) -> bool:
    """Whether the vector of every product with the state is made without another product."""
    params = jax.eval_shape(lambda: cell.init(jax.random.key(0), 1, jnp.float32))
    state = jax.eval_shape(lambda: cell.initial_state((), jnp.float32))
    step = TracedStep(cell, params, jax.ShapeDtypeStruct((1,), jnp.float32), state)
    return not step.opaque and not step.products_follow()


class Forward(NamedTuple):
    """What steps computed, each `[T, B, ·]`.

    Attributes:
        us: projected inputs.
        vs: products with the state.
        befores: states that steps entered.
        ys: outputs.
        pulls: maps adjoints of the state that a step left to those of its `u`, `v` and `before`.
    """

    us: tuple[Array, ...]
    vs: tuple[Array, ...]
    befores: State
    ys: Array
    pulls: Any


def gradient_norm_penalty(
    cell: Cell,
    params: Params,
    xs: Float[Array, "T B D"],
    state: State,
    d_ys: Float[Array, "T B H"],
    control: Control = Control(),  # noqa: B008
) -> Float[Array, ""]:
    """`Ω = Σ_k (‖∂E/∂s_{k+1} · ∂s_{k+1}/∂s_k‖ / ‖∂E/∂s_{k+1}‖ - 1)²`, mean over the batch.

    As in the paper, its gradient is the immediate one: states, slopes of the activations and the
    adjoints `∂E/∂s_{k+1}` count as constants, and only the recurrent matrix in the Jacobian
    `∂s_{k+1}/∂s_k` varies. The paper's state is what enters the activation; ours is what leaves it,
    so that a slope is on the other side of each product and the products are the same.

    A step past the end of its sequence, or whose adjoint is zero, contributes nothing.

    Args:
        cell: a single cell, whose output is the `h` of its state.
        params: its parameters.
        xs: inputs `[T, B, D]`.
        state: the state before the first step.
        d_ys: `∂E/∂y [T, B, H]` for the loss E.
        control: which steps count.

    Raises:
        UsageError: a cell with a second product, or a combinator.
    """
    check(cell)
    frozen: Params = jax.lax.stop_gradient(params)
    step = trace(cell, params, xs, state)
    ran = _forward(cell, step, frozen, jax.lax.stop_gradient(xs), state, control)
    sent = _backward(cell, step, frozen, ran, jax.lax.stop_gradient(d_ys), control)
    return _omega(step, params, ran, sent, control)


def penalised(
    cell: Cell,
    params: Params,
    xs: Inputs,
    state: State,
    error: Callable[[Any, Array], Array],
    readout: Any,
    weight: float,
    control: Control = Control(),  # noqa: B008
) -> tuple[Array, Array, Array]:
    """`E + weight Ω` with its gradient, `E` and `Ω`, from one pass forward and one back.

    BPTT finds all that Ω needs on its way, so that only products over all steps at once are added:
    the regulariser of `gradient_norm_penalty` alone runs both passes again.

    Args:
        cell: as there.
        params: its parameters.
        xs: inputs `[T, B, D]`.
        state: the state before the first step.
        error: `(readout, ys)` to the loss E `[]`.
        readout: parameters of what reads the outputs.
        weight: of Ω.
        control: which steps count.

    Returns:
        The sum, which can be differentiated once, in reverse mode, by `params` and `readout`; and
        its two parts, as constants.

    Raises:
        UsageError: a cell with a second product, or a combinator.
    """
    check(cell)
    frozen, frozen_readout, xs = jax.lax.stop_gradient((params, readout, xs))
    step = trace(cell, params, xs, state)
    ran = _forward(cell, step, frozen, xs, state, control)
    plain, (d_readout, d_ys) = jax.value_and_grad(error, argnums=(0, 1))(frozen_readout, ran.ys)
    sent = _backward(cell, step, frozen, ran, d_ys, control)
    d_params = _parameters(step, frozen, xs, ran, sent, control)
    omega, d_omega = jax.value_and_grad(lambda params: _omega(step, params, ran, sent, control))(
        frozen
    )
    d_params = jax.tree.map(lambda a, b: a + weight * b, d_params, d_omega)
    total = _with_gradient((params, readout), plain + weight * omega, (d_params, d_readout))
    return total, plain, omega


@jax.custom_vjp
def _with_gradient(at: Any, value: Array, gradient: Any) -> Array:
    """The value, as a function of `at` that has this gradient."""
    del at, gradient
    return value


def _with_gradient_forward(at: Any, value: Array, gradient: Any) -> tuple[Array, Any]:
    del at
    return value, gradient


def _with_gradient_backward(gradient: Any, cotangent: Array) -> tuple[Any, Array, Any]:
    scaled = jax.tree.map(lambda g: cotangent.astype(g.dtype) * g, gradient)
    return scaled, jnp.zeros_like(cotangent), jax.tree.map(jnp.zeros_like, gradient)


_with_gradient.defvjp(_with_gradient_forward, _with_gradient_backward)


def _forward(
    cell: Cell, step: TracedStep, params: Params, xs: Inputs, state: State, control: Control
) -> Forward:
    us = project_all(step, params, xs)

    def body(state: State, inputs: Any) -> tuple[State, Any]:
        u, now = inputs
        before = enter(cell, state, now)
        v = step.products(params, u, before)

        def rest(u: Any, v: Any, before: State) -> tuple[State, Array]:
            after, y = step.rest(params, u, v, before)
            return leave(before, after, y, now)

        after, pull, y = jax.vjp(rest, u, v, before, has_aux=True)
        return after, (v, before, y, pull)

    _, (vs, befores, ys, pulls) = jax.lax.scan(body, state, (us, control))
    return Forward(us, vs, befores, ys, pulls)


def _backward(
    cell: Cell, step: TracedStep, params: Params, ran: Forward, d_ys: Array, control: Control
) -> State:
    """The adjoint `∂E/∂s_{k+1}` of the state that each step left."""

    def body(d_after: State, inputs: Any) -> tuple[State, State]:
        pull, u, before, d_y, now = inputs
        sent = d_after._replace(h=d_after.h + d_y)  # the output is h
        _, d_v, direct = pull(sent)
        arrived = jax.tree.map(jnp.add, direct, _through(step, params, u, before, d_v))
        _, pull_enter = jax.vjp(lambda s: enter(cell, s, now), before)
        (d_before,) = pull_enter(arrived)
        return d_before, sent

    d_ys = select(control.valid, d_ys, jnp.zeros_like(d_ys))  # there the output is no state
    zeros = jax.tree.map(lambda a: jnp.zeros_like(a[0]), ran.befores)
    inputs = (ran.pulls, ran.us, ran.befores, d_ys, control)
    return jax.lax.scan(body, zeros, inputs, reverse=True)[1]


def _through(step: TracedStep, params: Params, u: Any, before: State, d_v: Any) -> State:
    """The part of `∂E/∂s_k` that passed through the products with the state of one step."""
    _, pull = jax.vjp(lambda s: step.products(params, u, s), before)
    (d_before,) = pull(d_v)
    return d_before


def _parameters(
    step: TracedStep, params: Params, xs: Inputs, ran: Forward, sent: State, control: Control
) -> Params:
    """`∂E/∂params`, from all steps at once."""

    def parts(params: Params) -> Any:
        def one(u: Any, v: Any, before: State, now: Control) -> Any:
            after, y = step.rest(params, u, v, before)
            return step.products(params, u, before), leave(before, after, y, now)[0]

        vs, rest = jax.vmap(one)(ran.us, ran.vs, ran.befores, control)
        return project_all(step, params, xs), vs, rest

    d_us, d_vs, _ = jax.vmap(_pull)(ran.pulls, sent)
    _, pull = jax.vjp(parts, params)
    (d_params,) = pull((d_us, d_vs, sent))
    return d_params


def _pull(pull: Any, sent: State) -> Any:
    return pull(sent)


def _omega(step: TracedStep, params: Params, ran: Forward, sent: State, control: Control) -> Array:
    """Ω as a function of the recurrent matrix.

    Each adjoint is divided by its largest element, since only its direction counts, and a small one
    has a square of zero.
    """
    sizes = [jnp.abs(a).max(axis=-1, keepdims=True) for a in jax.tree.leaves(sent)]
    largest = jnp.stack(sizes).max(axis=0)
    scale = jnp.where(largest > 0, largest, 1)
    sent = jax.tree.map(lambda a: a / scale, sent)
    _, d_vs, direct = jax.vmap(_pull)(ran.pulls, sent)
    through = jax.vmap(partial(_through, step, params))(ran.us, ran.befores, d_vs)
    arrived = jax.tree.map(jnp.add, direct, through)
    sizes_sent = _square(sent)
    counts = sizes_sent > 0 if control.valid is None else (sizes_sent > 0) & control.valid
    share = _square(arrived) / jnp.where(counts, sizes_sent, 1)
    some = share > 0  # a root has no slope at zero
    ratio = jnp.where(some, jnp.sqrt(jnp.where(some, share, 1)), 0)
    return jnp.where(counts, jnp.square(ratio - 1), 0).sum(axis=0).mean()


def _square(tree: Any) -> Array:
    """Squared norm of each row of a tree `[T, B, ·]`."""
    squares = [jnp.square(leaf).sum(axis=-1) for leaf in jax.tree.leaves(tree)]
    return jnp.stack(squares).sum(axis=0)
