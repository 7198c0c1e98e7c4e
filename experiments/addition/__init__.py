"""Can a network learn to add from examples, digit by digit, without being told what a digit is?

An encoder reads a sum of two whole numbers character by character, `12+345`, and a decoder writes
the answer, `357` (Zaremba and Sutskever 2014; the example `addition_rnn` of Keras). Each number has
1 to `digits` digits, equally likely. Turned around, `543+21`, the digits that are needed first were
read last. Sums are drawn while training goes on; 5 % of all pairs of numbers validate and 5 % test,
chosen by a hash of both: the network has never read them, in either order. An answer is right if
every character of it is, as decoded greedily.

Command: python run.py --experiment=addition
As they are written: --config.reverse=False. Four digits: --preset=four.
Under a minute, with numbers of two digits: --preset=tiny
Expected on held-out sums of up to 3 digits, reversed: at least 99 % right, in less than 10 minutes
on one core. Keras reports 99 % after 100 epochs of 45,000 sums.
"""

from experiments.addition.config import PRESETS, Config
from experiments.addition.run import run

__all__ = ["PRESETS", "Config", "run"]
