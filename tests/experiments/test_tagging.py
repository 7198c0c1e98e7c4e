"""The experiment `tagging`: scores, baselines, a run, its model, its resumption, bad input."""

import dataclasses
import json
import random
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest

import rnnlab
from experiments import tagging
from experiments.tagging import baselines, measure
from experiments.tagging.scores import score
from rnnlab.data.made_sentences import made_tagged
from rnnlab.data.sentences import Tagged
from rnnlab.errors import RunError, UsageError
from rnnlab.run import launch
from rnnlab.run.workdir import open_workdir
from rnnlab.training import devices
from tests import quick
from tests.experiments.kills import killed
from tests.experiments.presets import run_tiny
from tests.experiments.runs import assert_same, copy, evaluations, state_of, summary_of
from tests.experiments.settings import changed

ROOT = Path(__file__).parents[2]
SMALL: dict[str, Any] = {
    "cell": "gru",
    "hidden": 8,
    "embedding": 8,
    "spelling": 6,
    "character_embedding": 4,
    "strategy": "autodiff",
    "batch": 60,
    "epochs": 3,
    "buckets": 1,
    "checkpoint_every": 4,
    "learning_rate": 0.05,
}
WRITTEN = ("metrics.jsonl", "answers.json", "types.json", "model.json")


def run(folder, **changes):
    config = changed(tagging.PRESETS["tiny"], **(SMALL | changes))
    cheap = mock.patch.object(devices, "COMPILER_OPTIONS", quick.known_options())
    with cheap, open_workdir(folder, "tagging", config) as workdir:
        workdir.end(tagging.run(config, workdir))


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A finished run."""
    folder = tmp_path_factory.mktemp("whole") / "w"
    run(folder)
    return folder


# --- scores ---


def test_a_sequence_that_is_no_iob2_holds_no_entity():
    """seqeval's default takes `I-x` after O for an entity; here it is none."""
    gold = [["O", "B-x", "I-x", "O"], ["B-y", "O", "O"]]
    found = [["O", "I-x", "I-x", "O"], ["B-y", "O", "I-y"]]
    scores = score(gold, found, entities=True)
    assert (scores.precision, scores.recall) == (1.0, 0.5)
    assert scores.f1 == pytest.approx(2 / 3) and scores.error == pytest.approx(1 / 3)
    assert scores.accuracy == pytest.approx(5 / 7)


def entities(labels):
    """Entities of IOB2, by hand: type, first word, word after the last."""
    found = set()
    for start, label in enumerate(labels):
        if label.startswith("B-"):
            end = start + 1
            while end < len(labels) and labels[end] == "I-" + label[2:]:
                end += 1
            found.add((label[2:], start, end))
    return found


def test_f1_is_that_of_sets_of_entities():
    """Also where what is answered is no IOB2."""
    draw = random.Random(0)
    gold = made_tagged(60, 0).labels
    names = ["O", "O", "O", "B-PER", "I-PER", "B-LOC", "I-LOC", "B-ORG"]
    found = [[draw.choice([label, draw.choice(names)]) for label in labels] for labels in gold]
    right = wanted = answered = 0
    for a, b in zip(gold, found, strict=True):
        right += len(entities(a) & entities(b))
        wanted, answered = wanted + len(entities(a)), answered + len(entities(b))
    scores = score(gold, found, entities=True)
    assert scores.precision == pytest.approx(right / answered)
    assert scores.recall == pytest.approx(right / wanted)
    assert scores.f1 == pytest.approx(2 * right / (wanted + answered))
    assert {row["type"] for row in scores.types} >= {"LOC", "ORG", "PER"}


def test_nothing_to_find_and_nothing_found():
    assert score([["O"]], [["O"]], True).f1 == 0
    assert score([["B-x"]], [["O"]], True).f1 == 0
    assert score([["O"]], [["B-x"]], True).f1 == 0
    assert score([], [], True).error == 1 and score([], [], False).accuracy == 0


def test_labels_that_are_no_entities_have_an_accuracy_alone():
    scores = score([["N", "V"]], [["N", "N"]], entities=False)
    assert scores.accuracy == scores.error == 0.5 and scores.f1 is None


# --- baselines ---


def test_the_most_frequent_label():
    train = Tagged([["a", "b", "a"], ["a", "c"]], [["X", "Y", "X"], ["Y", "X"]])
    answer = baselines.frequent(train)
    assert answer([["a", "b", "new"], []]) == [["X", "Y", "X"], []]


@pytest.mark.peers
def test_a_crf_on_features_learns_from_the_neighbours():
    pytest.importorskip("sklearn_crfsuite")
    train, test = made_tagged(150, 0), made_tagged(50, 1)
    found = baselines.features(train)(test.sentences)
    usual = baselines.frequent(train)(test.sentences)
    assert 1 - score(test.labels, found, True).error > 0.95
    assert 1 - score(test.labels, usual, True).error < 0.85


def test_a_baseline_that_is_not_installed_is_told_before_training(tmp_path):
    nowhere = mock.patch.object(baselines.importlib.util, "find_spec", return_value=None)
    with (
        nowhere,
        pytest.raises(RunError, match=r"^baseline=features: needs the package sklearn-cr"),
    ):
        run(tmp_path / "w", baseline="features")
    assert not (tmp_path / "w" / "metrics.jsonl").exists()


def test_features_of_a_word_and_its_neighbours():
    first, second = baselines.describe(["McDonald", "2nd"])
    assert first["shape"] == "XxXxx" and second["shape"] == "0xx"
    assert first["ends 3"] == "ald" and first["+1:word"] == "2nd" and "-1:word" not in first
    assert first["first"] and second["last"] and second["-1:shape"] == "XxXxx"


# --- a run, and its model ---


@pytest.mark.slow
def test_it_learns_and_everything_is_there(whole):
    rows, summary = evaluations(whole), summary_of(whole)
    assert [row["step"] for row in rows] == [0, 10, 20, 30]
    best = min(rows, key=lambda row: row["error"])
    assert best["error"] == pytest.approx(1 - best["f1"])
    assert summary["best step"] == best["step"] and summary["validation F1"] == best["f1"]
    assert summary["test F1"] > max(summary["frequent: test F1"], 0.8)
    words, gold, found = json.loads((whole / "answers.json").read_text())
    assert words == made_tagged(150, 2).sentences
    assert score(gold, found, True).f1 == summary["test F1"]
    assert (whole / "report.html").read_text().count("data:image/png") == 3
    assert state_of(whole) == "done"


@pytest.mark.slow
def test_the_same_command_changes_nothing(whole, tmp_path):
    folder = copy(whole, tmp_path / "w")
    with mock.patch.object(measure, "summarise", side_effect=AssertionError):
        run(folder)
    assert_same(whole, folder, WRITTEN)


@pytest.mark.slow
def test_the_model_answers_as_the_test_did(whole):
    model = rnnlab.load(whole)
    words, _, found = json.loads((whole / "answers.json").read_text())
    answers = model.predict([" ".join(sentence) for sentence in words])
    assert [answer["labels"] for answer in answers] == found
    assert answers[0]["answer"] == " ".join(found[0]) and answers[0]["words"] == words[0]
    assert model.step == summary_of(whole)["best step"]
    assert set(model.labels) == {label for labels in found for label in labels}


@pytest.mark.slow
def test_whatever_line_comes_is_answered(whole):
    """Nothing, unknown scripts, emoji, special tokens, a sentence of 10,000 words."""
    model = rnnlab.load(whole)
    lines = ["", "  \t ", "東京 \U0001f600 <pad> </s>", "Paris " * 10_000, "x" * 5000]
    answers = model.predict(lines)
    assert [len(answer["labels"]) for answer in answers] == [0, 0, 4, 10_000, 1]
    assert answers[0]["answer"] == "" and [answer["line"] for answer in answers] == lines
    again = model.predict(lines[2:3])
    assert again[0]["labels"] == answers[2]["labels"]
    assert model.predict([]) == []


@pytest.mark.slow
def test_a_line_in_a_line_out_and_a_picture(whole, tmp_path, capsys):
    file = tmp_path / "lines.txt"
    file.write_bytes("\ufeffAnna met Boris .\r\n\r\nin Rome it rained".encode() + b" \xff\n")
    asked = ["run.py", "--experiment=tagging", f"--workdir={whole}"]
    folder = ROOT / "experiments"
    assert launch.main([*asked, "--mode=predict", f"--input={file}"], folder) == 0
    out = capsys.readouterr().out.splitlines()
    assert [len(line.split()) for line in out] == [4, 0, 5]
    picture = tmp_path / "tags.png"
    line = "--input=Anna Lee works for Acme Ltd in $Rome_1$ ."
    assert launch.main([*asked, "--mode=show", line, f"--output={picture}"], folder) == 0
    assert picture.stat().st_size > 1000
    with pytest.raises(UsageError, match="line: has 0 words"):
        rnnlab.load(whole).show(" ", picture)


@pytest.mark.slow
def test_a_damaged_description_is_one_line(whole, tmp_path):
    folder = copy(whole, tmp_path / "w")
    path = folder / "model.json"
    contents = json.loads(path.read_text())
    contents["words"] = contents["words"][:-3]
    path.write_text(json.dumps(contents))
    with pytest.raises((UsageError, rnnlab.errors.RunError), match="network") as error:  # type: ignore[attr-defined]
        rnnlab.load(folder)
    assert "\n" not in str(error.value)


# --- settings ---


@pytest.mark.slow
def test_the_preset_tiny(tmp_path):
    assert {"report.html", "answers.json", "model.json"} <= run_tiny(tagging, tmp_path)
    assert summary_of(tmp_path)["test F1"] > 0.95


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [
        {"crf": False},
        {"bidirectional": False},
        {"characters": "none", "lower": False},
        {"characters": "lstm", "layers": 2, "strategy": "hoisted"},
    ],
    ids=str,
)
def test_every_part_can_be_left_out(tmp_path, changes):
    run(tmp_path, **changes)
    assert summary_of(tmp_path)["test F1"] > 0.6
    assert rnnlab.load(tmp_path).predict(["Anna met Boris ."])[0]["answer"]


@pytest.mark.slow
def test_vectors_of_a_file(tmp_path, capsys):
    """They are reported, kept where they are frozen, and part of the checkpoint."""
    file = tmp_path / "vectors.txt"
    file.write_text("".join(f"{word} {' '.join(['0.5'] * 8)}\n" for word in ("Anna", "in", "zz")))
    run(tmp_path / "w", vectors=str(file), train_vectors=False, epochs=1, warmup=2)
    assert "vectors for" in capsys.readouterr().out
    file.unlink()
    model = rnnlab.load(tmp_path / "w")
    row = model.coder.words.encode(["anna"])[0]
    np.testing.assert_array_equal(model.params["embed"]["frozen"][row], np.full(8, 0.5))


def test_vectors_that_do_not_fit(tmp_path):
    file = tmp_path / "vectors.txt"
    file.write_text("the 1 2 3\n")
    with pytest.raises(UsageError, match=r"^vectors=.*have 3 features; they must have 8"):
        run(tmp_path / "w", vectors=str(file))
    with pytest.raises(UsageError, match=r"^vectors=.*no such file"):
        run(tmp_path / "v", vectors=str(tmp_path / "none"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data": "conll"}, "data=conll: must be ewt or"),
        ({"baseline": "svm"}, "baseline=svm: must be frequent or features or none"),
        ({"dispatch": 5}, "dispatch=5: must be 1"),
        ({"longest": 0}, "longest=0"),
        ({"buckets": 0}, "buckets=0"),
        ({"characters": "x"}, "characters=x"),
        ({"epochs": 0}, "epochs=0"),
    ],
)
def test_bad_values_are_named_as_the_flags_are(changes, message):
    with pytest.raises(UsageError, match=f"^{message}") as error:
        changed(tagging.Config(), **changes)
    assert "\n" not in str(error.value)


def test_presets():
    assert tagging.Config().source.data == "ewt"
    wnut, wiki = tagging.PRESETS["wnut17"], tagging.PRESETS["wikiann"]
    assert (wnut.source.data, wnut.baseline, wiki.source.data) == ("wnut17", "features", "wikiann")
    assert dataclasses.replace(wnut.training, epochs=6, learning_rate=0.002) == wiki.training


# --- interruptions ---


@pytest.mark.cpu
@pytest.mark.slow
def test_killed_at_a_random_moment(whole, tmp_path):
    """Resumed, it ends with the same bytes; twice killed, too."""
    folder = tmp_path / "w"
    assert any([killed(run, folder, number=1, delay=random.random() * 0.5) for _ in range(2)])
    run(folder)
    assert_same(whole, folder, WRITTEN)
