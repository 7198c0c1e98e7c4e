"""Which sums are answered right: by digits, by carries, and which are not."""

from __future__ import annotations

from typing import Any

import numpy as np

from rnnlab.arrays import Bool, Int
from rnnlab.data.sums import Numbers
from rnnlab.statistics import wilson_interval

#: Wrong answers that the report shows.
SHOWN = 20


def by_digits(numbers: Numbers, right: Bool[np.ndarray, "N"]) -> list[dict[str, Any]]:
    """A row for each number of digits of the longer number."""
    return _by("digits of the longer number", np.maximum(*map(digit_counts, numbers)), right)


def by_carries(numbers: Numbers, right: Bool[np.ndarray, "N"]) -> list[dict[str, Any]]:
    """A row for each number of carries."""
    return _by("carries", carries(numbers), right)


def wrong(numbers: Numbers, answers: list[str], right: Bool[np.ndarray, "N"]) -> list[dict]:
    """The first sums with wrong answers."""
    return [
        {
            "sum": f"{numbers.first[place]}+{numbers.second[place]}",
            "answer": answers[place],
            "right answer": int(numbers.first[place]) + int(numbers.second[place]),
        }
        for place in np.flatnonzero(~right)[:SHOWN]
    ]


def shares(
    numbers: Numbers, right: Bool[np.ndarray, "N"], digits: int
) -> tuple[np.ndarray, np.ndarray]:
    """Share of right answers and number of sums, by the digits of both numbers `[digits, digits]`.

    The share is nan where there is no sum.
    """
    sizes = [digit_counts(number) - 1 for number in numbers]
    places = sizes[0] * digits + sizes[1]
    count = np.bincount(places, minlength=digits**2)
    good = np.bincount(places, right, minlength=digits**2)
    with np.errstate(invalid="ignore"):
        share = good / count
    return share.reshape(digits, digits), count.reshape(digits, digits)


def digit_counts(numbers: Int[np.ndarray, "N"]) -> Int[np.ndarray, "N"]:
    """The number of digits of each number."""
    return np.array([len(str(number)) for number in numbers.tolist()], int)


def carries(numbers: Numbers) -> Int[np.ndarray, "N"]:
    """How often adding each pair by hand carries a one."""
    first, second = (np.asarray(number, np.int64) for number in numbers)
    found, power = np.zeros(len(first), int), 10
    while power <= 10 * max(first.max(initial=0), second.max(initial=0)):
        found += first % power + second % power >= power
        power *= 10
    return found


def _by(name: str, groups: np.ndarray, right: np.ndarray) -> list[dict[str, Any]]:
    rows = []
    for group in np.unique(groups):
        mine = right[groups == group]
        low, high = wilson_interval(int(mine.sum()), len(mine))
        rows.append(
            {
                name: int(group),
                "sums": len(mine),
                "right": f"{mine.mean():.2%}",
                "95 % interval": f"{low:.2%} … {high:.2%}",
            }
        )
    return rows
