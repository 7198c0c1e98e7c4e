"""Statistics of repeated runs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

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


def mean_interval(values: Sequence[float], level: float = 0.95) -> tuple[float, float]:
    """The interval of the mean of normally distributed values, by Student's t.

        m ± t_{n-1} s / √n

    Source: "Student", "The probable error of a mean", Biometrika 6 (1908).

    Returns:
        Its ends; nan of fewer than two values.
    """
    from scipy.stats import t  # which takes half a second to import

    count = len(values)
    if count < 2:
        return math.nan, math.nan
    middle = float(np.mean(values))
    half = float(t.ppf((1 + level) / 2, count - 1) * np.std(values, ddof=1) / math.sqrt(count))
    return middle - half, middle + half


class Difference(NamedTuple):
    """The mean difference of values that were measured in pairs, its interval, and its p-value."""

    mean: float
    low: float
    high: float
    p: float


def paired_difference(
    values: Sequence[float], others: Sequence[float], level: float = 0.95
) -> Difference:
    """By how much values exceed the others on average, by Student's t of the differences.

    Source: "Student", "The probable error of a mean", Biometrika 6 (1908).

    Args:
        values: `[n]`, n at least 2.
        others: measured together with them `[n]`.
        level: of the interval.

    Returns:
        The p-value is that of no difference, from both sides: 1 where all pairs are equal, 0 where
        all differ by the same.

    Raises:
        UsageError: fewer than two pairs, or numbers of values that differ.
    """
    from scipy.stats import t  # which takes half a second to import

    if len(values) != len(others) or len(values) < 2:
        raise UsageError(
            f"values, others: {len(values)} and {len(others)}, must be pairs, at least 2"
        )
    differences = np.asarray(values, float) - np.asarray(others, float)
    mean = float(differences.mean())
    error = float(differences.std(ddof=1)) / math.sqrt(len(differences))
    if error == 0:
        return Difference(mean, mean, mean, float(mean == 0))
    p = 2 * float(t.sf(abs(mean) / error, len(differences) - 1))
    return Difference(mean, *mean_interval(differences.tolist(), level), p)


def holm(p: Sequence[float]) -> list[float]:
    """P-values of several comparisons, adjusted so that one false alarm is as rare as of one alone.

    In ascending order they are multiplied by m, m - 1, …, 1, and none is below the one before. What
    is at most 0.05 then holds with all others that are: the chance that any of them is false is at
    most 5 %, however they depend on each other.

    Source: S. Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal
    of Statistics 6 (1979).
    """
    order = np.argsort(p)
    factors = np.arange(len(p), 0, -1)
    rising = np.maximum.accumulate(factors * np.asarray(p, float)[order])
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(rising, 1)
    return adjusted.tolist()


class PowerLaw(NamedTuple):
    """A fit of `value ∝ size^p`.

    Attributes:
        exponent: p.
        low: lower end of its 95 % interval.
        high: upper end.
    """

    exponent: float
    low: float
    high: float


def power_law(sizes: Sequence[float], values: Sequence[float]) -> PowerLaw:
    """The `p` of `value ∝ size^p`, by least squares on logarithms.

        p ± t_{n-2} s / √Σ(x - mean(x))²,  s² = Σ residual² / (n - 2),  x = log size

    Args:
        sizes: positive numbers, of which two differ.
        values: positive numbers.

    Returns:
        The exponent and its interval, nan of fewer than three values.

    Raises:
        UsageError: fewer than two sizes, or a number that has no logarithm.
    """
    if len(set(sizes)) < 2 or min(*sizes, *values) <= 0:
        raise UsageError(f"sizes={sizes}, values={values}: must be positive, with two sizes")
    x, y = (np.log(np.asarray(numbers, np.float64)) for numbers in (sizes, values))
    x, y = x - x.mean(), y - y.mean()
    exponent = float(x @ y / (x @ x))
    if len(x) < 3:
        return PowerLaw(exponent, math.nan, math.nan)
    from scipy.stats import t  # which takes half a second to import

    error = math.sqrt(float(np.sum((y - exponent * x) ** 2)) / (len(x) - 2) / float(x @ x))
    half = float(t.ppf(0.975, len(x) - 2)) * error
    return PowerLaw(exponent, exponent - half, exponent + half)


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


def confusion(labels: np.ndarray, answers: np.ndarray, classes: int) -> np.ndarray:
    """How many of each class, by rows, were taken for each class, by columns: int64 `[K, K]`."""
    return np.bincount(labels * classes + answers, minlength=classes**2).reshape(classes, classes)


def macro_f1(counts: np.ndarray) -> np.ndarray:
    """The mean over the classes of `F1 = 2 tp / (2 tp + fp + fn)`, 0 for a class without any.

    Args:
        counts: confusion matrices `[..., K, K]`, the right classes by rows.
    """
    right = np.diagonal(counts, axis1=-2, axis2=-1)
    every = counts.sum(axis=-1) + counts.sum(axis=-2)
    return np.mean(2 * right / np.maximum(every, 1), axis=-1)


def resampled(counts: np.ndarray, resamples: int = 2000) -> np.ndarray:
    """Tables of counts as they would be for other texts, `[resamples, *shape]`.

    The bootstrap: as many cases as there are, drawn with replacement, with a fixed seed. The middle
    95 % of anything that is computed of these tables is its interval.

    Args:
        counts: cases by what they are and what was answered, of any shape.
        resamples: how often cases are drawn.
    """
    total = int(counts.sum())
    drawn = np.random.default_rng(0).multinomial(total, counts.ravel() / total, resamples)
    return drawn.reshape(resamples, *counts.shape)


def correlations(values: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Pearson's correlation of each column of `values [N, H]` with `targets [N]`; constants 0."""
    values, targets = values - values.mean(axis=0), targets - targets.mean()
    scale = np.linalg.norm(values, axis=0) * np.linalg.norm(targets)
    return targets @ values / np.where(scale > 0, scale, 1)


def correlation_interval(
    values: np.ndarray, targets: np.ndarray, parts: int = 20
) -> tuple[float, float]:
    """The 95 % interval of the correlation of two series `[N]` whose entries depend on each other.

    The standard error of artanh r is that of the jackknife which leaves out one stretch of the
    series after the other, so that neighbours, which are alike, do not count as so many samples.
    Where a stretch holds all that varies nothing is known: (-1, 1).

    Source: H. R. Künsch, "The jackknife and the bootstrap for general stationary observations",
    Annals of Statistics 17 (1989), section 2.1, with stretches that do not overlap.

    Args:
        values: the one series.
        targets: the other.
        parts: number of stretches.

    Raises:
        UsageError: fewer entries than two for each stretch, or fewer stretches than two.
    """
    from scipy.stats import t  # which takes half a second to import

    if parts < 2 or len(targets) < 2 * parts:
        raise UsageError(f"parts={parts}: must be at least 2, with two of {len(targets)} in each")
    stretch = np.arange(len(targets)) * parts // len(targets)
    left_out = np.empty(parts)
    for part in range(parts):
        kept = stretch != part
        if np.std(values[kept]) == 0 or np.std(targets[kept]) == 0:
            return -1.0, 1.0
        left_out[part] = correlations(values[kept, None], targets[kept])[0]
    edge = 1 - 1e-12  # artanh of a perfect correlation is infinite
    z = np.arctanh(np.clip(left_out, -edge, edge))
    r = correlations(values[:, None], targets)[0]
    error = math.sqrt((parts - 1) / parts * float(np.sum((z - z.mean()) ** 2)))
    half = float(t.ppf(0.975, parts - 1)) * error
    middle = math.atanh(min(max(float(r), -edge), edge))
    return math.tanh(middle - half), math.tanh(middle + half)


def rank_correlation_interval(r: float, count: int) -> tuple[float, float]:
    """The 95 % interval of Spearman's correlation `r` of `count` independent pairs.

        tanh(artanh r ± 1.96 · 1.03 / √(count - 3))

    Source: E. C. Fieller, H. O. Hartley and E. S. Pearson, "Tests for rank correlation
    coefficients I", Biometrika 44 (1957). (-1, 1) for three pairs or fewer.
    """
    if count <= 3:
        return -1.0, 1.0
    half = 1.959964 * 1.03 / math.sqrt(count - 3)
    middle = math.atanh(min(max(r, -1 + 1e-12), 1 - 1e-12))
    return math.tanh(middle - half), math.tanh(middle + half)


def rate_text(solved_at: np.ndarray) -> str:
    """How many seeds have solved a task, and Wilson's 95 % interval of the rate.

    Args:
        solved_at: when each seed solved it, nan where it did not, `[seed]`.
    """
    count, trials = int(np.isfinite(solved_at).sum()), solved_at.size
    low, high = wilson_interval(count, trials)
    return f"{count}/{trials} ({low:.2f} … {high:.2f})"


def plus_minus_text(mean: float, error: float) -> str:
    """A mean and its error to four decimals; without the error where one sample gives none."""
    spread = f" ± {error:z.4f}" if math.isfinite(error) else ""
    return f"{mean:+z.4f}{spread}"


def median_text(values: np.ndarray, form: str) -> str:
    """The median of the finite values in a format such as "{:.3g}"; "-" if there are none."""
    finite = values[np.isfinite(values)]
    return form.format(np.median(finite)) if finite.size else "-"


def rank_correlation(values: np.ndarray, targets: np.ndarray) -> float:
    """Spearman's rank correlation of `[n]` with `[n]`; nan of fewer than three, or of constants."""
    from scipy import stats

    if len(values) < 3 or np.ptp(values) == 0 or np.ptp(targets) == 0:
        return math.nan
    result: Any = stats.spearmanr(values, targets)
    return float(result.statistic)


def rank_interval(rho: float, count: int, z: float = 1.959964) -> tuple[float, float]:
    """The interval of a rank correlation of `count` pairs; 95 % with the default z.

        tanh(artanh ρ ± z sqrt((1 + ρ²/2) / (n - 3)))

    Source: D. G. Bonett and T. A. Wright, "Sample size requirements for estimating Pearson, Kendall
    and Spearman correlations", Psychometrika 65 (2000).

    Returns:
        Its ends; nan of fewer than four pairs.
    """
    if count < 4 or not abs(rho) < 1:
        return (rho, rho) if abs(rho) == 1 and count >= 4 else (math.nan, math.nan)
    half = z * math.sqrt((1 + rho * rho / 2) / (count - 3))
    return math.tanh(math.atanh(rho) - half), math.tanh(math.atanh(rho) + half)
