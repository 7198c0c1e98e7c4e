"""A recurrent layer with a linear readout: the model of the generated tasks, and their loss."""

from __future__ import annotations

import dataclasses
from typing import Any

import chex
import jax
import jax.numpy as jnp
import optax
from jax.typing import DTypeLike

from rnnlab import strategies
from rnnlab.arrays import Array, Float, Int, Key, Params, State
from rnnlab.combinators import VariationalDropout, Zoneout
from rnnlab.combinators.wrapper import CellWrapper
from rnnlab.data.tasks.base import Batch, Task
from rnnlab.errors import UsageError
from rnnlab.layer import Cell, Layer, output_size
from rnnlab.strategies import Control, Strategy
from rnnlab.training import penalty
from rnnlab.training.optimisers import Clip
from rnnlab.training.update import Learner, Loss
from rnnlab.unroll import unroll


@dataclasses.dataclass(frozen=True)
class Reader:
    """`y = cell(x)`, answers `y @ w + b`.

    Attributes:
        cell: a cell or a combinator.
        outputs: numbers of an answer, O.
        strategy: how the sequence is run.
        compute: type in which the network is computed, such as bfloat16; None for that of the
            parameters. Answers and losses are always in the type of the parameters.
        deviation: of the readout's initial weights; None for 1/√H.
    """

    cell: Layer
    outputs: int
    strategy: str | Strategy = "autodiff"
    compute: DTypeLike | None = None
    deviation: float | None = None

    def init(self, key: Key, features_in: int, dtype: DTypeLike = jnp.float32) -> Params:
        """Draws the cell's parameters, `w [H, O] ~ N(0, deviation²)`, and `b = 0`."""
        key_cell, key_readout = jax.random.split(key)
        hidden = output_size(self.cell) or features_in
        deviation = hidden**-0.5 if self.deviation is None else self.deviation
        w = jax.random.normal(key_readout, (hidden, self.outputs), dtype)
        return {
            "cell": self.cell.init(key_cell, features_in, dtype),
            "readout": {"w": w * deviation, "b": jnp.zeros((self.outputs,), dtype)},
        }

    def run(
        self,
        params: Params,
        xs: Float[Array, "T B D"],
        state: State | None = None,
        *,
        lengths: Int[Array, "B"] | None = None,
        key: Key | None = None,
    ) -> tuple[State, Float[Array, "T B H"]]:
        """The final state and the cell's outputs `[T, B, H]` for inputs `xs [T, B, D]`."""
        weights, dtype = params["cell"], xs.dtype
        if self.compute is not None:
            weights, xs, state = cast((weights, xs, state), self.compute)
        state, ys = unroll(
            self.cell, weights, xs, state, lengths=lengths, strategy=self.strategy, key=key
        )
        return cast((state, ys), dtype)

    def read(self, params: Params, ys: Float[Array, "... H"]) -> Float[Array, "... O"]:
        """The answers `[..., O]` to outputs `[..., H]`."""
        # As one matrix: with more axes XLA:CPU turns the derivative around in memory.
        answers = ys.reshape(-1, ys.shape[-1]) @ params["readout"]["w"] + params["readout"]["b"]
        return answers.reshape(*ys.shape[:-1], self.outputs)


def cast(tree: Any, dtype: DTypeLike) -> Any:
    """The tree with its floating arrays in another type."""

    def one(leaf: Any) -> Any:
        return leaf.astype(dtype) if jnp.issubdtype(leaf.dtype, jnp.floating) else leaf

    return jax.tree.map(one, tree)


def answer(
    reader: Reader,
    task: Task,
    params: Params,
    ys: Float[Array, "steps B H"],
    lengths: Int[Array, "B"],
) -> Float[Array, "*steps B O"]:
    """Answers `[steps, B, O]` of every step, or `[B, O]` of the last one of each sequence."""
    if not task.every_step:
        ys = jnp.take_along_axis(ys, lengths[None, :, None] - 1, axis=0)[0]
    return reader.read(params, ys)


def losses(
    task: Task, answers: Float[Array, "*steps B O"], batch: Batch
) -> tuple[Float[Array, "B"], Float[Array, "B"]]:
    """Loss, and share of right answers, of each sequence.

    Args:
        task: says what the answers are.
        answers: of `answer`.
        batch: the targets.

    Returns:
        Cross-entropy in nats, mean over the steps of the sequence, and share of steps whose most
        likely class is right; or squared error, and zero. Both `[B]`.
    """
    if not task.classes:
        error = jnp.square(answers[..., 0] - batch.targets)
        return error, jnp.zeros_like(error)
    chex.assert_equal_shape([answers[..., 0], batch.targets])
    nats = optax.losses.softmax_cross_entropy_with_integer_labels(answers, batch.targets)
    right = (jnp.argmax(answers, axis=-1).astype(jnp.int32) == batch.targets).astype(nats.dtype)
    if not task.every_step:
        return nats, right
    steps = jnp.arange(len(nats), dtype=jnp.int32)[:, None]
    weights = (steps < batch.lengths).astype(nats.dtype) / batch.lengths.astype(nats.dtype)
    return (nats * weights).sum(axis=0), (right * weights).sum(axis=0)


def task_learner(
    reader: Reader,
    task: Task,
    *,
    batch: int,
    length: int,
    optimiser: optax.GradientTransformation,
    clip: Clip | None = None,
    penalty_weight: float = 0.0,
) -> Learner:
    """What trains a reader on a generated task.

    Args:
        reader: the model.
        task: what it learns.
        batch: sequences of a step.
        length: T of the task.
        optimiser: turns gradients into updates.
        clip: bounds of the gradient.
        penalty_weight: of Pascanu's regulariser; 0 for none.

    Raises:
        UsageError: a length for which the task is not defined; or settings of the reader that the
            regulariser would ignore.
    """
    task.check(length)
    if penalty_weight:
        check_penalty(reader)
        loss = _penalised_loss(reader, task, penalty_weight)
    else:
        loss = _loss(reader, task)

    return Learner(
        init=lambda key: reader.init(key, task.features_in),
        loss=loss,
        optimiser=optimiser,
        clip=clip or Clip(),
        sample=lambda key: task.sample(key, batch, length),
        axes=Batch(xs=1, targets=int(task.every_step), lengths=0),  # type: ignore[arg-type]
        batch=batch,
    )


def _loss(reader: Reader, task: Task) -> Loss:
    """The mean loss of a batch."""

    def loss(params: Params, carry: Any, drawn: Batch, key: Array) -> Any:
        lengths = drawn.lengths if task.varied else None
        _, ys = reader.run(params, drawn.xs, lengths=lengths, key=key)
        answers = answer(reader, task, params, ys, drawn.lengths)
        return losses(task, answers, drawn)[0].mean(), (carry, {})

    return loss


def _penalised_loss(reader: Reader, task: Task, weight: float) -> Loss:
    """The mean loss of a batch plus Pascanu's regulariser; the metric `error` is without it."""
    cell = reader.cell
    assert isinstance(cell, Cell)  # as `check_penalty` has found

    def loss(params: Params, carry: Any, drawn: Batch, key: Array) -> Any:
        del key
        steps = jnp.arange(len(drawn.xs), dtype=jnp.int32)[:, None]

        def error(readout: Params, ys: Array) -> Array:
            answers = answer(reader, task, {"readout": readout}, ys, drawn.lengths)
            return losses(task, answers, drawn)[0].mean()

        total, plain, omega = penalty.penalised(
            cell,
            params["cell"],
            drawn.xs,
            cell.initial_state(drawn.lengths.shape, drawn.xs.dtype),
            error,
            params["readout"],
            weight,
            Control(steps < drawn.lengths if task.varied else None),
        )
        return total, (carry, {"penalty": omega, "error": plain})

    return loss


def check_penalty(reader: Reader) -> None:
    """Checks that the regulariser, which runs the sequence in its own way, ignores no setting.

    Raises:
        UsageError: a strategy or a type of computation that was chosen, a cell with dropout or
            zoneout, or one for which the regulariser is not defined.
    """
    if strategies.by_name(reader.strategy) not in (strategies.auto, strategies.autodiff):
        raise UsageError(
            f"penalty: ignores strategy={reader.strategy!r}, since it runs the sequence in its own "
            "way; leave the strategy at 'auto'"
        )
    if reader.compute is not None:
        raise UsageError(
            f"penalty: ignores compute={jnp.dtype(reader.compute)}; it is computed in the type of "
            "the parameters"
        )
    cell = reader.cell
    while isinstance(cell, CellWrapper):
        if isinstance(cell, VariationalDropout | Zoneout):
            raise UsageError(
                f"penalty: ignores the noise of {type(cell).__name__}; use one of them"
            )
        cell = cell.cell
    penalty.check(reader.cell)
