"""Cells made of cells: stacked, read both ways, bridged, normalised, and run with noise.

A combinator is a frozen dataclass like a cell and can be used wherever a cell can. Two kinds:

- Arrangements (`Stack`, `Bidirectional`, `Residual`, `Dropout`) say how layers follow one another.
  `unroll` runs them layer by layer, each over the whole sequence, so every layer keeps its one
  input product and its strategy. They nest in any order.
- Wrappers of one cell (`LayerNorm`, `VariationalDropout`, `Zoneout`) change the step and keep the
  split `project / recur / gate`. They nest in one another and go inside the arrangements, as in
  `Stack((Residual(Zoneout(LayerNorm(LSTM(64)), 0.1)), Dropout(0.2), GRU(32)))`.
- `Feedback` gives a cell a readout that predicts its next input, and lets it read its predictions;
  `Autonomous` one whose inverse sets its state.

Noise is drawn only where `unroll` gets a `key`; without one a combinator evaluates.
"""

from rnnlab.combinators.feedback import Autonomous, Feedback
from rnnlab.combinators.layer_norm import LayerNorm
from rnnlab.combinators.layers import Bidirectional, Residual, Stack, bidirectional, stack
from rnnlab.combinators.noise import Dropout, VariationalDropout, Zoneout

__all__ = [
    "Autonomous",
    "Bidirectional",
    "Dropout",
    "Feedback",
    "LayerNorm",
    "Residual",
    "Stack",
    "VariationalDropout",
    "Zoneout",
    "bidirectional",
    "stack",
]
