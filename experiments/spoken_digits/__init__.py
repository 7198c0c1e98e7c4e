"""Which digit is spoken, and which digits are, one after the other?

A recording comes in and one label goes out: many-to-one. The sound becomes log-mel frames, a
recurrent network reads them, and the mean of its outputs names the digit (Free Spoken Digit
Dataset, 8 kHz, six speakers). Beside it, on the same split, run a logistic regression and a support
vector machine on means and spreads of the frames, which have no order. Then strings of three to
seven digits, joined with pauses, are written down by connectionist temporal classification (Graves
et al. 2006), which is not told when a digit is said.

Command: python run.py --experiment=spoken_digits
Strings: --preset=strings
A speaker that was never heard: --each.held_out_speaker=george,jackson,lucas,nicolas,theo,yweweler
Forwards alone, which can answer while the sound comes: --config.bidirectional=false
Under a minute, on tones that it makes: --preset=tiny, --preset=tiny_strings
Split: numbers 0 to 4 of each digit and speaker test (300), 5 to 9 validate (300), the others train
(2,400). Test recordings are heard once, with the checkpoint that did best on the validation ones.
Expected: 99.3 % of test recordings (logistic regression 95.0 %, support vectors 97.3 %) in 7 min,
and strings with 1.0 % of digits wrong in 19 min (1.8 % forwards alone), on a core that a dozen
other processes used; 76 % of a speaker who was never heard, on the mean over six.
Published accuracies are of random splits, or of the same speakers, and not to be compared with a
speaker held out.
"""

from experiments.spoken_digits.comparison import compare
from experiments.spoken_digits.config import PRESETS, Config
from experiments.spoken_digits.run import run

__all__ = ["PRESETS", "Config", "compare", "run"]
