"""What Greff et al. (2017) found for each of their eight changes of the LSTM with peepholes.

Two hundred trials of each change on each of three tasks: speech (TIMIT, frames), handwriting
(IAM Online) and music (JSB chorales). "Worse" is a significant loss of performance, "better" a
significant gain, "none" neither. Source: their section V, figure 4.
"""

from __future__ import annotations

#: For each change: on speech, on handwriting, on music.
FOUND = {
    "lstm_nig": ("no input gate", "worse", "worse", "none"),
    "lstm_nfg": ("no forget gate", "worse", "worse", "worse"),
    "lstm_nog": ("no output gate", "worse", "worse", "none"),
    "lstm_niaf": ("no input activation", "worse", "worse", "none"),
    "lstm_noaf": ("no output activation", "worse", "worse", "worse"),
    "lstm_cifg": ("coupled input and forget gate", "none", "none", "none"),
    "lstm_np": ("no peepholes", "none", "none", "none"),
    "lstm_fgr": ("full gate recurrence", "none", "none", "worse"),
}
