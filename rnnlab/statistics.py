"""Statistics of repeated runs."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from rnnlab.errors import UsageError


def wilson_interval(successes: int, trials: int, z: float = 1.959964) -> tuple[float, float]:
    """The interval of a success rate after `trials` independent trials; 95 % with the default z.

        (p + z²/2n ± z √(p (1 - p) / n + z² / 4n²)) / (1 + z²/n),  p = successes / n

    Unlike the normal one it has width where none or all succeed.

    Source: E. B. Wilson, "Probable inference, the law of succession, and statistical inference",
    Journal of the American Statistical Association 22 (1927).

    Raises:
        UsageError: no trials, or more successes than trials.
    """
    if trials < 1 or not 0 <= successes <= trials:
        raise UsageError(f"successes={successes}: must be within 0 .. trials={trials}, at least 1")
    p = successes / trials
    centre = p + z * z / (2 * trials)
    half = z * math.sqrt(p * (1 - p) / trials + z * z / (4 * trials**2))
    scale = 1 + z * z / trials
    return max(0.0, (centre - half) / scale), min(1.0, (centre + half) / scale)


def ratio_interval(
    numerator: Sequence[float],
    denominator: Sequence[float],
    *,
    level: float = 0.95,
    resamples: int = 2000,
) -> tuple[float, float]:
    """The interval of the ratio of two medians, of values that were measured in pairs.

    Percentile bootstrap: pairs are drawn with replacement, as many as there are, and the ratio of
    the medians is taken; the interval holds the middle `level` of all such ratios. What both values
    of a pair have in common, such as a slow moment of the machine, so stays in both. The draws have
    a fixed seed. Three pairs give little more than the least and the largest ratio.

    Sources: B. Efron and R. J. Tibshirani, "An Introduction to the Bootstrap" (1993), chapter 13;
    for ratios of times T. Kalibera and R. Jones, "Rigorous benchmarking in reasonable time" (2013).

    Args:
        numerator: values, `[n]`, n at least 2.
        denominator: the values measured together with them, `[n]`.
        level: share of the ratios within the interval.
        resamples: how often pairs are drawn.

    Raises:
        UsageError: fewer than two pairs, or numbers of values that differ.
    """
    pairs = np.array([numerator, denominator]) if len(numerator) == len(denominator) else None
    if pairs is None or pairs.shape[1] < 2:
        raise UsageError(
            f"numerator, denominator: {len(numerator)} and {len(denominator)} values, must be "
            "pairs, at least 2"
        )
    count = pairs.shape[1]
    places = np.random.default_rng(0).integers(count, size=(resamples, count))
    above, below = np.median(pairs[:, places], axis=-1)
    low, high = np.quantile(above / below, ((1 - level) / 2, (1 + level) / 2))
    return float(low), float(high)


def rate_text(solved_at: np.ndarray) -> str:
    """How many seeds have solved a task, and Wilson's 95 % interval of the rate.

    Args:
        solved_at: when each seed solved it, nan where it did not, `[seed]`.
    """
    count, trials = int(np.isfinite(solved_at).sum()), solved_at.size
    low, high = wilson_interval(count, trials)
    return f"{count}/{trials} ({low:.2f} … {high:.2f})"


def median_text(values: np.ndarray, form: str) -> str:
    """The median of the finite values in a format such as "{:.3g}"; "-" if there are none."""
    finite = values[np.isfinite(values)]
    return form.format(np.median(finite)) if finite.size else "-"
