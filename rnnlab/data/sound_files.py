"""Sound in WAV files of any rate, channels and type, as the samples that a network hears."""

from __future__ import annotations

import math
import os
import pathlib
import warnings
from typing import Any

import numpy as np

from rnnlab.arrays import Float
from rnnlab.errors import UsageError
from rnnlab.run import reading

#: Endings of the names of files that hold sound.
ENDINGS = (".wav", ".wave")
#: Bytes of a file at most, and samples of a second, which bounds the memory.
BYTES, RATES = 1 << 28, (1000, 400_000)
#: Of a full sample: below it, everything is silence (-80 dB).
SILENCE = 1e-4


def read_sound(
    name: str | os.PathLike[str], rate: int, seconds: float = math.inf
) -> Float[np.ndarray, "T"]:
    """The samples of a WAV file from -1 to 1, float32, with that many of them in a second.

    PCM of 8, 16, 24 or 32 bits and floating point are read. Of several channels it is the mean;
    a constant part is taken away. Another rate is changed by a polyphase filter, which lets nothing
    through that the new one cannot hold.

    Args:
        name: of the file.
        rate: samples of a second that are wanted.
        seconds: of the file, at most.

    Raises:
        UsageError: there is no such file, it is no WAV file or a damaged one, is too long, holds
            numbers that are not finite, or nothing but silence.
    """
    if not str(name).strip():
        raise UsageError("an empty line is not the name of a sound")
    found, data = _contents(pathlib.Path(os.path.expanduser(name)), str(name))
    if not RATES[0] <= found <= RATES[1]:
        raise UsageError(
            f"{name}: has {found:,} samples a second; must be within {RATES[0]:,} .. {RATES[1]:,}"
        )
    if len(data) > seconds * found:
        raise UsageError(
            f"{name}: lasts {len(data) / found:.4g} s; at most {seconds:g} s are read, cut it"
        )
    sound = _unit(data)
    if not np.isfinite(sound).all():
        raise UsageError(f"{name}: holds samples that are not finite")
    sound = sound.mean(axis=1) if sound.ndim == 2 else sound
    if len(sound) < 2:
        raise UsageError(f"{name}: is no sound, it has {len(sound)} samples")
    sound = sound - sound.mean()
    if np.abs(sound).max() < SILENCE:
        raise UsageError(f"{name}: is silent")
    return resampled(sound, found, rate).astype(np.float32)


def _contents(path: pathlib.Path, name: str) -> tuple[int, np.ndarray]:
    """Samples of a second, and the samples `[T]` or `[T, channels]`, in the file's own type."""
    from scipy.io import wavfile

    try:
        size = path.stat().st_size
        if size > BYTES:
            raise UsageError(f"{name}: has {size:,} bytes; at most {BYTES:,} are read, cut it")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", wavfile.WavFileWarning)  # of notes in the file
            warnings.filterwarnings("error", "Reached EOF prematurely", wavfile.WavFileWarning)
            return wavfile.read(path)
    except OSError as error:
        raise UsageError(f"{name}: {error.strerror or reading.first_line(error)}") from error
    except wavfile.WavFileWarning as error:
        raise UsageError(
            f"{name}: is cut off: it ends before the sound that it announces"
        ) from error
    except UsageError:
        raise
    except Exception as error:  # whatever a reader makes of bytes that are no WAV file
        raise UsageError(
            f"{name}: is damaged, or no WAV file ({reading.first_line(error)})"
        ) from error


def _unit(data: np.ndarray) -> Float[np.ndarray, "T ..."]:
    """Samples of any type from -1 to 1; 24 bits lie in the upper ones of 32."""
    if data.dtype == np.uint8:
        return (data.astype(np.float64) - 128) / 128
    if np.issubdtype(data.dtype, np.integer):
        return data / -float(np.iinfo(data.dtype).min)
    return data.astype(np.float64)


def resampled(sound: Float[np.ndarray, "T"], given: int, wanted: int) -> Float[np.ndarray, "S"]:
    """The sound with another number of samples in a second, `⌈T · wanted / given⌉` in all."""
    if given == wanted:
        return sound
    from scipy.signal import resample_poly

    common = math.gcd(given, wanted)
    arguments: Any = sound, wanted // common, given // common
    return resample_poly(*arguments)
