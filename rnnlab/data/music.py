"""Chorales by the names that flags use."""

from __future__ import annotations

import dataclasses

from rnnlab.data.made_chorales import made_chorales
from rnnlab.data.piano_roll import Roll, roll
from rnnlab.data.sentences import Splits
from rnnlab.data.source import MADE, Folders, found
from rnnlab.run import checks

JSB = "jsb_chorales"
#: Made chorales to train on, to validate on and to test with.
COUNTS = (120, 30, 30)


@dataclasses.dataclass(frozen=True)
class MusicSource(Folders):
    """Which chorales are learned."""

    #: jsb_chorales (those of Bach, in beats), or made (for quick runs).
    data: str = MADE

    def __post_init__(self) -> None:
        """Checks the name."""
        checks.one_of(self, "data", (JSB, MADE))


def read_music(source: MusicSource) -> Splits[list[Roll]]:
    """The splits of a data set, a piano roll for each chorale.

    Raises:
        UsageError: `manual_dir` is not a folder.
        RunError: it can be neither found nor downloaded, or is damaged.
    """
    if source.data == MADE:
        return Splits(*(made_chorales(count, seed) for seed, count in enumerate(COUNTS)))
    builder = found("rnnlab.data.jsb_chorales", "JsbChoralesQuarter")
    load = found("rnnlab.data.row_builder", "load_rows")
    folders = source.data_dir or None, source.manual_dir or None
    return Splits(*([roll(c) for c in load(builder, *folders, name)] for name in Splits._fields))
