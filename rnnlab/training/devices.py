"""The compiled programs of a run, and how they are spread over the devices.

A population is cut into equal shares, one for each device, that do not communicate. Of a single
network the batches are cut, where its learner says along which axes, and the parameters are on
every device. The devices are those of all hosts, each of which has the same share; what cannot be
cut that way is computed by every host.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from rnnlab import hosts
from rnnlab.arrays import Params
from rnnlab.training.update import Learner, Trainable, TrainState, updates

MEMBERS, BATCH = "members", "batch"
#: Passed to XLA with every program.
COMPILER_OPTIONS: dict[str, Any] = {}
#: Passed to XLA on a CPU: temporary buffers in pieces, in bytes, and not in one. The allocator of
#: the GNU C library gives what is above 32 MiB back to the system when it is freed, and each update
#: would wait for fresh pages again; smaller pieces it keeps.
PIECES: dict[str, Any] = {"xla_multiheap_size_constraint_per_heap": 31 * 2**20}


class Programs:
    """Compiles the updates of a learner, once for each number of them.

    Args:
        learner: what is trained.
        key: `[]`, or `[members]` for a population.
        options: passed to XLA with every program; None for `compiler_options`.
    """

    def __init__(
        self, learner: Trainable, key: jax.Array, options: Mapping[str, Any] | None = None
    ):
        self._learner, self._key = learner, key
        self._options = dict(options) if options is not None else None
        self._compiled: dict[Any, Callable[..., Any]] = {}
        self._everywhere: NamedSharding | None = None
        self._sharding = _sharding(MEMBERS, len(key)) if key.ndim else None
        if not key.ndim and isinstance(learner, Learner) and learner.axes is not None:
            self._learner, self._everywhere = _cut_batches(learner)

    def start(self) -> TrainState:
        """The training state before the first update, on the devices."""
        return self.place(self._start())

    def place(self, state: TrainState) -> TrainState:
        """A state that is the same on every host, put where the programs take it."""
        sharding = self._sharding or self._everywhere
        if sharding is None or sharding.is_fully_addressable:
            return jax.device_put(state, sharding)
        key = jax.random.key_data(state.key)
        parts = jax.tree.map(lambda leaf: _spread(leaf, sharding), state._replace(key=key))
        return parts._replace(
            key=jax.random.wrap_key_data(parts.key, impl=jax.random.key_impl(state.key))
        )

    def _start(self) -> TrainState:
        if self._sharding is None:
            return jax.jit(self._learner.start, compiler_options=self._options)(self._key)
        # One by one, and not by vmap: XLA:CPU can hang in the QR of many matrices, which
        # waits for threads that wait in another one.
        start = jax.jit(self._learner.start, compiler_options=self._options)
        members = [jax.block_until_ready(start(key)) for key in self._key]
        keys = jax.random.wrap_key_data(
            jnp.stack([jax.random.key_data(member.key) for member in members]),
            impl=jax.random.key_impl(self._key),
        )
        plain = [member._replace(key=None) for member in members]
        stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *plain)
        return stacked._replace(key=keys)

    def updates(
        self, count: int, state: TrainState, batches: Any
    ) -> Callable[[TrainState, Any], tuple[TrainState, dict[str, jax.Array]]]:
        """The compiled program of `count` updates; it donates the state that it is given."""
        shapes = jax.tree.map(lambda a: (np.shape(a), a.dtype), batches)
        name = (count, str(shapes))
        if name not in self._compiled:
            program = jax.jit(
                self._function(count), donate_argnums=0, out_shardings=self._everywhere
            )
            options = compiler_options() if self._options is None else self._options
            self._compiled[name] = program.lower(state, batches).compile(options)
        return self._compiled[name]

    def _function(self, count: int) -> Callable[..., Any]:
        many = partial(updates, self._learner, count)
        if self._sharding is None:
            return many
        members = PartitionSpec(MEMBERS)
        population = _in_turn(many) if self._learner.in_turn else jax.vmap(many, (0, None))
        return jax.shard_map(
            population,
            mesh=self._sharding.mesh,
            in_specs=(members, PartitionSpec()),
            out_specs=members,
            check_vma=False,
        )


def compiler_options() -> dict[str, Any]:
    """What XLA gets with every program of a training on this backend."""
    # Programs whose temporary buffers are in pieces cannot be kept in JAX's cache of programs.
    kept = jax.config.jax_compilation_cache_dir  # pyright: ignore[reportAttributeAccessIssue]
    in_pieces = jax.default_backend() == "cpu" and not kept
    return {**(PIECES if in_pieces else {}), **COMPILER_OPTIONS}


def _in_turn(many: Callable[..., Any]) -> Callable[..., Any]:
    """Maps states `[members, ...]`, one after the other."""
    return lambda states, batches: jax.lax.map(lambda state: many(state, batches), states)


def whole(tree: Any) -> Any:
    """Arrays that this host can read, where those given lie on the devices of several hosts."""
    if not hosts.several():
        return tree

    def one(leaf: Any) -> Any:
        if not isinstance(leaf, jax.Array) or leaf.is_fully_addressable:
            return leaf
        if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            return jax.random.wrap_key_data(
                one(jax.random.key_data(leaf)), impl=jax.random.key_impl(leaf)
            )
        if leaf.is_fully_replicated:
            return leaf.addressable_data(0)
        return jnp.asarray(multihost_utils.process_allgather(leaf, tiled=True))

    return jax.tree.map(one, tree)


def _spread(leaf: Any, sharding: NamedSharding) -> jax.Array:
    values = np.asarray(leaf)
    return jax.make_array_from_callback(values.shape, sharding, lambda part: values[part])


def _sharding(axis: str, size: int) -> NamedSharding:
    """An axis of that size over as many devices as divide it, of each host equally many."""
    local, several = jax.local_devices(), jax.process_count()
    if size % several:
        return _over(axis, local[: _divisor(size, len(local))])
    count = _divisor(size // several, len(local))
    of_hosts = [[d for d in jax.devices() if d.process_index == i] for i in range(several)]
    return _over(axis, [device for devices in of_hosts for device in devices[:count]])


def _divisor(size: int, most: int) -> int:
    """The largest number up to `most` that divides `size`."""
    return max(n for n in range(1, most + 1) if size % n == 0)


def _over(axis: str, devices: list[Any]) -> NamedSharding:
    return NamedSharding(Mesh(np.array(devices), (axis,)), PartitionSpec(axis))


def _cut_batches(learner: Learner) -> tuple[Learner, NamedSharding]:
    """The learner with its batches split over the devices, and the sharding of its state."""
    mesh = _sharding(BATCH, learner.batch).mesh

    def cut(batch: Any) -> Any:
        def one(axis: int, leaf: jax.Array) -> jax.Array:
            place = PartitionSpec(*[None] * axis, BATCH)
            return jax.lax.with_sharding_constraint(leaf, NamedSharding(mesh, place))

        return jax.tree.map(one, learner.axes, batch)

    def loss(params: Params, carry: Any, batch: Any, key: jax.Array) -> Any:
        return learner.loss(params, carry, cut(batch), key)

    return dataclasses.replace(learner, loss=loss), NamedSharding(mesh, PartitionSpec())
