import itertools

import numpy as np
import pytest

from rnnlab.errors import UsageError
from rnnlab.statistics import (
    confusion,
    correlation_interval,
    correlations,
    holm,
    macro_f1,
    mean_interval,
    median_text,
    paired_difference,
    plus_minus_text,
    power_law,
    rank_correlation_interval,
    rate_text,
    ratio_interval,
    resampled,
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


@pytest.mark.parametrize("level", [0.5, 0.95])
def test_the_interval_of_a_mean_is_scipys(level):
    stats = pytest.importorskip("scipy.stats")
    values = np.random.default_rng(0).normal(3, 2, 7)
    exact = stats.ttest_1samp(values, 0).confidence_interval(level)
    assert mean_interval(values, level) == pytest.approx(tuple(exact))
    # By the table of Student's t: 12.706 for two values.
    assert mean_interval([1.0, 3.0]) == pytest.approx((2 - 12.706, 2 + 12.706), abs=1e-3)
    assert np.isnan(mean_interval([1.0])).all()


def test_texts():
    solved_at = np.array([100.0, np.nan, 300.0, 250.0])
    low, high = wilson_interval(3, 4)
    assert rate_text(solved_at) == f"3/4 ({low:.2f} … {high:.2f})"
    assert median_text(solved_at, "{:.0f}") == "250"
    assert median_text(np.array([np.nan, np.inf]), "{:.0f}") == "-"


def test_the_interval_of_a_ratio_is_that_of_scipys_bootstrap():
    stats = pytest.importorskip("scipy.stats")
    rng = np.random.default_rng(1)
    slow, fast = 2 + rng.normal(0, 0.1, 25), 1 + rng.normal(0, 0.1, 25)
    expected = stats.bootstrap(
        (slow, fast),
        lambda a, b, axis: np.median(a, axis) / np.median(b, axis),
        paired=True,
        method="percentile",
        n_resamples=5000,
        rng=np.random.default_rng(2),
    ).confidence_interval
    assert ratio_interval(slow, fast) == pytest.approx(tuple(expected), rel=0.02)
    assert ratio_interval(slow, fast) == ratio_interval(slow, fast)


def test_intervals_cover_the_ratio_as_often_as_they_say():
    rng = np.random.default_rng(3)
    covered = 0
    for _ in range(200):
        common = rng.lognormal(0, 0.5, 15)  # of both values of a pair, and larger than the noise
        slow, fast = (common * factor * rng.lognormal(0, 0.05, 15) for factor in (2, 1))
        low, high = ratio_interval(slow, fast, resamples=300)
        covered += low <= 2 <= high
        assert high / low < 1.6
    assert covered >= 180


def test_rounding_errors_are_no_spread():
    assert plus_minus_text(-1e-17, 3e-16) == "+0.0000 ± 0.0000"
    assert plus_minus_text(0.25, float("nan")) == "+0.2500"


def test_pairs_are_needed():
    with pytest.raises(UsageError, match="1 and 2 values, must be pairs"):
        ratio_interval([1.0], [1.0, 2.0])


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


def test_confusions_and_f1_against_scikit_learn():
    from sklearn.metrics import confusion_matrix, f1_score

    random = np.random.default_rng(0)
    for classes in (2, 3, 5):
        labels, answers = random.integers(0, classes, (2, 60))
        answers[answers == classes - 1] = 0  # a class that is never answered
        counts = confusion(labels, answers, classes)
        assert np.array_equal(counts, confusion_matrix(labels, answers, labels=range(classes)))
        expected = f1_score(
            labels, answers, average="macro", labels=range(classes), zero_division=0
        )
        assert macro_f1(counts) == pytest.approx(expected)
    assert macro_f1(np.zeros((2, 2), int)) == 0
    assert macro_f1(np.array([[[3, 0], [0, 1]], [[0, 2], [1, 0]]])).tolist() == [1, 0]


def test_tables_are_resampled_as_their_cases_are():
    counts = np.array([[60, 20], [5, 15]])
    drawn = resampled(counts, 4000)
    assert drawn.shape == (4000, 2, 2) and np.all(drawn.sum(axis=(1, 2)) == 100)
    np.testing.assert_allclose(drawn.mean(axis=0), counts, atol=0.3)
    p = counts / 100
    np.testing.assert_allclose(drawn.std(axis=0), np.sqrt(100 * p * (1 - p)), rtol=0.05)
    assert np.array_equal(drawn, resampled(counts, 4000))


def test_differences_in_pairs_are_scipys():
    stats = pytest.importorskip("scipy.stats")
    rng = np.random.default_rng(3)
    values = rng.normal(size=9)
    others = values + 0.3 + 0.5 * rng.normal(size=9)
    found, expected = paired_difference(values, others), stats.ttest_rel(values, others)
    assert found.p == pytest.approx(expected.pvalue)
    interval = expected.confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))
    assert found.mean == pytest.approx((values - others).mean())
    assert paired_difference(values, values) == (0, 0, 0, 1)
    with pytest.raises(UsageError, match="must be pairs, at least 2"):
        paired_difference(values, others[:3])


def test_holm_is_the_closed_test_of_bonferroni():
    """A comparison holds at a level if each set that it is in does: the least p times its size."""
    for seed in range(20):
        p = np.random.default_rng(seed).uniform(size=5) ** 3
        expected = [
            max(
                min(1, len(chosen) * min(p[list(chosen)]))
                for count in range(1, 6)
                for chosen in itertools.combinations(range(5), count)
                if one in chosen
            )
            for one in range(5)
        ]
        assert holm(p.tolist()) == pytest.approx(expected)
    assert holm([]) == []


def test_a_power_law_is_the_line_that_scipy_fits():
    stats = pytest.importorskip("scipy.stats")
    sizes, values = [1, 2, 4, 8, 32], [3.0, 5.0, 8.0, 20.0, 40.0]
    line = stats.linregress(np.log(sizes), np.log(values))
    fit = power_law(sizes, values)
    assert fit.exponent == pytest.approx(line.slope)
    half = stats.t.ppf(0.975, 3) * line.stderr
    assert (fit.low, fit.high) == pytest.approx((line.slope - half, line.slope + half))
    assert power_law([1, 4], [1.0, 2.0]).exponent == pytest.approx(0.5)
    assert np.isnan(power_law([1, 4], [1.0, 2.0]).low)


@pytest.mark.parametrize(
    ("sizes", "values"), [([2, 2], [1, 3]), ([0, 2], [1, 3]), ([1, 2], [0, 3])]
)
def test_a_power_law_needs_logarithms_of_two_sizes(sizes, values):
    with pytest.raises(UsageError, match=r"^sizes="):
        power_law(sizes, values)
