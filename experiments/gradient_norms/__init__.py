"""How fast does the gradient vanish or explode with radius, length and cell?

A network of each cell is drawn for every seed, its recurrent matrices (one for each gate) are
rescaled to each spectral radius ρ, and it reads T inputs. With the loss at the last step only,
L = mean over the batch of <r_b, y_{T,b}> for random unit vectors r_b, measured are

    log10 ‖∂L/∂s_0‖   of the whole state (h; h and c), one sequence at a time, mean over the batch
    log10 ‖∂L/∂wh‖    of all recurrent weights

for every T of one run, in a representation that neither underflows nor overflows. The report
compares them with T log10 ρ, with the bound T log10(γ σ_max) (Pascanu, Mikolov and Bengio 2013) and
with mean field, T λ / ln 10 (Molgedey, Schuchhardt and Schuster 1992; Poole et al. 2016), where
they apply.

Command: python run.py --experiment=gradient_norms --config.hidden=64
Real text: --config.inputs=tiny_shakespeare --config.input_scale=4 (and --config.manual_dir=FOLDER
with its input.txt, where there is no network)
Expected: for the tanh network log10 gradients from -527.5 (ρ = 0.3, T = 1000) to 62 (ρ = 2), and
zero growth at ρ = 1.20, where mean field has it for this input; the LSTM's gradient begins to grow
near ρ = 1.5, the GRU's still vanishes at 2. Takes about 45 s on two cores (--preset=tiny: 13 s).
"""

from experiments.gradient_norms.config import PRESETS, Config
from experiments.gradient_norms.run import run

__all__ = ["PRESETS", "Config", "run"]
