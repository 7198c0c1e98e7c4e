"""Initial weights of recurrent networks, and the measurement of what was drawn.

An initialiser is a frozen dataclass, so that it can be a field of a cell, and a pure function

    initializer(key, shape, dtype) -> Array,    shape = (fan_in, fan_out)

for matrices that act on row vectors, `z = h @ w`. The recurrent matrix of a gated cell is
`[H, kH]`: k square blocks side by side, one per gate. `Orthogonal`, `Identity`, `Gaussian` and
`Uniform` treat `[H, kH]` as *one* matrix; `GateBlocks(base)` treats it as k matrices.

Draws are made in float64 for float64 and in float32 for every narrower type, then rounded.

ρ is the spectral radius (largest |eigenvalue|) and σ_max the largest singular value; ρ ≤ σ_max,
with equality for normal matrices only. Eigenvalues of general matrices exist in JAX on the CPU
and the GPU, not on the TPU.
"""

from rnnlab.initializers.base import Initializer
from rnnlab.initializers.chrono import draw_chrono_bias
from rnnlab.initializers.distributions import Gaussian, Uniform, uniform_like
from rnnlab.initializers.gate_blocks import GateBlocks, gate_blocks
from rnnlab.initializers.names import INITIALIZERS, as_initializer, by_name
from rnnlab.initializers.orthogonal import Identity, Orthogonal
from rnnlab.initializers.sparse import Sparse
from rnnlab.initializers.spectrum import (
    Rescaled,
    rescale_to_radius,
    singular_values,
    spectral_radius,
)

__all__ = [
    "INITIALIZERS",
    "GateBlocks",
    "Gaussian",
    "Identity",
    "Initializer",
    "Orthogonal",
    "Rescaled",
    "Sparse",
    "Uniform",
    "as_initializer",
    "by_name",
    "draw_chrono_bias",
    "gate_blocks",
    "rescale_to_radius",
    "singular_values",
    "spectral_radius",
    "uniform_like",
]
