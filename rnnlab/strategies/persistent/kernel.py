"""What both kinds of kernels are given, and what they return."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from functools import partial
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp

from rnnlab.arrays import Array
from rnnlab.strategies.persistent.flags import Flags
from rnnlab.strategies.persistent.units import Units


class Forward(NamedTuple):
    """The arguments of a time block of `K` steps, with tiles of `N` sequences.

    Attributes:
      weights: of each product `[parts, H, outs, pieces, H]`.
      u: what is projected of the input, `[K, tiles, U, H, N]` in float32.
      fixed: constants and vectors of each sequence, `[tiles, C, H, N]` in float32.
      initial: the state in which new sequences start, `[S, H, N]` in float32.
      flags: 1 or 0, `[K, tiles, flags, rows, N]` in float32.
      state: before the first step, `[tiles, S, H, N]` in float32.
    """

    weights: Sequence[Array]
    u: Array
    fixed: Array
    initial: Array
    flags: Array
    state: Array


class Ran(NamedTuple):
    """What a time block has come to.

    Attributes:
      y: the outputs `[K, tiles, H, N]`.
      state: after the last step, `[tiles, S, H, N]` in float32.
      states: from which the steps started, `[K, tiles, S, H, N]`; None where they are not kept.
      sums: of products, `[K, tiles, Z, H, N]`; None where they are not kept.
    """

    y: Array
    state: Array
    states: Any = None
    sums: Any = None


class Backward(NamedTuple):
    """The arguments of a time block backwards.

    Attributes:
      weights: as in `Forward`.
      fixed: as in `Forward`.
      flags: as in `Forward`.
      kept: what is kept of `u`, `[K, tiles, kept, H, N]`.
      states: as in `Ran`.
      sums: as in `Ran`.
      dy: the adjoints of the outputs, `[K, tiles, H, N]`.
      d_state: the adjoint of the final state, `[tiles, S, H, N]` in float32.
    """

    weights: Sequence[Array]
    fixed: Array
    flags: Array
    kept: Array
    states: Array
    sums: Array
    dy: Array
    d_state: Array


class Adjoint(NamedTuple):
    """What a time block backwards has come to.

    Attributes:
      dz: the adjoints of sums and of what is kept of `u` together, `[K, tiles, Z + kept, H, N]`.
      vectors: those of products that are no part of the state, `[K, tiles, V, H, N]`.
      d_state: the adjoint of the first state, `[tiles, S, H, N]` in float32.
      d_fixed: that of `fixed`, for each sequence, in its shape.
    """

    dz: Array
    vectors: Array
    d_state: Array
    d_fixed: Array


#: The axes of the tiles in arguments and results, field by field; None where there is none.
FORWARD_TILES, RAN_TILES = (None, 1, 0, None, 1, 0), (1, 0, 1, 1)
BACKWARD_TILES, ADJOINT_TILES = (None, 0, 1, 1, 1, 1, 1, 0), (1, 1, 0, 0)


@dataclasses.dataclass(frozen=True)
class Kernel:
    """A forward and a backward kernel of a cell for one size.

    Attributes:
      tile: number of sequences of a CTA.
      units: the cell's step.
      flags: which flags are given.
      narrow: dtype of parameters, outputs and all that is kept.
      parts: how many 16-bit numbers stand for a number in products.
    """

    tile: ClassVar[int]

    units: Units
    flags: Flags
    narrow: Any
    parts: int

    @property
    def rows(self) -> int:
        """Number of rows that the flags are given for."""
        raise NotImplementedError

    @property
    def hidden(self) -> int:
        """Number of units with padding."""
        raise NotImplementedError

    @property
    def tiles(self) -> int | None:
        """How many tiles a launch has at most, where its CTAs wait for one another.

        No two such launches may share the GPU. None where any number may.
        """
        return None

    @property
    def operands(self) -> Any:
        """Dtype of the operands of products."""
        return self.narrow if self.narrow.itemsize == 2 else jnp.dtype(jnp.bfloat16)

    @property
    def exact(self) -> bool:
        """Whether functions are computed to float32."""
        return self.narrow.itemsize > 2

    def forward(self, keep: bool, given: Forward) -> Ran:
        """Runs the steps of a time block; `keep` returns what the backward pass needs, too."""
        raise NotImplementedError

    def backward(self, given: Backward) -> Adjoint:
        """Runs them backwards."""
        raise NotImplementedError

    def shapes_forward(self, keep: bool, given: Forward) -> list[jax.ShapeDtypeStruct]:
        """The results of `forward`, in the order of `Ran`."""
        steps, tiles = given.u.shape[:2]
        stream = partial(self._stream, steps, tiles)
        outs = [stream(), jax.ShapeDtypeStruct(given.state.shape, jnp.float32)]
        if keep:
            outs += [stream(given.state.shape[1]), stream(len(self.units.columns.sums))]
        return outs

    def shapes_backward(self, given: Backward) -> list[jax.ShapeDtypeStruct]:
        """The results of `backward`, in the order of `Adjoint`."""
        stream = partial(self._stream, *given.dy.shape[:2])
        outs = [
            stream(given.sums.shape[2] + given.kept.shape[2]),
            stream(len(self.units.other_pieces())),
        ]
        return outs + [
            jax.ShapeDtypeStruct(a.shape, jnp.float32) for a in (given.d_state, given.fixed)
        ]

    def _stream(self, steps: int, tiles: int, *blocks: int) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct((steps, tiles, *blocks, self.hidden, self.tile), self.narrow)
