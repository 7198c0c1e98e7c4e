"""What theory says about the gradients of recurrent networks; NumPy float64, no measurement.

Norms are base-10 logarithms, Lyapunov exponents are in nats per step. Array arguments broadcast.
Each function states its equation, its source, and where it is exact, a limit or only a bound:

- `bounds`: the bound (gamma sigma_max)^T and the asymptote rho^T;
- `linear`: exact growth in linear networks with orthogonal, normal and Jordan-block matrices;
- `gaussian`: growth and Lyapunov spectrum of products of Gaussian matrices;
- `fuss_catalan`: law of their singular values;
- `mean_field`: variance, Lyapunov exponent and critical gain of wide random networks;
- `forget_gate`: forget bias and time constant;
- `cliff`: the wall in the loss of one logistic unit, and the gradient on it.
"""

from rnnlab.gradients.theory.bounds import (
    MAX_SLOPES,
    log10_bound,
    log10_radius,
)
from rnnlab.gradients.theory.cliff import cliff_valley, cliff_wall, log10_cliff_gradient
from rnnlab.gradients.theory.forget_gate import (
    chrono_bias,
    forget_bias,
    forget_time_constant,
    log10_forget_growth,
)
from rnnlab.gradients.theory.fuss_catalan import (
    fuss_catalan_density,
    fuss_catalan_distance,
    fuss_catalan_distribution,
    fuss_catalan_edge,
    fuss_catalan_log10_density,
    fuss_catalan_number,
)
from rnnlab.gradients.theory.gaussian import (
    gaussian_exponent,
    gaussian_spectrum,
    log10_rms_growth_gaussian,
)
from rnnlab.gradients.theory.linear import (
    log10_frobenius_jordan,
    log10_frobenius_normal,
    log10_sigma_max_jordan,
    log10_singular_values_normal,
    log10_singular_values_orthogonal,
)
from rnnlab.gradients.theory.mean_field import (
    MEAN_FIELD_INITIALIZERS,
    critical_gain,
    mean_field_exponent,
    mean_field_variance,
)

__all__ = [
    "MAX_SLOPES",
    "MEAN_FIELD_INITIALIZERS",
    "chrono_bias",
    "cliff_valley",
    "cliff_wall",
    "critical_gain",
    "forget_bias",
    "forget_time_constant",
    "fuss_catalan_density",
    "fuss_catalan_distance",
    "fuss_catalan_distribution",
    "fuss_catalan_edge",
    "fuss_catalan_log10_density",
    "fuss_catalan_number",
    "gaussian_exponent",
    "gaussian_spectrum",
    "log10_bound",
    "log10_cliff_gradient",
    "log10_forget_growth",
    "log10_frobenius_jordan",
    "log10_frobenius_normal",
    "log10_radius",
    "log10_rms_growth_gaussian",
    "log10_sigma_max_jordan",
    "log10_singular_values_normal",
    "log10_singular_values_orthogonal",
    "mean_field_exponent",
    "mean_field_variance",
]
