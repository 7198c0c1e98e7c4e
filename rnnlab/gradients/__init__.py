"""The gradient-flow laboratory: what a recurrent network does to gradients, measured and in theory.

All measurements run in the log domain (base 10) and are right where floating point ends:

- `adjoint_profile`: `log10 ‖∂L/∂s_t‖` at every time;
- `state_jacobian`: singular values, norm and determinant of `∂s_T/∂s_0` for many T;
- `lyapunov_exponents`: the spectrum and its convergence;
- `parameter_gradients`: `log10 ‖∂L/∂θ‖` and what each step contributes;
- `recurrent_matrices`: spectral radius and singular values of the recurrent weights;
- `theory`: bounds, exact results and mean field to compare with.

They take any cell or combinator that has a state of one time, `params`, inputs `xs [T, *batch, D]`
and the state before the first step; they run under `jit` and `vmap`, over parameters too, and
compile once for equal cells and shapes. Noise is off. In a batch of sequences of different lengths,
`adjoint_profile` and `parameter_gradients` take `lengths`; the other two measure forwards, where
padding comes too late to matter: read each sequence at its own length.
"""

from rnnlab.gradients import theory
from rnnlab.gradients.adjoint import AdjointProfile, adjoint_profile
from rnnlab.gradients.jacobian import StateJacobian, one_step_jacobian, state_jacobian
from rnnlab.gradients.lyapunov import LyapunovExponents, lyapunov_exponents
from rnnlab.gradients.parameters import ParameterGradients, parameter_gradients
from rnnlab.gradients.recurrent import (
    RecurrentLeaves,
    RecurrentMatrix,
    recurrent_leaves,
    recurrent_matrices,
    with_recurrent_init,
)

__all__ = [
    "AdjointProfile",
    "LyapunovExponents",
    "ParameterGradients",
    "RecurrentLeaves",
    "RecurrentMatrix",
    "StateJacobian",
    "adjoint_profile",
    "lyapunov_exponents",
    "one_step_jacobian",
    "parameter_gradients",
    "recurrent_leaves",
    "recurrent_matrices",
    "state_jacobian",
    "theory",
    "with_recurrent_init",
]
