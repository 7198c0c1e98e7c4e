"""Sentences with their labels: one for the whole text, or one for each word."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np

from rnnlab.arrays import Int

Value = TypeVar("Value")


class Splits(NamedTuple, Generic[Value]):
    """Data to train on, to validate on and to test with."""

    train: Value
    validation: Value
    test: Value


class Labelled(NamedTuple):
    """Texts, each with a label.

    Attributes:
        texts: as they were written.
        labels: of each, an index into the names, int32 `[N]`.
        names: of the labels.
    """

    texts: list[str]
    labels: Int[np.ndarray, "N"]
    names: tuple[str, ...]


class Tagged(NamedTuple):
    """Sentences with a label for each word.

    Attributes:
        sentences: their words.
        labels: of the words.
    """

    sentences: list[list[str]]
    labels: list[list[str]]


def codes(labels: Any) -> Int[np.ndarray, "N"]:
    """Labels as an array, int32 `[N]`."""
    return np.array([*labels], np.int32)


def stratified_parts(
    keys: Sequence[str], labels: Sequence[int], parts: int
) -> Int[np.ndarray, "N"]:
    """A part of each row, so that every part has the same share of each label.

    Rows of one key, such as repeated texts, come into one part. The rows of a key count as of the
    label of the first of them, and are dealt, the largest groups first, in an order that is random
    and always the same.

    Args:
        keys: of the N rows.
        labels: of the N rows.
        parts: how many there are.

    Returns:
        0 .. parts - 1, int32 `[N]`.
    """
    members: dict[str, list[int]] = {}
    for row, key in enumerate(keys):
        members.setdefault(key, []).append(row)
    groups: dict[int, list[list[int]]] = {}
    for rows in members.values():
        groups.setdefault(labels[rows[0]], []).append(rows)
    found = np.zeros(len(keys), np.int32)
    random = np.random.RandomState(0)  # whose draws NumPy promises to keep
    for label in sorted(groups):
        sizes = np.zeros(parts, int)
        order = random.permutation(len(groups[label]))
        for rows in sorted((groups[label][index] for index in order), key=len, reverse=True):
            part = int(sizes.argmin())
            found[rows] = part
            sizes[part] += len(rows)
    return found
