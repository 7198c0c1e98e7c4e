"""What does gradient descent do at a cliff of the loss, and what does clipping change?

Source: Pascanu, Mikolov and Bengio 2013, "On the difficulty of training recurrent neural networks",
section 2.3, equation (8) and Fig. 6. One unit, no input,

    x_t = w σ(x_{t-1}) + b,    E(w, b) = (σ(x_T) - y)².

As published: the logistic σ, x_0 = 0.5, y = 0.7, T = 50, and the gradient rescaled to a fixed norm
where it is longer (their Algorithm 1, here `optax.clip_by_global_norm`). Not stated there, and
chosen here: the part of the (w, b) plane, the start, the learning rate, the threshold. Clipping
each component by itself (`optax.clip`) is the common alternative.

The place of the wall follows from the map (`rnnlab.gradients.theory.cliff`). On the line
b = x_0 - w σ(x_0) the unit starts in a fixed point, of slope μ = w σ'(x_0). Where μ > 1 that point
is unstable: above the line x_T rises to the upper stable state, below it falls to the lower one,
and on it, exactly,

    ∂x_T/∂b = (μ^T - 1)/(μ - 1),    ∂x_T/∂w = σ(x_0) ∂x_T/∂b.

Command: python run.py --experiment=cliff --config.learning_rate=0.02
Expected (defaults): of 200 descents that start near each other, 94 % make an update longer than 1
(the median 5.6) without clipping, and 4 % end with a loss below 0.01; clipped by norm no update is
longer than 0.025 and 96 % end there, clipped by value 83 %. Takes about 10 s (--preset=tiny: 10 s).
"""

from experiments.cliff.config import PRESETS, Config
from experiments.cliff.run import run

__all__ = ["PRESETS", "Config", "run"]
