"""Trains a network that writes about images and measures it."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from experiments.captioning.baselines import nearest_sentences
from experiments.captioning.config import Config
from rnnlab.arrays import Params
from rnnlab.data import scenes
from rnnlab.data.captions import CaptionData, Captioned, words_of
from rnnlab.data.pipelines import Feed
from rnnlab.run.workdir import Workdir
from rnnlab.statistics import wilson_interval
from rnnlab.training.captioner_settings import CaptionerNetwork
from rnnlab.training.captioning import (
    CaptionLoss,
    Model,
    attention_of,
    captioning_learner,
    mass_in_squares,
    write_captions,
)
from rnnlab.training.cider import cider
from rnnlab.training.evaluators import Evaluator, Together
from rnnlab.training.loop import Outcome, train
from rnnlab.training.summary import best_state, best_step

#: What a work directory keeps of the test: captions, and how much of the attention is on the digit
#: that each named, `[N, 4]`.
CAPTIONS, ATTENDED = "captions.json", "attended.json"
#: What a language model that sees no image is called in the work directory.
BLIND = "blind"


def model_of(config: Config, data: CaptionData) -> Model:
    """The network."""
    return config.network.model(data.shape, data.vocabulary.size)


def blind(config: Config) -> Config:
    """The same settings for a language model, which sees no image."""
    network: CaptionerNetwork = dataclasses.replace(config.network, hand_over="none")
    return dataclasses.replace(config, network=network)


def fit(config: Config, workdir: Workdir, data: CaptionData, name: str = "") -> Outcome:
    """Trains to the end of the plan, or resumes a run that was stopped."""
    training, model = config.training, model_of(config, data)
    learner = captioning_learner(
        model,
        batch=training.batch,
        optimiser=training.make(),
        clip=training.clip(),
        stochastic=training.doubly_stochastic,
        smoothing=training.smoothing,
    )
    validation = data.validation
    return train(
        workdir,
        learner,
        config.plan(),
        jax.random.key(config.seed),
        evaluator=Together(
            CaptionLoss(model, validation.pixels, data.coded(validation)),
            Written(model, data, of_scenes=config.of_scenes),
        ),
        feed=Feed(data.batches(training.batch, config.seed, training.alone)),
        name=name,
    )


class Written(Evaluator):
    """How captions are that are written greedily about the validation images.

    Args:
        model: the network.
        data: with these images.
        of_scenes: whether captions are right or wrong; else their CIDEr-D is measured.
    """

    def __init__(self, model: Model, data: CaptionData, of_scenes: bool):
        self._model, self._data, self._of_scenes = model, data, of_scenes

    def __call__(self, params: Params, step: int) -> dict[str, Any]:
        """`right`, a share, or `CIDEr-D`; and `miss`, the less the better."""
        del step
        given = self._data.validation
        found = write(self._model, params, self._data, given.pixels)
        if self._of_scenes:
            right = float(np.mean([a == b for a, b in zip(found, given.sentences, strict=True)]))
            return {"right": right, "miss": 1 - right}
        score = score_of(found, given.sentences, d=True)
        return {"CIDEr-D": score, "miss": 10 - score}


def write(
    model: Model,
    params: Params,
    data: CaptionData,
    pixels: np.ndarray,
    beams: int = 1,
    penalty: float = 1.0,
) -> list[str]:
    """A caption for each image."""
    found = write_captions(model, params, pixels, data.longest, beams, penalty)
    return [" ".join(data.vocabulary.decode(one.codes)) for one in found]


def score_of(captions: Sequence[str], references: Sequence[str], *, d: bool) -> float:
    """CIDEr or CIDEr-D of captions, each with one reference."""
    written = [words_of(caption) for caption in captions]
    return float(cider(written, [[words_of(one)] for one in references], d=d).mean())


def bleu(captions: Sequence[str], references: Sequence[str]) -> float:
    """BLEU-4 of the whole, 0 .. 100, of words in lower case without punctuation."""
    from sacrebleu.metrics.bleu import BLEU

    plain = [[" ".join(words_of(one)) for one in each] for each in (captions, references)]
    return float(BLEU(tokenize="none").corpus_score(plain[0], [plain[1]]).score)


def summarise(
    config: Config,
    workdir: Workdir,
    data: CaptionData,
    outcome: Outcome,
    params: Params,
    without: Outcome | None,
) -> dict[str, Any]:
    """The run in a few numbers; the test images are described only here.

    Args:
        config: of the run.
        workdir: gets captions and attention.
        data: of the run.
        outcome: of the training.
        params: of the best checkpoint.
        without: of the training of the language model, where there was one.
    """
    model, test, writing = model_of(config, data), data.test, config.writing
    written = {
        "greedy": write(model, params, data, test.pixels),
        "beams": write(model, params, data, test.pixels, writing.beams, writing.penalty),
    }
    losses = {"test loss": _loss(model, params, data)}
    if without is not None:
        other, seeing_none = blind(config), best_state(without).params
        unseeing = model_of(other, data)
        (one,) = set(write(unseeing, seeing_none, data, test.pixels[:1], writing.beams))
        written["language model"] = [one] * len(test.sentences)
        losses["test loss of the language model"] = _loss(unseeing, seeing_none, data)
    if isinstance(data.train, Captioned):
        written["nearest image"] = nearest_sentences(data.train, test.pixels)
    columns = {"reference": test.sentences} | written
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    workdir.write(CAPTIONS, json.dumps(rows, indent=1) + "\n")
    step = best_step(outcome)
    (evaluated,) = (row for row in outcome.evaluations if row["step"] == step)
    return {
        "best step": step,
        **(
            _of_scenes(written, data, writing.beams)
            if config.of_scenes
            else _of_people(written, test)
        ),
        **(_attended(workdir, model, params, data) if config.of_scenes else {}),
        **{f"validation {k}": v for k, v in evaluated.items() if k not in ("step", "miss")},
        **losses,
        "parameters": sum(leaf.size for leaf in jax.tree.leaves(params)),
        "words": data.vocabulary.size,
    }


def _loss(model: Model, params: Params, data: CaptionData) -> float:
    return CaptionLoss(model, data.test.pixels, data.coded(data.test))(params, 0)["loss"]


def _of_scenes(written: dict[str, list[str]], data: CaptionData, beams: int) -> dict[str, Any]:
    """Shares of captions that are exactly right."""
    test = data.test
    assert test.scenes is not None
    right = {
        name: np.array([a == b for a, b in zip(captions, test.sentences, strict=True)])
        for name, captions in written.items()
    }
    low, high = wilson_interval(int(right["greedy"].sum()), len(test.sentences))
    digits = (test.scenes.labels >= 0).sum(axis=1)
    return {
        "test captions right": float(right["greedy"].mean()),
        "its 95 % interval from": low,
        "its 95 % interval to": high,
        f"test captions right, beam {beams}": float(right["beams"].mean()),
        **{
            f"right of scenes with {count}": float(right["greedy"][digits == count].mean())
            for count in range(1, scenes.MOST + 1)
        },
    }


def _of_people(written: dict[str, list[str]], test: Captioned) -> dict[str, Any]:
    """BLEU-4, CIDEr and CIDEr-D of each way to find captions."""
    return {
        f"test {name}, {way}": score
        for way, captions in written.items()
        for name, score in (
            ("BLEU-4", bleu(captions, test.sentences)),
            ("CIDEr", score_of(captions, test.sentences, d=False)),
            ("CIDEr-D", score_of(captions, test.sentences, d=True)),
        )
    }


def _attended(workdir: Workdir, model: Model, params: Params, data: CaptionData) -> dict[str, Any]:
    """How much of the attention is on the digit that is being named."""
    shown, codes = data.test.scenes, data.coded(data.test)
    assert shown is not None
    weights = attention_of(model, params, data.test.pixels, codes)
    if weights is None:
        return {}
    names = data.vocabulary.encode(scenes.NAMES)
    steps = [np.flatnonzero(np.isin(one, names)) for one in codes]
    side = data.train.side if isinstance(data.train, scenes.Glyphs) else 0
    masses = [
        mass_in_squares(one[named], data.shape[:2], corners[: len(named)], side)
        for one, named, corners in zip(weights, steps, shown.corners, strict=True)
    ]
    workdir.write(ATTENDED, json.dumps([[round(m, 4) for m in each] for each in masses]))
    every = np.concatenate(masses)
    return {
        "digits named with most of the attention on them": float(np.mean(every > 0.5)),
        "attention on the digit being named, mean": float(every.mean()),
        "attention on it, 10 % of digits have less": float(np.quantile(every, 0.1)),
    }


def captions_of(workdir: Workdir) -> list[dict[str, str]]:
    """The test captions: `reference`, and each way to find them."""
    return json.loads(workdir.path(CAPTIONS).read_text(encoding="utf-8"))


def attended_of(workdir: Workdir) -> list[list[float]] | None:
    """How much of the attention was on each digit of each test scene, where there is attention."""
    path = workdir.path(ATTENDED)
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None
