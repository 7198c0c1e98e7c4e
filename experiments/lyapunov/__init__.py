"""Where does a random network become chaotic, and which directions does a cell keep alive?

Two measurements of Lyapunov exponents, in nats per step.

The largest exponent of `h_t = tanh(h_{t-1} wh + u_t)`, `wh` with entries N(0, gain²/N), u_t white
with standard deviation `input_std` for every unit, against the gain and the width N. The curve
beside it is mean field, N -> infinity (`rnnlab.gradients.theory.mean_field`). Without input and in
the ordered regime the state comes to rest, and the exponent is ln ρ(wh) of the drawn matrix, which
exceeds ln gain at finite N; in the chaotic regime the exponent lies below the curve by O(1/N).

The whole spectra of the tanh RNN, the LSTM and the GRU, driven by the same kind of input, all
recurrent matrices Gaussian with the gain, forget bias 1; and how the largest exponent converges
with T. The joint state of the LSTM, (h, c), has 2N directions.

Source: Sompolinsky, Crisanti and Sommers 1988; Molgedey, Schuchhardt and Schuster 1992 (mean field
in discrete time, with input); Engelken, Wolf and Abbott 2023 (spectra of recurrent networks).
Command: python run.py --experiment=lyapunov --config.widths=64,512
Expected: at gain 2 without input 0.148 ± 0.002 at N = 256, where mean field has 0.155; the critical
gain is 1 without input and 1.55 with input_std 0.5. Takes about 45 s on two cores (--preset=tiny:
13 s).
"""

from experiments.lyapunov.config import PRESETS, Config
from experiments.lyapunov.run import run

__all__ = ["PRESETS", "Config", "run"]
