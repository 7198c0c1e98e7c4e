"""The text of `char_lm`: its splits and characters."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from experiments import _corpus
from experiments._char_text import made_text
from rnnlab.data import Vocabulary
from rnnlab.errors import UsageError
from rnnlab.run.workdir import Workdir

#: Characters of the corpus, at most, that are read before a text is begun. A state that no text led
#: to, such as the initial one, is rare in training, and a text that begins there can go astray.
PRIMER = 200
#: Fewest characters of a corpus, so that each split has some to predict.
FEWEST = 60


class Corpus(NamedTuple):
    """A text.

    Attributes:
        texts: its splits by name.
        vocabulary: its characters.
    """

    texts: dict[str, str]
    vocabulary: Vocabulary

    def codes(self, split: str) -> np.ndarray:
        """The codes of a split."""
        return self.vocabulary.encode(self.texts[split])

    @property
    def primer(self) -> str:
        """What is read before a text is begun: the end of the training split, in whole lines."""
        last = self.texts["train"][-PRIMER:]
        return last[: last.rfind("\n") + 1] or last


def read_corpus(config: Any) -> Corpus:
    """The splits of the text, and its characters.

    Raises:
        UsageError: no such file, bytes that are not UTF-8, or too few characters.
        RunError: the named corpus is neither here nor to be had.
    """
    texts = _corpus.load_splits(config, made_text)
    whole = "".join(texts.values())
    if len(whole) < FEWEST:
        raise UsageError(
            f"corpus={config.corpus}: has {len(whole)} characters, too few to train, validate and "
            f"test on; give a text of {FEWEST} at least"
        )
    return Corpus(texts, Vocabulary.of(whole))


def claim(config: Any, workdir: Workdir, corpus: Corpus) -> None:
    """Notes the text in a new work directory, or checks that an old one was trained on it."""
    characters = corpus.vocabulary.characters
    _corpus.claim(config, workdir, corpus.texts, "characters", characters, primer=corpus.primer)


def noted(workdir: Workdir) -> dict[str, Any] | None:
    """What `claim` noted; None in a new work directory. Raises RunError where it is damaged."""
    return _corpus.noted(workdir, "characters", "primer")
