"""Text from a language model: all at once, or symbol by symbol as it is drawn."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from rnnlab.arrays import Array, Int, Key, Params, State
from rnnlab.errors import UsageError
from rnnlab.nn.decoding import PLAIN, Choice
from rnnlab.training.language import SymbolModel


def sample(
    model: SymbolModel,
    params: Params,
    prompt: Int[Array | np.ndarray, "codes"],
    key: Key,
    *,
    batch: int,
    count: int,
    choice: Choice = PLAIN,
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
    model: SymbolModel,
    params: Params,
    prompt: Sequence[int] | Int[np.ndarray, "codes"],
    key: Key,
    choice: Choice = PLAIN,
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
    model: SymbolModel, params: Params, code: Any, state: State
) -> tuple[State, Array]:
    return model.step(params, jnp.reshape(code, (1,)), state)


@partial(jax.jit, static_argnums=0)
def _draw(choice: Choice, key: Array, number: Any, logits: Any) -> Array:
    return choice(jax.random.fold_in(key, number), logits)[0]
