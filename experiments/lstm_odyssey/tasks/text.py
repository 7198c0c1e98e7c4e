"""The next character of a text."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from experiments.lstm_odyssey.config import Reading
from experiments.lstm_odyssey.tasks.base import Model, Task
from rnnlab import cells
from rnnlab.arrays import Array, Int, Key, Params
from rnnlab.data.corpus import read_characters
from rnnlab.errors import UsageError
from rnnlab.training.cross_entropy import cross_entropy
from rnnlab.training.language import LanguageModel
from rnnlab.training.model import Reader


class TextTask(Task):
    """Nats for each character, read one-hot; a batch is `[length + 1, B]` codes.

    Each stretch is read from the initial state, in training and in the end, so that the loss is
    larger than that of a network that reads on.
    """

    unit = "nats a character"

    def __init__(self, settings: Reading):
        corpus = read_characters(settings.source)
        self._settings, self._symbols = settings, len(corpus.vocabulary.symbols)
        train, *others = (corpus.codes(split) for split in ("train", "validation", "test"))
        if min(map(len, (train, *others))) <= settings.length:
            raise UsageError(
                f"text.length={settings.length}: must be below the characters of each split of "
                f"corpus={settings.source.corpus}"
            )
        self._train = jnp.asarray(train, jnp.int32)
        self.validation, self.test = (
            _stretches(codes, settings.length, settings.evaluated) for codes in others
        )
        shares = np.bincount(train, minlength=self._symbols) + 1.0
        nats = -np.log(shares / shares.sum())
        self.parameters = settings.parameters
        self.baseline = float(nats[np.asarray(self.test[1:])].mean())

    def model(self, cell: str, hidden: int, strategy: str) -> Model:
        """The cell as a language model."""
        model = LanguageModel(Reader(cells.by_name(cell, hidden), self._symbols, strategy))

        def loss(params: Params, codes: Int[Array, "T+1 B"]) -> Array:
            _, logits = model.run(params, codes[:-1], model.initial_state(codes.shape[1]))
            return cross_entropy(logits, codes[1:]).mean()

        return Model(model.init, loss)

    def sample(self, key: Key) -> Int[Array, "T+1 B"]:
        """Stretches that begin anywhere in the text."""
        length, last = self._settings.length, len(self._train) - self._settings.length
        starts = jax.random.randint(key, (self._settings.batch,), 0, last, jnp.int32)
        return self._train[starts + jnp.arange(length + 1, dtype=jnp.int32)[:, None]]


def _stretches(codes: Int[np.ndarray, "codes"], length: int, count: int) -> Int[Array, "T+1 B"]:
    """Stretches of a text, evenly spaced, as many as there are or fewer."""
    starts = np.linspace(0, len(codes) - length - 1, min(count, len(codes) - length)).astype(int)
    return jnp.asarray(codes[starts + np.arange(length + 1)[:, None]], jnp.int32)
