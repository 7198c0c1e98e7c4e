"""How far back is a loss felt, cell by cell, and what does the forget bias change?

First, `log10 ‖∂L/∂s_t‖` against the number of steps before the loss, for every cell: of h, of c
where the cell has it, and of the joint state. The loss is a projection of the last output. All
recurrent matrices are drawn by one initialiser and rescaled to the same spectral radius, so that
cells differ in their equations alone; inputs are white Gaussian noise.

Second, the time constant of the gradient with respect to c, for variants of the LSTM, against the
forget bias b. A forget gate that depends on its bias alone forgets with τ = −1 / ln σ(b). That is
exact where the recurrent matrices are zero. Otherwise the error also leaves c through h and the
gates and comes back: without input this adds at most `i o ρ = ρ/4` per step to σ(b), so that above
some bias the gradient grows and there is no time constant.

Source: Hochreiter 1991; Bengio, Simard and Frasconi 1994; Gers, Schmidhuber and Cummins 2000 and
Jozefowicz, Zaremba and Sutskever 2015 (forget bias).
Command: python run.py --experiment=gradient_profiles --config.cells=tanh,lstm,gru
Expected: decades per step about −0.20 for tanh, −0.085 for the LSTM, −0.18 for the GRU, 0 for the
additive identity; forget bias 4 without recurrence τ = 54.8 (theory 55.1). Takes about 60 s on two
cores, most of it compilation (--preset=tiny: 13 s).
"""

from experiments.gradient_profiles.config import PRESETS, Config
from experiments.gradient_profiles.run import run

__all__ = ["PRESETS", "Config", "run"]
