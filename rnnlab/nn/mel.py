"""Sound as frames: how much of each band of frequencies there is, in logarithms, as the ear has it.

Frame t is made of the samples `t · hop … t · hop + window - 1` alone. So frames need nothing of the
future, and those of a sound that comes in pieces are those of the whole.
"""

from __future__ import annotations

import dataclasses

import jax.numpy as jnp
import numpy as np

from rnnlab.arrays import Array, Float, Int
from rnnlab.errors import UsageError
from rnnlab.sizes import check_positive


def hertz_to_mel(hertz: Float[np.ndarray, "..."] | float) -> Float[np.ndarray, "..."]:
    """`mel = 2595 log10(1 + f / 700)`: equal steps are heard as equal.

    Source: D. O'Shaughnessy, "Speech Communication: Human and Machine" (1987), page 150.
    """
    return 2595 * np.log10(1 + np.asarray(hertz, np.float64) / 700)


def mel_to_hertz(mel: Float[np.ndarray, "..."] | float) -> Float[np.ndarray, "..."]:
    """The inverse of `hertz_to_mel`."""
    return 700 * (10 ** (np.asarray(mel, np.float64) / 2595) - 1)


@dataclasses.dataclass(frozen=True)
class LogMel:
    """Log-mel frames of sound: `log(E_tm + floor)`, `E_tm = Σ_k F_mk |X_tk|² / Σ_n w_n²`.

    `X_t` is the discrete Fourier transform of a window of samples, weighted by Hann's
    `w_n = sin²(π n / window)`; F are triangles whose corners are equally far apart in mel, each of
    height 1. White noise of variance v has `|X_tk|² / Σ w² = v` on average, at any window.

    Source: S. B. Davis and P. Mermelstein, "Comparison of parametric representations for
    monosyllabic word recognition in continuously spoken sentences" (1980), section II, without its
    cosine transform.

    Attributes:
        rate: samples of a second.
        window: samples of a frame.
        hop: samples from one frame to the next.
        transform: samples of the Fourier transform, of which those after the window are zero.
        bands: triangles M.
        lowest: where the first triangle begins, in Hz.
        highest: where the last one ends, at most half the rate.
        floor: what silence has, in units of the square of a full sample.

    Raises:
        UsageError: a number out of range, or triangles between two frequencies of the transform.
    """

    rate: int = 8000
    window: int = 200
    hop: int = 80
    transform: int = 256
    bands: int = 40
    lowest: float = 60.0
    highest: float = 4000.0
    floor: float = 1e-6

    def __post_init__(self) -> None:
        """Checks every field."""
        for name in ("rate", "window", "hop", "bands"):
            check_positive(name, getattr(self, name))
        if self.transform < self.window:
            raise UsageError(f"transform={self.transform}: must be at least window={self.window}")
        if not 0 <= self.lowest < self.highest <= self.rate / 2:
            raise UsageError(
                f"lowest={self.lowest}, highest={self.highest}: must ascend within 0 .. "
                f"{self.rate / 2:g}, half the rate"
            )
        if not self.floor > 0:
            raise UsageError(f"floor={self.floor}: must be positive")
        if not self.filters().any(axis=1).all():
            raise UsageError(
                f"bands={self.bands}: are narrower than {self.rate / self.transform:g} Hz, the "
                "distance of frequencies; take fewer, or a longer transform"
            )

    def frames(self, samples: int) -> int:
        """Frames of that many samples: those that are whole."""
        return max(0, (samples - self.window) // self.hop + 1)

    def corners(self) -> Float[np.ndarray, "bands+2"]:
        """Where triangles begin, have their tops, and end, in Hz: equally far apart in mel."""
        low, high = (float(hertz_to_mel(hertz)) for hertz in (self.lowest, self.highest))
        return mel_to_hertz(np.linspace(low, high, self.bands + 2))

    def filters(self) -> Float[np.ndarray, "bands frequencies"]:
        """The triangles F over the frequencies of the transform, `0 … transform // 2`."""
        corners = self.corners()
        hertz = np.fft.rfftfreq(self.transform, 1 / self.rate)
        low, middle, high = (corners[i : i + self.bands, None] for i in range(3))
        rising, falling = (hertz - low) / (middle - low), (high - hertz) / (high - middle)
        return np.maximum(0, np.minimum(rising, falling))

    def weights(self) -> Float[np.ndarray, "window"]:
        """Hann's window w."""
        return np.sin(np.pi * np.arange(self.window) / self.window) ** 2

    def spectra(self, samples: Float[Array, "*batch N"]) -> Float[Array, "*batch T frequencies"]:
        """`|X_tk|² / Σ w²` of each frame, for samples from -1 to 1."""
        count, dtype = self.frames(samples.shape[-1]), samples.dtype
        places = np.arange(count)[:, None] * self.hop + np.arange(self.window)
        window = self.weights()
        framed = samples[..., places] * jnp.asarray(window / np.sqrt(np.sum(window**2)), dtype)
        spectrum = jnp.fft.rfft(framed, self.transform)
        return jnp.square(spectrum.real) + jnp.square(spectrum.imag)

    def __call__(self, samples: Float[Array, "*batch N"]) -> Float[Array, "*batch T bands"]:
        """The log-mel frames of samples from -1 to 1."""
        power = self.spectra(samples)
        energy = power @ jnp.asarray(self.filters().T, power.dtype)
        return jnp.log(energy + jnp.asarray(self.floor, power.dtype))

    def frame_counts(self, lengths: Int[Array, "*batch"]) -> Int[Array, "*batch"]:
        """`frames` of each length."""
        lengths = jnp.asarray(lengths, jnp.int32)
        return jnp.maximum(0, (lengths - self.window) // self.hop + 1)
