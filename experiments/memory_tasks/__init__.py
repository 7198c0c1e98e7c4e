"""Can this network learn what happened T steps ago, and does its gradient at the start foretell it?

Networks of each kind, many seeds side by side in one program, learn generated tasks of long memory:
adding, copy memory, parity and temporal order (see rnnlab/data/tasks/ for sources and definitions).
Every task has an exact loss that is reached without learning, and a network has solved it when its
loss on fresh sequences is a small share of that. Measured are the share of seeds that solve the
task, with Wilson's interval, the steps they need, and log10 ‖∂L/∂s_0‖ at initialisation.

Command: python run.py --experiment=memory_tasks
Under a minute: --preset=tiny
Adding at T = 200: --config.tasks=adding --config.lengths=200 --config.networks=lstm,gru,irnn
--config.hidden=64 --config.steps=20000 --config.seeds=2
Parity to length 1000: --config.tasks=parity_running --config.lengths=40 --config.networks=lstm,gru
--config.test_lengths=100,1000 --config.solved=0.001
Expected: parity_running, trained on lengths up to 40, is solved by LSTM and GRU within 2,000 steps.
Time: 20 minutes on two cores; parity 5 minutes at most.
"""

from experiments.memory_tasks.config import PRESETS, Config
from experiments.memory_tasks.run import run

__all__ = ["PRESETS", "Config", "run"]
