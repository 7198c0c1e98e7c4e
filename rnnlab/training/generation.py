"""Text from a language model: all at once, or symbol by symbol as it is drawn."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from rnnlab.arrays import Array, Float, Int, Key, Params, State
from rnnlab.errors import UsageError
from rnnlab.training.language import LanguageModel

#: Up to it, logits divided by the temperature may leave the floating type.
COLD = 1e-6
#: Above it all symbols are as likely as at it, and its reciprocal is a number of float32.
HOT = 1e30


@dataclasses.dataclass(frozen=True)
class Choice:
    """How the next symbol is drawn: `p ∝ exp(logit / temperature)` among the `top_k` likeliest.

    Attributes:
        temperature: below 1 likely symbols become likelier still; 0 takes the likeliest.
        top_k: how many symbols are drawn from; 0 for all. Symbols as likely as the last of them
            are drawn from too.
    """

    temperature: float = 1.0
    top_k: int = 0

    def __post_init__(self) -> None:
        """Checks both."""
        if not (self.temperature >= 0 and math.isfinite(self.temperature)):
            raise UsageError(f"temperature={self.temperature}: must be a number of at least 0")
        if self.top_k < 0:
            raise UsageError(f"top_k={self.top_k}: must be at least 0, which takes all symbols")

    def __call__(self, key: Key, logits: Float[Array, "B V"]) -> Int[Array, "B"]:
        """Symbols `[B]`, int32, from logits `[B, V]`."""
        if self.temperature == 0:
            return jnp.argmax(logits, axis=-1).astype(jnp.int32)
        if 0 < self.top_k < logits.shape[-1]:
            least = jax.lax.top_k(logits, self.top_k)[0][..., -1:]
            logits = jnp.where(logits < least, -jnp.inf, logits)
        return jax.random.categorical(key, self._sharpened(logits)).astype(jnp.int32)

    def _sharpened(self, logits: Float[Array, "B V"]) -> Float[Array, "B V"]:
        """The logits divided by the temperature, up to a constant."""
        limits = jnp.finfo(logits.dtype)
        least = float(limits.tiny)
        temperature = min(max(self.temperature, least), HOT)
        if temperature <= max(COLD, least):  # the largest becomes 0, the others perhaps -inf
            logits = logits - jnp.max(logits, axis=-1, keepdims=True)
        return logits / temperature


def sample(
    model: LanguageModel,
    params: Params,
    prompt: Int[Array | np.ndarray, "codes"],
    key: Key,
    *,
    batch: int,
    count: int,
    choice: Choice = Choice(),
) -> Int[Array, "count B"]:
    """Continues a prompt `batch` times by `count` symbols; to be called under `jit`.

    Args:
        model: the language model.
        params: its parameters.
        prompt: codes `[codes]`, at least one, that are read first.
        key: random key; the symbol number n is drawn with `fold_in(key, n)`.
        batch: texts B.
        count: symbols of each, without the prompt.
        choice: how a symbol is drawn.

    Returns:
        Codes, int32 `[count, B]`.
    """
    codes = jnp.broadcast_to(jnp.asarray(prompt, jnp.int32)[:, None], (len(prompt), batch))
    state, logits = model.run(params, codes, model.initial_state(batch))

    def draw(before: tuple[State, Array], number: Array) -> tuple[tuple[State, Array], Array]:
        state, logits = before
        drawn = choice(jax.random.fold_in(key, number), logits)
        return model.step(params, drawn, state), drawn

    numbers = jnp.arange(count, dtype=jnp.int32)
    return jax.lax.scan(draw, (state, logits[-1]), numbers)[1]


def stream(
    model: LanguageModel,
    params: Params,
    prompt: Sequence[int] | Int[np.ndarray, "codes"],
    key: Key,
    choice: Choice = Choice(),
) -> Iterator[int]:
    """The symbols that `sample` would draw for one text, each as soon as it is drawn, without end.

    Memory use is constant. Arguments as in `sample`; UsageError for an empty prompt.
    """
    if not len(prompt):
        raise UsageError("prompt: is empty; give at least one symbol to continue")

    state, logits = model.initial_state(1), None
    for code in prompt:
        state, logits = _read_symbol(model, params, np.int32(code), state)
    number = 0
    while True:
        code = _draw(choice, key, np.int32(number), logits)
        yield int(code)
        state, logits = _read_symbol(model, params, code, state)
        number += 1


@partial(jax.jit, static_argnums=0, donate_argnums=3)
def _read_symbol(
    model: LanguageModel, params: Params, code: Any, state: State
) -> tuple[State, Array]:
    return model.step(params, jnp.reshape(code, (1,)), state)


@partial(jax.jit, static_argnums=0)
def _draw(choice: Choice, key: Array, number: Any, logits: Any) -> Array:
    return choice(jax.random.fold_in(key, number), logits)[0]
