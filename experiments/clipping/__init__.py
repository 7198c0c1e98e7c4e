"""When does clipping the gradient, or a regulariser against its vanishing, let a network remember?

Source: R. Pascanu, T. Mikolov and Y. Bengio, "On the difficulty of training recurrent neural
networks" (2013), their experiment on the temporal order problem: success rate against the length T
for plain SGD (MSGD), SGD with norm clipping (MSGD-C), and with clipping and the regulariser Ω
(MSGD-CR), from three starts.

From the paper are the starts, 50 units, batches of 20, a constant learning rate without momentum,
the threshold 1, and that a run has succeeded when less than 1 % of 10,000 fresh sequences are
answered wrongly. The code published with it divides Ω by the number of steps, and so do we. Ours
are the learning rate, 0.02 where the paper has 0.01, and the weight of Ω, 8 for 4, chosen for
clip_penalty by trials on seeds that no run uses; the limit on steps, 5 million in the paper; and 20
seeds, not 5. So the methods are not tuned alike.

Command: python run.py --experiment=clipping
Under a minute: --preset=tiny
T = 100 by one method: --config.lengths=100 --config.methods=clip_penalty
With the paper's numbers: --config.learning_rate=0.01 --config.penalty=4 --config.steps=5000000
Longer sequences than learned: --config.test_lengths=200,1000,5000
Expected at T = 100: 19 of 20 seeds solve it by clip_penalty (16 minutes), 1 by clip and none by
sgd (half an hour each).
"""

from experiments.clipping.config import PRESETS, Config
from experiments.clipping.run import run

__all__ = ["PRESETS", "Config", "run"]
