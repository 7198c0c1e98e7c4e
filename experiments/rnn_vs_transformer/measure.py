"""Trains the networks, for as many updates and for as long, and sums up what was measured."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import numpy as np

from experiments.rnn_vs_transformer import clocks
from experiments.rnn_vs_transformer.clocks import SYMBOL, UPDATE, WINDOW, Row
from experiments.rnn_vs_transformer.config import TRANSFORMER, Config
from experiments.rnn_vs_transformer.networks import Contender
from rnnlab.data.corpus import Corpus
from rnnlab.data.pipelines import Feed, stream
from rnnlab.run.workdir import Workdir
from rnnlab.statistics import power_law
from rnnlab.training.evaluators import TextEvaluator
from rnnlab.training.language import TextLoss, language_learner
from rnnlab.training.loop import Outcome, train
from rnnlab.training.sizing import count_parameters
from rnnlab.training.summary import best_state, best_step

#: Exponents that are fitted: what was timed, and the number of its rows.
EXPONENTS = {
    "symbols per second of training against T": (WINDOW, "symbols/s"),
    "memory of training against T": (WINDOW, "bytes"),
    "time of a symbol against its position": (SYMBOL, "seconds"),
    "bytes kept against the position": (SYMBOL, "bytes"),
}

#: Times as many updates as the slowest, at most, whatever a clock says on a busy machine.
MOST = 8


class Trained(NamedTuple):
    """A network that was trained.

    Attributes:
        contender: the network.
        steps: training steps.
        seconds: an update takes, as it was timed beside the others.
        outcome: of the training.
    """

    contender: Contender
    steps: int
    seconds: float
    outcome: Outcome

    @property
    def curve(self) -> list[tuple[int, float]]:
        """Training steps and validation losses."""
        return [
            (row["step"], np.nan if row["validation"] is None else row["validation"])
            for row in self.outcome.evaluations
        ]


def same_updates(
    config: Config, workdir: Workdir, corpus: Corpus, networks: list[Contender], rows: list[Row]
) -> list[Trained]:
    """All networks after as many updates; the transformer is the model that the run keeps."""
    steps = config.training.steps
    return [
        _trained(config, workdir, corpus, one, rows, steps, _name(one.name)) for one in networks
    ]


def same_time(
    config: Config, workdir: Workdir, corpus: Corpus, networks: list[Contender], rows: list[Row]
) -> list[Trained]:
    """All networks after as much time as the slowest takes for its updates."""
    seconds = {one.name: _seconds(rows, one.name) for one in networks}
    slowest = max(seconds.values())
    found = []
    for one in networks:
        steps = updates_within(config, slowest / seconds[one.name])
        same = steps == config.training.steps
        name = _name(one.name) if same else f"{one.name}-same-time"
        found.append(_trained(config, workdir, corpus, one, rows, steps, name))
    return found


def updates_within(config: Config, times: float) -> int:
    """Updates of a network that is so many times as fast as the slowest, in whole dispatches."""
    training = config.training
    more = (min(times, MOST) - 1) * training.steps
    return training.steps + int(more // training.dispatch) * training.dispatch


def _name(network: str) -> str:
    """The folder of a training; the run itself for the one that it keeps."""
    return "" if network == TRANSFORMER else network


def _seconds(rows: list[Row], name: str) -> float:
    (row,) = clocks.of(rows, UPDATE, name)
    return row["seconds"]


def _trained(
    config: Config,
    workdir: Workdir,
    corpus: Corpus,
    one: Contender,
    rows: list[Row],
    steps: int,
    name: str,
) -> Trained:
    """Trains to the end of the plan, resumes, or reads what was trained."""
    training, model = config.training_of(one.name), one.model
    learner = language_learner(
        model,
        batch=training.batch,
        optimiser=training.make_optimiser(steps),
        clip=training.clip(),
    )
    outcome = train(
        workdir,
        learner,
        config.plan(steps),
        jax.random.key(config.seed),
        evaluator=TextEvaluator("validation", model, corpus.codes("validation")),
        feed=Feed(stream(corpus.codes("train"), training.batch, training.length)),
        name=name,
    )
    return Trained(one, steps, _seconds(rows, one.name), outcome)


def summarise(
    corpus: Corpus, rows: list[Row], updates: list[Trained], time: list[Trained]
) -> dict[str, Any]:
    """The run in a few numbers of each network; the test split is read only here.

    Args:
        corpus: the text.
        rows: what was timed.
        updates: the networks after as many updates.
        time: after as much time; empty if that was not asked for.
    """
    networks: dict[str, Any] = {}
    for one in updates:
        name = one.contender.name
        networks[name] = {
            "width": one.contender.width,
            "parameters": count_parameters(one.contender.model.init),
            "seconds of an update": one.seconds,
            "same updates": _losses(corpus, one),
            **{what: exponent(rows, name, what) for what in EXPONENTS},
        }
    for one in time:
        networks[one.contender.name]["same time"] = _losses(corpus, one)
    return {"networks": networks, "rows on a busy machine": clocks.busy(rows)}


def _losses(corpus: Corpus, one: Trained) -> dict[str, Any]:
    """Losses of the best checkpoint, of as many updates in that many seconds."""
    step = best_step(one.outcome)
    params = best_state(one.outcome).params
    return {
        "updates": one.steps,
        "seconds": one.steps * one.seconds,
        "best step": step,
        "validation": dict(one.curve)[step],
        "test": TextLoss(one.contender.model, corpus.codes("test"))(params),
    }


def exponent(rows: list[Row], network: str, what: str) -> dict[str, float]:
    """The exponent of one of `EXPONENTS`, its 95 % interval, and the sizes it was fitted to.

    It is fitted to the larger two thirds of the sizes, at least three, for it is about large ones.
    """
    timed, column = EXPONENTS[what]
    mine = clocks.of(rows, timed, network)
    mine = mine[min(len(mine) // 3, len(mine) - 3) :]
    fit = power_law([row["size"] for row in mine], [row[column] for row in mine])
    return fit._asdict() | {"from size": mine[0]["size"], "to size": mine[-1]["size"]}
