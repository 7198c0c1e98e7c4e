"""How well does a recurrent network label the words of a sentence?

A network in both directions reads words, as vectors and letter by letter, and a conditional random
field judges their labels together (Lample et al. 2016; Ma and Hovy 2016). It names parts of speech
(ewt: the UD English Web Treebank 2.10) or entities (wikiann in English, wnut17: emerging entities).
Validation chooses the checkpoint; the test split is labelled once. Parts of speech are counted by
words, entities by F1: right are those of the right type, from the right beginning to the right end
(strict IOB2). The most frequent label of each word, or a CRF on hand-made features, is measured
beside it on the same data.

Command: python run.py --experiment=tagging
Entities: --preset=wikiann, or --preset=wnut17
Under a minute, on sentences that it makes: --preset=tiny
What each part is good for: --config.crf=false, --config.bidirectional=false,
--config.characters=none
Expected: 95.0 % of the words of the test split of ewt, in about 8 minutes of one core; F1 77 % on
wikiann in 14 minutes, 19 % on wnut17 in 4.
Label sentences once it is trained: the same command and --mode=predict --input=FILE
"""

from experiments.tagging.comparison import compare
from experiments.tagging.config import PRESETS, Config
from experiments.tagging.run import run

__all__ = ["PRESETS", "Config", "compare", "run"]
