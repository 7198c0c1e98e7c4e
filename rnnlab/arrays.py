"""Types of arrays with their shapes, and the legend of their axes.

    T       time: steps of a sequence
    *batch  any number of axes of independent sequences; written B where there is exactly one
    D       features of the input
    H       hidden units
    k       gate blocks of a cell, so that a weight of all gates is `[D, kH]` or `[H, kH]`
    N       units of the joint state: all parts of the state together
    S       seeds
    E       features of the embedding of a symbol
    V       symbols of a vocabulary
    O       numbers of an answer
    n       measurements: lengths, records, points of a sweep

Every other axis is named by a word: `members` of a population, `images`, `classes`, `codes` of a
text, `windows`; `steps` where a sequence of T steps is padded to more. An axis can be a formula,
such as `T+1` or `k*H`, and `...` stands for any axes.

A type says the dtype and the axes in this order: `Float[Array, "T *batch D"]`. Types are read by
people and type checkers; `unroll` checks shapes itself and says what does not fit.
"""

from __future__ import annotations

from typing import Any

import jax
from jaxtyping import Bool, Float, Int, UInt8

#: An array of JAX, of any shape.
Array = jax.Array
#: A PRNG key made by `jax.random.key`.
Key = jax.Array
#: Parameters of a layer: a tree of arrays, for the cells here a dict.
Params = Any
#: State of a layer: a tree of arrays `[*batch, ...]`, for the cells here a NamedTuple.
State = Any

#: Inputs of a sequence, and of one step.
Inputs = Float[Array, "T *batch D"]
Input = Float[Array, "*batch D"]
#: Outputs of a sequence, and of one step.
Outputs = Float[Array, "T *batch H"]
Output = Float[Array, "*batch H"]
#: One part of the state.
Hidden = Float[Array, "*batch H"]
#: Number of steps of each sequence.
Lengths = Int[Array, "*batch"]
#: A flag for each step of each sequence.
Flags = Bool[Array, "T *batch"]

__all__ = [
    "Array",
    "Bool",
    "Flags",
    "Float",
    "Hidden",
    "Input",
    "Inputs",
    "Int",
    "Key",
    "Lengths",
    "Output",
    "Outputs",
    "Params",
    "State",
    "UInt8",
]
