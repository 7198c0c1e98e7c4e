"""What writes a sequence of symbols, given what was read: a sentence, or an image.

What the decoder gets of a source, its hand-over, is one of

- `none`: nothing, so that the decoder is a language model;
- `state`: a state made of the source, from which it starts, and nothing else (I. Sutskever,
  O. Vinyals and Q. V. Le, "Sequence to sequence learning with neural networks", 2014);
- `context`: one vector, `c = tanh(W v)` of a summary v of the source, which its cell and its
  readout get at every step, beside a start state that is projected separately (K. Cho et al.,
  "Learning phrase representations using RNN encoder-decoder for statistical machine translation",
  2014, appendix A);
- `first`, `input` and `output`: a vector that the decoder's cell reads before the first symbol, or
  beside every symbol, or that only its readout gets; the ways of M. Tanti, A. Gatt and
  K. P. Camilleri, "Where to put the image in an image caption generator" (2018), where `state` is
  the fourth;
- `attention`: all places of the source, of which each step of the decoder takes a weighted mean.

The decoder reads the symbol before the one to write. With `y_t` for the cell's output, the readout
is `r_t = tanh(W [y_t; c_t])`, where `c_t` is the context if there is one (M.-T. Luong, H. Pham and
C. D. Manning, "Effective approaches to attention-based neural machine translation", 2015, equation
5), and the logits are `r_t W_o + b_o`.

What the cell gets besides the symbol is told by `feeding`. With `none`, the cell never sees what
was attended to: it runs over the whole target at once by `unroll`, and the attention of all steps
is one product. With `readout` it gets `r_{t-1}` (input feeding, Luong et al. 2015, section 3.3),
with `context` a context found with its state before, `s_{t-1}` (Bahdanau, Cho and Bengio 2015);
then, and with scheduled sampling, the decoder goes step by step.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import ArrayLike, DTypeLike

from rnnlab.arrays import Array, Bool, Float, Int, Key, State
from rnnlab.combinators.noise import check_rate, dropout_mask
from rnnlab.errors import UsageError
from rnnlab.gradients.parts import joint
from rnnlab.layer import Layer, output_size, streams
from rnnlab.nn import attention as attentions
from rnnlab.nn.embedding import Embedding
from rnnlab.nn.masks import blanked, valid_steps
from rnnlab.nn.recurrent import Recurrent
from rnnlab.strategies import Strategy

HAND_OVERS = ("none", "state", "first", "input", "output", "context", "attention")
#: What gets the context vector, in the hand-overs that have one.
CONTEXT_TO = {"context": ("cell", "readout"), "input": ("cell",), "output": ("readout",)}
FEEDINGS = ("none", "readout", "context")


class Memory(NamedTuple):
    """What the decoder gets of B sources.

    Attributes:
      start: the decoder's first state.
      context: one vector for each source, `[B, C]`; None but for the hand-overs of `CONTEXT_TO`.
      outputs: of the encoder, `[B, S, M]`; None but for attention, as the next two.
      keys: what the scores of the attention need of them, `[B, S, K]`.
      mask: whether a place belongs to its source, `[B, S]`.
    """

    start: State
    context: Array | None
    outputs: Array | None
    keys: Array | None
    mask: Array | None


class DecoderState(NamedTuple):
    """The decoder between two steps.

    Attributes:
      cell: state of the recurrent layers.
      fed: the last readout where the next step gets it, `[B, ..., R]`; else None.
    """

    cell: State
    fed: Array | None


class Decoded(NamedTuple):
    """What the decoder makes of targets.

    Attributes:
      logits: of the symbol that follows each step, `[B, T, V]`.
      weights: of the attention, `[B, T, S]`; None without.
    """

    logits: Float[Array, "B T V"]
    weights: Float[Array, "B T S"] | None


class Decoder(nnx.Module):
    """What writes, given a `Memory` of what was read; see the module's docstring.

    Attributes:
      target: vectors of the symbols that are written; the symbol 0 is padding.
      decoder: recurrent layers that write, of a kind that can run step by step.
      summary: features of the vector that stands for a whole source.
      read: features of a place that is attended to.
      readout: features R of the readout.
      hand_over: one of `HAND_OVERS`.
      attention: additive, dot or general.
      feeding: none, readout or context; the latter two with attention only.
      dropout: rate for embedded symbols and readouts, where a call gets a key.
      tied: whether the output layer's weights are the vectors of the symbols; R is E then.
      strategy: how `unroll` runs the layers.
      param_dtype: of all parameters.
      rngs: where the keys come from that draw them.

    Raises:
      UsageError: settings that do not exist or do not go together.
    """

    def __init__(
        self,
        target: Embedding,
        decoder: Layer,
        *,
        summary: int,
        read: int,
        readout: int,
        hand_over: str,
        attention: str,
        feeding: str,
        dropout: float,
        tied: bool,
        strategy: str | Strategy,
        param_dtype: DTypeLike,
        rngs: nnx.Rngs,
    ) -> None:
        embedding = target.features
        _check(hand_over, feeding, tied, embedding, readout, decoder)
        self.target = target
        self.hand_over, self.feeding, self.tied = hand_over, feeding, tied
        self.dropout = check_rate("dropout", dropout)
        types: Any = {"param_dtype": param_dtype, "rngs": rngs}
        linear: Any = partial(nnx.Linear, dtype=param_dtype, **types)
        written = output_size(decoder) or embedding

        first = decoder.initial_state((), param_dtype)
        if hand_over in ("state", "context", "attention"):
            self.starts = nnx.List([linear(summary, leaf.size) for leaf in jax.tree.leaves(first)])
        if hand_over == "first":
            self.to_first = linear(summary, embedding)
        if hand_over in CONTEXT_TO:
            self.to_context = linear(summary, written)
        if hand_over == "attention":
            asked = sum(leaf.size for leaf in jax.tree.leaves(first))
            asked = asked if feeding == "context" else written
            self.attention = attentions.by_name(attention, asked, read, readout, **types)

        fed = {"none": 0, "readout": readout, "context": read}[feeding]
        to = CONTEXT_TO.get(hand_over, ())
        features = embedding + fed + ("cell" in to) * written
        self.decoder = Recurrent(decoder, features, strategy=strategy, **types)
        self.readout_size = readout
        beside = read if hand_over == "attention" else ("readout" in to) * written
        self.readout = linear(written + beside, readout)
        if tied:
            self.bias = nnx.Param(jnp.zeros((target.size,), param_dtype))
        else:
            self.output = linear(readout, target.size)

    def remember(
        self,
        summary: Float[Array, "B F"],
        places: Float[Array, "B S M"] | None = None,
        mask: Bool[Array, "B S"] | None = None,
    ) -> Memory:
        """What the decoder gets of sources.

        Args:
          summary: a vector for each source.
          places: what is attended to, and which of it belongs to a source; for attention alone.
          mask: as it says.
        """
        start = self.decoder.cell.initial_state((len(summary),), summary.dtype)
        context = keys = None
        if self.hand_over in ("state", "context", "attention"):
            leaves, structure = jax.tree.flatten(start)
            start = structure.unflatten(
                jnp.tanh(project(summary)).reshape(leaf.shape)
                for project, leaf in zip(self.starts, leaves, strict=True)
            )
        if self.hand_over == "first":
            start, _ = self.decoder(self.to_first(summary)[:, None], start)
        if self.hand_over in CONTEXT_TO:
            context = jnp.tanh(self.to_context(summary))
        if self.hand_over != "attention":
            return Memory(start, context, None, None, None)
        assert places is not None
        keys = self.attention.keys(places)
        return Memory(start, context, places, keys, mask)

    def logits(
        self,
        memory: Memory,
        targets: Int[Array, "B T"],
        lengths: ArrayLike | None = None,
        key: Key | None = None,
        *,
        own: float | Array = 0.0,
    ) -> Decoded:
        """The logits of the symbol that follows each of the targets (teacher forcing).

        Args:
          memory: of the sources.
          targets: codes that the decoder reads, from the start symbol on.
          lengths: symbols of each, `[B]`; None for T.
          key: of dropout, and of scheduled sampling; None for no dropout.
          own: probability with which a step reads the likeliest symbol of the step before instead
            of the target (S. Bengio et al., "Scheduled sampling for sequence prediction with
            recurrent neural networks", 2015); above 0, or an array, goes step by step.
        """
        readouts, weights = self.readouts(memory, targets, lengths, key, own=own)
        return Decoded(self.to_symbols(readouts), weights)

    def readouts(
        self,
        memory: Memory,
        targets: Int[Array, "B T"],
        lengths: ArrayLike | None = None,
        key: Key | None = None,
        *,
        own: float | Array = 0.0,
    ) -> tuple[Float[Array, "B T R"], Float[Array, "B T S"] | None]:
        """The readouts `r_t` and the weights of the attention; arguments as in `logits`."""
        sampled = not isinstance(own, int | float) or own > 0
        if sampled and key is None:
            raise UsageError(f"key=None: own={own} draws at random; give a key")
        if sampled or self.feeding != "none":
            run = self._stepwise(memory, targets, key, own if sampled else None)
        else:
            run = self._at_once(memory, targets, lengths, key)
        readouts, weights = run
        if lengths is None:
            return readouts, weights
        valid = valid_steps(jnp.asarray(lengths, jnp.int32), targets.shape[1])
        return blanked(readouts, valid), None if weights is None else blanked(weights, valid)

    def _at_once(
        self, memory: Memory, targets: Array, lengths: ArrayLike | None, key: Key | None
    ) -> tuple[Array, Array | None]:
        """`readouts` by `unroll`, where no step gets anything that another one makes."""
        key_symbols, key_layers, key_readout = split_key(key, 3)
        xs = self._dropped(self.target(targets), key_symbols)
        xs = self._with_context(memory, xs, "cell")
        _, ys = self.decoder(xs, memory.start, lengths=lengths, key=key_layers)
        readouts, weights = self._read(memory, ys)
        return self._dropped(readouts, key_readout), weights

    def begin(self, memory: Memory) -> DecoderState:
        """The state before the first step."""
        if self.feeding != "readout":
            return DecoderState(memory.start, None)
        first = jax.tree.leaves(memory.start)[0]
        return DecoderState(memory.start, jnp.zeros((len(first), self.readout_size), first.dtype))

    def step(
        self, memory: Memory, state: DecoderState, symbols: Int[Array, "B ..."]
    ) -> tuple[DecoderState, Float[Array, "B ... V"]]:
        """Reads one symbol and gives the logits of the next, without noise.

        Symbols may have further axes, such as the beams of each source, that the state has too.
        """
        state, readout, _ = self._step(memory, state, self.target(symbols))
        return state, self.to_symbols(readout)

    def to_symbols(self, readouts: Float[Array, "... R"]) -> Float[Array, "... V"]:
        """The logits of readouts."""
        rows = _matrix(readouts)  # XLA:CPU is faster with one matrix
        if self.tied:
            logits = rows @ self.target.table.get_value().T + self.bias.get_value()
        else:
            logits = self.output(rows)
        return logits.reshape(*readouts.shape[:-1], logits.shape[-1])

    def output_layer(self) -> tuple[Float[Array, "V R"], Float[Array, "V"]]:
        """`W` and `b` of the logits `W r + b` of a readout r."""
        if self.tied:
            return self.target.table.get_value(), self.bias.get_value()
        assert self.output.bias is not None
        return self.output.kernel.get_value().T, self.output.bias.get_value()

    def _step(
        self, memory: Memory, state: DecoderState, x: Float[Array, "B ... E"]
    ) -> tuple[DecoderState, Float[Array, "B ... R"], Float[Array, "B ... S"] | None]:
        """One step from an embedded symbol: the next state, the readout and the weights."""
        x = self._with_context(memory, x, "cell")
        attended = None
        if self.feeding == "context":
            attended = self._attend(memory, joint(jax.tree.leaves(state.cell)))
            x = jnp.concatenate([x, attended[0]], axis=-1)
        if self.feeding == "readout":
            assert state.fed is not None
            x = jnp.concatenate([x, state.fed], axis=-1)
        cell: Any = self.decoder.cell
        after, y = cell.step(self.decoder.params, x, state.cell)
        readout, weights = self._read(memory, y, attended)
        return DecoderState(after, readout if self.feeding == "readout" else None), readout, weights

    def _stepwise(
        self, memory: Memory, targets: Array, key: Key | None, own: float | Array | None
    ) -> tuple[Array, Array | None]:
        """`readouts` by one step after the other; without dropout within the decoder's layers."""
        batch, steps = targets.shape
        if not steps:
            none = jnp.zeros((batch, 0, self.readout_size), jax.tree.leaves(memory.start)[0].dtype)
            mask = memory.mask
            return none, None if mask is None else jnp.zeros((batch, 0, mask.shape[1]), none.dtype)
        key_symbols, key_readout, key_own = split_key(key, 3)
        noise = takes = None
        if key is not None and self.dropout:
            shape = (steps, batch, self.target.features)
            dtype = jax.tree.leaves(memory.start)[0].dtype
            noise = dropout_mask(key_symbols, self.dropout, shape, dtype)
        if own is not None:
            takes = jax.random.bernoulli(key_own, own, (steps, batch)).at[0].set(False)

        def body(carry: Any, inputs: Any) -> Any:
            state, written = carry
            symbols, noise, take = inputs
            x = self.target(symbols if take is None else jnp.where(take, written, symbols))
            x = x if noise is None else x * noise
            state, readout, weights = self._step(memory, state, x)
            if take is not None:
                written = jnp.argmax(self.to_symbols(readout), axis=-1).astype(targets.dtype)
            return (state, written), (readout, weights)

        carry = self.begin(memory), targets[:, 0]
        _, outputs = jax.lax.scan(body, carry, (targets.T, noise, takes))
        readouts, weights = jax.tree.map(lambda a: jnp.swapaxes(a, 0, 1), outputs)
        return self._dropped(readouts, key_readout), weights

    def _with_context(self, memory: Memory, xs: Float[Array, "B ... F"], to: str) -> Array:
        """What the cell or the readout gets, beside the context of each source if any."""
        if memory.context is None or to not in CONTEXT_TO[self.hand_over]:
            return xs
        between = xs.ndim - memory.context.ndim
        context = memory.context.reshape(len(xs), *(1,) * between, memory.context.shape[-1])
        context = jnp.broadcast_to(context, (*xs.shape[:-1], context.shape[-1]))
        return jnp.concatenate([xs, context], axis=-1)

    def _attend(self, memory: Memory, query: Array) -> tuple[Array, Array]:
        assert memory.outputs is not None and memory.mask is not None
        return self.attention(query, memory.outputs, memory.mask, memory.keys)

    def _read(
        self, memory: Memory, ys: Float[Array, "B ... H"], attended: Any = None
    ) -> tuple[Float[Array, "B ... R"], Float[Array, "B ... S"] | None]:
        """The readouts of outputs, and the weights of the attention."""
        weights = None
        if self.hand_over == "attention":
            context, weights = self._attend(memory, ys) if attended is None else attended
            ys = jnp.concatenate([ys, context], axis=-1)
        ys = self._with_context(memory, ys, "readout")
        readouts = jnp.tanh(self.readout(_matrix(ys)))
        return readouts.reshape(*ys.shape[:-1], self.readout_size), weights

    def _dropped(self, xs: Array, key: Key | None) -> Array:
        if key is None or not self.dropout:
            return xs
        return xs * dropout_mask(key, self.dropout, xs.shape, xs.dtype)


def _matrix(xs: Float[Array, "... F"]) -> Float[Array, "rows F"]:
    return xs.reshape(math.prod(xs.shape[:-1]), xs.shape[-1])


def split_key(key: Key | None, count: int) -> Any:
    """That many keys; None for each where there is none."""
    return (None,) * count if key is None else jax.random.split(key, count)


def _check(
    hand_over: str, feeding: str, tied: bool, embedding: int, readout: int, decoder: Layer
) -> None:
    """Raises UsageError for settings that do not exist or do not go together."""
    for name, value, known in (
        ("hand_over", hand_over, HAND_OVERS),
        ("feeding", feeding, FEEDINGS),
    ):
        if value not in known:
            raise UsageError(f"{name}={value!r}: must be one of {', '.join(known)}")
    if feeding != "none" and hand_over != "attention":
        raise UsageError(f"feeding={feeding}: needs hand_over=attention, not {hand_over}")
    if tied and readout != embedding:
        raise UsageError(f"tied=True: needs readout={embedding}, the size of embedding")
    if not streams(decoder):
        raise UsageError(f"decoder={type(decoder).__name__}: must run forward, step by step")
