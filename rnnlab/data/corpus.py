"""A text to train a language model on: its splits as codes, and the vocabulary.

`read_characters` and `read_words` read the same sources, symbol by symbol or word by word.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from rnnlab.arrays import Int
from rnnlab.data.made_text import made_lines, made_text
from rnnlab.data.source import MADE, Source
from rnnlab.data.text import SPLITS, Vocabulary, load_splits, split_text
from rnnlab.data.words import END, UNKNOWN, WordVocabulary, split_words
from rnnlab.errors import RunError, UsageError
from rnnlab.run.workdir import Workdir

#: The file of a work directory that tells which text it was trained on.
CORPUS = "corpus.json"
#: The corpus of words that has splits of its own, which results in the literature are about.
TREEBANK = "penn_treebank"
#: Sentences of the text that is made.
SENTENCES = 1500
#: Fewest symbols of a corpus, so that each split has some to predict.
FEWEST = 60
#: Symbols of the corpus, at most, that are read before a text is generated. A state that no text
#: led to, such as the initial one, is rare in training, and a text that begins there can go astray.
PRIMER_CHARACTERS, PRIMER_WORDS = 200, 35


class Corpus(NamedTuple):
    """A text, cut into symbols: characters or words.

    Attributes:
        symbols: those of each split by its name: a string of characters, or a list of words with
            `<eos>` at the end of each line.
        vocabulary: the symbols that a model knows.
        primer: what a model reads before it generates a text: the end of the training split, in
            whole lines where it has line ends.
        fingerprint: sha256 of the whole text.
    """

    symbols: Mapping[str, Sequence[str]]
    vocabulary: Vocabulary | WordVocabulary
    primer: str
    fingerprint: str

    def codes(self, split: str) -> Int[np.ndarray, "codes"]:
        """The codes of a split, int32 `[N]`."""
        return self.vocabulary.encode(self.symbols[split])  # type: ignore[arg-type]

    def claim(self, workdir: Workdir, name: str) -> None:
        """Records the corpus in a new work directory, or checks that an old one was trained on it.

        Args:
            workdir: of the run.
            name: what messages call the corpus, such as its path.

        Raises:
            UsageError: the work directory belongs to another text.
            RunError: its record is damaged.
        """
        here = {"sha256": self.fingerprint, "vocabulary": list(self.vocabulary.symbols)}
        path = workdir.path(CORPUS)
        if not path.exists():
            workdir.write(CORPUS, json.dumps(here))
            return
        try:
            contents = json.loads(path.read_text(encoding="utf-8"))
            there = {"sha256": contents["sha256"], "vocabulary": list(contents["vocabulary"])}
        except (ValueError, LookupError, TypeError) as error:
            raise RunError(f"{path}: is damaged; delete the folder {workdir.root}") from error
        if here["vocabulary"] == there["vocabulary"] and workdir.accept_changes:
            if here != there:
                workdir.accept(f"corpus={name} has changed")
                workdir.write(CORPUS, json.dumps(here))
        elif here != there:
            way_out = "choose another work directory with --workdir=PATH"
            if here["vocabulary"] == there["vocabulary"]:
                way_out += ", or go on with --accept_changes"
            raise UsageError(f"corpus={name}: {self._difference(there['vocabulary'])}; {way_out}")

    def _difference(self, there: list[str]) -> str:
        """How this corpus differs from the one with the vocabulary `there`."""
        known, found = set(there), set(self.vocabulary.symbols)
        if known == found:
            return "the text has changed since training began"
        words = isinstance(self.vocabulary, WordVocabulary)
        some = sorted(known ^ found)[: 3 if words else 10]
        return (
            f"its {len(found)} {'words' if words else 'characters'} are not the {len(known)} of "
            f"the checkpoint (they differ in {(' ' if words else '').join(some)!r})"
        )


def read_characters(source: Source) -> Corpus:
    """A text character by character.

    Raises:
        UsageError: no such file, bytes that are not UTF-8, or too few characters.
        RunError: the named corpus can be neither found nor downloaded.
    """
    texts = _load_splits(source, made_text)
    whole = "".join(texts.values())
    _check_size(source, len(whole), "characters")
    last = texts["train"][-PRIMER_CHARACTERS:]
    primer = last[: last.rfind("\n") + 1] or last
    return Corpus(texts, Vocabulary.of(whole), primer, _fingerprint(texts))


def read_words(source: Source, most: int) -> Corpus:
    """A text word by word.

    A text that has no splits of its own is cut between words: the first 90 % train, 5 % validate
    and 5 % test.

    Args:
        source: of the text.
        most: words of the vocabulary at most; rarer ones become `<unk>`.

    Raises:
        UsageError: no such file, bytes that are not UTF-8, or too few words.
        RunError: the named corpus can be neither found nor downloaded.
    """
    texts = _load_splits(source, made_lines)
    if source.corpus == TREEBANK:
        words = {split: split_words(text) for split, text in texts.items()}
    else:
        words = split_text(split_words("".join(texts.values())))
    _check_size(source, sum(map(len, words.values())), "words, ends of lines among them")
    vocabulary = known_words(words, most)
    last = words["train"][-PRIMER_WORDS:]
    while END in last and last[-1] != END:
        last = last[:-1]
    primer = vocabulary.write(vocabulary.encode(last))
    return Corpus(words, vocabulary, primer, _fingerprint(texts))


def known_words(words: Mapping[str, list[str]], most: int) -> WordVocabulary:
    """The most frequent words of the training split.

    Words of another split that this one lacks need a symbol: if there is no `<unk>`, the words that
    occur only once in the training split become one.
    """
    vocabulary = WordVocabulary.of(words["train"], most)
    strange = {word for split in SPLITS for word in words[split]} - set(vocabulary.words)
    if not strange or UNKNOWN in vocabulary.words:
        return vocabulary
    counts = Counter(words["train"])
    return WordVocabulary((*(w for w in vocabulary.words if counts[w] > 1), UNKNOWN))


def _load_splits(source: Source, made: Callable[[int], str]) -> dict[str, str]:
    """The splits of a text; `made` makes the one that is generated, of that many sentences."""
    if source.corpus == MADE:
        return split_text(made(SENTENCES))
    try:
        return load_splits(source.corpus, source.data_dir or None, source.manual_dir or None)
    except UsageError as error:
        if str(error).startswith("manual_dir="):
            raise
        reason = str(error).removeprefix(f"text {source.corpus!r}: ")
        raise UsageError(f"corpus={source.corpus}: {reason}") from error


def _check_size(source: Source, count: int, what: str) -> None:
    if count < FEWEST:
        raise UsageError(
            f"corpus={source.corpus}: has {count} {what}, too few to train, validate and test on; "
            f"give a text of {FEWEST} at least"
        )


def _fingerprint(texts: Mapping[str, str]) -> str:
    whole = "\0".join(texts.values())
    return hashlib.sha256(whole.encode("utf-8", "surrogatepass")).hexdigest()
