"""Forecasters of which only the linear readout is fitted: reservoirs and linear autoregression.

Their cells are fixed, so that the readout is a ridge regression on the outputs of the cell over the
series, and they run on by themselves as trained networks do.
"""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from rnnlab import initializers
from rnnlab.arrays import Array, Float, Input, Key, Output, Params
from rnnlab.cells import Elman
from rnnlab.combinators import Zoneout
from rnnlab.combinators.feedback import Feedback
from rnnlab.sizes import check_positive
from rnnlab.training.forecasting import Forecaster
from rnnlab.unroll import unroll


class Lags(NamedTuple):
    """The state of `DelayLine`: the last inputs, newest first, `[*batch, count * D]`."""

    h: Float[Array, "*batch count*D"]


@dataclasses.dataclass(frozen=True)
class DelayLine:
    """A cell that remembers its last inputs and makes nothing of them; `y` is all of them.

    Attributes:
      count: inputs that are remembered.
      features: numbers D of an input.
    """

    count: int
    features: int

    def __post_init__(self) -> None:
        """Checks the sizes."""
        object.__setattr__(self, "count", check_positive("count", self.count))
        object.__setattr__(self, "features", check_positive("features", self.features))

    @property
    def features_out(self) -> int:
        """Numbers of the output."""
        return self.count * self.features

    def init(self, key: Key, features_in: int, dtype: DTypeLike = jnp.float32) -> Params:
        """No parameters."""
        del key, features_in, dtype
        return {}

    def initial_state(
        self, batch_shape: tuple[int, ...] = (), dtype: DTypeLike = jnp.float32
    ) -> Lags:
        """Zeros."""
        return Lags(jnp.zeros((*batch_shape, self.features_out), dtype))

    def step(self, params: Params, x: Input, state: Lags) -> tuple[Lags, Output]:
        """Takes the input in and drops the oldest one."""
        del params
        h = jnp.concatenate([x, state.h], axis=-1)
        h = h[..., : self.features_out]
        return Lags(h), h


def fitted(
    cell: Feedback,
    params: Params,
    series: Float[np.ndarray, "steps D"],
    *,
    warmup: int,
    ridge: float,
) -> Forecaster:
    """A forecaster whose readout has the least squared error on a series, in float64.

    `w, b = argmin ‖Y W + b - X‖² / n + ridge ‖W‖²`, for the n outputs Y after the warm-up and what
    follows them, X; or their changes.

    Args:
        cell: the forecaster.
        params: its parameters, of which the readout is replaced.
        series: the observations, standardised.
        warmup: first steps that are left out.
        ridge: weight of the penalty.
    """
    with jax.enable_x64(True):
        wide = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float64), params)
        observed = jnp.asarray(series, jnp.float64)
        _, ys = unroll(cell.cell, wide["cell"], observed[:-1])
        ys = np.asarray(ys)[warmup:]
        targets = np.asarray(observed[1:] - observed[:-1] if cell.residual else observed[1:])
        w, b = ridge_regression(ys, targets[warmup:], ridge)
        return Forecaster(cell, wide | {"w": jnp.asarray(w), "b": jnp.asarray(b)})


def ridge_regression(
    ys: Float[np.ndarray, "n H"], targets: Float[np.ndarray, "n D"], ridge: float
) -> tuple[Float[np.ndarray, "H D"], Float[np.ndarray, "D"]]:
    """Weights and biases of `fitted`; the biases are not penalised."""
    mean_y, mean_t = ys.mean(axis=0), targets.mean(axis=0)
    centred = ys - mean_y
    gram = centred.T @ centred / len(ys) + ridge * np.eye(ys.shape[1])
    w = np.linalg.solve(gram, centred.T @ (targets - mean_t) / len(ys))
    return w, mean_t - mean_y @ w


@dataclasses.dataclass(frozen=True)
class Reservoir:
    """An echo-state network: `h' = (1 - leak) h + leak tanh(x W_x + h W_h + b)`, all random.

    Source: H. Jaeger, "The echo state approach to analysing and training recurrent neural
    networks" (2001); M. Lukoševičius, "A practical guide to applying echo state networks" (2012).

    Attributes:
      hidden: units.
      radius: spectral radius of the recurrent matrix.
      scale: standard deviation of the input weights and of the biases.
      leak: share of a unit that is new at every step, in (0, 1].
      ridge: weight of the penalty of the readout.
    """

    hidden: int = 300
    radius: float = 0.9
    scale: float = 0.5
    leak: float = 1.0
    ridge: float = 1e-8

    def forecaster(
        self, series: Float[np.ndarray, "steps D"], *, warmup: int, key: Key
    ) -> Forecaster:
        """The network, drawn from a key, with the readout fitted to a series."""
        features = series.shape[1]
        recurrent = initializers.Rescaled("gaussian", self.radius)
        entrance = initializers.Gaussian(self.scale * features**0.5)
        inside = Elman(self.hidden, wx_init=entrance, wh_init=recurrent)
        cell = Feedback(Zoneout(inside, 1 - self.leak), features, residual=False)
        key, key_bias = jax.random.split(key)
        params = cell.init(key, features + 1, jnp.float32)
        bias = self.scale * jax.random.normal(key_bias, (self.hidden,), jnp.float32)
        params["cell"]["b"] = bias
        return fitted(cell, params, series, warmup=warmup, ridge=self.ridge)


def autoregression(
    series: Float[np.ndarray, "steps D"], *, lags: int, ridge: float, warmup: int
) -> Forecaster:
    """`x_{t+1} = Σ_k x_{t-k} W_k + b` with the last `lags` observations."""
    features = series.shape[1]
    cell = Feedback(DelayLine(lags, features), features, residual=False)
    params = cell.init(jax.random.key(0), features + 1, jnp.float32)
    return fitted(cell, params, series, warmup=max(warmup, lags), ridge=ridge)


def persistence(features: int) -> Forecaster:
    """A forecaster to which nothing changes."""
    cell = Feedback(DelayLine(1, features), features, residual=True)
    return Forecaster(cell, cell.init(jax.random.key(0), features + 1, jnp.float32))
