"""How many labels are right: of words, and of whole entities."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

Labels = Sequence[Sequence[str]]


class Scores(NamedTuple):
    """What a labelling is worth.

    Attributes:
        accuracy: share of words with the right label; 0 where there are no words.
        f1: harmonic mean of precision and recall of entities, 0 where there are none; None where
            labels are not those of entities.
        precision: share of the answered entities that are right.
        recall: share of the entities that were found.
        types: precision, recall, F1 and number of the entities of each type.
    """

    accuracy: float
    f1: float | None
    precision: float | None
    recall: float | None
    types: list[dict[str, Any]]

    @property
    def error(self) -> float:
        """What training is to make small: 1 - F1, or the share of wrong labels."""
        return 1 - (self.accuracy if self.f1 is None else self.f1)


def score(gold: Labels, found: Labels, entities: bool) -> Scores:
    """Scores of labels.

    Entities are counted by seqeval in its strict mode: an entity of IOB2 begins with `B-`, and an
    `I-` that continues none is no entity.

    Args:
        gold: right labels of each sentence.
        found: the answered ones.
        entities: whether labels are those of entities in IOB2.
    """
    pairs = [(a, b) for x, y in zip(gold, found, strict=True) for a, b in zip(x, y, strict=True)]
    accuracy = sum(a == b for a, b in pairs) / max(len(pairs), 1)
    if not entities:
        return Scores(accuracy, None, None, None, [])
    rows = _report(gold, found)
    every = rows.pop("micro avg", {"precision": 0.0, "recall": 0.0, "f1": 0.0})
    types = [{"type": name, **row} for name, row in rows.items() if not name.endswith(" avg")]
    return Scores(accuracy, every["f1"], every["precision"], every["recall"], types)


def _report(gold: Labels, found: Labels) -> dict[str, dict[str, Any]]:
    if not any(label != "O" for labels in gold for label in labels):
        return {}  # seqeval fails without any entity
    from seqeval.metrics import classification_report
    from seqeval.scheme import IOB2

    settings: Any = {"mode": "strict", "scheme": IOB2, "output_dict": True, "zero_division": 0}
    report: Any = classification_report(
        [list(labels) for labels in gold], [list(labels) for labels in found], **settings
    )
    return {
        name: {
            "precision": float(row["precision"]),
            "recall": float(row["recall"]),
            "f1": float(row["f1-score"]),
            "entities": int(row["support"]),
        }
        for name, row in report.items()
    }


def are_entities(labels: Sequence[str]) -> bool:
    """Whether labels are those of entities in IOB2."""
    return all(label == "O" or label.startswith(("B-", "I-")) for label in labels)
