"""From sound to what a recurrent network reads: normalised log-mel frames, a few in each step."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.typing import ArrayLike, DTypeLike

from rnnlab.arrays import Array, Float, Int
from rnnlab.errors import UsageError
from rnnlab.nn.mel import LogMel
from rnnlab.sizes import check_positive


class Hearing(nnx.Module):
    """`x_t = [(m_ts - μ) / σ ; … ; (m_ts+s-1 - μ) / σ]` of log-mel frames m, s frames in a step.

    Fewer steps are faster to read and to learn; the frames of a step do not overlap with the next.
    Source: H. Sak et al., "Fast and accurate recurrent neural network acoustic models for speech
    recognition" (2015), section 3.1.

    Mean μ and standard deviation σ of each band are those of the training frames. They are kept as
    the parameter `frozen [2, M]`, which does not learn, so that a model has them in its checkpoint.

    Attributes:
      front: makes the frames.
      stacked: frames of a step s.
      statistics: μ and σ, `[2, M]`; None for 0 and 1, which a checkpoint replaces.
      param_dtype: of the steps.

    Raises:
      UsageError: no frames in a step, or statistics of another shape.
    """

    def __init__(
        self,
        front: LogMel,
        *,
        stacked: int = 1,
        statistics: ArrayLike | None = None,
        param_dtype: DTypeLike = jnp.float32,
    ) -> None:
        check_positive("stacked", stacked)
        if statistics is None:
            statistics = np.stack([np.zeros(front.bands), np.ones(front.bands)])
        if np.shape(statistics) != (2, front.bands):
            raise UsageError(
                f"statistics: have the shape {list(np.shape(statistics))}; {front.bands} bands "
                f"need [2, {front.bands}]"
            )
        self.front, self.stacked, self.param_dtype = front, stacked, param_dtype
        self.frozen = nnx.Param(jnp.asarray(statistics, param_dtype))

    @property
    def features(self) -> int:
        """Numbers of a step."""
        return self.front.bands * self.stacked

    @property
    def samples(self) -> int:
        """Samples that a step needs."""
        return (self.stacked - 1) * self.front.hop + self.front.window

    @property
    def advance(self) -> int:
        """Samples from one step to the next."""
        return self.stacked * self.front.hop

    def steps(self, lengths: Int[Array, "B"]) -> Int[Array, "B"]:
        """Steps of sounds of that many samples: those that are whole."""
        return self.front.frame_counts(lengths) // jnp.int32(self.stacked)

    def __call__(self, samples: Array) -> Float[Array, "B T D"]:
        """The steps of sounds `[B, N]`: int16, or numbers from -1 to 1."""
        frames = self.front(unit(samples, self.param_dtype))
        mean, spread = jax.lax.stop_gradient(self.frozen.get_value())
        frames = (frames - mean) / spread
        steps = frames.shape[-2] // self.stacked
        frames = frames[..., : steps * self.stacked, :]
        return frames.reshape(*frames.shape[:-2], steps, self.features)


def unit(samples: Any, dtype: DTypeLike) -> Float[Array, "*batch N"]:
    """Samples from -1 to 1; integers are int16."""
    samples = jnp.asarray(samples)
    if jnp.issubdtype(samples.dtype, jnp.integer):
        return samples.astype(dtype) / jnp.asarray(32768, dtype)
    return samples.astype(dtype)
