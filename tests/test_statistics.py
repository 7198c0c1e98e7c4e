import numpy as np
import pytest

from rnnlab.errors import UsageError
from rnnlab.statistics import median_text, rate_text, wilson_interval


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
