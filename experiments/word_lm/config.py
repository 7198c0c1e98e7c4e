"""Settings of `word_lm`."""

from __future__ import annotations

import dataclasses
from typing import Any

import optax

from rnnlab.data.source import MADE, Source
from rnnlab.precision import PRECISIONS
from rnnlab.run import checks
from rnnlab.training import optimisers, settings
from rnnlab.training.plan import Plan
from rnnlab.training.settings import Descent, LanguageNetwork


@dataclasses.dataclass(frozen=True)
class Network(LanguageNetwork):
    """A network that reads words."""

    #: All parameters, biases too, start uniformly within this number around 0.
    uniform: float = 0.1

    def __post_init__(self) -> None:
        """Checks every field."""
        super().__post_init__()
        checks.at_least(self, embedding=1)
        checks.non_negative(self, "uniform")


@dataclasses.dataclass(frozen=True)
class Training(Descent):
    """How the network is trained on windows of the text.

    The loss is a sum over the steps of a window, for which learning rate and clipping norm are
    meant. The learning rate is constant in the first epochs, then divided after each.
    """

    #: Steps of a window, through which the gradient flows.
    length: int = 20
    #: Times that the text is read.
    epochs: int = 13
    #: Epochs of the initial learning rate.
    constant_epochs: int = 4
    #: After each of them the learning rate is divided by this.
    divisor: float = 2.0

    def __post_init__(self) -> None:
        """Checks every field."""
        super().__post_init__()
        checks.at_least(self, length=1, epochs=1)
        self.make(1)

    def make(self, epoch: int) -> optax.GradientTransformation:
        """The optimiser, for epochs of that many training steps."""
        with settings.renamed("constant", "constant_epochs"):
            rate = optimisers.decay_by_epoch(
                self.learning_rate, epoch, self.constant_epochs, self.divisor
            )
        return self.optimiser_of(rate)


@dataclasses.dataclass(frozen=True)
class Config:
    """What is read, by which network, trained how."""

    #: The text, whose words white space separates.
    source: Source = Source(corpus="penn_treebank")
    #: Words of the vocabulary at most; rarer ones become <unk>.
    words: int = 10_000
    #: The network.
    network: Network = Network(
        cell="lstm", layers=2, hidden=200, embedding=200, dropout_inputs=True, uniform=0.1
    )
    #: Its training.
    training: Training = Training(
        batch=20, optimiser="sgd", learning_rate=1.0, clip_norm=5.0, dispatch=100
    )
    #: Seed of all that is random.
    seed: int = 0
    #: How a GPU or TPU multiplies float32: in float32, or fast, in the shorter type it prefers.
    precision: str = "float32"

    def __post_init__(self) -> None:
        """Checks every field."""
        checks.one_of(self, "precision", PRECISIONS)
        checks.at_least(self, words=2)
        checks.seed(self, "seed")
        self.plan(1)

    def plan(self, epoch: int) -> Plan:
        """How long training is, for epochs of that many training steps."""
        training = self.training
        return EpochPlan(
            steps=training.epochs * epoch,
            dispatch=training.dispatch,
            evaluate_every=epoch,
            checkpoint_every=epoch,
            best="validation",
            speed_unit="words",
            units_per_update=training.batch * training.length,
        )


@dataclasses.dataclass(frozen=True)
class EpochPlan(Plan):
    """A plan that counts its dispatches anew in each epoch, the time between evaluations.

    Dispatches then have two lengths only, and two programs are compiled.
    """

    def next_stop(self, step: int) -> int:
        """The last training step of the dispatch that begins after `step` of them."""
        within = step % self.evaluate_every
        return step + min(self.dispatch - within % self.dispatch, self.evaluate_every - within)


_SMALL = Config()
_MEDIUM = Config(
    network=dataclasses.replace(
        _SMALL.network, hidden=650, embedding=650, dropout=0.5, uniform=0.05
    ),
    training=dataclasses.replace(
        _SMALL.training, length=35, epochs=39, constant_epochs=6, divisor=1.2
    ),
)

PRESETS = {
    "tiny": Config(
        source=Source(corpus=MADE),
        network=dataclasses.replace(_SMALL.network, hidden=32, embedding=32),
        training=dataclasses.replace(_SMALL.training, batch=10, length=10, epochs=6, clip_norm=2.0),
    ),
    "medium": _MEDIUM,
}


def published(config: Config) -> float | None:
    """Test perplexity of Zaremba, Sutskever and Vinyals (2014), table 1, for their settings."""
    for setting, perplexity in ((_SMALL, 114.5), (_MEDIUM, 82.7)):
        if config == _with_free_fields_of(config, setting):
            return perplexity
    return None


def _with_free_fields_of(config: Config, setting: Config) -> Config:
    """The setting with those fields of a configuration that change nothing but rounding."""
    folders: dict[str, Any] = {
        "data_dir": config.source.data_dir,
        "manual_dir": config.source.manual_dir,
    }
    return dataclasses.replace(
        setting,
        seed=config.seed,
        source=dataclasses.replace(setting.source, **folders),
        network=dataclasses.replace(setting.network, strategy=config.network.strategy),
        training=dataclasses.replace(setting.training, dispatch=config.training.dispatch),
    )
