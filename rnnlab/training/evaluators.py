"""What a training run measures at its evaluations.

An evaluator is called with parameters and returns numbers by name, which go to `metrics.jsonl`.
Of a population it gets the parameters of all members, with a leading axis, and returns `[members]`
of each number. `Together` joins several.
"""

from __future__ import annotations

import abc
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from rnnlab.arrays import Array, Float, Int, Params
from rnnlab.data.images import Images
from rnnlab.data.tasks.base import Batch, Task
from rnnlab.layer import Layer
from rnnlab.training import diagnostics
from rnnlab.training.images import Examination, ImageModel
from rnnlab.training.language import SymbolModel, TextLoss
from rnnlab.training.model import Reader, answer, losses


class Evaluator(abc.ABC):
    """Measures parameters."""

    @abc.abstractmethod
    def __call__(self, params: Params, step: int) -> dict[str, Any]:
        """Numbers by name, or arrays `[members]` of them, after that many training steps."""

    def finished(self, values: Mapping[str, Any]) -> bool:
        """Whether training ends early.

        Args:
            values: what the last evaluation gave, as JSON values: what is not finite is None.
        """
        del values
        return False


class Together(Evaluator):
    """What several evaluators measure; one of them may end training early.

    Args:
        *evaluators: the evaluators, whose names differ.
    """

    def __init__(self, *evaluators: Evaluator):
        self._evaluators = evaluators

    def __call__(self, params: Params, step: int) -> dict[str, Any]:
        """The numbers of all evaluators."""
        numbers: dict[str, Any] = {}
        for evaluator in self._evaluators:
            numbers |= evaluator(params, step)
        return numbers

    def finished(self, values: Mapping[str, Any]) -> bool:
        """Whether one of the evaluators ends training."""
        return any(evaluator.finished(values) for evaluator in self._evaluators)


class Memory(Evaluator):
    """A network's memory: its recurrent matrices, and how far back a loss is felt.

    Args:
        cell: a cell or a combinator, whose parameters are `params["cell"]`.
        inputs: makes the inputs `[T, B, D]` from the parameters; or these inputs.
        population: whether parameters have a leading axis of members.
    """

    def __init__(
        self,
        cell: Layer,
        inputs: Callable[[Params], Float[Array, "T B D"]] | Float[Array, "T B D"],
        population: bool = False,
    ):
        self._cell, self._inputs, self._population = cell, inputs, population

    def __call__(self, params: Params, step: int) -> dict[str, Any]:
        """The numbers of `diagnostics.matrix_numbers` and `diagnostics.adjoint_numbers`."""
        del step
        xs = self._inputs(params) if callable(self._inputs) else self._inputs
        cell, weights = self._cell, params["cell"]
        if self._population:
            return diagnostics.population_numbers(cell, weights, xs)
        return diagnostics.matrix_numbers(cell, weights) | diagnostics.adjoint_numbers(
            cell, weights, xs
        )


class TaskEvaluator(Evaluator):
    """Loss and share of right answers of every member on fresh sequences of a generated task.

    Args:
        reader: the model.
        task: what it learns.
        length: T of the task.
        batch: sequences of an evaluation.
        seed: of the sequences.
        fresh: whether they are new at every evaluation.
    """

    def __init__(
        self, reader: Reader, task: Task, length: int, batch: int, seed: int, fresh: bool = True
    ):
        self._task, self._fresh, self._key = task, fresh, jax.random.key(seed)

        @jax.jit
        def measure(params: Params, key: Array) -> tuple[Array, Array]:
            drawn = task.sample(key, batch, length)
            return jax.vmap(lambda one: _mean_losses(reader, task, one, drawn))(params)

        self._measure = measure

    def __call__(self, params: Params, step: int) -> dict[str, Any]:
        """`loss` and `right`, `[members]`; `right` is nan where the task has no classes."""
        key = jax.random.fold_in(self._key, step) if self._fresh else self._key
        loss, right = self._measure(params, key)
        known = np.asarray(right) if self._task.classes else np.full(len(loss), np.nan)
        return {"loss": np.asarray(loss), "right": known}


def _mean_losses(reader: Reader, task: Task, params: Params, drawn: Batch) -> tuple[Array, Array]:
    _, ys = reader.run(params, drawn.xs, lengths=drawn.lengths)
    answers = answer(reader, task, params, ys, drawn.lengths)
    loss, right = losses(task, answers, drawn)
    return loss.mean(), right.mean()


class TextEvaluator(Evaluator):
    """The loss of a text in nats for each symbol, under a name.

    Args:
        name: of the number.
        model: the language model.
        codes: the text, integers `[N]`.
        batch: rows of it that are read side by side.
        steps: symbols of a row that are read at a time.
        population: whether parameters have a leading axis of members.
    """

    def __init__(
        self,
        name: str,
        model: SymbolModel,
        codes: Int[np.ndarray, "codes"],
        batch: int = 16,
        steps: int = 128,
        population: bool = False,
    ):
        self._name, self._loss = name, TextLoss(model, codes, batch, steps)
        self._population = population

    def __call__(self, params: Params, step: int) -> dict[str, Any]:
        """The loss, `[members]` in a population."""
        del step
        if not self._population:
            return {self._name: self._loss(params)}
        members = range(len(jax.tree.leaves(params)[0]))
        each = [jax.tree.map(lambda leaf, m=m: leaf[m], params) for m in members]
        return {self._name: np.array([self._loss(one) for one in each])}


class ImageEvaluator(Evaluator):
    """How a network names the classes of images.

    Args:
        model: the model.
        images: what it is shown.
    """

    def __init__(self, model: ImageModel, images: Images):
        self._examine = Examination(model, images)

    def __call__(self, params: Params, step: int) -> dict[str, Any]:
        """`accuracy`, `loss` in nats, and `error`, the share of wrong answers."""
        del step
        result = self._examine(params)
        return {"accuracy": result.accuracy, "loss": result.loss, "error": 1 - result.accuracy}


def rows_of(codes: Int[np.ndarray, "codes"], length: int, count: int = 8) -> Int[Array, "T count"]:
    """Some stretches of a text, evenly spaced, `[T, count]`, T at most `length`."""
    steps = min(length, len(codes))
    starts = np.linspace(0, len(codes) - steps, count).astype(int)
    return jnp.asarray(codes[starts + np.arange(steps)[:, None]])
