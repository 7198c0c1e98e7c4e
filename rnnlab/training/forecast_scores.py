"""How good a forecast is: how long it is valid, and whether its statistics are right in the end."""

from __future__ import annotations

import numpy as np

from rnnlab.arrays import Float, Int

#: Bins of the histogram of a variable.
BINS = 40
#: Samples of a stretch of which a spectrum is computed, at most, and over how many frequencies it
#: is smoothed.
STRETCH, SMOOTH = 2048, 9


def normalised_errors(
    predicted: Float[np.ndarray, "T n D"], truth: Float[np.ndarray, "T n D"]
) -> Float[np.ndarray, "T n"]:
    """`√(mean_i ((x̂_i - x_i) / σ_i)²)` for standardised variables, infinite where one overflows.

    Source: P. R. Vlachas et al., "Backpropagation algorithms and reservoir computing in recurrent
    neural networks for the forecasting of complex spatiotemporal dynamics" (2020), equation 21.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        squares = np.square(np.asarray(predicted, np.float64) - truth).mean(axis=-1)
    return np.sqrt(np.where(np.isfinite(squares), squares, np.inf))


def valid_steps(errors: Float[np.ndarray, "T n"], threshold: float) -> Int[np.ndarray, "n"]:
    """Steps before the first whose error is not below the threshold; T where there is none."""
    wrong = errors >= threshold
    return np.where(wrong.any(axis=0), wrong.argmax(axis=0), len(errors))


def histogram_distance(
    a: Float[np.ndarray, "n D"], b: Float[np.ndarray, "steps D"], bins: int = BINS
) -> float:
    """Hellinger distance of the histograms of two sets of states, 0 to 1, as a mean over variables.

    The bins span what the second takes; values beyond count in the outermost bins, and what is not
    finite beside them.
    """
    return float(np.mean([_histogram_distance(x, y, bins) for x, y in zip(a.T, b.T, strict=True)]))


def _histogram_distance(x: np.ndarray, y: np.ndarray, bins: int) -> float:
    edges = np.linspace(y.min(), y.max(), bins + 1)

    def shares(values: np.ndarray) -> np.ndarray:
        kept = values[np.isfinite(values)]
        counts = np.histogram(np.clip(kept, edges[0], edges[-1]), edges)[0]
        return np.append(counts, len(values) - len(kept)) / len(values)

    return hellinger(shares(x), shares(y))


def spectrum_distance(
    a: Float[np.ndarray, "steps *batch D"], b: Float[np.ndarray, "steps *batch D"]
) -> float:
    """Hellinger distance of the power spectra of two runs, 0 to 1, as a mean over variables.

    Each spectrum has the sum 1; 1 is also the distance of a run that is constant or overflows.

    Source: J. Mikhaeil, Z. Monfared and D. Durstewitz, "On the difficulty of learning chaotic
    dynamics with RNNs" (2022), appendix on performance measures.
    """
    length = min(len(a), len(b), STRETCH)
    pairs = zip(spectra(a, length).T, spectra(b, length).T, strict=True)
    return float(np.mean([hellinger(x, y) if x.any() and y.any() else 1.0 for x, y in pairs]))


def spectra(
    run: Float[np.ndarray, "steps *batch D"], length: int
) -> Float[np.ndarray, "frequencies D"]:
    """The smoothed power spectrum of each variable, of sum 1; zeros where there is none.

    It is the mean over stretches of that many steps, each without its mean and with Hann's window.
    """
    count = len(run) // length
    rows = np.moveaxis(run[: count * length].reshape(count, length, -1, run.shape[-1]), 1, 2)
    rows = rows.reshape(-1, length, run.shape[-1])
    window = np.hanning(length)[:, None]
    with np.errstate(over="ignore", invalid="ignore"):
        waves = np.fft.rfft(window * (rows - rows.mean(axis=1, keepdims=True)), axis=1)
        power = np.square(np.abs(waves)).mean(axis=0)[1:]
    kernel = np.ones(SMOOTH) / SMOOTH
    smooth = [np.convolve(one, kernel, mode="same") for one in power.T]
    sums = np.sum(smooth, axis=1)
    good = np.isfinite(sums) & (sums > 1e-20)
    pairs = zip(smooth, np.where(good, sums, np.inf), good, strict=True)
    return np.array([p / s if g else np.zeros_like(p) for p, s, g in pairs]).T


def hellinger(p: Float[np.ndarray, "n"], q: Float[np.ndarray, "n"]) -> float:
    """`√(1 - Σ √(p q))` of two distributions."""
    return float(np.sqrt(max(1 - np.sqrt(p * q).sum(), 0.0)))
