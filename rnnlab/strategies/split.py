"""The batch divided over the devices at hand, each running its rows by another strategy.

XLA runs the elementwise work inside a loop on one thread of a CPU, so that a layer which is split
over as many CPU devices as there are cores uses them all:
`jax.config.update("jax_num_cpu_devices", cores)` before anything else of JAX; `run.py` does so.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jax.core import Tracer
from jax.sharding import Mesh, PartitionSpec

from rnnlab.arrays import Inputs, Outputs, Params, State
from rnnlab.errors import UsageError
from rnnlab.layer import Cell, NoisyCell
from rnnlab.strategies.base import BaseStrategy, Runner, Strategy, inner_strategy
from rnnlab.strategies.control import Control
from rnnlab.strategies.hoisted import hoisted

AXIS = "rows"
WHOLE, ROWS, STEPS_ROWS = PartitionSpec(), PartitionSpec(AXIS), PartitionSpec(None, AXIS)


@dataclasses.dataclass(frozen=True)
class Split(BaseStrategy):
    """Gives each device an equal share of the rows of the batch, and all the parameters.

    The rows are those of all batch axes together. Where their number is no multiple of the number
    of devices, as many devices work as divide it; where that is one, `inner` runs as if alone. The
    gradients of the parameters are summed over the devices. Other transformations of `inner` hold
    here too: `jit`, `grad`, `vmap` (which splits the rows of one example).

    Under `jit` all of one program must be split over the same devices, and arguments must not be
    committed to others (by `jax.device_put`); JAX raises an error if they are. Results are on all
    the devices. Under `jax.set_mesh`, `jax.shard_map` and `jax.pmap` the program is divided
    already: UsageError, use `inner` there.

    Attributes:
      inner: the strategy that runs the rows of one device, by its name or itself.
      devices: what to split over; None takes the local devices of the default backend.
    """

    inner: str | Strategy | Runner = hoisted
    devices: Sequence[Any] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "inner", inner_strategy(self.inner))
        if self.devices is None:
            return
        object.__setattr__(self, "devices", tuple(self.devices))
        known = all(isinstance(device, jax.Device) for device in self.devices)
        if not self.devices or not known or len(set(self.devices)) < len(self.devices):
            raise UsageError(
                f"devices={self.devices!r}: must be distinct devices, such as jax.local_devices()"
            )

    def refuses(self, cell: Cell) -> str | None:
        """What `inner` refuses."""
        return inner_strategy(self.inner).refuses(cell)

    def check_places(self, params: Params, xs: Inputs, state: State | None) -> None:
        """Raises UsageError for arrays that were put on other devices than those it splits over."""
        devices = self._share(math.prod(xs.shape[1:-1]))
        if len(devices) > 1:
            _check_places({"params": params, "xs": xs, "state": state}, devices)

    def __call__(
        self, cell: Cell, params: Params, xs: Inputs, state: State, control: Control
    ) -> tuple[State, Outputs]:
        """Runs the rows in shares. Raises UsageError inside a mesh, and for arrays elsewhere."""
        batch_shape = jax.tree.leaves(state)[0].shape[:-1]
        rows = math.prod(batch_shape)
        devices = self._share(rows)
        inner = inner_strategy(self.inner)
        if len(devices) == 1:
            return inner(cell, params, xs, state, control)
        _check_mesh()
        _check_places({"params": params, "xs": xs, "state": state}, devices)

        def run(
            params: Params, xs: Inputs, state: State, control: Control
        ) -> tuple[State, Outputs]:
            return inner(cell, params, xs, state, control)

        per_row = cell.per_row if isinstance(cell, NoisyCell) else ()
        by_row = {name: ROWS if name in per_row else WHOLE for name in params} if per_row else WHOLE
        # Replication is not checked (check_vma), so that an inner strategy need not know of axes.
        spread = jax.shard_map(
            run,
            mesh=Mesh(np.asarray(devices), (AXIS,)),
            in_specs=(by_row, STEPS_ROWS, ROWS, STEPS_ROWS),
            out_specs=(ROWS, STEPS_ROWS),
            check_vma=False,
        )
        for name in per_row:
            if name in params:
                params = params | {name: _merge(params[name], 0, batch_shape)}
        xs, control = _merge((xs, control), 1, batch_shape)
        final, ys = jax.jit(spread)(params, xs, _merge(state, 0, batch_shape), control)
        return _divide(final, 0, batch_shape), _divide(ys, 1, batch_shape)

    def _share(self, rows: int) -> tuple[Any, ...]:
        """The devices that get equal shares: as many as divide the number of rows."""
        devices = tuple(jax.local_devices() if self.devices is None else self.devices)
        count = max(n for n in range(1, len(devices) + 1) if n <= max(rows, 1) and rows % n == 0)
        return devices[:count]


def _merge(tree: Any, axis: int, batch_shape: tuple[int, ...]) -> Any:
    """All batch axes, from `axis` on, as one."""
    rows, end = math.prod(batch_shape), axis + len(batch_shape)
    return jax.tree.map(lambda a: a.reshape(*a.shape[:axis], rows, *a.shape[end:]), tree)


def _divide(tree: Any, axis: int, batch_shape: tuple[int, ...]) -> Any:
    """The inverse of `_merge`."""
    return jax.tree.map(
        lambda a: a.reshape(*a.shape[:axis], *batch_shape, *a.shape[axis + 1 :]), tree
    )


def _check_mesh() -> None:
    """Raises UsageError where the program around is divided already."""
    mesh = jax.sharding.get_abstract_mesh()
    if not mesh.empty:
        raise UsageError(
            f"strategy='split': is inside a mesh with the axes {', '.join(mesh.axis_names)}, "
            "which divides the program already; use its inner strategy there"
        )


def _check_places(arguments: dict[str, Any], devices: tuple[Any, ...]) -> None:
    """Raises UsageError for arrays that were put on other devices. Traced ones do not tell."""
    for name, tree in arguments.items():
        for leaf in jax.tree.leaves(tree):
            if isinstance(leaf, Tracer) or not isinstance(leaf, jax.Array) or not leaf.committed:
                continue
            if leaf.sharding.device_set != set(devices):
                places = ", ".join(sorted(map(str, leaf.sharding.device_set)))
                raise UsageError(
                    f"{name} is committed to {places}: strategy='split' runs on "
                    f"{', '.join(map(str, devices))}; do not put it on a device, or on all of these"
                )


#: Shares of the batch for all local devices, `hoisted` within them.
split = Split()
