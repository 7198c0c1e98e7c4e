"""Arrangements of layers: one after the other, in both directions, and around a shortcut.

Each has `compose(run, params, xs, state, reverse, key)`, by which `unroll` runs it: `run` unrolls
one layer over the whole sequence, under the lengths, resets and strategy of the call.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from rnnlab.arrays import Array, Inputs, Key, Params, State
from rnnlab.combinators.noise import Dropout
from rnnlab.errors import UsageError
from rnnlab.layer import Arrangement, Cell, Layer, Run, output_size, streams


@dataclasses.dataclass(frozen=True)
class Stack(Arrangement):
    """Layers one after the other: the outputs of one are the inputs of the next.

    Parameters and states are tuples with one entry for each layer. `step` takes one step through
    all layers, for streaming and for Jacobians of the joint state; a stack with a bidirectional
    layer has none.

    Attributes:
      layers: cells, combinators and `Dropout`, from the input to the output.
    """

    layers: tuple[Layer, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "layers", tuple(self.layers))
        if not self._sizes:
            raise UsageError(f"layers={self.layers!r}: must contain at least one cell")

    @property
    def layers_inside(self) -> tuple[Layer, ...]:
        """The layers."""
        return self.layers

    @property
    def features_out(self) -> int:
        """Number of features of the output, that of the last layer that has units."""
        return self._sizes[-1]

    @property
    def _sizes(self) -> list[int]:
        """Outputs of the layers that have units."""
        return [size for layer in self.layers if (size := output_size(layer)) is not None]

    def init(
        self, key: Key, features_in: int, dtype: DTypeLike = jnp.float32
    ) -> tuple[Params, ...]:
        """Draws the parameters of each layer, each with a key of its own."""
        params = []
        for layer, layer_key in zip(self.layers, split_key(key, len(self.layers)), strict=True):
            params.append(layer.init(layer_key, features_in, dtype))
            features_in = output_size(layer) or features_in
        return tuple(params)

    def initial_state(
        self, batch_shape: tuple[int, ...] = (), dtype: DTypeLike = jnp.float32
    ) -> tuple[State, ...]:
        """The initial state of each layer."""
        return tuple(layer.initial_state(batch_shape, dtype) for layer in self.layers)

    def compose(
        self,
        run: Run,
        params: tuple[Params, ...],
        xs: Inputs,
        state: tuple[State, ...],
        reverse: bool,
        key: Key | None,
    ) -> tuple[tuple[State, ...], Array]:
        """Unrolls layer after layer, each over the whole sequence."""
        finals = []
        keys = split_key(key, len(self.layers))
        for layer, p, s, k in zip(self.layers, params, state, keys, strict=True):
            final, xs = run(layer, p, xs, s, reverse, k)
            finals.append(final)
        return tuple(finals), xs

    def step(
        self, params: tuple[Params, ...], x: Array, state: tuple[State, ...]
    ) -> tuple[tuple[State, ...], Array]:
        """One step through all layers, for streaming; not where one is bidirectional."""
        states = []
        for layer, p, s in zip(self.layers, params, state, strict=True):
            s, x = streaming(self, layer).step(p, x, s)
            states.append(s)
        return tuple(states), x


class Directions(NamedTuple):
    """The states of the two layers of a `Bidirectional`."""

    forward: State
    backward: State


@dataclasses.dataclass(frozen=True)
class Bidirectional(Arrangement):
    """Two layers over the same inputs in opposite directions: `y = [forward, backward]`.

    Each sequence is read by itself, within its length and between its resets. The final state of
    `backward` is that after the first step in time. With `reverse=True` both turn around:
    `forward` reads from the end and `backward` from the start, and the outputs keep their places.
    Parameters are `{"forward": ..., "backward": ...}`, states `Directions`.

    Source: M. Schuster and K. K. Paliwal, "Bidirectional recurrent neural networks" (1997).

    Attributes:
      forward: cell or combinator that reads from the first step to the last.
      backward: cell or combinator that reads from the last step to the first.
    """

    forward: Layer
    backward: Layer

    def __post_init__(self) -> None:
        require_features("forward", self.forward)
        require_features("backward", self.backward)

    @property
    def layers_inside(self) -> tuple[Layer, ...]:
        """Both directions."""
        return self.forward, self.backward

    @property
    def features_out(self) -> int:
        """Number of features of the output, those of both directions."""
        return (output_size(self.forward) or 0) + (output_size(self.backward) or 0)

    @property
    def streams(self) -> bool:
        """False: the outputs of a step depend on steps to come."""
        return False

    def init(self, key: Key, features_in: int, dtype: DTypeLike = jnp.float32) -> Params:
        """Draws `{"forward": ..., "backward": ...}`, each with a key of its own."""
        key_forward, key_backward = split_key(key, 2)
        return {
            "forward": self.forward.init(key_forward, features_in, dtype),
            "backward": self.backward.init(key_backward, features_in, dtype),
        }

    def initial_state(
        self, batch_shape: tuple[int, ...] = (), dtype: DTypeLike = jnp.float32
    ) -> Directions:
        """The initial state of each direction."""
        return Directions(
            forward=self.forward.initial_state(batch_shape, dtype),
            backward=self.backward.initial_state(batch_shape, dtype),
        )

    def compose(
        self,
        run: Run,
        params: Params,
        xs: Inputs,
        state: Directions,
        reverse: bool,
        key: Key | None,
    ) -> tuple[Directions, Array]:
        """Unrolls both directions and joins their outputs `[T, *batch, Hf + Hb]`."""
        keys = split_key(key, 2)
        one = self.forward
        if one == self.backward and isinstance(one, Cell) and not isinstance(one, Arrangement):
            pair = params["forward"], params["backward"]
            finals, outputs = run.pair(one, pair, xs, tuple(state), reverse, keys)
            return Directions(*finals), jnp.concatenate(outputs, axis=-1)
        ahead, ys = run(self.forward, params["forward"], xs, state.forward, reverse, keys[0])
        back, zs = run(self.backward, params["backward"], xs, state.backward, not reverse, keys[1])
        return Directions(ahead, back), jnp.concatenate([ys, zs], axis=-1)


@dataclasses.dataclass(frozen=True)
class Residual(Arrangement):
    """A layer bridged by a shortcut: `y = layer(x) + x`, for as many outputs as inputs.

    Parameters and states are those of the layer. The sum is outside the scan.

    Source: K. He et al., "Deep residual learning for image recognition" (2016), equation 1; between
    recurrent layers as in Y. Wu et al., "Google's neural machine translation system" (2016), 3.1.

    Attributes:
      layer: cell or combinator with as many outputs as inputs.
    """

    layer: Layer

    def __post_init__(self) -> None:
        require_features("layer", self.layer)

    @property
    def layers_inside(self) -> tuple[Layer, ...]:
        """The layer."""
        return (self.layer,)

    @property
    def features_out(self) -> int | None:
        """Number of features of the output, which is that of the input."""
        return output_size(self.layer)

    def init(self, key: Key, features_in: int, dtype: DTypeLike = jnp.float32) -> Params:
        """Draws the layer's parameters. Raises UsageError where the sizes differ."""
        if features_in != self.features_out:
            raise UsageError(
                f"features_in={features_in}: Residual adds its input to {self.features_out} "
                "outputs, the sizes must be equal"
            )
        return self.layer.init(key, features_in, dtype)

    def initial_state(
        self, batch_shape: tuple[int, ...] = (), dtype: DTypeLike = jnp.float32
    ) -> State:
        """The initial state of the layer."""
        return self.layer.initial_state(batch_shape, dtype)

    def compose(
        self, run: Run, params: Params, xs: Inputs, state: State, reverse: bool, key: Key | None
    ) -> tuple[State, Array]:
        """Unrolls the layer and adds the inputs to its outputs."""
        state, ys = run(self.layer, params, xs, state, reverse, key)
        return state, ys + xs

    def step(self, params: Params, x: Array, state: State) -> tuple[State, Array]:
        """One step of the layer, plus the input; not where the layer is bidirectional."""
        state, y = streaming(self, self.layer).step(params, x, state)
        return state, y + x


def stack(layer: Callable[[int], Layer], sizes: Sequence[int], dropout: float = 0.0) -> Stack:
    """A stack of `layer(size)` for each of `sizes`, with `Dropout(dropout)` between them.

    `stack(LSTM, (64, 32))` has an LSTM of 64 units below one of 32; for other hyperparameters pass
    a function: `stack(lambda hidden: LSTM(hidden, forget_bias=2.0), (64, 64))`.
    """
    layers: list[Layer] = []
    for size in sizes:
        if layers and dropout:
            layers.append(Dropout(dropout))
        layers.append(layer(size))
    return Stack(tuple(layers))


def bidirectional(layer: Layer) -> Bidirectional:
    """The same kind of layer in both directions, each with parameters of its own."""
    return Bidirectional(layer, layer)


def split_key(key: Key | None, count: int) -> Any:
    """`count` keys, or as many times None where there is no noise to draw."""
    return [None] * count if key is None else jax.random.split(key, count)


def require_features(name: str, layer: Layer) -> None:
    """Raises UsageError unless `layer` has outputs of its own, unlike `Dropout`."""
    if not isinstance(layer, (Arrangement, Cell)) or output_size(layer) is None:
        raise UsageError(f"{name}={layer!r}: must be a cell or a combinator of cells")


def streaming(owner: Arrangement, layer: Layer) -> Cell:
    """`layer` as something that has a step.

    Raises:
      UsageError: it reads the sequence in both directions.
    """
    if not streams(layer) or not isinstance(layer, Cell):
        raise UsageError(
            f"{type(owner).__name__}: {type(layer).__name__} reads the sequence in both directions "
            "and has no single step; use unroll"
        )
    return layer
