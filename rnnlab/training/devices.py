"""The compiled programs of a run, and how they lie on the devices.

A population is cut into equal parts, one for each device, that know nothing of one another. A
single network is computed on the first device, or with its batches cut over all of them.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from rnnlab.training.step import Learner, TrainState, train_steps

MEMBERS = "members"
#: Passed to XLA with every program.
COMPILER_OPTIONS: dict[str, Any] = {}


class Programs:
    """Compiles a learner's steps, once for each number of steps.

    Args:
        learner: what is trained.
        key: `[]`, or `[members]` for a population.
    """

    def __init__(self, learner: Learner, key: jax.Array):
        self._learner, self._key = learner, key
        self._compiled: dict[Any, Callable[..., Any]] = {}
        self._sharding = _members_sharding(len(key)) if key.ndim else None

    def start(self) -> TrainState:
        """The state before the first step, in its place."""
        if self._sharding is None:
            return jax.jit(self._learner.start)(self._key)
        # One by one, and not by vmap: XLA:CPU can stop for ever in the QR of many matrices, which
        # waits for threads that wait in another one.
        start = jax.jit(self._learner.start)
        members = [start(key) for key in self._key]
        keys = jax.random.wrap_key_data(
            jnp.stack([jax.random.key_data(member.key) for member in members]),
            impl=jax.random.key_impl(self._key),
        )
        plain = [member._replace(key=None) for member in members]
        stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *plain)
        return jax.device_put(stacked._replace(key=keys), self._sharding)

    def steps(
        self, count: int, state: TrainState, batches: Any
    ) -> Callable[[TrainState, Any], tuple[TrainState, dict[str, jax.Array]]]:
        """The compiled program of `count` steps; it uses up the state that it is given."""
        shapes = jax.tree.map(lambda a: (np.shape(a), a.dtype), batches)
        name = (count, str(shapes))
        if name not in self._compiled:
            program = jax.jit(self._function(count), donate_argnums=0)
            self._compiled[name] = program.lower(state, batches).compile(COMPILER_OPTIONS)
        return self._compiled[name]

    def _function(self, count: int) -> Callable[..., Any]:
        steps = partial(train_steps, self._learner, count)
        if self._sharding is None:
            return steps
        members = PartitionSpec(MEMBERS)
        return jax.shard_map(
            jax.vmap(steps, in_axes=(0, None)),
            mesh=self._sharding.mesh,
            in_specs=(members, PartitionSpec()),
            out_specs=members,
            check_vma=False,
        )


def _members_sharding(members: int) -> NamedSharding:
    """Members over as many devices as divide their number."""
    devices = jax.local_devices()
    count = max(n for n in range(1, len(devices) + 1) if members % n == 0)
    return NamedSharding(Mesh(np.array(devices[:count]), (MEMBERS,)), PartitionSpec(MEMBERS))
