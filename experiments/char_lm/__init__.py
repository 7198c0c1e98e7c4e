"""What does a character model learn of a text, and when: quotes, then short words, then names?

A recurrent network predicts the next character of Tiny Shakespeare or of any text file (Karpathy
2015, "The unreasonable effectiveness of recurrent neural networks"). It reads rows of the text in
parallel, window after window with continuing state (truncated backpropagation through time). It
measures nats per character on the validation split and the share of generated words that exist in
the corpus; the checkpoint with the best validation loss is tested once. Pictures show single cells
that follow quotes or the position in the line (Karpathy, Johnson and Fei-Fei 2015).

Command: python run.py --experiment=char_lm
Two layers of 384 units with dropout: --preset=large
Under a minute, on a text that it makes: --preset=tiny
Any text: --config.corpus=PATH
Write with it once it is trained: the same command and --mode=generate
Expected: 1.76 nats per character on the test split in two minutes, 1.53 in 25 with --preset=large.
Splits: the first 90 % of the text train, 5 % validate, 5 % test.
"""

from experiments.char_lm.config import PRESETS, Config
from experiments.char_lm.run import run

__all__ = ["PRESETS", "Config", "run"]
