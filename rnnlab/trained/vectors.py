"""Trained word vectors: neighbours of a word, analogies, similarities, and a text file of them.

The description has the `vocabulary`, the words in the order of their codes; the `network` is the
settings of skip-gram.
"""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import jax.numpy as jnp
import numpy as np

from rnnlab.arrays import Float, Key, Params
from rnnlab.data.words import WordVocabulary
from rnnlab.errors import UsageError
from rnnlab.run.workdir import Workdir
from rnnlab.trained.description import Kept, write_description
from rnnlab.training.skip_gram import Settings

#: Neighbours that an answer names.
NEIGHBOURS = 10


def describe(workdir: Workdir, settings: Settings, vocabulary: WordVocabulary) -> None:
    """Writes the description of word vectors."""
    write_description(workdir, "vectors", settings, vocabulary=list(vocabulary.words))


def load(kept: Kept) -> WordVectors:
    """The vectors that a work directory keeps."""
    settings = Settings(**kept.description["network"])
    vocabulary = WordVocabulary(tuple(kept.description["vocabulary"]))
    shape = vocabulary.size, settings.features

    def init(key: Key) -> Params:
        del key
        return {"words": jnp.zeros(shape, jnp.float32), "contexts": jnp.zeros(shape, jnp.float32)}

    step, params = kept.parameters(init)
    return WordVectors(vocabulary, np.asarray(params["words"]), settings, kept.config, step)


@dataclasses.dataclass(frozen=True, eq=False)
class WordVectors:
    """Words and their vectors, which compare by the cosine of the angle between them.

    A word that the vocabulary lacks is looked up in lower case.

    Attributes:
        vocabulary: the words, V of them.
        vectors: `[V, E]`.
        network: settings of the training; None for vectors that come from elsewhere.
        config: configuration of the run, as JSON values.
        step: training steps after which the checkpoint was taken.
    """

    vocabulary: WordVocabulary = dataclasses.field(repr=False)
    vectors: Float[np.ndarray, "V E"] = dataclasses.field(repr=False)
    network: Settings | None = None
    config: dict[str, Any] = dataclasses.field(default_factory=dict, repr=False)
    step: int = 0

    def __contains__(self, word: str) -> bool:
        return word in self._codes or word.lower() in self._codes

    def __call__(self, word: str) -> Float[np.ndarray, "E"]:
        """The vector of a word. Raises UsageError where the vocabulary lacks it."""
        return self.vectors[self.code(word)]

    def code(self, word: str) -> int:
        """The code of a word.

        Raises:
            UsageError: the vocabulary lacks it.
        """
        code = self._codes.get(word, self._codes.get(word.lower()))
        if code is None:
            raise UsageError(
                f"word={word[:40]!r}: is not among the {self.vocabulary.size} words of the "
                "vocabulary"
            )
        return code

    def similarity(self, first: str, second: str) -> float:
        """The cosine of two words. Raises UsageError where the vocabulary lacks one."""
        return float(self.directions[self.code(first)] @ self.directions[self.code(second)])

    def nearest(self, word: str, count: int = NEIGHBOURS) -> list[tuple[str, float]]:
        """The words with the largest cosine to a word, and the cosines.

        Raises:
            UsageError: the vocabulary lacks the word.
        """
        code = self.code(word)
        return self._nearest(self.directions[code], [code], count)

    def analogy(self, a: str, b: str, c: str, count: int = NEIGHBOURS) -> list[tuple[str, float]]:
        """What is to `c` as `b` is to `a`: the largest cosines with `b - a + c` (3CosAdd).

        The three words themselves are no answers.

        Raises:
            UsageError: the vocabulary lacks one of the words.
        """
        codes = [self.code(word) for word in (a, b, c)]
        aim = self.directions[codes[1]] - self.directions[codes[0]] + self.directions[codes[2]]
        return self._nearest(aim / max(float(np.linalg.norm(aim)), 1e-12), codes, count)

    def predict(self, lines: Sequence[str]) -> list[dict[str, Any]]:
        """The neighbours of the word on each line; of three words `a b c`, the analogy's answers.

        Args:
            lines: a word or three words each; the neighbours of an empty line are none.

        Returns:
            For each line `{"line", "answer", "neighbours"}`: words with spaces between, and the
            same words with their cosines.

        Raises:
            UsageError: the vocabulary lacks a word, or a line has another number of them.
        """
        return [self._answer(line) for line in lines]

    def _answer(self, line: str) -> dict[str, Any]:
        words = line.split()
        if len(words) not in (0, 1, 3):
            raise UsageError(f"line={line[:40]!r}: has {len(words)} words; give one word, or three")
        near: list[tuple[str, float]] = []
        if len(words) == 1:
            near = self.nearest(words[0])
        elif words:
            near = self.analogy(words[0], words[1], words[2])
        return {"line": line, "answer": " ".join(word for word, _ in near), "neighbours": near}

    def text(self) -> str:
        """The vectors as a text file of word2vec: a header, then a word and its numbers a line."""
        file = io.StringIO()
        file.write(f"{len(self.vectors)} {self.vectors.shape[1]}\n")
        for word, vector in zip(self.vocabulary.words, self.vectors, strict=True):
            file.write(f"{word} {' '.join(f'{value:.6g}' for value in vector)}\n")
        return file.getvalue()

    def _nearest(self, aim: np.ndarray, without: list[int], count: int) -> list[tuple[str, float]]:
        cosines = self.directions @ aim
        cosines[without] = -np.inf
        best = np.argsort(-cosines, kind="stable")[: max(0, min(count, len(cosines)))]
        best = best[np.isfinite(cosines[best])]
        return [(self.vocabulary.words[code], float(cosines[code])) for code in best]

    @cached_property
    def directions(self) -> Float[np.ndarray, "V E"]:
        """The vectors with norm 1; a vector of norm 0 stays as it is."""
        norms = np.linalg.norm(self.vectors, axis=1, keepdims=True)
        return self.vectors / np.where(norms > 0, norms, 1)

    @cached_property
    def _codes(self) -> dict[str, int]:
        return {word: code for code, word in enumerate(self.vocabulary.words)}
