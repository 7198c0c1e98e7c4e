"""Sentences in columns: a word and its label a line, an empty line between sentences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

Sentence = tuple[list[str], list[str]]


def read_columns(text: str, prefix: str = "") -> Iterator[Sentence]:
    """The words and IOB2 labels of each sentence.

    Lines are `word<TAB>label`; a line of white space ends a sentence.

    Args:
        text: the contents of a file.
        prefix: what every word begins with and is left out, such as `en:`.

    Raises:
        ValueError: another number of columns, a word without the prefix, or labels that are not
            IOB2.
    """
    words: list[str] = []
    labels: list[str] = []
    for number, line in enumerate([*text.split("\n"), ""], start=1):
        if line.strip():
            columns = line.rstrip("\r").split("\t")
            if len(columns) != 2 or not columns[0].startswith(prefix):
                raise ValueError(f"line {number}: {line!r} is not {prefix}word<TAB>label")
            words.append(columns[0].removeprefix(prefix))
            labels.append(columns[1].strip())
        elif words:
            check_iob2(labels, number - len(words))
            yield words, labels
            words, labels = [], []


def check_iob2(labels: Sequence[str], first: int = 1) -> None:
    """Checks that an entity begins with B and that I goes on with one of the same type.

    Args:
        labels: of one sentence: O, B-TYPE or I-TYPE.
        first: number of the first label, for the message.

    Raises:
        ValueError: they are not IOB2.
    """
    before = "O"
    for number, label in enumerate(labels, start=first):
        begin, _, kind = label.partition("-")
        if label != "O" and (begin not in ("B", "I") or not kind):
            raise ValueError(f"line {number}: {label!r} is not O, B-TYPE or I-TYPE")
        if begin == "I" and before[2:] != kind:
            raise ValueError(f"line {number}: {label} follows {before}, which is not IOB2")
        before = label


def read_universal(text: str) -> Iterator[Sentence]:
    """The words and universal parts of speech of each sentence of a CoNLL-U file.

    Of a multiword token, such as `don't`, its syntactic words are taken; empty nodes, which stand
    for words that were left out, are not.

    Raises:
        ValueError: it is no CoNLL-U, or a word has no part of speech.
    """
    import conllu
    from conllu.exceptions import ParseException

    try:
        for tokens in conllu.parse(text, fields=("id", "form", "lemma", "upos")):
            words = [token for token in tokens if isinstance(token["id"], int)]
            if any(token["upos"] in (None, "_") for token in words):
                raise ValueError(f"{tokens.metadata}: a word has no part of speech")
            yield [token["form"] for token in words], [token["upos"] for token in words]
    except ParseException as error:
        raise ValueError(str(error)) from error
