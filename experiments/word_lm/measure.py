"""How good a language model is an LSTM, in perplexity for each word?

A recurrent network predicts the next word of the Penn Treebank, or of any text file with a sentence
a line. It reads the text in parallel places, window after window with continuing state (truncated
backpropagation through time). The default is the small network of Zaremba, Sutskever and Vinyals
(2014), "Recurrent neural network regularization", with their numbers as they stand: the loss is the
sum over the steps of a window, the mean over its places. After each epoch the validation split is
read, and the checkpoint with the lowest loss is tested once. Perplexity is exp(mean nats a word).

Command: python run.py --experiment=word_lm
Their medium network, with dropout: --config.medium=true
Any text: --config.corpus=PATH
Under a minute, on a text that it makes: --config.tiny=true
Published: test perplexity 114.5 (small), 82.7 (medium). What this one reached is in the README.
"""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments import _word_report
from experiments._corpus import MADE, places, windows
from experiments._training import REPORT, finite, once, renamed, tell_diverged, with_setting
from experiments._word_corpus import Corpus, claim, read_corpus
from experiments._word_report import Curve, perplexity
from rnnlab import cells, initializers, strategies
from rnnlab.combinators import Dropout, Stack
from rnnlab.data.words import UNKNOWN
from rnnlab.errors import UsageError
from rnnlab.run.tables import print_table
from rnnlab.run.workdir import Workdir
from rnnlab.training import diagnostics, optimisers
from rnnlab.training.language import LanguageModel, TextLoss, language_learner
from rnnlab.training.loop import Outcome, train
from rnnlab.training.model import Reader
from rnnlab.training.optimisers import Clip
from rnnlab.training.plan import Plan
from rnnlab.training.step import Learner

#: Parts of the validation split that are read side by side. The test split is read in one.
PARTS = 20

#: What the two settings change.
TINY: dict[str, Any] = {
    "corpus": MADE,
    "embedding": 32,
    "hidden": 32,
    "batch": 10,
    "length": 10,
    "epochs": 6,
    "clip_norm": 2.0,
}
MEDIUM: dict[str, Any] = {
    "embedding": 650,
    "hidden": 650,
    "dropout": 0.5,
    "uniform": 0.05,
    "length": 35,
    "epochs": 39,
    "constant_epochs": 6,
    "divisor": 1.2,
}


@dataclasses.dataclass(frozen=True)
class Config:
    """What is read, by which network, trained how."""

    #: penn_treebank, made (a text for quick runs) or the path of a text file, whose words white
    #: space separates.
    corpus: str = "penn_treebank"
    #: Words of the vocabulary at most; rarer ones become <unk>.
    words: int = 10_000
    #: Any cell by its name in rnnlab.cells.CELLS: lstm, gru, tanh, ...
    cell: str = "lstm"
    #: Layers, one after the other.
    layers: int = 2
    #: Hidden units of each layer.
    hidden: int = 200
    #: Features of a word, learned.
    embedding: int = 200
    #: Probability with which a feature of a word or an output of a layer is zeroed in training.
    dropout: float = 0.0
    #: All parameters, biases too, start uniformly within this number around 0.
    uniform: float = 0.1
    #: Places of the text that are read side by side.
    batch: int = 20
    #: Steps of a window, through which the gradient flows.
    length: int = 20
    #: Times that the text is read.
    epochs: int = 13
    #: sgd, momentum, nesterov, rmsprop, adagrad, adam, adamw or nadam.
    optimiser: str = "sgd"
    #: Learning rate of the first epochs, for the sum of the loss over the steps of a window.
    learning_rate: float = 1.0
    #: How many these are.
    constant_epochs: int = 4
    #: After each of them the learning rate is divided by this.
    divisor: float = 2.0
    #: The gradient of that sum is scaled down to this norm; 0 leaves it.
    clip_norm: float = 5.0
    #: Training steps of a dispatch.
    chunk: int = 100
    #: Seed of all that is random.
    seed: int = 0
    #: How sequences are run: hoisted, autodiff, rematerialised, split, auto, ...
    strategy: str = "hoisted"
    #: Type in which the network is computed: float32 or bfloat16. Parameters are float32.
    compute: str = "float32"
    #: Where TensorFlow Datasets keeps prepared data; empty for its own default.
    data_dir: str = ""
    #: Folder that holds the original files of the data set (penn_treebank: ptb.train.txt,
    #: ptb.valid.txt and ptb.test.txt), for use without a network; empty to download them.
    manual_dir: str = ""
    #: Use a small setting that takes less than a minute, on a text that it makes. Fields that are
    #: given other values than their defaults keep these.
    tiny: bool = False
    #: Use the medium network of Zaremba, Sutskever and Vinyals (2014); fields as with `tiny`.
    medium: bool = False

    def __post_init__(self) -> None:
        """Checks every field."""
        for name in ("layers", "hidden", "embedding", "batch", "length", "epochs"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name}={getattr(self, name)}: must be a positive integer")
        for name in ("clip_norm", "seed", "uniform"):
            if not (getattr(self, name) >= 0 and math.isfinite(getattr(self, name))):
                raise UsageError(f"{name}={getattr(self, name)}: must be at least 0")
        if self.words < 2:
            raise UsageError(f"words={self.words}: must be at least 2")
        if self.compute not in ("float32", "bfloat16"):
            raise UsageError(f"compute={self.compute!r}: must be float32 or bfloat16")
        if self.tiny and self.medium:
            raise UsageError("tiny=true, medium=true: choose one of them")
        strategies.by_name(self.strategy)
        self.plan(1)
        self.optimise(1)
        self.model(2)

    def chosen(self) -> "Config":
        """The configuration with the values of the setting that is asked for."""
        return with_setting(self, tiny=TINY, medium=MEDIUM)

    def model(self, words: int) -> LanguageModel:
        """The network for that many words."""
        with renamed("rate", "dropout"):
            dropout = (Dropout(self.dropout),) if self.dropout else ()
        layers: list[Any] = [*dropout]
        for _ in range(self.layers):
            layers += [cells.by_name(self.cell, self.hidden), *dropout]
        compute = None if self.compute == "float32" else jnp.dtype(self.compute)
        reader = Reader(Stack(tuple(layers)), words, self.strategy, compute)
        return LanguageModel(reader, self.embedding)

    def learner(self, words: int, epoch: int) -> Learner:
        """What is trained, and how; `epoch` is the number of steps in one."""
        model = self.model(words)

        def init(key: jax.Array) -> Any:
            return initializers.uniform_like(key, jax.eval_shape(model.init, key), self.uniform)

        return language_learner(
            model,
            batch=self.batch,
            optimiser=self.optimise(epoch),
            clip=Clip(norm=self.clip_norm or None),
            sum_steps=True,
            init=init,
        )

    def optimise(self, epoch: int) -> Any:
        """The optimiser, for epochs of that many steps."""
        with renamed("constant", "constant_epochs"):
            rate = optimisers.decay_by_epoch(
                self.learning_rate, epoch, self.constant_epochs, self.divisor
            )
        return optimisers.optimiser(self.optimiser, rate)

    def plan(self, epoch: int) -> Plan:
        """How long training is, for epochs of that many steps."""
        return Epochs(
            steps=self.epochs * epoch,
            chunk=self.chunk,
            evaluate_every=epoch,
            checkpoint_every=epoch,
            best="validation",
            unit="words",
            units=self.batch * self.length,
        )


@dataclasses.dataclass(frozen=True)
class Epochs(Plan):
    """A plan whose chunks are counted anew in each epoch, the time between evaluations.

    There are then chunks of two lengths only, and two programs to compile.
    """

    def next_stop(self, step: int) -> int:
        """The end of the chunk that begins after `step` steps."""
        within = step % self.evaluate_every
        return step + min(self.chunk - within % self.chunk, self.evaluate_every - within)


def run(config: Config, workdir: Workdir) -> None:
    """Trains, tests and draws, or does what is left of that."""
    config = config.chosen()
    corpus = read_corpus(config)
    claim(config, workdir, corpus)
    outcome, epoch = fit(config, workdir, corpus)
    if outcome.diverged:
        tell_diverged(outcome)
        return
    best = outcome.restore(outcome.best) if outcome.best else outcome.state
    curve = _word_report.read_curve(workdir, epoch)
    summary = once(workdir, lambda: summarise(config, corpus, curve, best.params))
    if not workdir.path(REPORT).exists():
        model = config.model(corpus.vocabulary.size)
        _word_report.write(workdir, summary, curve, model, best.params, corpus)
    rows = [(name, value) for name, value in summary.items() if value is not None]
    print_table(rows, columns=("what", "value"), title="Perplexity for each word")
    print(f"Curve, sentences and next words: {workdir.path(REPORT)}")


def fit(config: Config, workdir: Workdir, corpus: Corpus) -> tuple[Outcome, int]:
    """Trains to the end, or goes on where a run was stopped.

    Returns:
        The outcome, and the steps of an epoch.
    """
    feed, epoch = windows(corpus.codes("train"), config)
    outcome = train(
        workdir,
        config.learner(corpus.vocabulary.size, epoch),
        config.plan(epoch),
        jax.random.key(config.seed),
        evaluate=evaluation(config, corpus),
        feed=feed,
    )
    return outcome, epoch


def evaluation(config: Config, corpus: Corpus) -> Callable[[Any, int], dict[str, float]]:
    """Measures validation loss and perplexity, matrices and adjoints."""
    model, codes = config.model(corpus.vocabulary.size), corpus.codes("validation")
    loss = TextLoss(model, codes, PARTS, config.length)
    read = jnp.asarray(places(codes, config.length))

    def evaluate(params: Any, step: int) -> dict[str, float]:
        nats = loss(params)
        cell, weights = model.reader.cell, params["cell"]
        return (
            {"validation": nats, "perplexity": perplexity(nats)}
            | diagnostics.matrix_numbers(cell, weights)
            | diagnostics.adjoint_numbers(cell, weights, model.embed(params, read))
        )

    return evaluate


def summarise(config: Config, corpus: Corpus, curve: Curve, params: Any) -> dict[str, Any]:
    """The run in a few numbers; this is where the test split is looked at."""
    best = int(np.argmin(curve.validation)) or len(curve.training)
    test = test_loss(config, corpus, params)
    words = corpus.vocabulary.decode(corpus.codes("test"))
    return {
        "best epoch": best,
        "test perplexity": finite(perplexity(test)),
        "test perplexity published": published(config),
        "validation perplexity": finite(curve.validation[best]),
        "training perplexity, last epoch": finite(curve.training[-1]),
        "test": test,
        "words": corpus.vocabulary.size,
        "share of <unk> in the test split": words.count(UNKNOWN) / len(words),
    }


def test_loss(config: Config, corpus: Corpus, params: Any) -> float:
    """The loss of the test split, read as one text from its first word."""
    return TextLoss(config.model(corpus.vocabulary.size), corpus.codes("test"), batch=1)(params)


def published(config: Config) -> float | None:
    """Test perplexity of Zaremba, Sutskever and Vinyals (2014), table 1, for their settings."""
    free: dict[str, Any] = {
        name: getattr(config, name)
        for name in ("seed", "strategy", "chunk", "data_dir", "manual_dir")
    }
    for setting, found in ((Config(), 114.5), (Config(medium=True).chosen(), 82.7)):
        if config == dataclasses.replace(setting, **free):
            return found
    return None
