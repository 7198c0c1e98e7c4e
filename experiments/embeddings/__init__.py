"""What do words that stand near each other say of a word?

Skip-gram with negative sampling (Mikolov, Sutskever, Chen, Corrado and Dean 2013) learns a vector
for each word of the Penn Treebank, of WikiText-2 or of any text file. Beside it a count model reads
the same text in the same windows: positive pointwise mutual information and a truncated SVD, with
as many features. Both are compared with what people say of pairs of words (WordSim-353, SimLex-999)
and asked analogies; a map shows where words lie.

Command: python run.py --experiment=embeddings
Under a minute, on a text that it makes: --preset=tiny
Six words whose optimum is known, PMI - log k (Levy and Goldberg 2014): --preset=optimum
Any text: --config.corpus=PATH
Speed beside gensim: --config.compare_gensim=True
Neighbours of words once it is trained: the same command and --mode=predict
Published: ρ of 0.62 to 0.66 on WordSim-353 after text8, 17 million words.
"""

from experiments.embeddings.config import PRESETS, Config
from experiments.embeddings.run import run

__all__ = ["PRESETS", "Config", "run"]
