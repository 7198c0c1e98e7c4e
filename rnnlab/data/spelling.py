"""How many words of a generated text exist."""

from __future__ import annotations

import re
from collections.abc import Set

#: Letters, with apostrophes inside.
WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")


def spelled_words(text: str) -> list[str]:
    """The words of a text in lower case: runs of letters, which apostrophes may join.

    A word that the end of the text may have cut off is left out.
    """
    ends = len(text)
    return [match.group().lower() for match in WORD.finditer(text) if match.end() < ends]


def known_share(text: str, known: Set[str], shortest: int = 1) -> float:
    """The share of a text's words that exist, nan where it has none.

    Args:
        text: what was generated.
        known: the words that exist, in lower case.
        shortest: letters and apostrophes that a word needs to be counted. Short strings are words
            by chance, long ones hardly ever.
    """
    words = [word for word in spelled_words(text) if len(word) >= shortest]
    return sum(word in known for word in words) / len(words) if words else float("nan")
