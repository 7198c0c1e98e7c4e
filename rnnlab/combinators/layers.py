"""Arrangements of layers: one after the other, in both directions, and around a shortcut.

Each has `compose(run, params, xs, state, reverse, key)`, by which `unroll` runs it: `run` unrolls
one layer over the whole sequence, under the lengths, resets and strategy of the call.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from rnnlab.cells.base import Array, Params, State
from rnnlab.combinators.noise import Dropout
from rnnlab.errors import UsageError


class Run(Protocol):
    """How `unroll` runs the layers of one call."""

    def __call__(
        self, cell: Any, params: Any, xs: Any, state: State, reverse: bool, key: Array | None
    ) -> tuple[State, Array]:
        """Unrolls a layer: returns its final state and outputs."""
        ...

    def takes_both(self, cell: Any, xs: Array) -> bool:
        """Whether `both` suits the cell and the inputs."""
        ...

    def both(
        self, cell: Any, params: Any, xs: Array, states: Any, reverse: bool, keys: Any
    ) -> tuple[list[State], list[Array]]:
        """Unrolls both directions of a cell in one scan: pairs of final states and outputs."""
        ...


@dataclasses.dataclass(frozen=True)
class Stack:
    """Layers one after the other: the outputs of one are the inputs of the next.

    Parameters and states are tuples with one entry for each layer. `step` takes one step through
    all layers, for streaming and for Jacobians of the joint state; a stack with a bidirectional
    layer has none.

    Attributes:
      layers: cells, combinators and `Dropout`, from the input to the output.
    """

    layers: tuple[Any, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "layers", tuple(self.layers))
        if not any(hasattr(layer, "features_out") for layer in self.layers):
            raise UsageError(f"layers={self.layers!r}: must contain at least one cell")

    @property
    def features_out(self) -> int:
        """Number of features of the output, that of the last layer that has units."""
        return [layer.features_out for layer in self.layers if not isinstance(layer, Dropout)][-1]

    def init(
        self, key: Array, features_in: int, dtype: DTypeLike = jnp.float32
    ) -> tuple[Params, ...]:
        """Draws the parameters of each layer, each with a key of its own."""
        params = []
        for layer, layer_key in zip(self.layers, split_key(key, len(self.layers)), strict=True):
            params.append(layer.init(layer_key, features_in, dtype))
            features_in = getattr(layer, "features_out", features_in)
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
        xs: Array,
        state: tuple[State, ...],
        reverse: bool,
        key: Array | None,
    ) -> tuple[tuple[State, ...], Array]:
        """Unrolls layer after layer, each over the whole sequence."""
        finals = []
        keys = split_key(key, len(self.layers))
        for layer, p, s, k in zip(self.layers, params, state, keys, strict=True):
            final, xs = run(layer, p, xs, s, reverse, k)
            finals.append(final)
        return tuple(finals), xs

    def project(self, params: tuple[Params, ...], x: Array) -> Any:
        """The projected input of the first layer."""
        return self.layers[0].project(params[0], x)

    @property
    def step(self) -> Callable[[Any, Any, Any], tuple[State, Array]]:
        """`step(params, u, state)` through all layers; absent where a layer has none."""
        for layer in self.layers:
            require_step(self, layer)
        return self._step

    def _step(
        self, params: tuple[Params, ...], u: Any, state: tuple[State, ...]
    ) -> tuple[tuple[State, ...], Array]:
        first, y = self.layers[0].step(params[0], u, state[0])
        states = [first]
        for layer, p, s in zip(self.layers[1:], params[1:], state[1:], strict=True):
            s, y = layer.step(p, layer.project(p, y), s)
            states.append(s)
        return tuple(states), y


class Directions(NamedTuple):
    """The states of the two layers of a `Bidirectional`."""

    forward: State
    backward: State


@dataclasses.dataclass(frozen=True)
class Bidirectional:
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

    forward: Any
    backward: Any

    def __post_init__(self) -> None:
        require_features("forward", self.forward)
        require_features("backward", self.backward)

    @property
    def features_out(self) -> int:
        """Number of features of the output, those of both directions."""
        return self.forward.features_out + self.backward.features_out

    def init(self, key: Array, features_in: int, dtype: DTypeLike = jnp.float32) -> Params:
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
        xs: Array,
        state: Directions,
        reverse: bool,
        key: Array | None,
    ) -> tuple[Directions, Array]:
        """Unrolls both directions and joins their outputs `[T, *batch, Hf + Hb]`."""
        keys = split_key(key, 2)
        if self.forward == self.backward and run.takes_both(self.forward, xs):
            pair = params["forward"], params["backward"]
            finals, outputs = run.both(self.forward, pair, xs, state, reverse, keys)
            return Directions(*finals), jnp.concatenate(outputs, axis=-1)
        ahead, ys = run(self.forward, params["forward"], xs, state.forward, reverse, keys[0])
        back, zs = run(self.backward, params["backward"], xs, state.backward, not reverse, keys[1])
        return Directions(ahead, back), jnp.concatenate([ys, zs], axis=-1)


@dataclasses.dataclass(frozen=True)
class Residual:
    """A layer bridged by a shortcut: `y = layer(x) + x`, for as many outputs as inputs.

    Parameters and states are those of the layer. The sum stands outside the scan.

    Source: K. He et al., "Deep residual learning for image recognition" (2016), equation 1; between
    recurrent layers as in Y. Wu et al., "Google's neural machine translation system" (2016), 3.1.

    Attributes:
      layer: cell or combinator with as many outputs as inputs.
    """

    layer: Any

    def __post_init__(self) -> None:
        require_features("layer", self.layer)

    @property
    def hidden(self) -> int:
        """Number of units of the layer, where it is a cell."""
        return self.layer.hidden

    @property
    def blocks(self) -> tuple[str, ...]:
        """Names of the blocks of gates of the layer, where it is a cell."""
        return self.layer.blocks

    @property
    def recurrent_blocks(self) -> tuple[str, ...]:
        """Names of the blocks of `wh` of the layer, where it is a cell."""
        return self.layer.recurrent_blocks

    @property
    def features_out(self) -> int:
        """Number of features of the output, which is that of the input."""
        return self.layer.features_out

    def init(self, key: Array, features_in: int, dtype: DTypeLike = jnp.float32) -> Any:
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
        self, run: Run, params: Any, xs: Array, state: State, reverse: bool, key: Array | None
    ) -> tuple[State, Array]:
        """Unrolls the layer and adds the inputs to its outputs."""
        state, ys = run(self.layer, params, xs, state, reverse, key)
        return state, ys + xs

    def project(self, params: Any, x: Array) -> tuple[Any, Array]:
        """The projected input of the layer, and the input itself."""
        return self.layer.project(params, x), x

    @property
    def step(self) -> Callable[[Any, Any, Any], tuple[State, Array]]:
        """`step(params, u, state)` of the layer plus the input; absent where the layer has none."""
        require_step(self, self.layer)
        return self._step

    def _step(self, params: Any, u: tuple[Any, Array], state: State) -> tuple[State, Array]:
        projected, x = u
        state, y = self.layer.step(params, projected, state)
        return state, y + x


def stack(layer: Callable[[int], Any], sizes: Sequence[int], dropout: float = 0.0) -> Stack:
    """A stack of `layer(size)` for each of `sizes`, with `Dropout(dropout)` between them.

    `stack(LSTM, (64, 32))` has an LSTM of 64 units below one of 32; for other hyperparameters pass
    a function: `stack(lambda hidden: LSTM(hidden, forget_bias=2.0), (64, 64))`.
    """
    layers: list[Any] = []
    for size in sizes:
        if layers and dropout:
            layers.append(Dropout(dropout))
        layers.append(layer(size))
    return Stack(tuple(layers))


def bidirectional(layer: Any) -> Bidirectional:
    """The same kind of layer in both directions, each with parameters of its own."""
    return Bidirectional(layer, layer)


def split_key(key: Array | None, count: int) -> Any:
    """`count` keys, or as many times None where there is no noise to draw."""
    return [None] * count if key is None else jax.random.split(key, count)


def require_features(name: str, layer: Any) -> None:
    """Raises UsageError unless `layer` has outputs of its own, unlike `Dropout`."""
    if not hasattr(layer, "features_out"):
        raise UsageError(f"{name}={layer!r}: must be a cell or a combinator of cells")


def require_step(owner: Any, layer: Any) -> None:
    """Raises AttributeError, which `hasattr` understands, unless `layer` has `step`."""
    if not hasattr(layer, "step"):
        raise AttributeError(f"{type(owner).__name__}: {type(layer).__name__} has no `step`")
