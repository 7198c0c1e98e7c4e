"""Layers and models of Flax NNX around the cells: what turns symbols into vectors and back.

Modules are used functionally: `Functional` makes of one a pure `init(key) -> params` and
`bind(params) -> module`, whose parameters are a plain dict. Axes are batch-major, `[B, T, ...]`,
as in Flax. Every module obeys the sequence contract of `rnnlab.unroll`: what is past the end of a
sequence affects neither values nor gradients.
"""

from rnnlab.nn.characters import CharacterCNN, CharacterLSTM
from rnnlab.nn.crf import CRF, bio
from rnnlab.nn.embedding import Embedding, keep_frozen
from rnnlab.nn.functional import Functional
from rnnlab.nn.pooling import AttentionPooling
from rnnlab.nn.recurrent import Recurrent
from rnnlab.nn.sequence_classifier import SequenceClassifier

__all__ = [
    "CRF",
    "AttentionPooling",
    "CharacterCNN",
    "CharacterLSTM",
    "Embedding",
    "Functional",
    "Recurrent",
    "SequenceClassifier",
    "bio",
    "keep_frozen",
]
