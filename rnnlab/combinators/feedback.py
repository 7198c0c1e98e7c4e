"""A network that predicts the next observation, and can read its own predictions in place of them.

One cell is all ways to run a forecaster, which differ in what is shown to it:

- taught: every observation is shown, as in training one step ahead;
- forced now and then: every τ-th is shown, and the network reads its own predictions between them;
- free: none is shown. What is left is an autonomous system with the joint state of cell and
  prediction, whose Lyapunov exponents `rnnlab.gradients.lyapunov_exponents` measures.
"""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from rnnlab.arrays import Array, Bool, Float, Input, Key, Params, State
from rnnlab.errors import UsageError
from rnnlab.layer import Cell, output_size, streams
from rnnlab.sizes import check_positive


class FeedbackState(NamedTuple):
    """The state of `Feedback`.

    Attributes:
      inside: state of the cell.
      prediction: of the next observation, `[*batch, D]`.
    """

    inside: State
    prediction: Float[Array, "*batch D"]


@dataclasses.dataclass(frozen=True)
class Feedback:
    """A cell whose readout predicts its next input, which it reads where none is shown.

        o_t = v_t        where an observation v_t is shown,
        o_t = p_t + v_t  elsewhere, with the prediction p_t and noise v_t, which may be 0,
        h_{t+1} = cell(o_t, h_t),
        p_{t+1} = o_t + y_{t+1} @ w + b,

    without the first term of the last line where `residual` is off. The input is `[flag, v_t]`,
    made by `shown` and `unshown`; the output is `p_{t+1}`.

    Attributes:
      cell: a cell, or a stack of cells.
      features: numbers D of an observation.
      residual: whether the readout gives the change and not the value.
    """

    cell: Any
    features: int
    residual: bool = True

    def __post_init__(self) -> None:
        """Checks that the cell goes step by step."""
        if not streams(self.cell) or not isinstance(self.cell, Cell):
            raise UsageError(
                f"cell={type(self.cell).__name__}: reads the sequence in both directions and "
                "cannot read its own predictions"
            )
        object.__setattr__(self, "features", check_positive("features", self.features))

    @property
    def features_out(self) -> int:
        """Number of features of the output, which is a prediction."""
        return self.features

    def init(self, key: Key, features_in: int, dtype: DTypeLike = jnp.float32) -> Params:
        """Draws the cell's parameters and a readout `w [H, D] ~ N(0, 1/H)`, `b [D] = 0`.

        With `residual` w is zero, so that the first prediction is that nothing changes.
        """
        _check_inputs(self, features_in)
        key_cell, key_readout = jax.random.split(key)
        readout = _readout(key_readout, self, dtype)
        if self.residual:
            readout["w"] = jnp.zeros_like(readout["w"])
        return {"cell": self.cell.init(key_cell, self.features, dtype), **readout}

    def initial_state(
        self, batch_shape: tuple[int, ...] = (), dtype: DTypeLike = jnp.float32
    ) -> FeedbackState:
        """The cell's initial state, and a prediction of 0."""
        prediction = jnp.zeros((*batch_shape, self.features), dtype)
        return FeedbackState(self.cell.initial_state(batch_shape, dtype), prediction)

    def step(self, params: Params, x: Input, state: FeedbackState) -> tuple[FeedbackState, Array]:
        """One step, whose output is the next prediction."""
        flag, value = x[..., :1], x[..., 1:]
        read = value + (1 - flag) * state.prediction
        inside, y = self.cell.step(params["cell"], read, state.inside)
        prediction = y @ params["w"] + params["b"]
        if self.residual:
            prediction = read + prediction
        return FeedbackState(inside, prediction), prediction


@dataclasses.dataclass(frozen=True)
class Autonomous:
    """A cell without input whose readout is the observation, and whose state is set by one.

        h_t = (v_t - b) w⁺, all else of the state is 0    where an observation v_t is shown,
        h_{t+1} = cell(0, h_t),
        p_{t+1} = h_{t+1} w + b,

    with the pseudo-inverse `w⁺`, so that the readout of the state that is set is the observation.
    What the cell remembers beside it is lost there, unlike in `Feedback`. Input and output are as
    there, but for noise, which there is none of.

    Source: J. Mikhaeil, Z. Monfared and D. Durstewitz, "On the difficulty of learning chaotic
    dynamics with RNNs" (2022), section 4 and, for the LSTM, appendix.

    Attributes:
      cell: a cell whose output is the part `h` of its state, with as many units as D or more.
      features: numbers D of an observation.
    """

    cell: Any
    features: int

    def __post_init__(self) -> None:
        """Checks that the cell has an `h`, and room in it."""
        object.__setattr__(self, "features", check_positive("features", self.features))
        state = self.cell.initial_state() if isinstance(self.cell, Cell) else None
        if not isinstance(getattr(state, "h", None), jax.Array):
            raise UsageError(
                f"cell={type(self.cell).__name__}: must be a single cell with an h in its state"
            )
        hidden = output_size(self.cell) or 0
        if hidden < self.features:
            raise UsageError(
                f"cell={self.cell}: {hidden} units cannot hold {self.features} numbers"
            )

    @property
    def features_out(self) -> int:
        """Number of features of the output, which is a prediction."""
        return self.features

    def init(self, key: Key, features_in: int, dtype: DTypeLike = jnp.float32) -> Params:
        """Draws the cell's parameters and a readout `w [H, D] ~ N(0, 1/H)`, `b [D] = 0`."""
        _check_inputs(self, features_in)
        key_cell, key_readout = jax.random.split(key)
        return {
            "cell": self.cell.init(key_cell, 1, dtype),
            **_readout(key_readout, self, dtype),
        }

    def initial_state(
        self, batch_shape: tuple[int, ...] = (), dtype: DTypeLike = jnp.float32
    ) -> FeedbackState:
        """The cell's initial state, and a prediction of 0."""
        prediction = jnp.zeros((*batch_shape, self.features), dtype)
        return FeedbackState(self.cell.initial_state(batch_shape, dtype), prediction)

    def step(self, params: Params, x: Input, state: FeedbackState) -> tuple[FeedbackState, Array]:
        """One step, whose output is the next prediction."""
        flag, value, w = x[..., :1], x[..., 1:], params["w"]
        inverse = jnp.linalg.solve(w.T @ w, w.T)
        inside = jax.tree.map(lambda leaf: (1 - flag) * leaf, state.inside)
        inside = inside._replace(h=inside.h + flag * ((value - params["b"]) @ inverse))
        inside, y = self.cell.step(params["cell"], jnp.zeros_like(flag), inside)
        prediction = y @ w + params["b"]
        return FeedbackState(inside, prediction), prediction


def _check_inputs(cell: Feedback | Autonomous, features_in: int) -> None:
    if features_in != cell.features + 1:
        raise UsageError(
            f"features_in={features_in}: must be {cell.features + 1}, a flag and an observation"
        )


def _readout(key: Key, cell: Feedback | Autonomous, dtype: DTypeLike) -> Params:
    """A readout `w [H, D] ~ N(0, 1/H)`, `b [D] = 0`."""
    hidden = output_size(cell.cell) or cell.features
    w = jax.random.normal(key, (hidden, cell.features), dtype) * hidden**-0.5
    return {"w": w, "b": jnp.zeros((cell.features,), dtype)}


def shown(
    observations: Float[Array, "T *batch D"], flags: Bool[Array, "T"] | None = None
) -> Float[Array, "T *batch D+1"]:
    """The input of `Feedback` that shows observations.

    Args:
      observations: the values.
      flags: at which steps they are shown; None for all.
    """
    steps = observations.shape[0]
    flags = jnp.ones((steps,), bool) if flags is None else flags
    column = flags.astype(observations.dtype).reshape(steps, *(1,) * (observations.ndim - 1))
    column = jnp.broadcast_to(column, (*observations.shape[:-1], 1))
    return jnp.concatenate([column, column * observations], axis=-1)


def unshown(
    steps: int, batch_shape: tuple[int, ...], features: int, dtype: DTypeLike = jnp.float32
) -> Float[Array, "T *batch D+1"]:
    """The input of `Feedback` that shows nothing for some steps."""
    return jnp.zeros((steps, *batch_shape, features + 1), dtype)
