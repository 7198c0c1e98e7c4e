"""One update of the parameters as a pure function, and many of them in one compiled program.

An update generates or takes a batch, clips the gradient and changes the parameters. If the loss or
the gradient is not finite, or the norm of the parameters would exceed `LARGEST_NORM`, the training
state keeps its last value from then on, and the number of that training step is recorded; in a
population the other members continue.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
import optax

from rnnlab.arrays import Array, Int, Key, Params, State
from rnnlab.training.optimisers import Clip, global_norm, rate_of

#: `(params, carry, batch, key)` to the loss `[]` and `(carry, metrics)`: what the next batch
#: continues from, and further numbers `[]` to log by name.
Loss = Callable[[Params, State, Any, Key], tuple[Array, tuple[State, dict[str, Array]]]]


class TrainState(NamedTuple):
    """Everything that an update changes.

    Attributes:
        step: training steps completed, int32 `[]`.
        params: parameters.
        opt_state: state of the optimiser.
        carry: recurrent state with which the next batch continues; `()` where none does.
        key: PRNG key of the run; training step number t draws from `fold_in(key, t)`.
        diverged: the first training step, counted from 1, with a loss or gradient that was not
            finite, or parameters that overflow; 0 while there is none. int32 `[]`.
    """

    step: Int[Array, ""]
    params: Params
    opt_state: Any
    carry: State
    key: Key
    diverged: Int[Array, ""]


#: Of parameters: above it, products of two of them leave float32. Losses may stay finite there,
#: where all units are saturated, and nothing is learned any more.
LARGEST_NORM = 2.0**64

#: Optax mixes Python numbers, integers and floats, which strict promotion of types forbids.
LENIENT = "standard"


def _nothing() -> tuple[()]:
    return ()


class Trainable(Protocol):
    """What the training loop trains: a start, and an update of it."""

    @property
    def in_turn(self) -> bool:
        """Whether a device trains the members of a population one after the other."""
        ...

    def start(self, key: Key) -> TrainState:
        """The training state before the first update."""
        ...

    def update(self, state: TrainState, batch: Any = None) -> tuple[TrainState, dict[str, Array]]:
        """One update; see the function `update`."""
        ...


@dataclasses.dataclass(frozen=True)
class Learner:
    """What is trained by the gradient of a loss, and how.

    Attributes:
        init: `key` to parameters.
        loss: see `Loss`. Gradients do not flow into the carry: with windows of a stream that is
            truncated backpropagation through time.
        optimiser: turns gradients into updates.
        clip: bounds of the gradient.
        carry: makes the carry before the first update.
        sample: `key` to a batch that is generated on the device; None where batches are fed.
        axes: a tree like a batch with the axis of its sequences in each array; batches of a single
            network are cut along them over the devices. None computes it on the first one.
        batch: sequences of a batch, where there are axes.
        in_turn: whether a device trains the members of a population one after the other and not
            side by side. A core of a CPU is faster that way where a member's sequences and states
            fit its cache, and products of all members together do not.
        written_out: whether the updates of a dispatch are compiled one after the other and not as a
            loop, in which XLA:CPU takes much longer for convolutions
            (github.com/jax-ml/jax/issues/12868).
    """

    init: Callable[[Key], Params]
    loss: Loss
    optimiser: optax.GradientTransformation
    clip: Clip = dataclasses.field(default_factory=Clip)
    carry: Callable[[], State] = _nothing
    sample: Callable[[Key], Any] | None = None
    axes: Any = None
    batch: int = 1
    in_turn: bool = False
    written_out: bool = False

    def start(self, key: Key) -> TrainState:
        """The training state before the first update."""
        key_params, key = jax.random.split(key)
        params = self.init(key_params)
        zero = jnp.zeros((), jnp.int32)
        with jax.numpy_dtype_promotion(LENIENT):
            opt_state = self.optimiser.init(params)
        return TrainState(zero, params, opt_state, self.carry(), key, zero)

    def update(self, state: TrainState, batch: Any = None) -> tuple[TrainState, dict[str, Array]]:
        """One update; see the function `update`."""
        return update(self, state, batch)


def update(
    learner: Learner, state: TrainState, batch: Any = None
) -> tuple[TrainState, dict[str, Array]]:
    """Performs one update.

    Args:
        learner: what is trained.
        state: the training state before the update.
        batch: what to learn from; None to generate it.

    Returns:
        The new training state, and what was measured before the update: loss, gradient norm before
        clipping, norms of parameters and of their change, whether the gradient was clipped, the
        learning rate, and the metrics of the loss, each `[]`.
    """
    key_data, key_noise = jax.random.split(jax.random.fold_in(state.key, state.step))
    if batch is None and learner.sample is not None:
        batch = learner.sample(key_data)
    carry = jax.lax.stop_gradient(state.carry)
    (loss, (carry, more)), gradient = jax.value_and_grad(learner.loss, has_aux=True)(
        state.params, carry, batch, key_noise
    )
    norm, clipped, factor = learner.clip.measure(gradient)
    changes, _ = _changes(learner, state, gradient, factor)
    before, change = global_norm(state.params), global_norm(changes)
    finite = jnp.isfinite(loss) & jnp.isfinite(norm) & (before + change <= LARGEST_NORM)
    good = finite & (state.diverged == 0)

    def go() -> tuple[Params, Any, State]:
        # Again, since XLA writes it in place here; what was found above, before it was known
        # whether it is good, would lie in fresh memory and be copied.
        changes, opt_state = _changes(learner, state, gradient, factor)
        with jax.numpy_dtype_promotion(LENIENT):
            params: Params = optax.apply_updates(state.params, changes)
        return params, opt_state, carry

    def stay() -> tuple[Params, Any, State]:
        return state.params, state.opt_state, state.carry

    params, opt_state, carry = jax.lax.cond(good, go, stay)
    step = state.step + jnp.int32(1)
    diverged = jnp.where((state.diverged == 0) & ~finite, step, state.diverged)
    metrics = {
        "loss": loss,
        "gradient_norm": norm,
        "parameter_norm": before,
        "update_norm": change,
        "clipped": clipped.astype(jnp.float32),
        **more,
    }
    rate = rate_of(opt_state)
    if rate is not None:
        metrics["learning_rate"] = rate
    return TrainState(step, params, opt_state, carry, state.key, diverged), metrics


def _changes(
    learner: Learner, state: TrainState, gradient: Params, factor: Array | None
) -> tuple[Params, Any]:
    """What the optimiser adds to the parameters, and its next state."""
    gradient = learner.clip.scale(gradient, factor)
    with jax.numpy_dtype_promotion(LENIENT):
        return learner.optimiser.update(gradient, state.opt_state, state.params)


def updates(
    learner: Trainable, count: int, state: TrainState, batches: Any = None
) -> tuple[TrainState, dict[str, Array]]:
    """Performs `count` updates in one scan, over `batches [count, ...]` or generated ones.

    Returns:
        The new training state, and the metrics of each update, `[count]`.
    """
    if isinstance(learner, Learner) and learner.written_out:
        rows: list[dict[str, Array]] = []
        for index in range(count):
            state, row = learner.update(state, jax.tree.map(lambda a, i=index: a[i], batches))
            rows.append(row)
        return state, jax.tree.map(lambda *values: jnp.stack(values), *rows)
    return jax.lax.scan(learner.update, state, batches, length=count)
