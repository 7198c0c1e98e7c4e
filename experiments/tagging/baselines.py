"""What labels words without a network: the most frequent label, and a CRF on hand-made features."""

from __future__ import annotations

import importlib.util
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from typing import Any

from rnnlab.data.sentences import Tagged
from rnnlab.errors import RunError

#: Answers the labels of sentences.
Labeller = Callable[[Sequence[Sequence[str]]], list[list[str]]]


def frequent(train: Tagged) -> Labeller:
    """The most frequent label of each word, or of all words for one that is new."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for words, labels in zip(*train, strict=True):
        for word, label in zip(words, labels, strict=True):
            counts[word][label] += 1
    usual = sum(counts.values(), Counter()).most_common(1)[0][0]
    best = {word: labels.most_common(1)[0][0] for word, labels in counts.items()}
    return lambda sentences: [[best.get(word, usual) for word in words] for words in sentences]


def features(train: Tagged) -> Labeller:
    """A CRF on what people would look at: words, their ends, shapes and neighbours."""
    import sklearn_crfsuite

    crf = sklearn_crfsuite.CRF(
        algorithm="lbfgs", c1=0.1, c2=0.1, max_iterations=100, all_possible_transitions=True
    )
    crf.fit([describe(words) for words in train.sentences], train.labels)
    return lambda sentences: [list(found) for found in crf.predict(list(map(describe, sentences)))]


def require(name: str) -> None:
    """Checks that a baseline can run, before hours of training.

    Raises:
        RunError: the package sklearn-crfsuite is missing.
    """
    if name == "features" and importlib.util.find_spec("sklearn_crfsuite") is None:
        raise RunError(
            "baseline=features: needs the package sklearn-crfsuite; install the extra 'peers', or "
            "choose --config.baseline=frequent"
        )


def describe(words: Sequence[str]) -> list[dict[str, Any]]:
    """The features of each word of a sentence, its neighbours' among them."""
    own = [_own(word) for word in words]
    found = []
    for place, here in enumerate(own):
        row: dict[str, Any] = {"bias": 1.0, **here}
        for offset in (-2, -1, 1, 2):
            if 0 <= place + offset < len(own):
                other = own[place + offset]
                names = ("word", "shape", "title") if abs(offset) == 1 else ("word",)
                row |= {f"{offset:+d}:{name}": other[name] for name in names}
        row["first"], row["last"] = place == 0, place == len(own) - 1
        found.append(row)
    return found


def _own(word: str) -> dict[str, Any]:
    small = word.lower()
    return {
        "word": small,
        "shape": _shape(word),
        "title": word.istitle(),
        "upper": word.isupper(),
        "digit": any(map(str.isdigit, word)),
        **{f"ends {count}": small[-count:] for count in (1, 2, 3, 4)},
        **{f"begins {count}": small[:count] for count in (1, 2, 3)},
    }


def _shape(word: str) -> str:
    """Letters as X or x and digits as 0, each run of them once or twice: `Xx00`."""
    shape = re.sub(r"[^\W\d_]", lambda found: "X" if found[0].isupper() else "x", word)
    return re.sub(r"(.)\1+", r"\1\1", re.sub(r"\d", "0", shape))


BASELINES: dict[str, Callable[[Tagged], Labeller]] = {"frequent": frequent, "features": features}
