"""Optimisers, learning-rate schedules and gradient clipping, by the names that flags use."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from rnnlab.errors import UsageError
from rnnlab.sizes import LARGEST

Array = jax.Array

#: Optimisers by name, called with a learning rate or a schedule of it.
OPTIMISERS: dict[str, Callable[..., optax.GradientTransformation]] = {
    "sgd": optax.sgd,
    "momentum": partial(optax.sgd, momentum=0.9),
    "nesterov": partial(optax.sgd, momentum=0.9, nesterov=True),
    "rmsprop": partial(optax.rmsprop, decay=0.9),
    "adagrad": optax.adagrad,
    "adam": optax.adam,
    "adamw": optax.adamw,
    "nadam": optax.nadam,
}

#: Schedules by name: the factor of the learning rate as a function of the share of training done.
#: Not optax's, which round differently (its cosine by up to 0.5 % near the end): recorded results
#: depend on every bit.
SCHEDULES: dict[str, Callable[[Array], Array]] = {
    "constant": jnp.ones_like,
    "linear": lambda done: 1 - done,
    "cosine": lambda done: 0.5 * (1 + jnp.cos(math.pi * done)),
    "inverse_sqrt": lambda done: 1 / jnp.sqrt(1 + 99 * done),
}
#: Of a sum of squares: below it, squares that underflow to zero may be a share of it that counts.
SMALLEST_SQUARE = 1e-20


def schedule(name: str, rate: float, steps: int, warmup: int = 0) -> optax.Schedule:
    """The learning rate of each training step.

    It rises linearly over `warmup` steps to `rate` and then follows the schedule to the end:
    constant; linear and cosine, to 0; inverse_sqrt, `1 / √(1 + 99 t)` for the share t of the
    remaining training steps, to a tenth.

    Args:
        name: one of `SCHEDULES`.
        rate: the highest learning rate, at least 0.
        steps: training steps of the whole training.
        warmup: training steps of the rise.

    Raises:
        UsageError: an unknown name, or a number out of range.
    """
    if name not in SCHEDULES:
        raise UsageError(f"schedule={name!r}: unknown, choose one of {', '.join(SCHEDULES)}")
    if not (rate >= 0 and math.isfinite(rate)):
        raise UsageError(f"learning_rate={rate}: must be a number of at least 0")
    if not 0 <= warmup < max(steps, 1):
        raise UsageError(f"warmup={warmup}: must be within 0 .. {max(steps, 1) - 1}, below steps")

    def learning_rate(count: Any) -> Array:
        count = jnp.asarray(count, jnp.float32)
        done = jnp.clip((count - warmup) / max(steps - warmup, 1), 0, 1)
        rise = jnp.minimum((count + 1) / max(warmup, 1), 1) if warmup else jnp.ones_like(count)
        return rate * rise * SCHEDULES[name](done)

    return learning_rate


def decay_by_epoch(rate: float, epoch: int, constant: int, divisor: float) -> optax.Schedule:
    """The learning rate of each update: the same within an epoch, and divided after each late one.

    It is `rate / divisor^max(0, e - constant)` in the epoch number e = 1, 2, … (Zaremba, Sutskever
    and Vinyals 2014, section 4.1).

    Args:
        rate: the learning rate of the first epochs, at least 0.
        epoch: training steps of an epoch.
        constant: the number of first epochs, at least 1.
        divisor: at least 1.

    Raises:
        UsageError: a number out of range.
    """
    if not (rate >= 0 and math.isfinite(rate)):
        raise UsageError(f"learning_rate={rate}: must be a number of at least 0")
    for name, value in (("epoch", epoch), ("constant", constant), ("divisor", divisor)):
        if not (value >= 1 and math.isfinite(value)):
            raise UsageError(f"{name}={value}: must be at least 1")

    decay = optax.exponential_decay(
        rate, epoch, 1 / divisor, transition_begin=(constant - 1) * epoch, staircase=True
    )
    return lambda count: jnp.asarray(decay(count), jnp.float32)


def optimiser(name: str, learning_rate: float | optax.Schedule) -> optax.GradientTransformation:
    """The optimiser called `name` in `OPTIMISERS`; UsageError lists the known ones.

    Its state holds the learning rate of the last step, for `rate_of`.
    """
    if name not in OPTIMISERS:
        raise UsageError(f"optimiser={name!r}: unknown, choose one of {', '.join(OPTIMISERS)}")

    def make(learning_rate: Any) -> optax.GradientTransformation:
        return OPTIMISERS[name](learning_rate)

    return optax.inject_hyperparams(make)(learning_rate=learning_rate)


def rate_of(opt_state: Any) -> Array | None:
    """The learning rate `[]` of the last update; None if `optimiser` did not make the optimiser."""
    if isinstance(opt_state, optax.InjectStatefulHyperparamsState):
        rate = opt_state.hyperparams.get("learning_rate")
        return None if rate is None else jnp.asarray(rate)
    return None


class Clipped(NamedTuple):
    """A gradient after clipping.

    Attributes:
        gradient: the tree.
        norm: its Euclidean norm before clipping, `[]`.
        clipped: whether clipping changed it, `[]`.
    """

    gradient: Any
    norm: Array
    clipped: Array


@dataclasses.dataclass(frozen=True)
class Clip:
    """Bounds of a gradient; None leaves it as it is. With both, values are clipped first.

    Attributes:
        norm: `g ← g · min(1, norm / ‖g‖)` for the norm over all parameters (Pascanu, Mikolov and
            Bengio 2013, algorithm 1).
        value: every element is clipped to ±value (Mikolov 2012).
    """

    norm: float | None = None
    value: float | None = None

    def __post_init__(self) -> None:
        """Checks the bounds."""
        for name in ("norm", "value"):
            bound = getattr(self, name)
            if bound is not None and not bound > 0:
                raise UsageError(f"clip_{name}={bound}: must be above 0")

    def __call__(self, gradient: Any) -> Clipped:
        """Clips a gradient."""
        norm, clipped, factor = self.measure(gradient)
        return Clipped(self.scale(gradient, factor), norm, clipped)

    def measure(self, gradient: Any) -> tuple[Array, Array, Array | None]:
        """The norm of a gradient, whether it is clipped, and the factor for `scale`, each `[]`."""
        norm = global_norm(gradient)
        clipped, factor = jnp.zeros((), bool), None
        if self.value is not None:
            clipped = largest(gradient) > min(self.value, LARGEST)
        if self.norm is not None:
            after = norm if self.value is None else global_norm(self.scale(gradient, None))
            bound = min(self.norm, LARGEST)  # of two infinite numbers there is no ratio
            clipped = clipped | (after > bound)
            factor = jnp.minimum(1, bound / jnp.maximum(after, bound))
        return norm, clipped, factor

    def scale(self, gradient: Any, factor: Array | None) -> Any:
        """The gradient with clipped values, times the factor that was measured."""
        if self.value is not None:
            value = min(self.value, LARGEST)
            gradient = jax.tree.map(lambda g: jnp.clip(g, -value, value), gradient)
        if factor is None:
            return gradient
        return jax.tree.map(lambda g: g * factor.astype(g.dtype), gradient)


def largest(tree: Any) -> Array:
    """The largest absolute value in a tree, `[]`."""
    leaves = [jnp.max(jnp.abs(leaf), initial=0) for leaf in jax.tree.leaves(tree)]
    return jnp.max(jnp.stack([leaf.astype(jnp.float32) for leaf in leaves]))


def global_norm(tree: Any) -> Array:
    """The Euclidean norm of all elements of a tree, float32 `[]`.

    The square of an exploding gradient leaves float32 at 1e19, its norm only at 1e38. Where the sum
    of squares is too large or too small for float32, all elements are first divided by a power of
    two, and so without rounding, near the largest one. That is a pass more over all of them.
    """
    square = _sum_of_squares(tree, jnp.float32(1))
    fits = (square > SMALLEST_SQUARE) & jnp.isfinite(square)
    return jax.lax.cond(fits, lambda: jnp.sqrt(square), lambda: _scaled_norm(tree))


def _scaled_norm(tree: Any) -> Array:
    scale = jnp.exp2(jnp.floor(jnp.log2(largest(tree))))
    scale = jnp.where(jnp.isfinite(scale) & (scale > 0), scale, 1)
    return scale * jnp.sqrt(_sum_of_squares(tree, scale))


def _sum_of_squares(tree: Any, scale: Array) -> Array:
    squares = [
        jnp.sum(jnp.square(leaf.astype(jnp.float32) / scale)) for leaf in jax.tree.leaves(tree)
    ]
    return jnp.sum(jnp.stack(squares))
