"""Sums as sequences: the loss against NumPy, tables by hand, the whole run, answers to lines."""

import json
from unittest import mock

import jax
import numpy as np
import pytest

import rnnlab
from experiments import addition
from experiments.addition import tables
from rnnlab.data import sums
from rnnlab.data.sums import VOCABULARY, Numbers
from rnnlab.errors import UsageError
from rnnlab.run.workdir import open_workdir
from rnnlab.training import devices
from rnnlab.training import sums as training
from rnnlab.training.sums import Examination, SumNetwork
from tests import quick
from tests.experiments.presets import run_tiny
from tests.experiments.runs import evaluations, state_of, summary_of
from tests.experiments.settings import changed

SMALL = {
    "digits": 1,
    "hidden": 16,
    "embedding": 4,
    "batch": 32,
    "steps": 60,
    "warmup": 5,
    "learning_rate": 0.02,
    "evaluate_every": 30,
    "checkpoint_every": 20,
    "dispatch": 10,
    "held_out": 40,
    "strategy": "autodiff",
}
NUMBERS = Numbers(np.array([7, 45, 0, 99], np.int32), np.array([5, 5, 0, 99], np.int32))


def run(folder, **changes):
    config = changed(addition.Config(), **(SMALL | changes))
    cheap = mock.patch.object(devices, "COMPILER_OPTIONS", quick.known_options())
    with cheap, open_workdir(folder, "addition", config) as workdir:
        workdir.end(addition.run(config, workdir))


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A finished run."""
    folder = tmp_path_factory.mktemp("whole") / "w"
    run(folder)
    return folder


# --- numbers ---


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def gru(p, x, h):
    u, v, size = x @ p["wx"] + p["b"], h @ p["wh"], len(h)
    r, z = sigmoid(u + v)[:size], sigmoid(u + v)[size : 2 * size]
    return (1 - z) * np.tanh(u[2 * size :] + r * (v[2 * size :] + p["bh"])) + z * h


def linear(p, x):
    return x @ p["kernel"] + p["bias"]


@pytest.mark.slow
def test_answers_and_losses_are_those_of_one_sum_at_a_time_in_numpy(monkeypatch):
    """Encoder, decoder, readout and greedy decoding once more, in float64, without any padding."""
    monkeypatch.setattr(training, "READ", 2)
    model = SumNetwork(hidden=6, embedding=3, strategy="autodiff").model()
    params = jax.tree.map(lambda a: 3 * a + 0.05, model.init(jax.random.key(2)))
    result = Examination(model, NUMBERS, 2, reverse=True)(params)
    p = jax.tree.map(lambda a: np.asarray(a, np.float64), params)
    encoder, decoder = (p[name]["weights"][0] for name in ("encoder", "decoder"))

    def step(code, h):
        h = gru(decoder, p["target"]["table"][code], h)
        logits = linear(p["output"], np.tanh(linear(p["readout"], h)))
        return h, logits - np.log(np.exp(logits).sum())

    nats = count = 0
    for a, b, answer in zip(*NUMBERS, result.answers, strict=True):
        h = np.zeros(6)
        for code in VOCABULARY.encode(f"{a}+{b}"[::-1]):
            h = gru(encoder, p["source"]["table"][code], h)
        start = np.tanh(linear(p["starts"][0], h))
        h, code = start, 2
        for target in [*VOCABULARY.encode(str(a + b)), 3]:
            h, logs = step(code, h)
            nats, count, code = nats - logs[target], count + 1, target
        h, code, written = start, 2, ""
        while len(written) < 4:
            h, logs = step(code, h)
            code = int(logs.argmax())
            if code == 3:
                break
            written += VOCABULARY.tokens[code]
        assert answer[: len(written)] == written
    assert result.loss == pytest.approx(nats / count, rel=1e-4)


def test_tables_by_hand():
    numbers = Numbers(np.array([5, 95, 950, 1, 10]), np.array([5, 5, 60, 1, 980]))
    right = np.array([True, True, False, True, False])
    assert tables.carries(numbers).tolist() == [1, 2, 2, 0, 0]
    rows = tables.by_digits(numbers, right)
    assert [(row["digits of the longer number"], row["sums"], row["right"]) for row in rows] == [
        *((1, 2, "100.00%"), (2, 1, "100.00%"), (3, 2, "0.00%")),
    ]
    share, count = tables.shares(numbers, right, 3)
    assert count.tolist() == [[2, 0, 0], [1, 0, 1], [0, 1, 0]]
    assert share[0, 0] == share[1, 0] == 1 and share[1, 2] == 0 and np.isnan(share[0, 1])
    (first, second) = tables.wrong(numbers, ["10", "100", "1009", "2", ""], right)
    assert first == {"sum": "950+60", "answer": "1009", "right answer": 1010}
    assert second == {"sum": "10+980", "answer": "", "right answer": 990}


# --- the run ---


@pytest.mark.slow
def test_it_learns_and_everything_is_there(whole):
    rows, summary = evaluations(whole), summary_of(whole)
    assert [row["step"] for row in rows] == [0, 30, 60]
    assert rows[-1]["loss"] < 0.6 * rows[0]["loss"]
    answers = json.loads((whole / "answers.json").read_text())
    numbers = sums.held_out_numbers(sums.TEST, 40, 1)
    right = [a == str(x + y) for a, x, y in zip(answers, *numbers, strict=True)]
    assert summary["test exact"] == np.mean(right)
    page = (whole / "report.html").read_text()
    assert page.count("data:image/png") == 2 and "carries" in page
    assert state_of(whole) == "done"


@pytest.mark.slow
def test_lines_are_answered_from_the_work_directory(whole):
    model = rnnlab.load(whole)
    numbers = sums.held_out_numbers(sums.TEST, 40, 1)
    lines = [f"{a}+{b}" for a, b in zip(*numbers, strict=True)]
    found = model.predict(lines)
    if model.step == summary_of(whole)["best step"]:
        answers = json.loads((whole / "answers.json").read_text())
        assert [row["answer"] for row in found] == answers
    assert [row["line"] for row in found] == lines
    assert model.predict([" 03 + 4 "])[0]["answer"] == model.predict(["3+4"])[0]["answer"]
    assert model.predict([]) == []
    with pytest.raises(UsageError, match="'hello' is no sum"):
        model.predict(["1+1", "hello"])
    with pytest.raises(UsageError, match="10 has 2 digits; the model adds numbers of up to 1"):
        model.predict(["10+1"])


@pytest.mark.slow
def test_the_tiny_preset_learns(tmp_path):
    names = run_tiny(addition, tmp_path)
    assert {"curve.png", "digits.png", "answers.json", "model.json"} <= names
    assert summary_of(tmp_path)["test exact"] > 0.8


@pytest.mark.slow
@pytest.mark.parametrize("hand_over", ["context", "attention"])
def test_every_hand_over_learns(tmp_path, hand_over):
    run(tmp_path / "w", hand_over=hand_over, layers=2)
    rows = evaluations(tmp_path / "w")
    assert rows[-1]["loss"] < 0.8 * rows[0]["loss"]
    assert rnnlab.load(tmp_path / "w").predict(["1+1"])[0]["line"] == "1+1"


@pytest.mark.slow
def test_an_interrupted_run_ends_with_the_same_bits(whole, tmp_path, monkeypatch):
    original = training.SumEvaluator.__call__

    def interrupt(self, params, step):
        if step == 30:
            raise KeyboardInterrupt
        return original(self, params, step)

    monkeypatch.setattr(training.SumEvaluator, "__call__", interrupt)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "w")
    monkeypatch.setattr(training.SumEvaluator, "__call__", original)
    run(tmp_path / "w")
    for name in ("metrics.jsonl", "answers.json"):
        assert (tmp_path / "w" / name).read_bytes() == (whole / name).read_bytes()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"digits": 0}, "digits=0"),
        ({"digits": 9}, "digits=9: must be at most 8"),
        ({"hand_over": "fax"}, "hand_over=fax: must be state or context or attention"),
        ({"hidden": 0}, "hidden=0"),
        ({"embedding": 0}, "embedding=0"),
        ({"layers": 0}, "layers=0"),
        ({"held_out": 0}, "held_out=0"),
        ({"cell": "lstn"}, "cell='lstn'.*did you mean 'lstm'"),
        ({"strategy": "x"}, "strategy='x'"),
    ],
)
def test_bad_values_are_named_as_the_flags_are(changes, message):
    with pytest.raises(UsageError, match=f"^{message}") as error:
        changed(addition.Config(), **(SMALL | changes))
    assert "\n" not in str(error.value)
