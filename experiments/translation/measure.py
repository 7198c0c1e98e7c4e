"""Trains a network that translates and measures it."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from experiments.translation.adjoints import Profiles, profiles
from experiments.translation.config import Config
from rnnlab.arrays import Params
from rnnlab.data.buckets import Buckets, bucketed, row_lengths
from rnnlab.data.coded_lines import LineCoder
from rnnlab.data.pairs import Pairs
from rnnlab.data.pipelines import Feed
from rnnlab.errors import RunError, UsageError
from rnnlab.run.workdir import Workdir
from rnnlab.training.loop import Outcome, train
from rnnlab.training.summary import best_step
from rnnlab.training.translating import Coders, translate_lines
from rnnlab.training.translation import (
    CodedPair,
    Model,
    TranslationLoss,
    coded_pair,
    translation_learner,
)

#: What a work directory keeps of the test: sentences with their translations, and the adjoints.
TRANSLATIONS, ADJOINTS = "translations.json", "adjoints.json"
#: How the names of BLEU by length begin.
BY_LENGTH = "BLEU of sources of "
#: Longest sentences of each group by length, in words; a last group has all longer ones.
WORDS = (8, 11, 14, 17)


def coders_of(config: Config, train_pairs: Pairs) -> Coders:
    """The units and vocabularies of the training sentences.

    Raises:
        UsageError: all sentences of a language are blank, or too few units for its characters.
    """
    coders = []
    for name, lines in zip(("source_language", "target_language"), train_pairs, strict=True):
        language = getattr(config.source, name)
        if not any(map(str.strip, lines)):
            raise UsageError(f"{name}={language}: all sentences to train on are blank")
        coders.append(LineCoder.of(lines, config.units, config.symbols, language))
    return Coders(*coders)


def coded(coders: Coders, pairs: Pairs) -> list[CodedPair]:
    """The pairs as codes."""
    return [
        coded_pair(coders.source.encode(source), coders.target.encode(target))
        for source, target in zip(*pairs, strict=True)
    ]


def model_of(config: Config, coders: Coders) -> Model:
    """The network."""
    return config.network.model(coders.source.vocabulary.size, coders.target.vocabulary.size)


class Rows(NamedTuple):
    """The pairs that are trained on.

    Attributes:
        pairs: those that are not too long.
        epoch: batches of an epoch.
    """

    pairs: list[CodedPair]
    epoch: int


def rows_of(config: Config, pairs: list[CodedPair]) -> Rows:
    """What is trained on.

    Raises:
        UsageError: every pair is too long.
    """
    training = config.training
    longest = training.boundaries[-1]
    pairs = [pair for pair in pairs if max(map(len, pair)) <= longest]
    if not pairs:
        raise UsageError(f"boundaries={training.boundaries}: every pair of sentences is longer")
    buckets = Buckets(row_lengths(pairs), training.batch, training.boundaries)
    return Rows(pairs, len(buckets))


def fit(
    config: Config, workdir: Workdir, model: Model, rows: Rows, validation: list[CodedPair]
) -> Outcome:
    """Trains to the end of the plan, or resumes a run that was stopped."""
    training, plan = config.training, config.plan(rows.epoch)
    learner = translation_learner(
        model,
        optimiser=training.make_optimiser(plan.steps),
        clip=training.clip(),
        smoothing=training.smoothing,
        own=training.own,
    )
    batches = bucketed(
        rows.pairs, training.batch, training.boundaries, config.seed, time_major=False
    )
    return train(
        workdir,
        learner,
        plan,
        jax.random.key(config.seed),
        evaluator=TranslationLoss(model, validation),
        feed=Feed(batches),
    )


def summarise(
    config: Config,
    workdir: Workdir,
    model: Model,
    coders: Coders,
    splits: Mapping[str, Pairs],
    rows: Rows,
    outcome: Outcome,
    params: Params,
) -> dict[str, Any]:
    """The run in a few numbers; the test sentences are translated only here.

    Args:
        config: of the run.
        workdir: gets the translations and the adjoints.
        model: the network.
        coders: of both languages.
        splits: the sentences.
        rows: what was trained on.
        outcome: of the training.
        params: of the best checkpoint.
    """
    test, writing = splits["test"], config.writing
    step = best_step(outcome)
    (validated,) = (row for row in outcome.evaluations if row["step"] == step)
    greedy = translate_lines(model, params, coders, test.source, 1, writing.penalty)
    beams = translate_lines(model, params, coders, test.source, writing.beams, writing.penalty)
    kept = [
        {"source": source, "reference": reference, "greedy": one.text, "beams": best.text}
        for source, reference, one, best in zip(*test, greedy, beams, strict=True)
    ]
    workdir.write(TRANSLATIONS, json.dumps(kept, ensure_ascii=False, indent=1) + "\n")
    coded_test = coded(coders, test)
    found = profiles(model, params, coded(coders, splits["validation"]))
    workdir.write(ADJOINTS, json.dumps(None if found is None else found._asdict()) + "\n")
    by_beams, signature = bleu([row["beams"] for row in kept], test.target)
    return {
        "best step": step,
        "best epoch": step / rows.epoch,
        f"test BLEU, beam {writing.beams}": by_beams,
        "test BLEU, greedy": bleu([row["greedy"] for row in kept], test.target)[0],
        "signature": signature,
        **by_length(kept),
        "validation loss": validated["loss"],
        "test loss": TranslationLoss(model, coded_test)(params, step)["loss"],
        "parameters": sum(leaf.size for leaf in jax.tree.leaves(params)),
        "training pairs": len(rows.pairs),
        "source symbols": coders.source.vocabulary.size,
        "target symbols": coders.target.vocabulary.size,
    }


def bleu(translations: Sequence[str], references: Sequence[str]) -> tuple[float, str]:
    """Corpus BLEU of detokenised text in its own case, and sacreBLEU's signature of it.

    M. Post, "A call for clarity in reporting BLEU scores" (2018).
    """
    from sacrebleu.metrics.bleu import BLEU

    metric = BLEU()
    score = metric.corpus_score(list(translations), [list(references)]).score
    return float(score), str(metric.get_signature())


def by_length(kept: Sequence[Mapping[str, str]]) -> dict[str, float]:
    """BLEU of the sentences whose source has so many words, by beams."""
    groups: dict[str, list[Mapping[str, str]]] = {}
    for row in sorted(kept, key=lambda row: len(row["source"].split())):
        group = int(np.searchsorted(WORDS, len(row["source"].split())))
        low = WORDS[group - 1] + 1 if group else 1
        name = f"{low} to {WORDS[group]}" if group < len(WORDS) else f"{low} or more"
        groups.setdefault(f"{BY_LENGTH}{name} words", []).append(row)
    return {
        name: bleu([row["beams"] for row in rows], [row["reference"] for row in rows])[0]
        for name, rows in groups.items()
    }


def translations_of(workdir: Workdir) -> list[dict[str, str]]:
    """The test sentences with `source`, `reference` and translations, `greedy` and by `beams`."""
    return json.loads(workdir.path(TRANSLATIONS).read_text(encoding="utf-8"))


def adjoints_of(root: pathlib.Path) -> Profiles | None:
    """The profiles of the encoder in a work directory, where they were measured.

    Raises:
        RunError: they are damaged.
    """
    try:
        found = json.loads((root / ADJOINTS).read_text(encoding="utf-8"))
        return None if found is None else Profiles(**found)
    except (ValueError, TypeError) as error:
        raise RunError(f"{root / ADJOINTS}: is damaged") from error
