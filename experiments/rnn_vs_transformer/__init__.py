"""What does a transformer cost, and what does it learn, beside recurrent networks of its size?

A decoder-only transformer (Vaswani et al. 2017) and recurrent language models with as many
parameters read the characters of Tiny Shakespeare. Measured are, with exponents fitted on
logarithmic scales: the time and memory of an update against the length T of its windows, at a fixed
number of characters; the time of one generated character and the bytes that are kept for it,
against its position (the cache of the transformer, the state of a recurrent network); and the loss
after as many updates, and after as much time. Beside them stands what lectures say: parallel over
time, O(1) or O(n), streaming. The transformer is the model that the run keeps.

Command: python run.py --experiment=rnn_vs_transformer
Under a minute, on a text that it makes: --preset=tiny
Write with the transformer once it is trained: the same command and --mode=generate
Expected with --config.steps=600: exponents of the time of a generated character near 0 for
recurrent networks and 0.7 for the transformer; validation 1.78 nats (GRU), 1.85 (transformer), 2.03
(LSTM); 6 minutes on two cores that are otherwise idle. On a busy machine times are marked.
"""

from experiments.rnn_vs_transformer.config import PRESETS, Config
from experiments.rnn_vs_transformer.run import run

__all__ = ["PRESETS", "Config", "run"]
