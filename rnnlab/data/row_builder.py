"""What our TFDS builders of labelled sentences share. Importing this module imports TFDS."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, ClassVar

from rnnlab.data.builder import Folder, TextBuilder, load_text_split
from rnnlab.data.sentences import Labelled, Tagged, codes


class RowBuilder(TextBuilder, skip_registration=True):
    """Rows of JSON values for each split, kept as the lines of one record."""

    def texts(self, contents: dict[str, str]) -> dict[str, str]:
        """The rows as lines of JSON."""
        return {
            split: "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
            for split, rows in self.rows(contents).items()
        }

    def rows(self, contents: dict[str, str]) -> dict[str, Iterable[Any]]:
        """The rows of each split, from the contents of the files.

        Raises:
            ValueError: a file is not of the format that it should have.
        """
        raise NotImplementedError


class LabelledBuilder(RowBuilder, skip_registration=True):
    """Texts with labels: rows `[text, label]`, whose labels are indices into the names."""

    NAMES: ClassVar[tuple[str, ...]]


def load_rows(
    builder: type[RowBuilder], data_dir: Folder, manual_dir: Folder, split: str
) -> list[Any]:
    """The rows of a split; arguments and errors as in `builder.load_split`."""
    text = load_text_split(builder, data_dir, manual_dir, split)
    return [json.loads(line) for line in text.split("\n") if line]


def load_labelled(
    builder: type[LabelledBuilder], data_dir: Folder, manual_dir: Folder, split: str
) -> Labelled:
    """A split of texts with labels; arguments and errors as in `builder.load_split`."""
    rows = load_rows(builder, data_dir, manual_dir, split)
    return Labelled([text for text, _ in rows], codes(label for _, label in rows), builder.NAMES)


def load_tagged(
    builder: type[RowBuilder], data_dir: Folder, manual_dir: Folder, split: str
) -> Tagged:
    """A split of sentences, rows `[words, labels]`; arguments and errors as in `load_labelled`."""
    rows = load_rows(builder, data_dir, manual_dir, split)
    return Tagged([words for words, _ in rows], [labels for _, labels in rows])
