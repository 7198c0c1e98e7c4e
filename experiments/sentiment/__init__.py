"""Which class is a text of, and does it take the order of its words to tell?

A text comes in and one label goes out: many-to-one. A bidirectional LSTM reads the words of a tweet
or a sentence of a review, one-hot, as learned vectors or as pretrained ones; its last output, their
mean, their maximum or an attention is what a linear readout names the class from. Beside it, on the
same split and with the same words, runs what has no order of words at all: TF-IDF with logistic
regression. Measured are accuracy and macro-F1, with intervals, also of the difference.

Command: python run.py --experiment=sentiment --preset=covidsenti
SST-2: --preset=sst2. Film reviews, ten folds: --preset=reviews --each.fold=0,1,2,3,4,5,6,7,8,9
Pooling and inputs: --each.pooling=last,mean,max,attention, --each.inputs=one_hot,learned
Under a minute, on sentences that it makes: --preset=tiny
Expected on test texts: COVIDSenti 95.2 % and macro-F1 0.918 (TF-IDF: 92.2 %, 0.871), SST-2 82 %
(TF-IDF: 82.4 %); 3 minutes of one core, a quarter of an hour where others share it.
Source of the data: Naseem et al. (2021), Socher et al. (2013), Pang and Lee (2005); of attention as
pooling: Yang et al. (2016). The test texts are evaluated once, with the checkpoint that did best on
the validation texts.
"""

from experiments.sentiment.comparison import compare
from experiments.sentiment.config import PRESETS, Config
from experiments.sentiment.run import run

__all__ = ["PRESETS", "Config", "compare", "run"]
