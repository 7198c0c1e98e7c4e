"""Tokens as the input and output of a network: the vocabulary of sentences, with special tokens."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from rnnlab.arrays import Int
from rnnlab.data.text import checked_codes
from rnnlab.errors import UsageError

#: What fills sentences up, what stands for tokens that the vocabulary lacks, and what comes before
#: and after a sentence. Their codes are 0, 1, 2 and 3 in every vocabulary.
PAD, UNKNOWN, START, END = SPECIAL = ("<pad>", "<unk>", "<s>", "</s>")
PAD_CODE, UNKNOWN_CODE, START_CODE, END_CODE = range(len(SPECIAL))


@dataclass(frozen=True)
class TokenVocabulary:
    """The tokens that a network knows; a code is an index into them.

    Attributes:
        tokens: the four special ones, then every other token once.

    Raises:
        UsageError: `tokens` do not begin with the special ones, or have one twice.
    """

    tokens: tuple[str, ...]

    def __post_init__(self) -> None:
        """Checks the special tokens, and that all differ."""
        if self.tokens[: len(SPECIAL)] != SPECIAL:
            raise UsageError(
                f"tokens={self.tokens[: len(SPECIAL)]}: must begin with {SPECIAL}; "
                "use TokenVocabulary.of(sentences)"
            )
        if len(set(self.tokens)) != len(self.tokens):
            twice = next(token for token, count in Counter(self.tokens).items() if count > 1)
            raise UsageError(f"tokens: {twice!r} comes twice; they must be distinct")

    @classmethod
    def of(
        cls, sentences: Iterable[Sequence[str]], most: int | None = None, least: int = 1
    ) -> TokenVocabulary:
        """The vocabulary of sentences, frequent tokens first and equally frequent ones in order.

        A token of a sentence that is spelled like a special one is not taken up.

        Args:
            sentences: the tokens of each.
            most: size of the vocabulary at most, special tokens among them; None keeps all.
            least: how often a token must occur.

        Raises:
            UsageError: `most` below 5, or `least` below 1.
        """
        if most is not None and most <= len(SPECIAL):
            raise UsageError(f"most={most}: must be at least 5, the special tokens and one more")
        if least < 1:
            raise UsageError(f"least={least}: must be at least 1")
        counts = Counter(token for sentence in sentences for token in sentence)
        kept = {t: n for t, n in counts.items() if n >= least and t not in SPECIAL}
        order = sorted(kept, key=lambda token: (-kept[token], token))
        return cls((*SPECIAL, *order[: None if most is None else most - len(SPECIAL)]))

    @property
    def size(self) -> int:
        """The number of tokens V, special ones among them."""
        return len(self.tokens)

    @cached_property
    def _codes(self) -> dict[str, int]:
        special = len(SPECIAL)
        return {token: code for code, token in enumerate(self.tokens[special:], special)}

    def encode(self, tokens: Sequence[str]) -> Int[np.ndarray, "codes"]:
        """The codes of N tokens, int32 `[N]`; those that are not known get the code of `<unk>`.

        A token that is spelled like a special one is not known either, so that no input can end a
        sentence or pad it.
        """
        codes = (self._codes.get(token, UNKNOWN_CODE) for token in tokens)
        return np.fromiter(codes, np.int32, len(tokens))

    def decode(self, codes: Int[np.ndarray, "codes"] | Sequence[int]) -> list[str]:
        """The tokens of codes `[N]` up to the first `</s>`, without `<pad>` and `<s>`.

        Raises:
            UsageError: a code outside 0 .. V - 1.
        """
        tokens = []
        for code in checked_codes(np.asarray(codes, np.int32), self.size):
            if code == END_CODE:
                break
            if code not in (PAD_CODE, START_CODE):
                tokens.append(self.tokens[code])
        return tokens
