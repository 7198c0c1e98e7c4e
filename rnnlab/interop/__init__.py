"""Other libraries: parameters converted to and from them, and cells of one run by the other.

`from_X(cell, weights)` returns the parameters of an rnnlab cell, `to_X(cell, params)` the weights
of the module of X that equals it. Both take and return plain arrays where X has such a form (a
state dict for PyTorch, dicts for Flax and Haiku, a list for Keras, one vector for cuDNN), so that X
need not be installed. JAX arrays stay JAX arrays and may be traced, everything else becomes NumPy,
copied, so that neither side changes the weights of the other; the dtype is kept. What the other
library cannot express is refused with a UsageError.

`LinenCell` and `NNXCell` run a cell of Flax in our engine. The other way round, as layers of Flax,
cells of rnnlab are in `rnnlab.interop.linen_layer` and `rnnlab.interop.nnx_layer`.
"""

from rnnlab.interop.cudnn import from_cudnn, to_cudnn
from rnnlab.interop.equinox import from_equinox, to_equinox
from rnnlab.interop.flax_cells import LinenCell, NNXCell
from rnnlab.interop.flax_linen import from_linen, to_linen
from rnnlab.interop.flax_nnx import from_nnx, to_nnx
from rnnlab.interop.haiku import from_haiku, to_haiku
from rnnlab.interop.keras import from_keras, to_keras
from rnnlab.interop.torch import from_torch, to_torch

__all__ = [
    "LinenCell",
    "NNXCell",
    "from_cudnn",
    "from_equinox",
    "from_haiku",
    "from_keras",
    "from_linen",
    "from_nnx",
    "from_torch",
    "to_cudnn",
    "to_equinox",
    "to_haiku",
    "to_keras",
    "to_linen",
    "to_nnx",
    "to_torch",
]
