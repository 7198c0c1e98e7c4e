"""Sentences with a label for each word, by the names that flags use."""

from __future__ import annotations

import dataclasses

from rnnlab.data.made_sentences import made_tagged
from rnnlab.data.sentences import Splits, Tagged
from rnnlab.data.source import MADE, Folders, found
from rnnlab.run import checks

#: Module and builder of each data set.
TAGGING = {
    "ewt": ("rnnlab.data.english_web_treebank", "EnglishWebTreebankText"),
    "wikiann": ("rnnlab.data.wikiann", "WikiAnnEnText"),
    "wnut17": ("rnnlab.data.wnut17", "Wnut17Text"),
}
#: Made sentences to train on, to validate on and to test with.
COUNTS = (600, 150, 150)


@dataclasses.dataclass(frozen=True)
class TaggingSource(Folders):
    """Which sentences have their words labelled."""

    #: ewt (parts of speech), wikiann or wnut17 (entities), or made (for quick runs).
    data: str = MADE

    def __post_init__(self) -> None:
        """Checks the name."""
        checks.one_of(self, "data", (*TAGGING, MADE))


def read_tagging(source: TaggingSource) -> Splits[Tagged]:
    """The splits of a data set.

    Raises:
        UsageError: `manual_dir` is not a folder.
        RunError: it can be neither found nor downloaded, or is damaged.
    """
    if source.data == MADE:
        return Splits(*(made_tagged(count, seed) for seed, count in enumerate(COUNTS)))
    builder, load = found(*TAGGING[source.data]), found("rnnlab.data.row_builder", "load_tagged")
    folders = source.data_dir or None, source.manual_dir or None
    return Splits(*(load(builder, *folders, split) for split in Splits._fields))
