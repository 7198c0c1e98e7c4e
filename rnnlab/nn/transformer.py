"""A decoder-only transformer: causal attention over the last symbols, and the cache of a stream.

Each layer adds to the features `x [T, E]` of its symbols, first what attention finds in the symbols
before, then what two linear maps make of each symbol by itself:

    x += W_o · attention(norm(x)),    x += W_2 · gelu(W_1 · norm(x))

A. Vaswani et al., "Attention is all you need" (2017), with the normalisation before each part
(R. Xiong et al., "On layer normalization in the transformer architecture", 2020) and positions as
rotations of queries and keys (J. Su et al., "RoFormer", 2021). Attention sees differences of
positions only, so that a text may go on forever; a symbol attends to itself and to the
`span - 1` symbols before it (I. Beltagy, M. Peters and A. Cohan, "Longformer", 2020,
section 3.1). With keys and values of those in a `Cache`, a symbol is read in `O(span)`, and a
window continues the one before it (Z. Dai et al., "Transformer-XL", 2019, but for keys and values
that are kept instead of recomputed).
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.typing import DTypeLike

from rnnlab.arrays import Array, Bool, Float, Int
from rnnlab.errors import UsageError
from rnnlab.nn.embedding import Embedding
from rnnlab.sizes import check_positive

#: The slowest rotation turns by one radian in as many symbols (Su et al., 2021, section 3.2.2).
SLOWEST = 10_000.0
#: Added to the variance of a normalisation.
EPSILON = 1e-5
#: Deviation of the initial weights of the readout, as in GPT-2: all symbols are as likely at first.
READOUT = 0.02


class Cache(NamedTuple):
    """What a transformer keeps of the symbols that it has read.

    The symbol at position p is in place `p mod C` of its layer's keys and values, until the one at
    `p + C` takes its place.

    Attributes:
        keys: rotated keys of each layer, `[B, C, heads, d]`.
        values: values of each layer, likewise.
        count: symbols read so far, the same number for all texts of a batch.
    """

    keys: tuple[Float[Array, "B C heads d"], ...]
    values: tuple[Float[Array, "B C heads d"], ...]
    count: Int[Array, "B"]

    @staticmethod
    def empty(layers: int, shape: tuple[int, int, int, int], dtype: DTypeLike) -> Cache:
        """The cache before the first symbol; `shape` is that of keys, `[B, C, heads, d]`."""
        # Each an array of its own, which a program may write into.
        keys, values = (
            tuple(jnp.zeros(shape, dtype) for _ in range(layers)) for _ in ("keys", "values")
        )
        return Cache(keys, values, jnp.zeros(shape[0], jnp.int32))


class Transformer(nnx.Module):
    """Symbols to logits of the symbol that follows each; see the module's docstring.

    Attributes:
        symbols: size of the vocabulary V.
        features: of a symbol in all layers, E.
        heads: of the attention, each with `d = E / heads` features.
        layers: how many there are.
        inner: features between the two linear maps of a layer.
        span: symbols that one attends to, itself included, C.
        param_dtype: of all parameters.
        rngs: where the keys come from that draw them.

    Raises:
        UsageError: a number out of range, or heads that do not divide the features evenly.
    """

    def __init__(
        self,
        symbols: int,
        *,
        features: int,
        heads: int,
        layers: int,
        inner: int,
        span: int,
        param_dtype: DTypeLike = jnp.float32,
        rngs: nnx.Rngs,
    ) -> None:
        sizes = {"symbols": symbols, "layers": layers, "inner": inner, "span": span}
        for name, size in sizes.items():
            check_positive(name, size)
        check_heads(features, heads)
        self.span, self.heads, self.features = span, heads, features
        types: Any = {"param_dtype": param_dtype, "rngs": rngs}
        self.embed = Embedding(symbols, features, padding=None, **types)
        self.layers = nnx.List(
            [TransformerLayer(features, heads, inner, layers, **types) for _ in range(layers)]
        )
        self.norm = Norm(features, **types)
        small = nnx.initializers.normal(READOUT)
        self.readout = nnx.Linear(features, symbols, kernel_init=small, dtype=param_dtype, **types)

    def __call__(
        self, codes: Int[Array, "B T"], cache: Cache | None = None
    ) -> tuple[Cache, Float[Array, "B T V"]]:
        """Reads symbols.

        Args:
            codes: integers in 0 .. V - 1.
            cache: of the symbols before; None where there are none, which costs less than an empty
                one.

        Returns:
            The cache after them, and the logits of the symbol that follows each.
        """
        (batch, steps), fresh = codes.shape, cache is None
        if cache is None:
            shape = (batch, self.span, self.heads, self.features // self.heads)
            cache = Cache.empty(len(self.layers), shape, self.readout.param_dtype)
        first = cache.count[0]
        here = first + jnp.arange(steps, dtype=jnp.int32)
        there = here if fresh else jnp.concatenate([_places(first, self.span), here])
        mask = _visible(here, there, self.span)
        kept = min(steps, self.span)
        slots = here[steps - kept :] % self.span
        x = self.embed(codes)
        turns = rotations(here, self.features // self.heads, x.dtype)
        keys, values = [], []
        for layer, old_keys, old_values in zip(self.layers, cache.keys, cache.values, strict=True):
            query, key, value = layer.heads_of(x, turns)
            before = [(key,), (value,)] if fresh else [(old_keys, key), (old_values, value)]
            x = layer.add(x, query, *(jnp.concatenate(parts, axis=1) for parts in before), mask)
            keys.append(old_keys.at[:, slots].set(key[:, steps - kept :]))
            values.append(old_values.at[:, slots].set(value[:, steps - kept :]))
        cache = Cache(tuple(keys), tuple(values), cache.count + jnp.int32(steps))
        return cache, _rowwise(self.readout, self.norm(x))


class TransformerLayer(nnx.Module):
    """One layer: attention, and two linear maps of each symbol.

    Attributes:
        features: of a symbol, E.
        heads: of the attention.
        inner: features between the two linear maps.
        layers: of the transformer, by which the weights of what is added are smaller at first, so
            that the sum is not larger for many (A. Radford et al., GPT-2, 2019, section 2.3).
        param_dtype: of all parameters.
        rngs: where the keys come from that draw them.
    """

    def __init__(
        self,
        features: int,
        heads: int,
        inner: int,
        layers: int,
        *,
        param_dtype: DTypeLike = jnp.float32,
        rngs: nnx.Rngs,
    ) -> None:
        check_heads(features, heads)
        types: Any = {"param_dtype": param_dtype, "rngs": rngs}
        linear: Any = partial(nnx.Linear, dtype=param_dtype, **types)
        added = nnx.initializers.variance_scaling(1 / (2 * layers), "fan_in", "normal")
        self.heads = heads
        self.attention_norm = Norm(features, **types)
        self.qkv = linear(features, 3 * features)
        self.output = linear(features, features, kernel_init=added)
        self.inner_norm = Norm(features, **types)
        self.up = linear(features, inner)
        self.down = linear(inner, features, kernel_init=added)

    def heads_of(
        self, x: Float[Array, "B T E"], turns: Float[Array, "2 T half"]
    ) -> tuple[Float[Array, "B T heads d"], ...]:
        """Queries, keys and values of symbols, the first two rotated."""
        joined = _rowwise(self.qkv, self.attention_norm(x))
        parts = (
            part.reshape(*x.shape[:2], self.heads, -1) for part in jnp.split(joined, 3, axis=-1)
        )
        query, key, value = parts
        return rotated(query, turns), rotated(key, turns), value

    def add(
        self,
        x: Float[Array, "B T E"],
        query: Float[Array, "B T heads d"],
        keys: Float[Array, "B S heads d"],
        values: Float[Array, "B S heads d"],
        mask: Bool[Array, "T S"],
    ) -> Float[Array, "B T E"]:
        """The features after this layer; `mask` says which symbols each attends to."""
        found = attend(query, keys, values, mask)
        x = x + _rowwise(self.output, found.reshape(x.shape))
        inner = jax.nn.gelu(_rowwise(self.up, self.inner_norm(x)), approximate=True)
        return x + _rowwise(self.down, inner)


class Norm(nnx.Module):
    """`scale · (x - mean) / √(var + ε) + bias` of the features of each symbol.

    J. L. Ba, J. R. Kiros and G. E. Hinton, "Layer normalization" (2016). Flax's own computes in
    float32 at least, which strict promotion of types forbids.

    Attributes:
        features: how many are normalised.
        param_dtype: of the parameters.
        rngs: unused, for nothing is drawn.
    """

    def __init__(self, features: int, *, param_dtype: DTypeLike, rngs: nnx.Rngs) -> None:
        del rngs
        self.scale = nnx.Param(jnp.ones(features, param_dtype))
        self.bias = nnx.Param(jnp.zeros(features, param_dtype))

    def __call__(self, x: Float[Array, "... E"]) -> Float[Array, "... E"]:
        """The normalised features."""
        centred = x - x.mean(axis=-1, keepdims=True)
        variance = jnp.square(centred).mean(axis=-1, keepdims=True)
        normal = centred * jax.lax.rsqrt(variance + jnp.asarray(EPSILON, x.dtype))
        return normal * self.scale.get_value() + self.bias.get_value()


def check_heads(features: int, heads: int) -> None:
    """Checks that heads of an even number of features each fit.

    Raises:
        UsageError: they do not.
    """
    check_positive("features", features)
    check_positive("heads", heads)
    if features % (2 * heads):
        raise UsageError(
            f"heads={heads}: must divide features={features} into even parts, for pairs of "
            f"features are rotated; {2 * heads * max(round(features / (2 * heads)), 1)} features do"
        )


def rotations(
    positions: Int[Array, "T"], features: int, dtype: DTypeLike
) -> Float[Array, "2 T half"]:
    """Cosines and sines of `p · 10000^(-2i/d)` for positions p and pairs `i < d/2` of features.

    In float32 an angle is wrong by up to 6e-8 of itself: by 0.006 radians after 100,000 symbols.
    """
    speeds = jnp.asarray(SLOWEST ** (-np.arange(0, features, 2) / features), dtype)
    angles = positions.astype(dtype)[:, None] * speeds
    return jnp.stack([jnp.cos(angles), jnp.sin(angles)])


def rotated(
    xs: Float[Array, "B T heads d"], turns: Float[Array, "2 T half"]
) -> Float[Array, "B T heads d"]:
    """Each pair `(x_i, x_{i + d/2})` as a vector of the plane, turned by its angle.

    The product of a query and a key then depends on the difference of their positions alone:
    Su et al. (2021), equation 16, in the order of features of GPT-NeoX.
    """
    cos, sin = turns[:, :, None, :]
    a, b = jnp.split(xs, 2, axis=-1)
    return jnp.concatenate([a * cos - b * sin, b * cos + a * sin], axis=-1)


def _places(count: Array, span: int) -> Int[Array, "C"]:
    """The position of what each place of a cache holds; negative where there is nothing."""
    slots = jnp.arange(span, dtype=jnp.int32)
    last = count - jnp.int32(1)
    return last - (last - slots) % jnp.int32(span)


def _visible(here: Array, there: Array, span: int) -> Bool[Array, "T S"]:
    """Which positions `there` the positions `here` attend to."""
    behind = here[:, None] - there
    return (behind >= 0) & (behind < span) & (there >= 0)


def attend(
    query: Float[Array, "B T heads d"],
    keys: Float[Array, "B S heads d"],
    values: Float[Array, "B S heads d"],
    mask: Bool[Array, "T S"],
) -> Float[Array, "B T heads d"]:
    """`softmax(q · k / √d) v` over the places of the mask: Vaswani et al. (2017), equation 1."""
    scale = jnp.asarray(query.shape[-1] ** -0.5, query.dtype)
    scores = jnp.einsum("bthd,bshd->bhts", query * scale, keys)
    weights = jax.nn.softmax(jnp.where(mask, scores, -jnp.inf), axis=-1)
    return jnp.einsum("bhts,bshd->bthd", weights, values)


def _rowwise(linear: nnx.Linear, x: Array) -> Array:
    """As one matrix: with more axes XLA:CPU turns the derivative around in memory."""
    rows = linear(x.reshape(math.prod(x.shape[:-1]), x.shape[-1]))
    return rows.reshape(*x.shape[:-1], rows.shape[-1])
