"""A laboratory for recurrent networks in JAX: how gradients flow through time.

    from rnnlab import LSTM, unroll, adjoint_profile, sweep

What is named here is imported when it is asked for, so that `import rnnlab` stays fast.
"""

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

#: Names of the package, by the module that defines them.
_NAMES = {
    "rnnlab.cells": (
        *("AdditiveIdentity", "CarouselState", "CellNormLSTM", "ConstantErrorCarousel"),
        *("CoupledLSTM", "Elman", "GRU", "GRUResetBefore", "GreffLSTM", "HiddenState", "LSTM"),
        *("LSTM1997", "MGU", "MUT1", "MUT2", "MUT3", "MinimalRNN", "PeepholeLSTM", "StandardCell"),
    ),
    "rnnlab.combinators": (
        *("Bidirectional", "Dropout", "LayerNorm", "Residual", "Stack", "VariationalDropout"),
        *("Zoneout", "bidirectional", "stack"),
    ),
    "rnnlab.gradients": (
        *("adjoint_profile", "lyapunov_exponents", "one_step_jacobian", "parameter_gradients"),
        *("recurrent_matrices", "state_jacobian"),
    ),
    "rnnlab.run.collect": ("collect",),
    "rnnlab.strategies": ("Rematerialised", "Split", "Truncated"),
    "rnnlab.trained": ("load",),
    "rnnlab.unroll": ("step", "unroll"),
}
_LAZY = {name: module for module, names in _NAMES.items() for name in names}
#: Parts of the package that are imported when they are asked for.
_PARTS = ("cells", "combinators", "data", "gradients", "initializers", "interop", "strategies")
_PARTS += ("sweep", "systems", "training")

if TYPE_CHECKING:
    from rnnlab import cells as cells
    from rnnlab import combinators as combinators
    from rnnlab import gradients as gradients
    from rnnlab import strategies as strategies
    from rnnlab import sweep as sweep
    from rnnlab.cells import GRU as GRU
    from rnnlab.cells import LSTM as LSTM
    from rnnlab.cells import Elman as Elman
    from rnnlab.cells import HiddenState as HiddenState
    from rnnlab.gradients import adjoint_profile as adjoint_profile
    from rnnlab.run.collect import collect as collect
    from rnnlab.trained import load as load
    from rnnlab.unroll import unroll as unroll


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    if name in _PARTS:
        return importlib.import_module(f"rnnlab.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_LAZY, *_PARTS])
