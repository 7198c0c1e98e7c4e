"""The experiment `spoken_digits`: a run, its model on WAV files and streams, its resumption."""

import json
import random
from pathlib import Path
from typing import Any
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.io import wavfile

import rnnlab
from experiments import spoken_digits
from experiments.spoken_digits import measure
from experiments.spoken_digits.baselines import fit_baselines
from rnnlab.data.recordings import made_recordings, split
from rnnlab.errors import UsageError
from rnnlab.nn.mel import LogMel
from rnnlab.run import launch
from rnnlab.run.compare import Finished
from rnnlab.run.workdir import open_workdir
from rnnlab.trained.listener import SpeechModel
from rnnlab.training import devices
from rnnlab.training.speech_settings import Front, SpeechNetwork
from tests import quick
from tests.experiments.kills import killed
from tests.experiments.presets import run_tiny
from tests.experiments.runs import assert_same, evaluations, state_of, summary_of
from tests.experiments.settings import changed

ROOT = Path(__file__).parents[2]
SMALL: dict[str, Any] = {
    "hidden": 8,
    "strategy": "autodiff",
    "bidirectional": False,
    "batch": 60,
    "epochs": 10,
    "buckets": 1,
    "learning_rate": 0.03,
    "evaluate_every": 10,
    "checkpoint_every": 8,
    "baseline": False,
}
WRITTEN = ("metrics.jsonl", "answers.json", "model.json")


def run(folder, **changes):
    config = changed(spoken_digits.PRESETS["tiny"], **(SMALL | changes))
    cheap = mock.patch.object(devices, "COMPILER_OPTIONS", quick.known_options())
    with cheap, open_workdir(folder, "spoken_digits", config) as workdir:
        workdir.end(spoken_digits.run(config, workdir))


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A finished run."""
    folder = tmp_path_factory.mktemp("whole") / "w"
    run(folder)
    return folder


def drawn(**settings):
    """A network as it was drawn."""
    settings = {"cell": "gru", "hidden": 4, "strategy": "autodiff"} | settings
    network, front = SpeechNetwork(**settings), Front(stacked=2, bands=8)
    model = network.listener(front, 10, np.stack([np.full(8, -9.0), np.full(8, 3.0)]))
    params = model.init(jax.random.key(0))
    return SpeechModel(model, params, tuple("0123456789"), front, network, {}, 0)


@pytest.fixture(scope="module")
def sounds():
    return made_recordings(1, 9).samples[:3]


@pytest.mark.parametrize(
    "pooling", ["mean", *(pytest.param(p, marks=pytest.mark.slow) for p in ("last", "max"))]
)
def test_a_stream_ends_as_the_whole_does(pooling, sounds):
    """In pieces of any length; what one hears so far does not depend on how it came."""
    model = drawn(bidirectional=False, pooling=pooling)
    for sound, log_p in zip(sounds[:2], model(sounds[:2]), strict=True):
        whole, pieces, rest = model.stream().feed(sound), model.stream(), sound
        found = []
        for size in (1, 300, 2, 90, 40, 5000):
            found.append(pieces.feed(rest[:size]))
            rest = rest[size:]
        np.testing.assert_array_equal(np.concatenate(found), whole)
        assert len(found[0]) == 0 and len(whole) == (len(sound) - 280) // 160 + 1
        np.testing.assert_allclose(whole[-1], log_p, atol=1e-5)
        np.testing.assert_allclose(np.exp(whole).sum(axis=1), 1)


@pytest.mark.slow
def test_what_is_heard_so_far_is_what_the_shorter_sound_says(sounds):
    model = drawn(bidirectional=False, pooling="max")
    stream = model.stream().feed(sounds[0])
    for step in (0, 3):
        (log_p,) = model([sounds[0][: 280 + 160 * step]])
        np.testing.assert_allclose(stream[step], log_p, atol=1e-5)


@pytest.mark.slow
def test_sounds_do_not_hear_each_other(sounds):
    """Alone, and in a batch with longer ones."""
    for model in (drawn(), drawn(bidirectional=False, pooling="last", cell="lstm")):
        together = model(sounds)
        for sound, log_p in zip(sounds, together, strict=True):
            np.testing.assert_allclose(model([sound])[0], log_p, atol=1e-5)


@pytest.mark.slow
def test_steps_that_are_pooled_by_their_mean_vote(sounds):
    """The logits of the whole are the mean of those of the steps."""
    model = drawn()
    module, sound = model.model.bind(model.params), sounds[0]
    lengths = jnp.array([len(sound)], jnp.int32)
    votes = np.asarray(module.over_time(jnp.asarray(sound[None]), lengths))[0]
    whole = module(jnp.asarray(sound[None]), lengths)[0]
    np.testing.assert_allclose(votes.mean(axis=0), whole, atol=1e-5)
    with pytest.raises(UsageError, match="bidirectional=true: the network reads backwards"):
        model.stream()


def test_sounds_that_are_none():
    model = drawn()
    assert model([]).shape == (0, 10) and model.predict([]) == []
    with pytest.raises(
        UsageError, match=r"sounds\[0\]: lasts 0\.000125 s; a step .* needs 0\.035 s"
    ):
        model([np.zeros(1, np.float32)])
    for wrong in (np.zeros((2, 900)), np.zeros(900, np.int64), np.array(["a"])):
        with pytest.raises(UsageError, match=r"sounds\[0\]: is .*; must be a row of samples"):
            model([wrong])


@pytest.mark.slow
def test_baselines_know_tones_and_not_their_order():
    """Digits 0 to 4 differ from 5 to 9 in the order alone: half of the answers are right."""
    found = fit_baselines(LogMel(), split(made_recordings(16, 0)))
    for baseline in found.values():
        labels = split(made_recordings(16, 0)).test.labels
        assert np.mean(baseline.answers % 5 == labels % 5) > 0.9
        assert np.mean(baseline.answers == labels) < 0.75


# --- a run, and its model ---


@pytest.mark.slow
def test_it_learns_and_everything_is_there(whole):
    rows, summary = evaluations(whole), summary_of(whole)
    assert [row["step"] for row in rows] == [0, 10, 20, 30, 40]
    best = min(rows, key=lambda row: row["loss"])
    assert summary["best step"] == best["step"]
    assert rows[-1]["loss"] < 0.8 * rows[0]["loss"]
    test = split(made_recordings(18, 0)).test
    answers = json.loads((whole / "answers.json").read_text())["network"]
    assert summary["test accuracy"] == pytest.approx(np.mean(np.array(answers) == test.labels))
    assert (whole / "report.html").read_text().count("data:image/png") >= 4
    assert state_of(whole) == "done"


@pytest.mark.slow
def test_the_model_hears_as_the_test_did(whole):
    model = rnnlab.load(whole)
    test = split(made_recordings(18, 0)).test
    log_p = model(test.samples)
    assert (
        log_p.argmax(axis=1).tolist() == json.loads((whole / "answers.json").read_text())["network"]
    )
    assert model.step == summary_of(whole)["best step"] and model.front == Front()


@pytest.mark.slow
def test_files_are_answered_and_the_rest_when_one_is_bad(whole, tmp_path, capsys):
    """The same sound at other rates and in stereo has the same answer."""
    test = split(made_recordings(18, 0)).test
    sound, model = test.samples[0], rnnlab.load(whole)
    wavfile.write(tmp_path / "mono.wav", 8000, sound)
    twice = np.repeat(sound / 32768, 2)[:, None] * [1, 1]
    wavfile.write(tmp_path / "stereo.wav", 16000, twice.astype(np.float32))
    wavfile.write(tmp_path / "one.wav", 8000, sound[200:201])
    wavfile.write(tmp_path / "silence.wav", 8000, 0 * sound)
    wavfile.write(tmp_path / "long.wav", 8000, np.tile(sound, 8000 * 600 // len(sound)))
    (tmp_path / "text.wav").write_text("no sound")
    names = ["mono", "one", "silence", "long", "text", "none", "stereo"]
    lines = [str(tmp_path / f"{name}.wav") for name in names]
    (tmp_path / "names.txt").write_text("\n".join(lines) + "\n")
    asked = ["run.py", "--experiment=spoken_digits", f"--workdir={whole}"]
    folder = ROOT / "experiments"
    file = [*asked, "--mode=predict", f"--input={tmp_path / 'names.txt'}", "--scores"]
    assert launch.main(file, folder) == 1
    out, err = capsys.readouterr()
    answers = [json.loads(line) for line in out.splitlines()]
    assert ["error" in answer for answer in answers] == [False, *[True] * 5, False]
    for number, message in enumerate(
        ["it has 1 samples", "is silent", "at most 60 s", "no WAV file", "No such file"]
    ):
        assert message in answers[number + 1]["error"]
        assert "\n" not in answers[number + 1]["error"]
    assert "5 of 7 lines" in err
    assert answers[0]["answer"] == model.classes[model([sound])[0].argmax()]
    assert answers[0]["answer"] == answers[-1]["answer"]
    assert sum(answers[0]["probabilities"].values()) == pytest.approx(1)
    assert 0 < answers[0]["decided"] <= answers[0]["seconds"] == len(sound) / 8000
    one = [*asked, "--mode=predict", f"--input={lines[0]}"]
    assert launch.main(one, folder) == 0 and capsys.readouterr().out == f"{answers[0]['answer']}\n"
    picture = tmp_path / "heard.svg"
    show = [*asked, "--mode=show", f"--input={lines[0]}", f"--output={picture}"]
    assert launch.main(show, folder) == 0
    text = picture.read_text()
    assert all(name in text for name in ("time (s)", "frequency (Hz)", "heard as"))


@pytest.mark.slow
def test_a_speaker_who_was_never_heard(tmp_path):
    run(tmp_path / "w", held_out_speaker="middle", epochs=3, warmup=0, bidirectional=True)
    summary = summary_of(tmp_path / "w")
    assert summary["test recordings"] == 180
    assert not any(name.startswith("test accuracy, ") for name in summary)


@pytest.mark.slow
def test_runs_side_by_side(tmp_path, capsys):
    """The best first: speakers by accuracy, strings by how many are right."""
    for best, other in (("test accuracy", "best epoch"), ("test strings exactly right", "x")):
        runs = [
            Finished(tmp_path / name, {"speaker": name, "seed": 0}, {best: value, other: 1})
            for name, value in (("theo", 0.5), ("lucas", 0.9), ("george", 0.7))
        ]
        spoken_digits.compare(runs, tmp_path)
        out = capsys.readouterr().out
        assert out.index("lucas") < out.index("george") < out.index("theo")
        assert "data:image/png" in (tmp_path / "comparison.html").read_text()


# --- settings ---


@pytest.mark.slow
def test_the_preset_tiny(tmp_path):
    assert {"report.html", "model.json", "heard_0.png"} <= run_tiny(spoken_digits, tmp_path / "w")
    summary = summary_of(tmp_path / "w")
    baselines = [v for k, v in summary.items() if k.startswith("test accuracy of ")]
    assert len(baselines) == 2 and summary["test accuracy"] > max(0.85, *baselines)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data": "timit"}, "data=timit: must be spoken_digits or made"),
        ({"held_out_speaker": "low"}, "held_out_speaker=low: must be"),
        ({"rate": 16000}, "rate=16000: must be 8000"),
        ({"window_ms": 0.01}, "window_ms=0.01: must be a sample or more"),
        ({"stacked": 0}, "stacked=0"),
        ({"pooling": "attention"}, "pooling=attention: must be"),
        ({"speed": 0.7}, "speed=0.7"),
        ({"dispatch": 5}, "dispatch=5: must be 1"),
        ({"compute": "bfloat16"}, "compute=bfloat16"),
        ({"seed": -1}, "seed=-1"),
    ],
)
def test_bad_values_are_named_as_the_flags_are(changes, message):
    with pytest.raises(UsageError, match=f"^{message}") as error:
        changed(spoken_digits.Config(), **changes)
    assert "\n" not in str(error.value)


# --- interruptions ---


@pytest.mark.cpu
@pytest.mark.slow
def test_killed_at_a_random_moment(whole, tmp_path):
    """Resumed, it ends with the same bytes; twice killed, too."""
    folder = tmp_path / "w"
    assert any([killed(run, folder, number=1, delay=random.random() * 0.5) for _ in range(2)])
    run(folder)
    assert_same(whole, folder, WRITTEN)


def test_accuracy_by_speaker():
    test = made_recordings(1, 0)
    right = np.array([speaker == "low" for speaker in test.speakers])
    assert measure.by_speaker(test, right) == {
        "test accuracy, high": 0,
        "test accuracy, low": 1,
        "test accuracy, middle": 0,
    }
