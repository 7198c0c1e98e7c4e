"""What the systems share: each is a cell without parameters and input, and `unroll` integrates it.

So whatever works with cells works with systems: `rnnlab.gradients.lyapunov_exponents` measures
their exponents as it does those of a network.
"""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from rnnlab.arrays import Array, Float, Input, Key, Output, Params, State
from rnnlab.errors import UsageError
from rnnlab.sizes import check_positive
from rnnlab.unroll import unroll


@dataclasses.dataclass(frozen=True)
class System:
    """A chaotic system, sampled; a subclass says which, with its source.

    Attributes:
      interval: time between two samples, which are the steps of the cell.
      substeps: steps of the integrator in an interval.
      EXPONENT: the largest Lyapunov exponent as published, in nats for each unit of time.
      SETTLING: time after which a trajectory from a random start is on the attractor.
    """

    interval: float
    substeps: int = 1

    EXPONENT: ClassVar[float]
    SETTLING: ClassVar[float]

    def __post_init__(self) -> None:
        """Checks interval and substeps."""
        if not 0 < self.interval < float("inf"):
            raise UsageError(f"interval={self.interval}: must be positive and finite")
        object.__setattr__(self, "substeps", check_positive("substeps", self.substeps))

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the variables."""
        raise NotImplementedError

    @property
    def features_out(self) -> int:
        """Number of variables D."""
        return len(self.names)

    @property
    def steps_per_exponent(self) -> float:
        """Samples of one Lyapunov time `1 / λ`, in which small errors grow by e."""
        return 1 / (self.EXPONENT * self.interval)

    def init(self, key: Key, features_in: int, dtype: DTypeLike = jnp.float64) -> Params:
        """No parameters."""
        del key, features_in, dtype
        return {}

    def initial_state(
        self, batch_shape: tuple[int, ...] = (), dtype: DTypeLike = jnp.float64
    ) -> State:
        """A state that is not yet on the attractor."""
        raise NotImplementedError

    def started(self, key: Key, batch: int) -> State:
        """Random states, from which trajectories reach the attractor."""
        raise NotImplementedError

    def step(self, params: Params, x: Input, state: State) -> tuple[State, Output]:
        """The state and the variables after one interval; the input is not read."""
        raise NotImplementedError


def trajectory(
    system: System, steps: int, *, batch: int = 1, seed: int = 0
) -> Float[np.ndarray, "T B D"]:
    """Samples of trajectories on the attractor, integrated in float64.

    Args:
      system: the system.
      steps: samples T.
      batch: trajectories B, from different starts.
      seed: of the starts.

    Raises:
      UsageError: a number that is not positive.
    """
    steps, batch = check_positive("steps", steps), check_positive("batch", batch)
    with jax.enable_x64(True):
        settling = round(system.SETTLING / system.interval)
        _, ys = run(system, system.started(jax.random.key(seed), batch), settling + steps)
        return np.asarray(ys)[settling:]


def run(system: System, state: State, steps: int) -> tuple[State, Float[Array, "T *batch D"]]:
    """The state after some intervals, and the variables after each of them."""
    shape = jax.tree.leaves(state)[0].shape[:-1]
    nothing = jnp.zeros((steps, *shape, 1), jax.tree.leaves(state)[0].dtype)
    return unroll(system, {}, nothing, state)
