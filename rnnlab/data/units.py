"""What the sentences of a translator are cut into: pieces of words, or words.

Both kinds turn a line into tokens and tokens into a line, and are written as JSON values, so that a
checkpoint holds everything that a translation needs.
"""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Protocol

from rnnlab.errors import UsageError

#: The piece that a space becomes part of.
SPACE = "\u2581"
SURROGATES = re.compile("[\ud800-\udfff]")


class Units(Protocol):
    """A way to cut a line into tokens."""

    kind: ClassVar[str]

    def encode(self, line: str) -> list[str]:
        """The tokens of a line."""
        ...

    def decode(self, tokens: Sequence[str]) -> str:
        """The line of tokens."""
        ...

    def record(self) -> dict[str, Any]:
        """What `read_units` makes the same units of, as JSON values."""
        ...


@dataclass(frozen=True)
class Pieces:
    """Pieces of words that byte-pair encoding finds (Sennrich, Haddow and Birch 2016).

    Letters keep their case, and `decode(encode(line)) == line` for every line without U+2581, which
    marks spaces. Characters that the training text lacks are tokens of their own.

    Attributes:
        model: of sentencepiece, as it writes it.
    """

    model: bytes
    kind: ClassVar[str] = "pieces"

    @classmethod
    def of(cls, lines: Sequence[str], size: int) -> Pieces:
        """Pieces of the words of lines; the same lines give the same pieces.

        Args:
            lines: to learn from.
            size: of pieces at most; a text of few words has fewer.

        Raises:
            UsageError: a size below the number of characters, or lines without any.
        """
        import sentencepiece

        characters = {character for line in lines for character in line} - {" "}
        if not characters:
            raise UsageError("lines: there is no character to make pieces of")
        if size < len(characters) + 2:  # a space and an unknown character are pieces too
            raise UsageError(
                f"pieces={size}: must be at least {len(characters) + 2}, since the text has "
                f"{len(characters)} characters"
            )
        model = io.BytesIO()
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(lines),
            model_writer=model,
            model_type="bpe",
            vocab_size=size,
            hard_vocab_limit=False,
            character_coverage=1.0,
            normalization_rule_name="identity",
            remove_extra_whitespaces=False,
            max_sentence_length=2**30,  # in bytes; longer ones would be left out
            num_threads=1,
            bos_id=-1,
            eos_id=-1,
            pad_id=-1,
            minloglevel=2,
        )
        return cls(model.getvalue())

    @cached_property
    def _processor(self) -> Any:
        import sentencepiece

        return sentencepiece.SentencePieceProcessor(model_proto=self.model)

    def encode(self, line: str) -> list[str]:
        """The pieces of a line; surrogates, which no encoding has, are read as U+FFFD."""
        return self._processor.encode(SURROGATES.sub("\ufffd", line), out_type=str)

    def decode(self, tokens: Sequence[str]) -> str:
        """The line of pieces."""
        return "".join(tokens).replace(SPACE, " ").removeprefix(" ")

    def record(self) -> dict[str, Any]:
        """The model in base 64."""
        return {"kind": self.kind, "model": base64.b64encode(self.model).decode()}


@dataclass(frozen=True)
class Words:
    """Words and punctuation as the tokeniser of Moses cuts them, and puts them together again.

    Letters keep their case. White space is not kept: it is one space between words, and none around
    punctuation where the language has none.

    Attributes:
        language: two letters, such as `de`.
    """

    language: str
    kind: ClassVar[str] = "words"

    @cached_property
    def _tokenizer(self) -> Any:
        from sacremoses import MosesTokenizer

        return MosesTokenizer(self.language)

    @cached_property
    def _detokenizer(self) -> Any:
        from sacremoses import MosesDetokenizer

        return MosesDetokenizer(self.language)

    def encode(self, line: str) -> list[str]:
        """The words of a line."""
        return self._tokenizer.tokenize(line, escape=False)

    def decode(self, tokens: Sequence[str]) -> str:
        """The line of words."""
        return self._detokenizer.detokenize(list(tokens), unescape=False)

    def record(self) -> dict[str, Any]:
        """The language."""
        return {"kind": self.kind, "language": self.language}


def read_units(record: Mapping[str, Any]) -> Units:
    """The units of a record.

    Raises:
        ValueError, LookupError, TypeError: the record is damaged.
    """
    if record["kind"] == Words.kind:
        return Words(str(record["language"]))
    if record["kind"] == Pieces.kind:
        pieces = Pieces(base64.b64decode(record["model"], validate=True))
        try:
            pieces.encode("")
        except RuntimeError as error:
            raise ValueError("the pieces are no model of sentencepiece") from error
        return pieces
    raise ValueError(f"units of the kind {record['kind']!r}")
