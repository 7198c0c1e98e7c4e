"""Which singular values has the product of many Jacobians, and when is random-matrix theory right?

Histograms of the singular values σ of ∂s_T/∂s_0 at several T, pooled over networks, as
(1/T) log10 σ, growth in decades per step. Three cases have a theory:

- linear network with orthogonal recurrent matrix: all singular values are gain^T, a point;
- product of T independent Gaussian matrices: for width N -> infinity at fixed T the law of σ² is
  Fuss-Catalan (`rnnlab.gradients.theory.fuss_catalan`);
- linear network with a Gaussian matrix: the *powers* of one matrix. They have the same limit at
  fixed T, although the factors are equal, but converge to it more slowly.

At finite N both depart from the law as T grows: the powers follow ρ(wh)^T, which a single
eigenvalue decides, the independent products the gaps between their Lyapunov exponents. Up to which
T the law holds is measured for several widths. The tanh RNN, the LSTM and the GRU, driven by noise
and started from a typical state, are measured without a theory.

Source: Saxe, McClelland and Ganguli 2014 (orthogonal); Penson and Życzkowski 2011 (products);
Alexeev, Götze and Tikhomirov 2010 (powers); Pennington, Schoenholz and Ganguli 2017 (spectra).
Command: python run.py --experiment=jacobian_spectra --config.widths=32,256
Expected: at N = 128 the distribution function of the product differs from the theory by less than
0.01 up to T = 64; that of the powers by 0.01 up to T = 8, and by 0.02 at T = 64, where their
largest singular value is two to three times the edge of the law. Takes about 50 s on two cores
(--preset=tiny: 11 s).
"""

from experiments.jacobian_spectra.config import PRESETS, Config
from experiments.jacobian_spectra.run import run

__all__ = ["PRESETS", "Config", "run"]
