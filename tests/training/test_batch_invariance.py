"""What reads sentences treats each as if it were alone: in loss, gradient, answers and metrics.

Of four models, one for each task. Rows are read alone, and together in a batch with more room than
they need, with other symbols in the padding, with rows that fill up the batch and rows without any
symbol. F1 that depends on the size of the batch is a bug that other libraries had.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.tagging.scores import score
from experiments.translation.measure import bleu
from rnnlab.data import sums as sums_data
from rnnlab.data.buckets import Padded, pad
from rnnlab.data.coded_lines import LineCoder
from rnnlab.data.coded_words import Coder
from rnnlab.data.made_pairs import made_pairs
from rnnlab.data.made_sentences import made_tagged
from rnnlab.data.sums import Numbers
from rnnlab.training import classification, sums, tagging, translating
from rnnlab.training.classifier_settings import ClassifierNetwork
from rnnlab.training.optimisers import Clip, optimiser
from rnnlab.training.tagger_settings import TaggingNetwork
from rnnlab.training.translation import TranslationLoss, coded_pair, losses
from rnnlab.training.translator_settings import TranslatorNetwork
from tests import quick

pytestmark = pytest.mark.slow

#: Steps of padding that nothing needs, and a symbol that stands in it.
ROOM, JUNK = 3, 2


class Task(NamedTuple):
    """A model, and what is asked of it.

    Attributes:
        params: of the model.
        rows: what it reads.
        batch: rows side by side, from their places and whether there is more room than needed.
        total: from parameters and a batch, the loss of all rows and what it is a mean over.
        answers: of rows, numbers that are compared and others that must be the same.
        metrics: of rows, by name.
        size: of a batch of answers: a module and the name of the number.
    """

    params: Any
    rows: list[Any]
    batch: Callable[[list[int], bool], Any]
    total: Callable[[Any, Any], Any]
    answers: Callable[[list[Any]], list[tuple[Any, Any]]]
    metrics: Callable[[list[Any]], dict[str, float]]
    size: tuple[Any, str, int]


def littered(values, lengths):
    """Arrays `[B, S, ...]` with other symbols past the ends."""
    past = np.arange(values.shape[1]) >= np.asarray(lengths)[:, None]
    return np.where(past.reshape(*past.shape, *(1,) * (values.ndim - 2)), JUNK, values)


def padded_rows(rows, places, more):
    """A batch of `Padded`, batch first."""
    parts = [jax.tree.leaves(rows[place]) for place in places if place >= 0]
    lengths = np.array([[len(np.atleast_1d(part)) for part in row] for row in parts])
    steps = np.maximum(lengths.max(axis=0), 1)
    batch = pad(rows, steps + ROOM * more, np.array(places, np.int32), time_major=False)
    if not more:
        return batch
    values = jax.tree.map(
        lambda a, n: littered(a, n) if a.ndim > 1 else a, batch.values, batch.lengths
    )
    return Padded(values, batch.lengths, batch.rows)


def drawn(model, factor=3.0):
    return jax.tree.map(lambda leaf: factor * leaf, model.init(jax.random.key(0)))


def sentiment():
    network = ClassifierNetwork(
        cell="gru", hidden=4, embedding=3, pooling="last", strategy="autodiff"
    )
    model, draw = network.classifier(9, 3), np.random.default_rng(0)
    params = drawn(model)
    rows = [
        (draw.integers(1, 9, length).astype(np.int32), np.int32(row % 3))
        for row, length in enumerate((4, 0, 9, 1))
    ]
    learner = classification.classification_learner(
        model, batch=1, optimiser=optimiser("sgd", 0.1), clip=Clip(), weights=[1, 2, 3]
    )

    def total(params, batch):
        count = jnp.sum(batch.rows >= 0)
        loss = learner.loss(params, (), batch, jax.random.key(0))[0]
        return loss * count.astype(loss.dtype), count

    def answers(rows):
        found = classification.log_probabilities(model, params, [codes for codes, _ in rows])
        return [(one, one.argmax()) for one in found]

    def metrics(rows):
        labels = np.array([label for _, label in rows])
        texts = [codes for codes, _ in rows]
        return classification.ClassificationEvaluator(model, texts, labels, "macro F1")(params, 0)

    batch = lambda places, more: padded_rows(rows, places, more)  # noqa: E731
    return Task(params, rows, batch, total, answers, metrics, (classification, "WORDS", 8))


def tags():
    tagged = made_tagged(4, 0)
    coder = Coder.of(tagged, lower=True)
    network = TaggingNetwork(
        cell="gru",
        hidden=4,
        embedding=3,
        character_embedding=2,
        spelling=4,
        characters="lstm",
        strategy="autodiff",
    )
    model = tagging.tagger(network, coder)
    params = drawn(model)
    rows = [coder.encode(*pair) for pair in zip(*tagged, strict=True)] + [coder.encode([], [])]
    learner = tagging.tagging_learner(model, optimiser=optimiser("sgd", 0.1), clip=Clip())

    def total(params, batch):
        count = batch.lengths.words.sum()
        loss = learner.loss(params, (), batch, None)[0]  # pyright: ignore[reportArgumentType]
        return loss * count.astype(loss.dtype), count

    def batch(places, more):
        made = padded_rows(rows, places, more)
        if not more:
            return made
        words = made.values
        there = np.arange(words.characters.shape[2]) < words.spelled[..., None]
        inside = np.arange(words.words.shape[1]) < made.lengths.words[:, None]
        junk = np.where(there | ~inside[..., None], words.characters, JUNK)
        return made._replace(values=words._replace(characters=junk))

    def answers(rows):
        return [(share, labels) for labels, share in tagging.label(model, params, rows)]

    def metrics(rows):
        gold = [coder.names(row.labels) for row in rows]
        found = [coder.names(labels) for labels, _ in tagging.label(model, params, rows)]
        scores = score(gold, found, entities=True)
        return {"F1": scores.f1 or 0.0, "accuracy": scores.accuracy}

    return Task(params, rows, batch, total, answers, metrics, (tagging, "WORDS", 8))


def translation():
    german, english = (lines[:4] for lines in made_pairs(40))
    coders = translating.Coders(
        *(
            LineCoder.of(lines, "words", 60, language)
            for lines, language in ((german, "de"), (english, "en"))
        )
    )
    network = TranslatorNetwork(
        hidden=3,
        decoder_hidden=4,
        embedding=3,
        readout=3,
        feeding="readout",
        attention="additive",
        strategy="autodiff",
    )
    model = network.model(coders.source.vocabulary.size, coders.target.vocabulary.size)
    params = drawn(model)
    rows = [
        coded_pair(coders.source.encode(a), coders.target.encode(b))
        for a, b in zip(german, english, strict=True)
    ]
    nothing = np.zeros(0, np.int32)
    rows += [coded_pair(nothing, rows[0].target[1:-1]), coded_pair(rows[0].source, nothing)]

    def total(params, batch):
        nats, symbols = losses(model, params, batch)
        return nats.sum(), symbols.sum()

    def answers(rows):
        found = translating.translate(model, params, [row.source for row in rows], 3)
        return [(one.score, one.codes) for one in found]

    def metrics(rows):
        lines = [coders.source.decode(row.source) for row in rows]
        found = translating.translate_lines(model, params, coders, lines, 3)
        texts = [coders.target.decode(row.target[1:-1]) for row in rows]
        # Untrained, it translates nothing; what is compared is that it writes the same.
        written = bleu([one.text for one in found], [one.text for one in found][::-1])[0]
        loss = TranslationLoss(model, rows)(params, 0)["loss"]
        return {"BLEU": bleu([one.text for one in found], texts)[0], "own": written, "loss": loss}

    batch = lambda places, more: padded_rows(rows, places, more)  # noqa: E731
    return Task(params, rows, batch, total, answers, metrics, (translating, "READ", 1))


def addition():
    model = sums.SumNetwork(
        hidden=4, embedding=3, hand_over="attention", strategy="autodiff"
    ).model()
    params = drawn(model)
    rows = [(7, 5), (45, 5), (0, 0), (99, 99)]

    def batch(places, more):
        chosen = [rows[place] if place >= 0 else (0, 0) for place in places]
        numbers = Numbers(*(np.array(part, np.int32) for part in zip(*chosen, strict=True)))
        made = jax.device_get(sums_data.written(numbers, 3 if more else 2, reverse=True))
        there = np.array(places) >= 0  # as where no sum that was drawn may be trained on
        made = made._replace(target_lengths=np.where(there, made.target_lengths, 0))
        if not more:
            return made
        return made._replace(
            source=littered(made.source, made.source_lengths),
            target=littered(made.target, made.target_lengths),
        )

    def total(params, batch):
        nats, counts = sums.losses(model, params, batch)
        return nats.sum(), counts.sum()

    def examination(rows):
        numbers = Numbers(*(np.array(part, np.int32) for part in zip(*rows, strict=True)))
        return sums.Examination(model, numbers, 2, reverse=True)(params)

    return Task(
        params,
        rows,
        batch,
        total,
        lambda rows: [(0.0, answer) for answer in examination(rows).answers],
        lambda rows: {"loss": examination(rows).loss, "right": examination(rows).right.mean()},
        (sums, "READ", 1),
    )


@pytest.fixture(scope="module", params=[sentiment, tags, translation, addition])
def task(request):
    return request.param()


def close(found, wanted):
    """The same to rounding, of which a sum has that of its largest terms."""
    assert np.all(np.isfinite(found)) and np.all(np.isfinite(wanted))
    largest = np.max(np.abs(wanted), initial=1.0)
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5 * largest)


def test_loss_and_gradient(task):
    program = quick.jit(jax.value_and_grad(task.total, has_aux=True))
    places = [*range(len(task.rows))]
    (nats, count), gradient = program(task.params, task.batch([*places[::-1], -1], True))
    alone = [program(task.params, task.batch([place], False)) for place in places]
    close(nats, sum(float(value) for (value, _), _ in alone))
    assert count == sum(int(number) for (_, number), _ in alone)
    summed = jax.tree.map(lambda *leaves: np.sum(leaves, axis=0), *[one for _, one in alone])
    jax.tree.map(close, gradient, summed)
    assert any(np.any(leaf) for leaf in jax.tree.leaves(gradient))


def test_nothing_to_read_has_no_loss_and_a_gradient_of_zero(task):
    """A batch of rows that fill it up."""
    batch = jax.tree.map(np.asarray, task.batch([0, -1], True))
    empty = jax.tree.map(lambda leaf: leaf[1:], batch)
    value, gradient = quick.jit(jax.value_and_grad(lambda p: task.total(p, empty)[0]))(task.params)
    assert value == 0
    assert not any(np.any(leaf) for leaf in jax.tree.leaves(gradient))


def test_answers_and_metrics(task, monkeypatch):
    together = task.answers(task.rows)
    metrics = task.metrics(task.rows)
    backwards = task.answers(task.rows[::-1])[::-1]
    monkeypatch.setattr(*task.size)
    for other in (
        backwards,
        task.answers(task.rows),
        [task.answers([row])[0] for row in task.rows],
    ):
        for (numbers, answer), (wanted, same) in zip(other, together, strict=True):
            close(numbers, wanted)
            np.testing.assert_array_equal(answer, same)
    found = task.metrics(task.rows)
    assert found.keys() == metrics.keys()
    for name, wanted in metrics.items():
        close(found[name], wanted)
