import numpy as np
import pytest

from rnnlab.errors import UsageError
from rnnlab.statistics import (
    correlation_interval,
    correlations,
    median_text,
    rank_correlation_interval,
    rate_text,
    wilson_interval,
)


@pytest.mark.parametrize(("successes", "trials"), [(0, 1), (0, 20), (3, 8), (19, 20), (20, 20)])
def test_wilson_interval_is_scipys(successes, trials):
    stats = pytest.importorskip("scipy.stats")
    exact = stats.binomtest(successes, trials).proportion_ci(method="wilson")
    assert wilson_interval(successes, trials) == pytest.approx((exact.low, exact.high), abs=1e-6)


@pytest.mark.parametrize(("successes", "trials"), [(0, 0), (3, 2), (-1, 2)])
def test_impossible_counts(successes, trials):
    with pytest.raises(UsageError, match=f"successes={successes}"):
        wilson_interval(successes, trials)


def test_texts():
    solved_at = np.array([100.0, np.nan, 300.0, 250.0])
    low, high = wilson_interval(3, 4)
    assert rate_text(solved_at) == f"3/4 ({low:.2f} … {high:.2f})"
    assert median_text(solved_at, "{:.0f}") == "250"
    assert median_text(np.array([np.nan, np.inf]), "{:.0f}") == "-"


def smoothed(rng, count, memory):
    """A series whose entries depend on those before."""
    noise, series = rng.normal(size=count), np.zeros(count)
    for i in range(1, count):
        series[i] = memory * series[i - 1] + noise[i]
    return series


def test_the_interval_of_a_correlation_covers_the_true_one():
    """Two series with long memories that have nothing in common.

    As if of independent samples, their intervals would miss zero in more than two cases of five.
    """
    rng = np.random.default_rng(0)
    covered = naive = 0
    for _ in range(200):
        x, y = smoothed(rng, 1000, 0.9), smoothed(rng, 1000, 0.9)
        low, high = correlation_interval(x, y)
        covered += low <= 0 <= high
        naive += abs(np.arctanh(correlations(x[:, None], y)[0])) <= 1.96 / np.sqrt(997)
    assert covered > 180 and naive < 120


def test_intervals_of_correlations_at_their_limits():
    x = np.arange(100.0)
    low, high = correlation_interval(x, -x)
    assert low <= high < -0.999999
    rare = np.zeros(100)
    rare[3] = 1
    assert correlation_interval(x, rare) == (-1, 1)
    with pytest.raises(UsageError, match="parts=20: must be at least 2, with two of 30 in each"):
        correlation_interval(x[:30], x[:30])
    low, high = rank_correlation_interval(0.02, 72)
    assert low == pytest.approx(-0.2194, abs=1e-4) and high == pytest.approx(0.2571, abs=1e-4)
    assert rank_correlation_interval(0.9, 3) == (-1, 1)
