"""Language models: what predicts the next symbol of a text, a recurrent network, and the loss."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, Protocol

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.typing import DTypeLike

from rnnlab.arrays import Array, Float, Int, Key, Params, State
from rnnlab.data.pipelines import Window
from rnnlab.errors import UsageError
from rnnlab.training.cross_entropy import cross_entropy
from rnnlab.training.model import Reader
from rnnlab.training.optimisers import Clip
from rnnlab.training.update import Learner
from rnnlab.unroll import step as stream_step


class SymbolModel(Protocol):
    """What predicts the next symbol of a text: a `LanguageModel`, or a transformer."""

    @property
    def symbols(self) -> int:
        """The number of symbols, V."""
        ...

    def init(self, key: Key, dtype: DTypeLike = jnp.float32) -> Params:
        """Draws the parameters."""
        ...

    def initial_state(self, batch: int, dtype: DTypeLike = jnp.float32) -> State:
        """The state before the first symbol of `batch` texts, all leaves `[batch, ...]`."""
        ...

    def run(
        self,
        params: Params,
        codes: Int[Array | np.ndarray, "T B"],
        state: State,
        key: Key | None = None,
    ) -> tuple[State, Float[Array, "T B V"]]:
        """The state after `codes [T, B]`, and logits `[T, B, V]` of the symbol after each."""
        ...

    def step(
        self, params: Params, codes: Int[Array | np.ndarray, "B"], state: State
    ) -> tuple[State, Float[Array, "B V"]]:
        """Reads one symbol of each text, `codes [B]`: the next state and logits `[B, V]`."""
        ...


@dataclasses.dataclass(frozen=True)
class LanguageModel:
    """`p(s_{t+1} | s_1 … s_t) = softmax(y_t w + b)` with the network's output `y_t`.

    Attributes:
        reader: network and readout, with an output for each of the V symbols.
        embedding: features E of a symbol, drawn from N(0, 1) and learned; 0 reads symbols one-hot.
    """

    reader: Reader
    embedding: int = 0

    def __post_init__(self) -> None:
        """Checks the number of features."""
        if self.embedding < 0:
            raise UsageError(f"embedding={self.embedding}: must be at least 0")

    @property
    def symbols(self) -> int:
        """The number of symbols, V."""
        return self.reader.outputs

    def init(self, key: Key, dtype: DTypeLike = jnp.float32) -> Params:
        """Draws the parameters of `Reader.init`, and `embedding [V, E]` where there is one."""
        if not self.embedding:
            return self.reader.init(key, self.symbols, dtype)
        key, key_embedding = jax.random.split(key)
        table = jax.random.normal(key_embedding, (self.symbols, self.embedding), dtype)
        return self.reader.init(key, self.embedding, dtype) | {"embedding": table}

    def initial_state(self, batch: int, dtype: DTypeLike = jnp.float32) -> State:
        """The state before the first symbol of `batch` texts."""
        return self.reader.cell.initial_state((batch,), dtype)

    def embed(self, params: Params, codes: Int[Array | np.ndarray, "..."]) -> Float[Array, "... E"]:
        """The network's inputs `[..., E]`, or `[..., V]` where they are one-hot."""
        if not self.embedding:
            return jax.nn.one_hot(codes, self.symbols, dtype=params["readout"]["w"].dtype)
        return jnp.take(params["embedding"], codes, axis=0)

    def run(
        self,
        params: Params,
        codes: Int[Array | np.ndarray, "T B"],
        state: State,
        key: Key | None = None,
    ) -> tuple[State, Float[Array, "T B V"]]:
        """Reads `codes [T, B]`.

        Args:
            params: of `init`.
            codes: symbols, integers in 0 .. V - 1.
            state: before the first of them.
            key: of dropout; None for none.

        Returns:
            The state after the last, and logits `[T, B, V]` of the symbol that follows each.
        """
        chex.assert_rank(codes, 2)
        state, ys = self.reader.run(params, self.embed(params, codes), state, key=key)
        return state, self.reader.read(params, ys)

    def step(
        self, params: Params, codes: Int[Array | np.ndarray, "B"], state: State
    ) -> tuple[State, Float[Array, "B V"]]:
        """Reads one symbol of each text, `codes [B]`: the next state and logits `[B, V]`."""
        chex.assert_rank(codes, 1)
        x = self.embed(params, codes)
        state, y = stream_step(self.reader.cell, params["cell"], x, state)
        return state, self.reader.read(params, y)


def language_learner(
    model: SymbolModel,
    *,
    batch: int,
    optimiser: optax.GradientTransformation,
    clip: Clip | None = None,
    sum_steps: bool = False,
    init: Callable[[Key], Params] | None = None,
) -> Learner:
    """What trains a language model on the windows of a stream.

    The loss is the mean cross-entropy of a window in nats for each symbol. The state of a window
    enters the next one and the gradient does not flow back into it: truncated backpropagation
    through time. Before the first window of an epoch the state is the initial one.

    Args:
        model: what is trained.
        batch: rows of the text that are read side by side, B of the stream.
        optimiser: turns gradients into updates.
        clip: bounds of the gradient.
        sum_steps: take the sum over the T steps of a window instead, still the mean over rows,
            and so T times the loss and its gradient. Learning rates and clipping norms of Zaremba,
            Sutskever and Vinyals (2014) are meant for that. The mean is then the metric `nats`.
        init: draws the parameters instead of `model.init`.
    """

    def loss(params: Params, carry: State, window: Window, key: Array) -> Any:
        fresh = model.initial_state(batch)
        state = jax.tree.map(lambda new, old: jnp.where(window.first, new, old), fresh, carry)
        state, logits = model.run(params, window.xs, state, key)
        nats = cross_entropy(logits, window.targets).mean()
        if not sum_steps:
            return nats, (state, {})
        return nats * len(window.xs), (state, {"nats": nats})

    return Learner(
        init=init or model.init,
        loss=loss,
        optimiser=optimiser,
        clip=clip or Clip(),
        carry=lambda: model.initial_state(batch),
    )


class TextLoss:
    """The mean cross-entropy of a text, in nats for each symbol; noise is off.

    Every symbol but the first is predicted once, from all before it. For speed the text is
    cut into `batch` rows that are read side by side, each from the initial state, which makes the
    loss slightly larger than with one row.

    Args:
        model: the language model.
        codes: the text, integers `[N]`.
        batch: rows B; fewer where the text is short.
        steps: symbols of a row that are read at a time, which bounds the memory.

    Raises:
        UsageError: a text of fewer than two symbols.
    """

    def __init__(
        self,
        model: SymbolModel,
        codes: Int[np.ndarray, "codes"],
        batch: int = 16,
        steps: int = 128,
    ):
        count = len(codes) - 1
        if count < 1:
            raise UsageError(f"text: has {len(codes)} symbols; a loss needs at least 2")
        self._batch = min(batch, count)
        windows = -(-count // (self._batch * steps))
        room = windows * steps * self._batch

        def cut(values: np.ndarray) -> np.ndarray:
            padded = np.concatenate([values, np.zeros(room - count, values.dtype)])
            return np.moveaxis(padded.reshape(self._batch, windows, steps), 0, -1)

        codes = np.asarray(codes, np.int32)
        self._count, self._model = count, model
        self._data = cut(codes[:-1]), cut(codes[1:]), cut(np.ones(count, np.float32))
        self._sums = jax.jit(self._sum_windows)

    def __call__(self, params: Params) -> float:
        """The loss of a model with these parameters."""
        sums = np.asarray(self._sums(params, self._data), np.float64)
        return float(sums.sum() / self._count)

    def _sum_windows(self, params: Params, data: Any) -> Float[Array, "windows"]:
        """The sum of cross-entropies of each window, `[windows]`."""

        def window(state: State, inputs: tuple[Array, Array, Array]) -> tuple[State, Array]:
            xs, targets, weights = inputs
            state, logits = self._model.run(params, xs, state)
            return state, (cross_entropy(logits, targets) * weights).sum()

        return jax.lax.scan(window, self._model.initial_state(self._batch), data)[1]
