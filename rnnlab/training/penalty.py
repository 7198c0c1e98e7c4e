"""The regulariser that keeps the norm of the gradient while it flows back.

Source: R. Pascanu, T. Mikolov and Y. Bengio, "On the difficulty of training recurrent neural
networks" (2013), equations 9 and 10.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from rnnlab.cells.base import Array, Cell, Params, State
from rnnlab.errors import UsageError
from rnnlab.strategies.control import Control, controlled_step


def check(cell: Any) -> None:
    """Raises UsageError for what the regulariser is not defined for."""
    if not (isinstance(cell, Cell) and cell.is_split and not cell.reset_first):
        raise UsageError(
            f"penalty: not for {type(cell).__name__}; it needs a single cell whose only product "
            "with the state is `recur`"
        )


def gradient_norm_penalty(
    cell: Cell,
    params: Params,
    xs: Array,
    state: State,
    d_ys: Array,
    control: Control = Control(),  # noqa: B008
) -> Array:
    """`Ω = Σ_k (‖∂E/∂s_{k+1} · ∂s_{k+1}/∂s_k‖ / ‖∂E/∂s_{k+1}‖ - 1)²`, mean over the batch.

    As in the paper, its gradient is the immediate one: states, slopes of the activations and the
    adjoints `∂E/∂s_{k+1}` count as constants, and only the recurrent matrix in the Jacobian
    `∂s_{k+1}/∂s_k` varies. The paper's state is what enters the activation; ours is what leaves it,
    so that a slope stands on the other side of each product and the products are the same.

    A step past the end of its sequence, or whose adjoint is zero, contributes nothing.

    Args:
        cell: a single cell with the split, whose output is the `h` of its state.
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
    us, befores, adjoints = jax.lax.stop_gradient(
        _trajectory(cell, frozen, jax.lax.stop_gradient(xs), state, d_ys, control)
    )
    vs = cell.recur(frozen, befores)
    _, pull = jax.vjp(lambda v, s: cell.gate(frozen, us, v, s)[0], vs, befores)
    d_vs, d_direct = pull(adjoints)
    _, pull_recur = jax.vjp(lambda s: cell.recur(params, s), befores)
    (d_through,) = pull_recur(d_vs)
    arrived = jax.tree.map(jnp.add, d_direct, d_through)

    sent = _square(adjoints)
    counts = sent > 0 if control.valid is None else (sent > 0) & control.valid
    share = _square(arrived) / jnp.where(counts, sent, 1)
    some = share > 0  # a root has no slope at zero
    ratio = jnp.where(some, jnp.sqrt(jnp.where(some, share, 1)), 0)
    return jnp.where(counts, jnp.square(ratio - 1), 0).sum(axis=0).mean()


def _trajectory(
    cell: Cell, params: Params, xs: Array, state: State, d_ys: Array, control: Control
) -> tuple[Any, State, State]:
    """Projected inputs, the states that steps entered, and adjoints of the states they left.

    Each adjoint is divided by its largest element, since only its direction counts, and a small one
    has a square of zero.
    """
    us = cell.project(params, xs)

    def forward(before: State, inputs: Any) -> tuple[State, State]:
        u, now = inputs
        after, _ = controlled_step(cell, params, u, before, now)
        return after, before

    _, befores = jax.lax.scan(forward, state, (us, control))

    def backward(d_after: State, inputs: Any) -> tuple[State, State]:
        u, before, now, d_y = inputs
        _, pull = jax.vjp(lambda s: controlled_step(cell, params, u, s, now)[0], before)
        d_after = d_after._replace(h=d_after.h + d_y)  # the output is h
        (d_before,) = pull(d_after)
        return d_before, d_after

    zeros = jax.tree.map(jnp.zeros_like, state)
    _, adjoints = jax.lax.scan(backward, zeros, (us, befores, control, d_ys), reverse=True)
    sizes = [jnp.abs(a).max(axis=-1, keepdims=True) for a in jax.tree.leaves(adjoints)]
    largest = jnp.stack(sizes).max(axis=0)
    scale = jnp.where(largest > 0, largest, 1)
    return us, befores, jax.tree.map(lambda a: a / scale, adjoints)


def _square(tree: Any) -> Array:
    """Squared norm of each row of a tree `[T, B, ·]`."""
    squares = [jnp.square(leaf).sum(axis=-1) for leaf in jax.tree.leaves(tree)]
    return jnp.stack(squares).sum(axis=0)
