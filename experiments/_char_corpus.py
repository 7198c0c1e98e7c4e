"""The text of `char_lm`: its splits, and the note by which a work directory knows it again."""

from __future__ import annotations

import hashlib
import json
from typing import Any, NamedTuple

import numpy as np

from experiments._char_text import made_text
from rnnlab.data import Vocabulary, load_text, split_text
from rnnlab.data.text import SPLITS
from rnnlab.errors import RunError, UsageError
from rnnlab.workdir import Workdir

#: What a work directory keeps of the corpus.
CORPUS = "corpus.json"
#: The name of the text that is made, and its sentences.
MADE, SENTENCES = "made", 1500
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
    if config.corpus == MADE:
        texts = split_text(made_text(SENTENCES))
    else:
        texts = {split: _load(config, split) for split in SPLITS}
    whole = "".join(texts.values())
    if len(whole) < FEWEST:
        raise UsageError(
            f"corpus={config.corpus}: has {len(whole)} characters, too few to train, validate and "
            f"test on; give a text of {FEWEST} at least"
        )
    return Corpus(texts, Vocabulary.of(whole))


def _load(config: Any, split: str) -> str:
    try:
        return load_text(config.corpus, config.data_dir or None, config.manual_dir or None, split)
    except UsageError as error:
        if str(error).startswith("manual_dir="):
            raise
        if str(error).startswith("split="):
            return ""
        reason = str(error).removeprefix(f"text {config.corpus!r}: ")
        raise UsageError(f"corpus={config.corpus}: {reason}") from error


def claim(config: Any, workdir: Workdir, corpus: Corpus) -> None:
    """Notes the text in a new work directory, or checks that an old one was trained on it."""
    digest = hashlib.sha256("\0".join(corpus.texts.values()).encode("utf-8", "surrogatepass"))
    here = {
        "characters": corpus.vocabulary.characters,
        "primer": corpus.primer,
        "sha256": digest.hexdigest(),
    }
    there = noted(workdir)
    if there is None:
        workdir.write(CORPUS, json.dumps(here))
        return
    if here == there:
        return
    known, found = set(there["characters"]), set(here["characters"])
    if known != found:
        some = "".join(sorted(known ^ found))[:10]
        reason = (
            f"its {len(found)} characters are not the {len(known)} of the checkpoint (they differ "
            f"in {some!r})"
        )
    else:
        reason = "is another text now than the one of the checkpoint"
    raise UsageError(
        f"corpus={config.corpus}: {reason}; choose another work directory with --workdir=PATH"
    )


def noted(workdir: Workdir) -> dict[str, Any] | None:
    """What `claim` noted; None in a new work directory. Raises RunError where it is damaged."""
    path = workdir.path(CORPUS)
    if not path.exists():
        return None
    try:
        contents = json.loads(path.read_text(encoding="utf-8"))
        return {name: str(contents[name]) for name in ("characters", "primer", "sha256")}
    except (ValueError, LookupError, TypeError) as error:
        raise RunError(f"{path}: is damaged; delete the folder {workdir.root}") from error
