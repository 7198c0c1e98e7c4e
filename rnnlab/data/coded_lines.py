"""Lines of a language as codes, and codes as lines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rnnlab.arrays import Int
from rnnlab.data.tokens import TokenVocabulary
from rnnlab.data.units import Pieces, Units, Words, read_units

KINDS = (Pieces.kind, Words.kind)


@dataclass(frozen=True)
class LineCoder:
    """The units into which lines are cut, and their codes.

    Attributes:
        units: how lines are cut.
        vocabulary: of the units.
    """

    units: Units
    vocabulary: TokenVocabulary

    @classmethod
    def of(cls, lines: Sequence[str], kind: str, most: int, language: str) -> LineCoder:
        """The units and codes of training lines.

        Args:
            lines: to learn from.
            kind: pieces or words.
            most: size of the vocabulary at most, its four special tokens included.
            language: two letters.

        Raises:
            UsageError: too few pieces for the characters of the lines.
        """
        units = Pieces.of(lines, most - 4) if kind == Pieces.kind else Words(language)
        return cls(units, TokenVocabulary.of(map(units.encode, lines), most))

    def encode(self, line: str) -> Int[np.ndarray, "codes"]:
        """The codes of a line, without start and end."""
        return self.vocabulary.encode(self.units.encode(line))

    def tokens(self, line: str) -> list[str]:
        """The tokens of a line, of which `encode` gives the codes."""
        return self.units.encode(line)

    def decode(self, codes: Int[np.ndarray, "codes"]) -> str:
        """The line of codes."""
        return self.units.decode(self.vocabulary.decode(codes))

    def record(self) -> dict[str, Any]:
        """What `read` makes the same coder of, as JSON values."""
        return {"units": self.units.record(), "tokens": list(self.vocabulary.tokens)}

    @classmethod
    def read(cls, record: Mapping[str, Any]) -> LineCoder:
        """The coder of a record.

        Raises:
            ValueError, LookupError, TypeError: the record is damaged.
        """
        return cls(read_units(record["units"]), TokenVocabulary(tuple(record["tokens"])))
