"""Statistics of repeated runs."""

from __future__ import annotations

import math

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
