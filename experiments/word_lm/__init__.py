"""How good a language model is a recurrent network?

A recurrent network predicts the next word of the Penn Treebank, or of any text file with a sentence
a line. It reads rows of the text in parallel, window after window with continuing state (truncated
backpropagation through time). The default is the small network of Zaremba, Sutskever and Vinyals
(2014), "Recurrent neural network regularization", with their numbers: the loss is the
sum over the steps of a window, the mean over its rows. After each epoch the validation split is
read, and the checkpoint with the lowest loss is tested once. Perplexity is exp(mean nats a word).

Command: python run.py --experiment=word_lm
Their medium network, with dropout: --preset=medium
Under a minute, on a text that it makes: --preset=tiny
Any text: --config.corpus=PATH
Write with it once it is trained: the same command and --mode=generate
Published: test perplexity 114.5 (small), 82.7 (medium).
Expected: 115.7 in 80 minutes on one core with the default.
"""

from experiments.word_lm.config import PRESETS, Config
from experiments.word_lm.run import run

__all__ = ["PRESETS", "Config", "run"]
