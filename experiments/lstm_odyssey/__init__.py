"""Which parts of an LSTM matter, and does any other cell do better?

Greff et al. (2017) took the LSTM with peepholes, changed one thing at a time and searched the
hyperparameters of each by chance. Here these eight changes, the GRU, MUT1 to MUT3 (Jozefowicz et
al. 2015) and smaller cells get the same search on copy memory, characters, chorales and spoken
digits: at equal parameters, with the same seeds and learning rates, ten independent searches each.
Cells are ranked with intervals and compared with the LSTM in pairs; a random forest tells which
hyperparameter moved the loss.

Command: python run.py --experiment=lstm_odyssey
Under a minute, two cells and data that it makes: --preset=tiny
Expected: GRU, MUT1 to MUT3, MGU and minimalRNN before all LSTMs in mean rank, full gate recurrence
last; about 20 minutes of one core.
Found by Greff et al.: no forget gate and no output activation hurt most; coupled gates and no
peepholes do not.
"""

from experiments.lstm_odyssey.config import PRESETS, Config
from experiments.lstm_odyssey.run import run

__all__ = ["PRESETS", "Config", "run"]
