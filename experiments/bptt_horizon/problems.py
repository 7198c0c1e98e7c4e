"""What `bptt_horizon` learns: a generated task, or a text read in windows with continuing state."""

from __future__ import annotations

import dataclasses
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np
import optax

from experiments.bptt_horizon.config import TEXT, Config
from rnnlab import strategies
from rnnlab.data.corpus import Corpus, read_characters
from rnnlab.data.pipelines import Feed, stream
from rnnlab.data.tasks import Task
from rnnlab.strategies import Truncated
from rnnlab.training import model
from rnnlab.training.evaluators import Evaluator, TaskEvaluator, TextEvaluator
from rnnlab.training.language import LanguageModel, language_learner
from rnnlab.training.model import Reader
from rnnlab.training.optimisers import Clip
from rnnlab.training.starts import Population
from rnnlab.training.update import Learner

#: Seed of the sequences on which tasks are evaluated; those of networks are 0, 1, ...
EVALUATION_SEED = 1_000_000


class Problem(Protocol):
    """What is learned."""

    @property
    def steps(self) -> int:
        """Steps T of a sequence or window."""
        ...

    @property
    def outputs(self) -> int:
        """Numbers of an answer."""
        ...

    @property
    def baseline(self) -> float:
        """The loss without memory."""
        ...

    def learner(
        self, reader: Reader, optimiser: optax.GradientTransformation, clip: Clip
    ) -> Learner:
        """What trains a network."""
        ...

    def feed(self) -> Feed | None:
        """The batches, unless the learner generates them."""
        ...

    def batches(self, count: int) -> Any:
        """Batches in a row on which gradients are compared, `[count, ...]`."""
        ...

    def evaluator(self, reader: Reader) -> Evaluator:
        """Measures the loss of all members on sequences that they were not trained on."""
        ...


def problem_of(config: Config, name: str) -> Problem:
    """The problem that is the task of that name."""
    batch = config.training.batch
    if name == TEXT:
        return TextProblem(read_characters(config.source), config.length, batch)
    return TaskProblem(config.task(name), config.length, batch, config.evaluation_batch)


def reader_of(population: Population, name: str, problem: Problem, horizon: int) -> Reader:
    """The network whose gradient is cut every `horizon` steps; `horizon = T` cuts nothing."""
    strategy = strategies.by_name(population.strategy)
    if horizon < problem.steps:
        strategy = Truncated(horizon, strategy)
    return Reader(population.cell(name, problem.steps), problem.outputs, strategy)


@dataclasses.dataclass(frozen=True)
class TaskProblem:
    """A generated task.

    Attributes:
        task: which.
        length: its T.
        batch: sequences of a batch.
        evaluation_batch: sequences of an evaluation, the same ones every time.
    """

    task: Task
    length: int
    batch: int
    evaluation_batch: int

    @property
    def steps(self) -> int:
        """Steps of a sequence."""
        return self.task.steps(self.length)

    @property
    def outputs(self) -> int:
        """The task's own."""
        return self.task.features_out

    @property
    def baseline(self) -> float:
        """The task's own."""
        return self.task.baseline(self.length)

    def learner(
        self, reader: Reader, optimiser: optax.GradientTransformation, clip: Clip
    ) -> Learner:
        """What trains a network on newly drawn sequences."""
        return model.task_learner(
            reader,
            self.task,
            batch=self.batch,
            length=self.length,
            optimiser=optimiser,
            clip=clip,
        )

    def feed(self) -> None:
        """None: batches are generated."""

    def batches(self, count: int) -> Any:
        """Newly drawn sequences."""
        keys = jax.random.split(jax.random.key(EVALUATION_SEED + 1), count)
        return jax.vmap(lambda key: self.task.sample(key, self.batch, self.length))(keys)

    def evaluator(self, reader: Reader) -> Evaluator:
        """Measures the loss on the same sequences every time."""
        batch, seed = self.evaluation_batch, EVALUATION_SEED
        return TaskEvaluator(reader, self.task, self.length, batch, seed, fresh=False)


@dataclasses.dataclass(frozen=True)
class TextProblem:
    """The next character of a text.

    Attributes:
        corpus: the text.
        length: steps T of a window.
        batch: rows that are read side by side.
    """

    corpus: Corpus
    length: int
    batch: int

    @property
    def steps(self) -> int:
        """Steps of a window."""
        return self.length

    @property
    def outputs(self) -> int:
        """The number of characters."""
        return self.corpus.vocabulary.size

    @property
    def baseline(self) -> float:
        """The entropy of pairs of characters: the loss of who knows the last one only."""
        codes = self.corpus.codes("train").astype(np.int64)
        size = self.corpus.vocabulary.size
        pairs = np.bincount(codes[:-1] * size + codes[1:], minlength=size * size)
        shares = pairs.reshape(size, size) / pairs.sum()
        conditional = shares / np.maximum(shares.sum(axis=1, keepdims=True), 1e-300)
        some = shares > 0
        return float(-(shares[some] * np.log(conditional[some])).sum())

    def learner(
        self, reader: Reader, optimiser: optax.GradientTransformation, clip: Clip
    ) -> Learner:
        """What trains a network; no gradient leaves a window, whatever the horizon."""
        return language_learner(
            LanguageModel(reader), batch=self.batch, optimiser=optimiser, clip=clip
        )

    def feed(self) -> Feed:
        """The windows of the training split."""
        return Feed(stream(self.corpus.codes("train"), self.batch, self.length))

    def batches(self, count: int) -> Any:
        """The first windows."""
        return jax.tree.map(jnp.asarray, self.feed().take(count))

    def evaluator(self, reader: Reader) -> Evaluator:
        """Measures the loss on the validation split."""
        codes = self.corpus.codes("validation")
        return TextEvaluator("loss", LanguageModel(reader), codes, population=True)
