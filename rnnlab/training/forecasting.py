"""Forecasters of a series: how they are trained, and how they run on by themselves.

A forecaster is a cell `Feedback` with its parameters, whatever is inside it: a recurrent network
that is trained here, a reservoir or a linear autoregression with a fitted readout
(`rnnlab.training.fitted_forecasters`). Observations are standardised.
"""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from rnnlab.arrays import Array, Bool, Float, Int, Key, Params, State
from rnnlab.combinators import Autonomous, Feedback
from rnnlab.combinators.feedback import shown, unshown
from rnnlab.errors import UsageError
from rnnlab.strategies import Strategy
from rnnlab.training.optimisers import Clip
from rnnlab.training.update import Learner
from rnnlab.unroll import unroll


class Forecaster(NamedTuple):
    """What forecasts.

    Attributes:
        cell: reads observations, or its own predictions.
        params: its parameters.
    """

    cell: Feedback | Autonomous
    params: Params

    @property
    def dtype(self) -> Any:
        """The type in which it computes."""
        return jax.tree.leaves(self.params)[0].dtype


class Windows(NamedTuple):
    """How a forecaster is trained on windows of a series.

    Attributes:
        length: steps T of a window.
        warmup: of these, first steps at which every observation is shown, and no error counts.
        every: after them one observation is shown in so many steps; 1 shows all, 0 none.
        noise: standard deviation of what is added to every input, shown or predicted.
    """

    length: int
    warmup: int
    every: int
    noise: float = 0.0

    def flags(self) -> Bool[np.ndarray, "T"]:
        """At which steps an observation is shown."""
        after = np.arange(self.length) - self.warmup
        return (after < 0) | (after % self.every == 0 if self.every else after == 0)


def forecast_learner(
    cell: Feedback | Autonomous,
    series: Float[np.ndarray, "steps D"],
    windows: Windows,
    *,
    batch: int,
    optimiser: optax.GradientTransformation,
    clip: Clip,
    strategy: str | Strategy = "autodiff",
) -> Learner:
    """What trains a forecaster one step ahead, on windows drawn from a series.

    The loss is the squared error of the predictions after the warm-up, as a mean over variables,
    steps and windows. Where observations are shown now and then only, the network reads its own
    predictions in between, and the gradient flows through them: sparsely forced backpropagation
    (J. Mikhaeil, Z. Monfared and D. Durstewitz, "On the difficulty of learning chaotic dynamics
    with RNNs", 2022, section 4).

    Args:
        cell: the network.
        series: float32, standardised.
        windows: what is shown of it.
        batch: windows of an update.
        optimiser: turns gradients into updates.
        clip: bounds of the gradient.
        strategy: how windows are run.

    Raises:
        UsageError: a series that is no longer than a window.
    """
    last = len(series) - windows.length - 1
    if last < 0:
        raise UsageError(
            f"length={windows.length}: a window and the step after it need "
            f"{windows.length + 1} steps, and the series has {len(series)}"
        )
    known, flags = jnp.asarray(series), jnp.asarray(windows.flags())
    offsets = jnp.arange(windows.length + 1, dtype=jnp.int32)[:, None]

    def sample(key: Key) -> Array:
        starts = jax.random.randint(key, (batch,), 0, last + 1, jnp.int32)
        return known[starts + offsets]

    def loss(params: Params, carry: Any, drawn: Array, key: Key) -> Any:
        inputs = shown(drawn[:-1], flags)
        if windows.noise:
            noise = windows.noise * jax.random.normal(key, drawn[:-1].shape, drawn.dtype)
            inputs = inputs.at[..., 1:].add(noise)
        _, predicted = unroll(cell, params, inputs, strategy=strategy)
        errors = (predicted - drawn[1:])[windows.warmup :]
        return jnp.square(errors).mean(), (carry, {})

    return Learner(
        init=lambda key: cell.init(key, cell.features + 1, known.dtype),
        loss=loss,
        optimiser=optimiser,
        clip=clip,
        sample=sample,
        axes=1,
        batch=batch,
    )


def warmed(
    forecaster: Forecaster, observations: Float[np.ndarray, "T *batch D"]
) -> tuple[State, Float[Array, "T *batch D"]]:
    """The state after some observations, and the prediction of what follows each of them."""
    inputs = shown(jnp.asarray(observations, forecaster.dtype))
    return _run(forecaster.cell, forecaster.params, inputs, None)


def free_run(
    forecaster: Forecaster,
    state: State,
    steps: int,
    noise: Float[np.ndarray, "T *batch D"] | None = None,
) -> tuple[State, Float[np.ndarray, "T *batch D"]]:
    """What a forecaster makes of its own predictions.

    Args:
        forecaster: the forecaster.
        state: after the last observation, of `warmed`; its prediction is the first.
        steps: predictions T.
        noise: what is added to every prediction, before it is read as an observation; None for
            nothing.

    Returns:
        The state before the prediction of the step after, and the predictions, with their noise.
    """
    shape = state.prediction.shape
    inputs = unshown(steps, shape[:-1], shape[-1], forecaster.dtype)
    added = jnp.zeros_like(inputs[..., 1:]) if noise is None else jnp.asarray(noise, inputs.dtype)
    inputs = inputs.at[..., 1:].set(added)
    first = state.prediction
    state, later = _run(forecaster.cell, forecaster.params, inputs, state)
    return state, np.asarray(jnp.concatenate([first[None], later[:-1]]) + added)


@partial(jax.jit, static_argnums=0)
def _run(
    cell: Feedback | Autonomous, params: Params, inputs: Array, state: State
) -> tuple[State, Array]:
    return unroll(cell, params, inputs, state)


def starts_of(series: Float[np.ndarray, "steps D"], count: int, warmup: int, steps: int) -> Any:
    """Where forecasts start, evenly over a series, int `[count]`.

    Args:
        series: the observations.
        count: of starts.
        warmup: observations before each.
        steps: observations after each.

    Raises:
        UsageError: a series that is shorter than one forecast.
    """
    last = len(series) - steps
    if last < warmup:
        raise UsageError(
            f"warmup={warmup}: with {steps} steps of a forecast needs {warmup + steps} steps, and "
            f"the series has {len(series)}"
        )
    return np.linspace(warmup, last, count).round().astype(int)


def forecasts(
    forecaster: Forecaster,
    series: Float[np.ndarray, "steps D"],
    starts: Int[np.ndarray, "n"],
    warmup: int,
    steps: int,
) -> Float[np.ndarray, "T n D"]:
    """Forecasts from several starts, each after a warm-up on the observations before it.

    Args:
        forecaster: the forecaster.
        series: the observations.
        starts: first steps that are forecast.
        warmup: observations that are shown before each.
        steps: T of a forecast.
    """
    before = series[np.arange(-warmup, 0)[:, None] + starts]
    return free_run(forecaster, warmed(forecaster, before)[0], steps)[1]


def following(
    series: Float[np.ndarray, "steps D"], starts: Int[np.ndarray, "n"], steps: int
) -> Float[np.ndarray, "T n D"]:
    """What really followed each start."""
    return series[np.arange(steps)[:, None] + starts]
