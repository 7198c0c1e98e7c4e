"""Parameters to and from cuDNN's flat layout of the LSTM, as `jax.experimental.rnn.lstm` takes it.

One vector holds `W_ih [4H, D]` and `W_hh [4H, H]` of every pseudo-layer (first layer forward, first
layer backward, second layer forward, ...), and after all of them `b_ih` and `b_hh [4H]` of every
pseudo-layer. Gates lie in rnnlab's order i, f, g, o; the sum of both biases is `b`.

Source: the module docstring of `jax.experimental.rnn`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from jax.typing import ArrayLike

from rnnlab.arrays import Array, Float, Params
from rnnlab.cells import LSTM
from rnnlab.interop.checks import as_arrays, check_shape, namespace
from rnnlab.interop.gates import join_biases
from rnnlab.interop.layers import Pile, arrange, params_in_order, pile_of
from rnnlab.layer import Layer
from rnnlab.sizes import check_positive
from rnnlab.strategies.cudnn import weights_in_order

PEER = "cuDNN"
TWINS = {LSTM: "LSTM"}


def from_cudnn(layer: Layer, weights: Float[ArrayLike, "numbers"], features_in: int) -> Params:
    """The parameters of `layer` from cuDNN's vector of weights.

    Args:
      layer: an `LSTM`, or a `Stack` or `Bidirectional` of equal ones.
      weights: the vector, of `jax.experimental.rnn.get_num_params_in_lstm` numbers.
      features_in: number of input features `D`, which the vector does not tell.

    Raises:
      UsageError: a cell that cuDNN's layout here does not have; a vector of another length.
    """
    check_positive("features_in", features_in)
    pile = pile_of(PEER, layer, TWINS)
    vector = as_arrays(PEER, {"weights": weights})["weights"]
    matrices, biases = _shapes(pile, features_in)
    shapes = [*matrices, *biases]
    check_shape(f"{PEER} weights for D = {features_in}", vector, pile.cell, (_total(shapes),))
    parts, start = [], 0
    for shape in shapes:
        size = math.prod(shape)
        parts.append(vector[start : start + size].reshape(shape))
        start += size
    weights_of, biases_of = iter(parts[: len(matrices)]), iter(parts[len(matrices) :])
    return arrange(
        layer,
        (
            {"wx": next(weights_of).T, "wh": next(weights_of).T}
            | join_biases(pile.cell, next(biases_of), next(biases_of))
            for _ in range(pile.depth * pile.directions)
        ),
    )


def to_cudnn(layer: Layer, params: Params) -> Float[Array | np.ndarray, "numbers"]:
    """The vector of weights in cuDNN's layout, every second bias zero.

    `jax.experimental.rnn.lstm` takes float32 only; JAX arrays may be traced, so that gradients
    reach `params`.

    Raises:
      UsageError: a cell that cuDNN's layout here does not have; parameters not those of `layer`.
    """
    pile = pile_of(PEER, layer, TWINS)
    ordered = params_in_order(pile, layer, params)
    return namespace(ordered[0]["b"]).concatenate(weights_in_order(ordered))


def _shapes(pile: Pile, features_in: int) -> tuple[list[Any], list[Any]]:
    """Shapes of all matrices and of all biases, in their order."""
    hidden = pile.cell.hidden
    matrices = [
        (4 * hidden, columns)
        for index in range(pile.depth)
        for columns in (pile.features(index, features_in), hidden) * pile.directions
    ]
    return matrices, [(4 * hidden,)] * len(matrices)


def _total(shapes: list[Any]) -> int:
    return sum(math.prod(shape) for shape in shapes)
