"""The experiment `frame_labelling`: baselines, a run, its model on CSV files, resumption."""

import itertools
import json
import random
from pathlib import Path
from typing import Any
from unittest import mock

import jax
import numpy as np
import pytest

import rnnlab
from experiments import frame_labelling
from experiments.frame_labelling import baselines, measure
from experiments.frame_labelling.config import Baselines
from rnnlab.data.labelled_frames import PHASES, read_frames, video
from rnnlab.data.made_motion import made_motion
from rnnlab.data.sentences import Splits
from rnnlab.errors import UsageError
from rnnlab.run import launch
from rnnlab.run.compare import Finished
from rnnlab.run.workdir import open_workdir
from rnnlab.trained.frame_labeller import FrameLabeller
from rnnlab.training import devices
from rnnlab.training.frame_settings import FrameNetwork
from rnnlab.training.frames import Committee, Scaling
from tests import quick
from tests.data.test_motion import csv
from tests.experiments.kills import killed
from tests.experiments.presets import run_tiny
from tests.experiments.runs import assert_same, copy, evaluations, state_of, summary_of
from tests.experiments.settings import changed

ROOT = Path(__file__).parents[2]
SMALL: dict[str, Any] = {
    "hidden": 12,
    "members": 2,
    "strategy": "autodiff",
    "batch": 4,
    "steps": 40,
    "evaluate_every": 10,
    "checkpoint_every": 15,
    "rounds": 4,
    "every": 6,
}
WRITTEN = ("metrics.jsonl", "answers.json", "model.json")


def run(folder, **changes):
    config = changed(frame_labelling.PRESETS["tiny"], **(SMALL | changes))
    cheap = mock.patch.object(devices, "COMPILER_OPTIONS", quick.known_options())
    with cheap, open_workdir(folder, "frame_labelling", config) as workdir:
        workdir.end(frame_labelling.run(config, workdir))


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A finished run."""
    folder = tmp_path_factory.mktemp("whole") / "w"
    run(folder)
    return folder


@pytest.fixture(scope="module")
def model():
    """A network as it was drawn."""
    network = FrameNetwork(cell="tanh", hidden=4, strategy="autodiff", members=2)
    committee, scaling = Committee(network, 29, 5), Scaling((0.0,) * 29, (1.0,) * 29, 300)
    params = committee.init(jax.random.key(0))
    return FrameLabeller(committee, params, scaling, PHASES, network, {}, 0)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "a video.csv"
    path.write_text("\ufeff" + csv(made_motion(50, 7)))
    return path


# --- numbers ---


def test_windows_of_baselines():
    one = video("v", made_motion(40, 0))
    settings = Baselines(reach=6, every=3)
    before, around = (baselines.windows(one, settings, centred) for centred in (False, True))
    np.testing.assert_array_equal(before[20], one.features[[14, 17, 20]].ravel())
    np.testing.assert_array_equal(before[2], one.features[[0, 0, 2]].ravel())
    np.testing.assert_array_equal(around[20], one.features[[17, 20, 23]].ravel())
    np.testing.assert_array_equal(around[39], one.features[[36, 39, 39]].ravel())


def test_scores_by_hand():
    gold, found = [np.array([0, 0, 1, 1])], [np.array([0, 0, 1, 2])]
    scores = measure.scores(gold, found)
    assert scores["accuracy"] == 0.75
    assert scores["macro F1"] == pytest.approx((1 + 2 / 3) / 5)
    assert scores["F1@50"] == pytest.approx(4 / 5) and scores["edit score"] == pytest.approx(2 / 3)


@pytest.mark.slow
def test_what_boosting_chooses_is_the_best_round_on_validation():
    splits = read_frames(frame_labelling.PRESETS["tiny"].source)
    settings = Baselines(reach=6, every=6, rounds=6)
    train, validation = (baselines.stacked(s, settings, False) for s in splits[:2])
    chosen = baselines.gradient_boosting(train, validation, settings)(validation.xs)
    found = []
    for balance in baselines.BALANCES:
        for rounds in range(1, 7):
            model = baselines.booster(rounds, balance).fit(*train)
            found.append(baselines._macro(validation.labels, model.predict(validation.xs)))
    assert baselines._macro(validation.labels, chosen) == pytest.approx(max(found))


# --- files, with a network that has learned nothing ---


def test_a_file_to_segments(model, file):
    (answer,) = model.predict([str(file)])
    parts, motion = answer["segments"], made_motion(50, 7)
    assert answer["line"] == str(file) and len(answer["labels"]) == 50
    assert parts[0]["start"] == 0 and parts[-1]["end"] > motion.seconds[-1]
    for one, following in itertools.pairwise(parts):
        assert one["end"] == following["start"] and one["label"] != following["label"]
    first = parts[0]
    assert answer["answer"].startswith(f"{first['label']} 0.00-{first['end']:.2f}")
    assert all(0.2 <= share <= 1 for share in answer["probabilities"])
    assert model(motion).shape == (50, 5) and model.predict([]) == []


@pytest.mark.slow
def test_the_rest_of_the_files_is_answered(whole, file, tmp_path, capsys):
    (tmp_path / "nan.csv").write_text(file.read_text().replace("0.", "nan", 1))
    (tmp_path / "far.csv").write_text(_far())
    (tmp_path / "none.csv").write_text("a,b\n1,2\n")
    names = ["nan.csv", "a video.csv", "none.csv", "far.csv", "missing.csv"]
    lines = tmp_path / "lines.txt"
    lines.write_text("\n".join([*(str(tmp_path / name) for name in names), ""]))
    asked = ["run.py", "--experiment=frame_labelling", f"--workdir={whole}"]
    folder = ROOT / "experiments"
    assert launch.main([*asked, "--mode=predict", f"--input={lines}", "--scores"], folder) == 1
    out, err = capsys.readouterr()
    answers = [json.loads(line) for line in out.splitlines()]
    assert ["error" in answer for answer in answers] == [True, False, True, True, True]
    assert "is no number" in err and "names no joints" in err and "4 of 5 lines" in err
    assert "far.csv: has joints too far apart" in err and "No such file" in err
    assert launch.main([*asked, "--mode=predict", f"--input={file}"], folder) == 0
    assert capsys.readouterr().out == answers[1]["answer"] + "\n"
    picture = tmp_path / "shown.svg"
    show = [*asked, "--mode=show", f"--input={file}", f"--output={picture}"]
    assert launch.main(show, folder) == 0
    text = picture.read_text()
    assert all(word in text for word in ("answered", "file", "retraction", "seconds"))


def _far():
    """Two frames, nearly at once, between which a hand goes far."""
    motion = made_motion(2, 0)
    motion.joints[1, 0] = 1e11
    lines = csv(motion, np.array([0, 1])).splitlines()
    return "\n".join([*lines[:2], lines[2].replace(",1,", ",1e-30,")])


# --- a run, and its model ---


@pytest.mark.slow
def test_it_learns_and_everything_is_there(whole):
    rows, summary = evaluations(whole), summary_of(whole)
    assert [row["step"] for row in rows] == [0, 10, 20, 30, 40]
    best = min(rows, key=lambda row: row["miss"])
    assert summary["best step"] == best["step"]
    assert summary["validation macro F1"] == best["macro F1"] > 0.5 > rows[0]["macro F1"]
    assert summary["gradient boosting, shuffled frames: accuracy"] > 0.5
    assert (whole / "report.html").read_text().count("data:image/png") == 4
    answers, splits = (
        measure.answers_of(whole_dir(whole)),
        read_frames(frame_labelling.PRESETS["tiny"].source),
    )
    assert [a["video"] for a in answers] == [v.name for v in splits.test]
    for answer, one in zip(answers, splits.test, strict=True):
        assert answer["labels"]["right"] == one.labels.tolist()
    gold, found = (
        [np.array(a["labels"][name]) for a in answers] for name in ("right", "gradient boosting")
    )
    assert measure.scores(gold, found)["F1@50"] == summary["gradient boosting: test F1@50"]
    assert state_of(whole) == "done"


def whole_dir(folder):
    """What `answers_of` needs of a work directory."""
    return mock.Mock(path=lambda name: folder / name)


@pytest.mark.slow
def test_the_same_command_changes_nothing(whole, tmp_path):
    folder = copy(whole, tmp_path / "w")
    with mock.patch.object(measure, "summarise", side_effect=AssertionError):
        run(folder)
    assert_same(whole, folder, WRITTEN)


@pytest.mark.slow
def test_the_model_labels_as_the_test_did(whole, tmp_path):
    model, (answer, _) = rnnlab.load(whole), measure.answers_of(whole_dir(whole))
    motion = made_motion(240, int(answer["video"].split()[1]))
    found = model(motion).argmax(axis=1)
    assert found.tolist() == answer["labels"]["network"]
    assert model.step == summary_of(whole)["best step"] and model.labels == PHASES


@pytest.mark.slow
def test_both_directions_and_a_random_field(tmp_path):
    run(tmp_path / "w", bidirectional=True, crf=True, shuffled=False, steps=20)
    summary = summary_of(tmp_path / "w")
    assert summary["validation macro F1"] > 0.3
    assert not any("shuffled" in name for name in summary)
    assert rnnlab.load(tmp_path / "w").network.crf


def test_runs_side_by_side(tmp_path, capsys):
    runs = [
        Finished(
            tmp_path / str(seed),
            {"bidirectional": both, "seed": seed},
            {"test macro F1": f1, "gradient boosting: test macro F1": 0.5},
        )
        for both, seed, f1 in ((False, 0, 0.5), (True, 0, 0.7), (False, 1, 0.6), (True, 1, 0.8))
    ]
    frame_labelling.compare(runs, tmp_path)
    out = capsys.readouterr().out
    assert "0.75" in out and out.index("0.75") < out.index("0.55")
    assert "data:image/png" in (tmp_path / "comparison.html").read_text()


# --- settings ---


@pytest.mark.slow
def test_the_preset_tiny(tmp_path):
    assert {"report.html", "timeline_1.png", "model.json"} <= run_tiny(frame_labelling, tmp_path)
    summary = summary_of(tmp_path)
    assert summary["test macro F1"] > summary["logistic regression: test macro F1"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data": "dance"}, "data=dance: must be gesture_phase or made"),
        ({"validation": "c1"}, "validation=c1: must be a1 or a2"),
        ({"window": 0}, "window=0"),
        ({"balance": -1.0}, "balance=-1"),
        ({"every": 0}, "every=0"),
        ({"rounds": 0}, "rounds=0"),
        ({"members": 0}, "members=0"),
        ({"crf": True}, "crf=True: needs the frames to come"),
        ({"compute": "bfloat16"}, "compute=bfloat16"),
    ],
)
def test_bad_values_are_named_as_the_flags_are(changes, message):
    with pytest.raises(UsageError, match=f"^{message}") as error:
        changed(frame_labelling.Config(), **changes)
    assert "\n" not in str(error.value)


def test_no_video_is_in_two_splits():
    splits: Splits = read_frames(frame_labelling.PRESETS["tiny"].source)
    names = [one.name for split in splits for one in split]
    assert len(set(names)) == len(names) == 10


# --- interruptions ---


@pytest.mark.cpu
@pytest.mark.slow
def test_killed_at_a_random_moment(whole, tmp_path):
    """Resumed, it ends with the same bytes; twice killed, too."""
    folder = tmp_path / "w"
    assert any([killed(run, folder, number=1, delay=random.random() * 0.5) for _ in range(2)])
    run(folder)
    assert_same(whole, folder, WRITTEN)
