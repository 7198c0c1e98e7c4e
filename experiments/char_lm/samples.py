"""Texts that a character model generates while it is trained, and how many of their words exist."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from experiments.char_lm.config import Config
from rnnlab.cells.base import Array, Params
from rnnlab.data.corpus import Corpus
from rnnlab.data.spelling import known_share, spelled_words
from rnnlab.run.workdir import Workdir
from rnnlab.training import generation
from rnnlab.training.evaluators import Evaluator
from rnnlab.training.language import LanguageModel

#: Folder of the generated texts, named by their training steps.
FOLDER = "samples"
#: Texts that are generated at each evaluation; the first one is kept.
TEXTS = 8
#: Letters of words that hardly exist by chance.
LONG = 5


class Samples(Evaluator):
    """Generates texts, measures their words, and keeps a text at the steps that are asked for."""

    def __init__(self, config: Config, workdir: Workdir, corpus: Corpus, model: LanguageModel):
        self._config, self._vocabulary = config, corpus.vocabulary
        self._folder = workdir.within(FOLDER)
        self._known = frozenset(spelled_words("".join(corpus.symbols["train"])))
        prompt, count = corpus.vocabulary.read(corpus.primer), config.sample_characters

        @jax.jit
        def generate(params: Params, key: Array) -> Array:
            return generation.sample(model, params, prompt, key, batch=TEXTS, count=count)

        self._generate = generate

    def __call__(self, params: Params, step: int) -> dict[str, Any]:
        """`known_words` and `known_long_words`: shares of generated words that exist."""
        key = jax.random.fold_in(jax.random.key(self._config.seed), step)
        codes = np.asarray(self._generate(params, key)).T
        texts = [self._vocabulary.write(one) for one in codes]
        values = {
            "known_words": _mean([known_share(text, self._known) for text in texts]),
            "known_long_words": _mean([known_share(text, self._known, LONG) for text in texts]),
        }
        if step in self._config.samples:
            self._folder.write(f"{step:06}.txt", texts[0])
            numbers = ", ".join(f"{name} {value:.3f}" for name, value in values.items())
            print(f"--- step {step}: {numbers}\n{texts[0][:300]}\n", flush=True)
        return values


def _mean(shares: Sequence[float]) -> float:
    """The mean of those that are defined."""
    defined = [share for share in shares if math.isfinite(share)]
    return sum(defined) / len(defined) if defined else math.nan
