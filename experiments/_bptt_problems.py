"""What `bptt_horizon` learns: a generated task, or a text read in windows with continuing state."""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
import numpy as np
import optax

from experiments import _networks
from rnnlab import strategies
from rnnlab.data.corpus import Corpus
from rnnlab.data.pipelines import Feed, stream
from rnnlab.data.tasks import Task
from rnnlab.strategies import Truncated
from rnnlab.training import model
from rnnlab.training.language import LanguageModel, TextLoss, language_learner
from rnnlab.training.loop import Evaluate
from rnnlab.training.model import Reader
from rnnlab.training.optimisers import Clip
from rnnlab.training.step import Learner

#: Seed of the sequences on which tasks are evaluated; those of networks are 0, 1, ...
EVALUATION_SEED = 1_000_000


class Network(NamedTuple):
    """Which network learns.

    Attributes:
        name: of `_networks`.
        hidden: units H.
        strategy: how sequences are run within a window.
    """

    name: str
    hidden: int
    strategy: str

    def reader(self, length: int, outputs: int, horizon: int) -> Reader:
        """The network, whose gradient is cut every `horizon` steps; `horizon = T` cuts nothing."""
        strategy = strategies.by_name(self.strategy)
        if horizon < length:
            strategy = Truncated(horizon, strategy)
        return Reader(_networks.by_name(self.name, self.hidden, length), outputs, strategy)


class Problem(Protocol):
    """What is learned."""

    @property
    def steps(self) -> int:
        """Steps T of a sequence or window."""
        ...

    @property
    def baseline(self) -> float:
        """The loss without memory."""
        ...

    def learner(
        self, network: Network, horizon: int, optimiser: optax.GradientTransformation, clip: Clip
    ) -> Learner:
        """What is trained with gradients that reach back `horizon` steps at most."""
        ...

    def feed(self) -> Feed | None:
        """The batches, unless the learner generates them."""
        ...

    def batches(self, count: int) -> Any:
        """Batches in a row on which gradients are compared, `[count, ...]`."""
        ...

    def evaluation(self, network: Network) -> Evaluate:
        """Measures the loss of all members on sequences that they were not trained on."""
        ...


@dataclasses.dataclass(frozen=True)
class TaskProblem:
    """A generated task.

    Attributes:
        task: which.
        length: its T.
        batch: sequences of a step.
        evaluation_batch: sequences of an evaluation.
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
    def baseline(self) -> float:
        """The task's own."""
        return self.task.baseline(self.length)

    def learner(
        self, network: Network, horizon: int, optimiser: optax.GradientTransformation, clip: Clip
    ) -> Learner:
        """As in `Problem`."""
        return model.task_learner(
            network.reader(self.steps, self.task.features_out, horizon),
            self.task,
            batch=self.batch,
            length=self.length,
            optimiser=optimiser,
            clip=clip,
        )

    def feed(self) -> None:
        """None: batches are generated."""

    def batches(self, count: int) -> Any:
        """As in `Problem`."""
        keys = jax.random.split(jax.random.key(EVALUATION_SEED + 1), count)
        return jax.vmap(lambda key: self.task.sample(key, self.batch, self.length))(keys)

    def evaluation(self, network: Network) -> Evaluate:
        """As in `Problem`; the sequences are the same at every evaluation."""
        reader = network.reader(self.steps, self.task.features_out, self.steps)
        drawn = self.task.sample(
            jax.random.key(EVALUATION_SEED), self.evaluation_batch, self.length
        )

        @jax.jit
        @jax.vmap
        def measure(params: Any) -> jax.Array:
            _, ys = reader.run(params, drawn.xs, lengths=drawn.lengths)
            answers = model.answer(reader, self.task, params, ys, drawn.lengths)
            return model.losses(self.task, answers, drawn)[0].mean()

        return lambda params, step: {"loss": np.asarray(measure(params))}


@dataclasses.dataclass(frozen=True)
class TextProblem:
    """The next character of a text.

    Attributes:
        corpus: the text.
        length: steps T of a window.
        batch: places that are read side by side.
    """

    corpus: Corpus
    length: int
    batch: int

    @property
    def steps(self) -> int:
        """Steps of a window."""
        return self.length

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
        self, network: Network, horizon: int, optimiser: optax.GradientTransformation, clip: Clip
    ) -> Learner:
        """As in `Problem`; no gradient leaves a window, whatever the horizon."""
        reader = network.reader(self.length, self.corpus.vocabulary.size, horizon)
        return language_learner(
            LanguageModel(reader), batch=self.batch, optimiser=optimiser, clip=clip
        )

    def feed(self) -> Feed:
        """The windows of the training split."""
        return Feed(stream(self.corpus.codes("train"), self.batch, self.length))

    def batches(self, count: int) -> Any:
        """As in `Problem`: the first windows."""
        return jax.tree.map(jnp.asarray, self.feed().take(count))

    def evaluation(self, network: Network) -> Evaluate:
        """As in `Problem`: on the validation split."""
        size = self.corpus.vocabulary.size
        reader = network.reader(self.length, size, self.length)
        loss = TextLoss(LanguageModel(reader), self.corpus.codes("validation"))

        def evaluate(params: Any, step: int) -> dict[str, Any]:
            del step
            members = range(len(jax.tree.leaves(params)[0]))
            own = [jax.tree.map(lambda leaf, m=m: leaf[m], params) for m in members]
            return {"loss": np.array([loss(one) for one in own])}

        return evaluate
