"""Can a network say what an image shows, and does it look at what it names?

An image comes in and a sentence goes out: one-to-many. Convolutions look at scenes of one to four
digits, drawn without end and described by sentences such as "a seven left of an eight above a two",
or at the drawings of NLVR with true sentences that people wrote. The decoder attends to the places
of the image (Xu et al. 2015), or gets one vector of it: as its first state, before the first
symbol, beside every symbol, or at its readout alone (Tanti, Gatt and Camilleri 2018). Measured are
the captions that are exactly right, and how much of the attention lies on the digit that is being
named; of NLVR BLEU-4 and CIDEr, beside the caption of the nearest image and a language model that
sees none.

Command: python run.py --experiment=captioning
What the decoder gets: --each.hand_over=attention,state,first,input,output --each.seed=0,1,2
NLVR: --preset=nlvr --config.manual_dir=FOLDER, with its two files
Under a minute, on scenes of digits that it makes: --preset=tiny
Expected on scenes: 97.8 % of captions exactly right with attention (22 minutes on one core), 95.6 %
from one vector as start state; on NLVR BLEU-4 19.7 (the language model 18.5) and CIDEr 1.24 (1.02).
Source: K. Xu et al., "Show, attend and tell" (2015); M. Tanti et al., "Where to put the image in an
image caption generator" (2018); A. Suhr et al., "A corpus of natural language for visual reasoning"
(2017).
Splits: digits to train, to validate and to test with are those of `image_classification`; NLVR has
its own. The test images are described once, with the checkpoint that did best on the others.
"""

from experiments.captioning.comparison import compare
from experiments.captioning.config import PRESETS, Config
from experiments.captioning.run import run

__all__ = ["PRESETS", "Config", "compare", "run"]
