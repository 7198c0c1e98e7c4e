"""How much does attention help a recurrent network to translate?

An encoder reads a sentence in both directions, a decoder writes its translation. The decoder gets
the encoder's last state to start from (Sutskever, Vinyals and Le 2014), a context vector at every
step (Cho et al. 2014), or a weighted mean of all states that it chooses at every step (Bahdanau,
Cho and Bengio 2015; Luong, Pham and Manning 2015). Measured are BLEU on the test sentences, also
against the length of the source, what the decoder attends to, and how the gradient of the loss
reaches the states of the encoder.

Command: python run.py --experiment=translation
Without attention: --config.network.hand_over=context or state
In under a minute, on sentences that it makes: --preset=tiny
Expected on the test sentences of 2016, German to English, with attention: BLEU 40.8 with five
beams, 39.1 greedily, after 8 epochs in an hour on one shared CPU core (one seed).
Splits: those of Multi30k (29,000, 1,014 and 1,000 sentences); Tatoeba's are cut by their English
side. The test sentences are translated once, with the checkpoint of the lowest validation loss.
"""

from experiments.translation.comparison import compare
from experiments.translation.config import PRESETS, Config
from experiments.translation.run import run

__all__ = ["PRESETS", "Config", "compare", "run"]
