"""Evaluators, alone and together, against what they are made of."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rnnlab import cells
from rnnlab.data import tasks
from rnnlab.data.images import made_images
from rnnlab.training import diagnostics, model
from rnnlab.training.evaluators import (
    ImageEvaluator,
    Memory,
    TaskEvaluator,
    TextEvaluator,
    Together,
    rows_of,
)
from rnnlab.training.images import Examination, SequenceModel
from rnnlab.training.language import LanguageModel, TextLoss
from rnnlab.training.model import Reader
from tests.training.measured import Measured

CODES = np.random.default_rng(0).integers(0, 5, 60).astype(np.int32)
KEYS = jax.random.split(jax.random.key(1), 2)


def stacked(init):
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *map(init, KEYS))


def member(params, index):
    return jax.tree.map(lambda leaf: leaf[index], params)


def test_together():
    first = Measured(lambda params, step: {"a": params["w"], "step": step})
    second = Measured(lambda params, step: {"b": 6}, stop=lambda values: values["b"] > 9)
    both = Together(first, second)
    assert list(both({"w": 3}, 4).items()) == [("a", 3), ("step", 4), ("b", 6)]
    assert not both.finished({"b": 6}) and both.finished({"b": 10})
    assert not first.finished({})


@pytest.mark.parametrize("name", ["adding", pytest.param("parity_running", marks=pytest.mark.slow)])
def test_a_task_on_fresh_sequences(name):
    task = tasks.by_name(name)
    reader = Reader(cells.by_name("tanh", 3), task.features_out)
    params = stacked(lambda key: reader.init(key, task.features_in))
    evaluator = TaskEvaluator(reader, task, 6, 20, seed=7)
    values = evaluator(params, 5)
    drawn = task.sample(jax.random.fold_in(jax.random.key(7), 5), 20, 6)
    for index in range(2):
        own = member(params, index)
        _, ys = reader.run(own, drawn.xs, lengths=drawn.lengths)
        loss, right = model.losses(task, model.answer(reader, task, own, ys, drawn.lengths), drawn)
        assert values["loss"][index] == pytest.approx(float(loss.mean()), rel=1e-5)
        if task.classes:
            assert values["right"][index] == pytest.approx(float(right.mean()))
    assert task.classes or np.isnan(values["right"]).all()
    assert not np.array_equal(evaluator(params, 6)["loss"], values["loss"])
    same = TaskEvaluator(reader, task, 6, 20, seed=7, fresh=False)
    np.testing.assert_array_equal(same(params, 5)["loss"], same(params, 6)["loss"])


def test_a_text_by_one_model_and_by_many():
    language = LanguageModel(Reader(cells.by_name("gru", 4), 5))
    params = stacked(language.init)
    loss = TextLoss(language, CODES, 4, 8)
    many = TextEvaluator("nats", language, CODES, 4, 8, population=True)(params, 0)["nats"]
    for index in range(2):
        own = member(params, index)
        alone = TextEvaluator("nats", language, CODES, 4, 8)(own, 0)
        assert alone == {"nats": loss(own)} and many[index] == alone["nats"]


def test_images():
    images = made_images(12, 0)
    reads = SequenceModel(Reader(cells.by_name("gru", 4), 10), "rows")
    params = reads.init(jax.random.key(0), 8)
    result = Examination(reads, images)(params)
    values = ImageEvaluator(reads, images)(params, 0)
    assert values == {
        "accuracy": result.accuracy,
        "loss": result.loss,
        "error": 1 - result.accuracy,
    }


def test_the_memory_of_one_network_and_of_many():
    cell = cells.by_name("tanh", 3)
    xs = jax.random.normal(jax.random.key(0), (5, 2, 2), jnp.float32)
    params = {"cell": stacked(lambda key: cell.init(key, 2))}
    many = Memory(cell, xs, population=True)(params, 0)
    own = member(params, 1)
    one = Memory(cell, lambda params: xs)(own, 0)
    expected = diagnostics.matrix_numbers(cell, own["cell"]) | diagnostics.adjoint_numbers(
        cell, own["cell"], xs
    )
    assert one == expected
    assert {name: values[1] for name, values in many.items()} == pytest.approx(one)


def test_parts_of_a_text():
    parts = np.asarray(rows_of(np.arange(100), 10, 4))
    assert parts.shape == (10, 4) and parts[0].tolist() == [0, 30, 60, 90]
    assert np.array_equal(np.diff(parts, axis=0), np.ones((9, 4)))
    assert rows_of(np.arange(5), 10, 3).shape == (5, 3)
