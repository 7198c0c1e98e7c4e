"""Trains a network on chorales, measures it and lets it write."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from experiments.music.baselines import BASELINES
from experiments.music.config import Config
from rnnlab.arrays import Float, Params
from rnnlab.data.buckets import Buckets, bucketed, row_lengths, tight_boundaries
from rnnlab.data.midi import write_midi
from rnnlab.data.piano_roll import Roll, pitches, roll, tops
from rnnlab.data.pipelines import Feed
from rnnlab.data.sentences import Splits
from rnnlab.nn import Functional
from rnnlab.run.workdir import Workdir
from rnnlab.training.composing import continued, harmonised
from rnnlab.training.evaluators import Evaluator
from rnnlab.training.loop import Outcome, train
from rnnlab.training.music import (
    Composer,
    Transposition,
    composer,
    fitted,
    frame_nats,
    music_learner,
    parameters,
)
from rnnlab.training.music_settings import MusicNetwork
from rnnlab.training.summary import best_step

#: What a work directory keeps of what the network wrote, each also as NAME.mid.
WRITTEN = "written.json"
#: How often chorales are drawn for an interval.
RESAMPLES = 2000


class Problem(NamedTuple):
    """The chorales and the model.

    Attributes:
        splits: piano rolls.
        network: settings, with a number of hidden units.
        model: the network.
    """

    splits: Splits[list[Roll]]
    network: MusicNetwork
    model: Functional[Composer]


def problem(config: Config, splits: Splits[list[Roll]]) -> Problem:
    """What is to be learned, and by what."""
    network = fitted(config.network)
    return Problem(splits, network, composer(network))


def fit(config: Config, workdir: Workdir, given: Problem) -> Outcome:
    """Trains to the end of the plan, or resumes a run that was stopped."""
    training, rolls = config.training, given.splits.train
    lengths = row_lengths(rolls)
    limits = tight_boundaries(lengths, training.buckets)
    epoch = epoch_of(config, rolls)
    plan = config.plan(epoch, max(int(lengths.sum()) // epoch, 1))
    learner = music_learner(
        given.model,
        batch=training.batch,
        optimiser=training.make_optimiser(plan.steps),
        clip=training.clip(),
        transposition=Transposition.within(rolls, training.transpose),
    )
    return train(
        workdir,
        learner,
        plan,
        jax.random.key(config.seed),
        evaluator=Validation(given),
        feed=Feed(bucketed(rolls, training.batch, limits, config.seed, time_major=False)),
    )


def epoch_of(config: Config, rolls: Sequence[Roll]) -> int:
    """Training steps of an epoch."""
    lengths = row_lengths(rolls)
    limits = tight_boundaries(lengths, config.training.buckets)
    return len(Buckets(lengths, config.training.batch, limits))


class Validation(Evaluator):
    """How a network foresees the frames of the validation split."""

    def __init__(self, given: Problem):
        self._given = given

    def __call__(self, params: Params, step: int) -> dict[str, Any]:
        """`nats` of a frame, of which the lowest is best."""
        del step
        nats = frame_nats(self._given.model, params, self._given.splits.validation)
        return {"nats": by_frames(after_first(nats))}


def after_first(nats: Sequence[np.ndarray]) -> list[Float[np.ndarray, "T"]]:
    """Without the first frame of each chorale, which published numbers leave out."""
    return [one[1:] for one in nats]


def by_frames(nats: Sequence[np.ndarray]) -> float:
    """The mean over all frames of all chorales, as Bai et al. count."""
    return float(np.concatenate(nats).mean())


def by_chorales(nats: Sequence[np.ndarray]) -> float:
    """The mean over chorales of the mean over the frames of each."""
    return float(np.mean([one.mean() for one in nats if len(one)]))


def interval(nats: Sequence[np.ndarray]) -> tuple[float, float]:
    """The middle 95 % of `by_frames`, of as many chorales drawn with replacement."""
    sums = np.array([[one.sum(), len(one)] for one in nats])
    draws = np.random.default_rng(0).integers(len(sums), size=(RESAMPLES, len(sums)))
    total = sums[draws].sum(axis=1)
    low, high = np.quantile(total[:, 0] / total[:, 1], (0.025, 0.975))
    return float(low), float(high)


def summarise(
    config: Config, workdir: Workdir, given: Problem, outcome: Outcome, params: Params
) -> dict[str, Any]:
    """The run in a few numbers; the test split is read only here.

    Args:
        config: of the run.
        workdir: gets what the network writes.
        given: the chorales and the model.
        outcome: of the training.
        params: of the best checkpoint.
    """
    step, test = best_step(outcome), given.splits.test
    (evaluated,) = (row for row in outcome.evaluations if row["step"] == step)
    nats = frame_nats(given.model, params, test)
    later = after_first(nats)
    low, high = interval(later)
    write(config, workdir, given, params)
    return {
        "best step": step,
        "best epoch": step / epoch_of(config, given.splits.train),
        "validation nats": evaluated["nats"],
        "test nats": by_frames(later),
        "its 95 % interval from": low,
        "its 95 % interval to": high,
        "test nats, mean of chorales": by_chorales(later),
        "test nats with first frames": by_frames(nats),
        **{
            f"test nats of {name}": by_frames(make(given.splits.train)(test))
            for name, make in BASELINES.items()
        },
        **melodies(config, given, params),
        "hidden units": given.network.hidden,
        "parameters": parameters(given.network),
    }


def write(config: Config, workdir: Workdir, given: Problem, params: Params) -> None:
    """Lets the network write a chorale, continue one of the test split and harmonise its melody."""
    key, key_melody = jax.random.split(jax.random.key(config.seed))
    chorale = given.splits.test[0]
    prompt, rest = chorale[: config.prompt], max(len(chorale) - config.prompt, 1)
    melody = tops(chorale)
    draw = given.model, params
    free = continued(*draw, chorale[:0], config.beats, key, config.temperature)
    longer = continued(*draw, prompt, rest, key, config.temperature)
    options = {"particles": config.particles, "temperature": config.temperature}
    below = harmonised(*draw, melody, key_melody, **options)
    nothing = np.zeros_like(longer)
    nothing[: len(prompt)] = prompt
    rolls = {
        "free": (free, np.zeros_like(free)),
        "continued": (longer, nothing),
        "harmonised": (below.keys, melody),
        "original": (chorale, np.zeros_like(chorale)),
    }
    for name, (keys, _) in rolls.items():
        write_midi(workdir.path(f"{name}.mid"), keys)
    kept = {name: [pitches(one) for one in pair] for name, pair in rolls.items()}
    workdir.write(WRITTEN, json.dumps(kept))


def melodies(config: Config, given: Problem, params: Params) -> dict[str, Any]:
    """What particles are good for: nats of test chorales whose melodies the network harmonised.

    The melody counts in these nats as the voices do, so that those that lead towards it have less.
    """
    chosen = given.splits.test[: config.melodies]
    numbers = {}
    for particles in sorted({1, config.particles}):
        found = [
            harmonised(
                given.model,
                params,
                tops(chorale),
                jax.random.fold_in(jax.random.key(config.seed), number),
                particles=particles,
            ).keys
            for number, chorale in enumerate(chosen)
        ]
        nats = by_frames(after_first(frame_nats(given.model, params, found)))
        numbers[f"nats of harmonised melodies, particles={particles}"] = nats
        numbers[f"keys in common with the chorales, particles={particles}"] = shared(chosen, found)
    nats = by_frames(after_first(frame_nats(given.model, params, chosen)))
    return numbers | {"nats of these chorales as they are": nats}


def shared(chorales: Sequence[Roll], found: Sequence[Roll]) -> float:
    """Agreement of the keys below the melody: twice those of both, over those of each."""
    below = [
        [one.astype(bool) & ~tops(one).astype(bool) for one in pair]
        for pair in zip(chorales, found, strict=True)
    ]
    both = sum(int((a & b).sum()) for a, b in below)
    return 2 * both / max(sum(int(a.sum() + b.sum()) for a, b in below), 1)


def written(workdir: Workdir) -> dict[str, tuple[Roll, Roll]]:
    """What the network wrote, by name, and which of its keys it was given."""
    kept = json.loads(workdir.path(WRITTEN).read_text(encoding="utf-8"))
    return {name: (roll(keys), roll(given)) for name, (keys, given) in kept.items()}
