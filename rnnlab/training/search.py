"""Random search: networks side by side in one program that differ in their learning rate.

A population has a key for each member, and a member's learning rate follows from its key. So two
cells that are given the same keys are tried at the same learning rates.

Source: J. Bergstra and Y. Bengio, "Random search for hyper-parameter optimization" (2012).
"""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import optax

from rnnlab.arrays import Array, Float, Key
from rnnlab.training.optimisers import OPTIMISERS
from rnnlab.training.update import Learner, TrainState

#: Folded into the key of a member for its learning rate.
RATE = 0x7A7E


def scaled_optimiser(name: str, schedule: optax.Schedule) -> optax.GradientTransformation:
    """An optimiser whose state holds the learning rate, which may differ from member to member.

    Args:
        name: one of `optimisers.OPTIMISERS`.
        schedule: the factor of the learning rate at each training step.
    """

    def make(learning_rate: float) -> optax.GradientTransformation:
        return optax.chain(OPTIMISERS[name](learning_rate), optax.scale_by_schedule(schedule))

    return optax.inject_hyperparams(make)(learning_rate=1.0)


def learning_rate(key: Key, lowest: float, highest: float) -> Float[Array, ""]:
    """The learning rate of the member with that key, drawn log-uniformly, float32 `[]`."""
    share = jax.random.uniform(jax.random.fold_in(key, RATE), dtype=jnp.float32)
    low, high = jnp.log(jnp.float32(lowest)), jnp.log(jnp.float32(highest))
    return jnp.exp(low + share * (high - low))


@dataclasses.dataclass(frozen=True)
class RandomRate(Learner):
    """A learner that begins each training with a learning rate of its own.

    Its optimiser is a `scaled_optimiser`.

    Attributes:
        lowest: the lowest learning rate.
        highest: the highest one.
    """

    lowest: float = 1e-3
    highest: float = 1e-1

    def start(self, key: Key) -> TrainState:
        """The training state before the first update, with the learning rate of the key."""
        state = super().start(key)
        known = state.opt_state.hyperparams
        rate = learning_rate(key, self.lowest, self.highest).astype(known["learning_rate"].dtype)
        opt_state = state.opt_state._replace(hyperparams=known | {"learning_rate": rate})
        return state._replace(opt_state=opt_state)
