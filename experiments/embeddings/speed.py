"""How fast word vectors are trained, beside gensim on the same text, cores and settings."""

from __future__ import annotations

import os
import statistics
import time
from typing import Any

import jax

from experiments.embeddings.config import Config
from rnnlab.data.line_text import LineText
from rnnlab.errors import RunError
from rnnlab.training.devices import compiler_options
from rnnlab.training.skip_gram import SkipGram
from rnnlab.training.update import TrainState, updates

#: Times that each is measured, in turn.
REPEATS = 5


def compare(config: Config, text: LineText, learner: SkipGram) -> dict[str, float]:
    """Words per second of both, medians of passes over the text, in turn, without compilation.

    gensim gets as many threads as this process has cores.

    Raises:
        RunError: gensim is not installed.
    """
    ours, theirs = _Ours(config, learner), _Gensim(config, text)
    rates = [(ours.words_per_second(), theirs.words_per_second()) for _ in range(REPEATS)]
    mine, other = (statistics.median(column) for column in zip(*rates, strict=True))
    return {
        "words per second": mine,
        "words per second of gensim": other,
        "times as fast as gensim": statistics.median(a / b for a, b in rates),
    }


class _Ours:
    """One epoch of training, again and again."""

    def __init__(self, config: Config, learner: SkipGram):
        plan = config.training.plan(learner.reach, len(learner.text.codes))
        self._dispatches = plan.evaluate_every // plan.dispatch
        self._words = plan.evaluate_every * learner.reach
        self._state = jax.jit(learner.start)(jax.random.key(config.seed))

        def program(state: TrainState) -> Any:
            return updates(learner, plan.dispatch, state)

        lowered = jax.jit(program, donate_argnums=0).lower(self._state)
        self._program = lowered.compile(compiler_options())  # as a training compiles it

    def words_per_second(self) -> float:
        start = time.monotonic()
        for _ in range(self._dispatches):
            self._state, _ = self._program(self._state)
        jax.block_until_ready(self._state.params)
        return self._words / (time.monotonic() - start)


class _Gensim:
    """One epoch of gensim's training, again and again."""

    def __init__(self, config: Config, text: LineText):
        try:
            from gensim.models import Word2Vec
        except ModuleNotFoundError as error:
            raise RunError(
                "compare_gensim=True: gensim is not installed; install it (pip install gensim) or "
                "leave this field out"
            ) from error
        settings = config.vectors
        self._sentences, self._words = text.sentences(), len(text.codes)
        self._model = Word2Vec(
            sg=1,
            hs=0,
            vector_size=settings.features,
            window=settings.window,
            negative=settings.noise,
            ns_exponent=settings.power,
            sample=settings.subsample,
            alpha=settings.learning_rate,
            min_count=1,
            workers=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1,
            seed=1,
        )
        self._model.build_vocab(self._sentences)

    def words_per_second(self) -> float:
        start = time.monotonic()
        self._model.train(self._sentences, total_words=self._words, epochs=1)
        return self._words / (time.monotonic() - start)
