"""Where does each way of computing a gradient norm stop being right?

The same networks, and log10 ‖∂L/∂s_0‖ for a loss L = Σ_k y_k / √H at the last step, in four ways:

    naive        `jax.grad` of `rnnlab.unroll`, then the norm, in float32 and in float64;
    log-domain   `rnnlab.gradients.adjoint_profile`, in float32 and in float64.

A norm squares its entries, so in float32 it loses entries below 1e-19 and overflows above 1e19
long before the gradient itself does (1e-38, 3e38); in float64 at 1e-154 and 1e154. The right value
is known exactly for the linear network with wh = ρ Q, Q orthogonal, which is always measured beside
`cells`: log10 ‖∂L/∂h_0‖ = T log10 ρ. Elsewhere the float64 log-domain value is the reference.

Where a network is chaotic there is no right value of a single trajectory: rounding, in float32 or
in float64, is a perturbation that grows as the gradient does, until the trajectory is another one.
No way of computing the norm changes that. The distribution over seeds should not depend on
rounding, which is tested. It is shown for `chaotic_radius`, with a third computation: float64 from
an h_0 changed in its last bit.

Sources: Bengio, Simard and Frasconi 1994, "Learning long-term dependencies with gradient descent is
difficult" (gradients are exponential in T); Engelken, Wolf and Abbott 2023, "Lyapunov spectra of
chaotic recurrent neural networks" (and so are perturbations).

Command: python run.py --experiment=precision --config.cells=tanh,lstm,gru
Expected (defaults): on the linear network naive float32 is right up to T = 50 at ρ = 0.5, 300 at
0.9 and 1.1, 100 at 1.5, naive float64 up to 500, 3000, 700, and the log domain up to 10,000, within
2e-4 (float32) and 1e-11 decades (float64). The median seed of the chaotic network is off by 0.1
decades at T = 70 in float32, and at T = 200 in float64 if the last bit of h_0 changes. Takes less
than a minute (--preset=tiny: 14 s).
"""

from experiments.precision.config import PRESETS, Config
from experiments.precision.run import run

__all__ = ["PRESETS", "Config", "run"]
