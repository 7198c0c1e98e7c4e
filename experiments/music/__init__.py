"""How well does a recurrent network foresee the next chord of a chorale?

It reads the chorales of Bach beat by beat as frames of 88 piano keys and says how likely each key
of the next frame is, independently of the others (JSB chorales in quarter notes, the splits of
Boulanger-Lewandowski et al. 2012). The loss is -log p of a frame, summed over its keys, as a mean
over frames. Validation chooses the checkpoint; the test split is read once. Then the network writes
a chorale, continues one, and harmonises its melody.

Command: python run.py --experiment=music
Cells with as many parameters as the published ones, 300,000:
--each.cell=tanh,gru,lstm
Under a minute, on chorales that it makes: --preset=tiny
Expected: 8.44 nats a frame on test, in three minutes
Published (Bai et al. 2018, Table 1): tanh 8.91, LSTM 8.45, GRU 8.43, TCN 8.10.
Continue a MIDI file once it is trained: the same command and --mode=predict --input=FILE, a file
with the names of MIDI files
"""

from experiments.music.comparison import compare
from experiments.music.config import PRESETS, Config
from experiments.music.run import run

__all__ = ["PRESETS", "Config", "compare", "run"]
