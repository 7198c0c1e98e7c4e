"""What does it cost to cut backpropagation through time after k steps?

The gradient of a loss on T steps is cut every k steps (truncated backpropagation through time,
Williams and Peng 1990), for k = 1, 2, 4, … T. Measured are, at the start and after training with
the full gradient, the cosine between both gradients and the bias that averaging over batches does
not remove; and the loss that training with the cut gradient ends at.

Command: python run.py --experiment=bptt_horizon
On Tiny Shakespeare: --config.corpus=tiny_shakespeare
Under a minute: --preset=tiny
Expected: cosine 1 and bias 0 at k = T. On a text the bias falls with k, and falls below the noise
of a batch well before T.
Time: 15 minutes.
"""

from experiments.bptt_horizon.config import PRESETS, Config
from experiments.bptt_horizon.run import run

__all__ = ["PRESETS", "Config", "run"]
