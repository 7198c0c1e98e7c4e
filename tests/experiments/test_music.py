"""The experiment `music`: baselines, a run, its model on MIDI files, its resumption, bad input."""

import json
import random
from pathlib import Path
from typing import Any
from unittest import mock

import jax
import mido
import numpy as np
import pytest

import rnnlab
from experiments import music
from experiments.music import baselines, measure
from rnnlab.data.made_chorales import made_chorales
from rnnlab.data.midi import read_midi, write_midi
from rnnlab.data.music import read_music
from rnnlab.data.piano_roll import pitches, roll, shifted, tops
from rnnlab.errors import UsageError
from rnnlab.run import launch
from rnnlab.run.compare import Finished
from rnnlab.run.workdir import open_workdir
from rnnlab.trained.composer import MusicModel, read_line
from rnnlab.training import devices
from rnnlab.training.composing import continued
from rnnlab.training.music import composer, frame_nats
from rnnlab.training.music_settings import MusicNetwork
from tests import quick
from tests.experiments.kills import killed
from tests.experiments.presets import run_tiny
from tests.experiments.runs import assert_same, copy, evaluations, state_of, summary_of
from tests.experiments.settings import changed

ROOT = Path(__file__).parents[2]
SMALL: dict[str, Any] = {
    "cell": "gru",
    "hidden": 12,
    "strategy": "autodiff",
    "batch": 30,
    "epochs": 10,
    "buckets": 1,
    "transpose": 2,
    "learning_rate": 0.05,
    "evaluate_every": 10,
    "checkpoint_every": 8,
    "particles": 4,
    "melodies": 2,
}
WRITTEN = ("metrics.jsonl", "written.json", "model.json", "continued.mid", "harmonised.mid")


def run(folder, **changes):
    config = changed(music.PRESETS["tiny"], **(SMALL | changes))
    cheap = mock.patch.object(devices, "COMPILER_OPTIONS", quick.known_options())
    with cheap, open_workdir(folder, "music", config) as workdir:
        workdir.end(music.run(config, workdir))


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A finished run."""
    folder = tmp_path_factory.mktemp("whole") / "w"
    run(folder)
    return folder


@pytest.fixture(scope="module")
def model():
    """A network as it was drawn."""
    network = MusicNetwork(cell="tanh", hidden=4, strategy="autodiff")
    functional = composer(network)
    return MusicModel(functional, functional.init(jax.random.key(0)), network, {}, 0)


@pytest.fixture
def tune(tmp_path):
    return write_midi(tmp_path / "a tune.mid", made_chorales(1, 3)[0][:6])


# --- numbers ---


def test_means_over_frames_and_over_chorales():
    nats = [np.array([9.0, 1.0, 2.0]), np.array([9.0, 6.0]), np.array([9.0])]
    later = measure.after_first(nats)
    assert measure.by_frames(later) == 3 and measure.by_chorales(later) == 3.75
    low, high = measure.interval(later[:2])
    assert 1.5 <= low < 3 < high <= 6


def test_baselines_by_hand():
    """One key sounds in 3 of 4 frames after the first; a share is (n + 1) / (N + 2)."""
    train = [roll([[60], [60], [], [60], [60]])]
    test = [roll([[], [60], [62]])]
    (often,) = baselines.frequent(train)(test)
    silent = 87 * np.log(6 / 5)
    np.testing.assert_allclose(
        often,
        [-np.log(4 / 6) + silent, -np.log(2 / 6) - np.log(1 / 6) + 86 * np.log(6 / 5)],
    )
    (after,) = baselines.persistent(train)(test)
    np.testing.assert_allclose(
        after,
        [-np.log(2 / 3) + silent, -np.log(1 - 3 / 5) - np.log(1 / 6) + 86 * np.log(6 / 5)],
    )


def test_keys_in_common_below_the_melody():
    a, b = roll([[60, 64, 72], [50]]), roll([[60, 65, 72], [50]])
    assert measure.shared([a], [b]) == 0.5 and measure.shared([a], [a]) == 1
    assert measure.shared([roll([[]])], [roll([[]])]) == 0


# --- lines, with a network that has learned nothing ---


def test_a_line_is_a_file_to_continue(model, tune):
    (answer,) = model.predict([str(tune)])
    assert answer["line"] == str(tune)
    assert answer["answer"] == str(tune.with_name("a tune-continued-0.mid"))
    assert (answer["given"], answer["beats"]) == (6, 54)
    assert pitches(read_midi(answer["answer"]))[:6] == pitches(read_midi(tune))
    assert answer["pitches"][:6] == pitches(read_midi(tune)) and len(answer["pitches"]) == 54
    assert model.predict([]) == []


@pytest.mark.slow
def test_a_line_of_json_may_name_a_melody(model, tune):
    lines = [json.dumps({"melody": str(tune), "seed": 3, "particles": 2}), str(tune)]
    first, second = model.predict(lines)
    below = read_midi(first["answer"])
    assert first["answer"].endswith("a tune-harmonised-3.mid") and first["beats"] == 6
    np.testing.assert_array_equal(tops(below), tops(read_midi(tune)))
    assert model.predict(lines) == [first, second]


@pytest.mark.slow
def test_an_output_of_ones_own_and_silence_around_the_prompt(model, tmp_path):
    path = tmp_path / "x.mid"
    write_midi(path, roll([[], [], [60, 64], [62], [], []]))
    asked = {"prompt": str(path), "beats": 5, "temperature": 1, "output": str(tmp_path / "o.mid")}
    (answer,) = model.predict([json.dumps(asked)])
    assert answer["given"] == 2 and answer["beats"] == 7
    assert (tmp_path / "o.mid").exists() and len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("  ", "line: is empty"),
        ("{oops", "line: begins with { and is no JSON"),
        ('{"tune": "x.mid"}', "line: has 'tune'; known are prompt, melody, beats"),
        ("{}", "needs the MIDI file of either a prompt or a melody"),
        ('{"prompt": "x", "melody": "y"}', "needs the MIDI file of either"),
        ('{"prompt": 3}', "prompt=3: must be a text"),
        ('{"prompt": "x", "beats": 0}', "beats=0: must be within 1 .. 10000"),
        ('{"prompt": "x", "beats": true}', "beats=True: must be an integer"),
        ('{"prompt": "x", "seed": -1}', "seed=-1: must be within"),
        ('{"prompt": "x", "temperature": "hot"}', "temperature='hot': must be a number"),
        ('{"prompt": "x", "temperature": -1}', "temperature=-1.0: must be a number of at least 0"),
        ('{"melody": "x", "particles": 100000}', "particles=100000: must be within 1 .. 4096"),
        ('{"melody": "x", "output": "x"}', "output=x: is the file that is read"),
    ],
)
def test_lines_that_ask_wrongly(line, message):
    with pytest.raises(UsageError) as caught:
        read_line(line)
    assert str(caught.value).startswith(message) and "\n" not in str(caught.value)


def test_files_that_cannot_be_read_or_written(model, tune, tmp_path):
    drums = mido.MidiTrack([mido.Message("note_on", note=40, channel=9)])
    mido.MidiFile(tracks=[drums]).save(tmp_path / "drums.mid")
    (tmp_path / "cut.mid").write_bytes(tune.read_bytes()[:40])
    for name, message in (("drums", "no notes but"), ("cut", "damaged"), ("none", "No such file")):
        with pytest.raises(UsageError, match=message):
            model.predict([str(tune), str(tmp_path / f"{name}.mid")])
    assert not list(tmp_path.glob("*continued*"))  # nothing is written before all are read
    nowhere = json.dumps({"prompt": str(tune), "output": str(tmp_path / "none/x.mid")})
    with pytest.raises(UsageError, match=r"output=.*x\.mid: No such file"):
        model.predict([nowhere])


@pytest.mark.slow
def test_pictures_mark_what_was_given(model, tune, tmp_path):
    for number, line in enumerate((str(tune), json.dumps({"melody": str(tune)}))):
        path = tmp_path / f"{number}.svg"
        model.show(line, path)
        text = path.read_text()
        assert all(name in text for name in ("given", "written", "beat", "C4"))


@pytest.mark.slow
def test_a_prompt_is_read_in_the_key_in_which_it_is_likeliest(model):
    """Tried one by one; what is written is moved back, and the prompt stays as it is."""
    tune, start = roll([[55, 64], [57, 62], [55, 60]]), (model.model, model.params)
    found = []
    for semitones in range(-6, 6):
        moved = shifted(tune, semitones)
        (nats,) = frame_nats(*start, [moved])
        written = continued(*start, moved, 9, jax.random.key(2))
        found.append((nats.sum(), shifted(written, -semitones)))
    assert np.ptp([nats for nats, _ in found]) > 0.1
    expected = min(found, key=lambda one: one[0])[1]
    np.testing.assert_array_equal(model.compose(tune, beats=9, seed=2), expected)
    np.testing.assert_array_equal(expected[:3], tune)


@pytest.mark.slow
def test_a_melody_is_kept_whatever_the_key(model):
    tune = tops(roll([[55], [], [57, 62], [21]]))
    for semitones in (0, 7):
        moved = shifted(tune, semitones)
        np.testing.assert_array_equal(tops(model.harmonise(moved, particles=3)), moved)


@pytest.mark.slow
def test_rolls_from_python(model):
    assert model.compose(beats=3).shape == (3, 88)
    for wrong in (np.zeros((3, 12)), np.full((2, 88), 2), np.zeros(88)):
        with pytest.raises(UsageError, match=r"a piano roll has the shape \[T, 88\]"):
            model.harmonise(wrong)
    with pytest.raises(UsageError, match="beats=-1"):
        model.compose(beats=-1)
    with pytest.raises(UsageError, match="particles=4096: of 1,000 beats at most 1000 can be kept"):
        model.harmonise(np.zeros((1000, 88)), particles=4096)


# --- a run, and its model ---


@pytest.mark.slow
def test_it_learns_and_everything_is_there(whole):
    rows, summary = evaluations(whole), summary_of(whole)
    assert [row["step"] for row in rows] == [0, 10, 20, 30, 40]
    best = min(rows, key=lambda row: row["nats"])
    assert summary["best step"] == best["step"] and summary["validation nats"] == best["nats"]
    assert summary["test nats"] < summary["test nats of how often each key sounds"]
    assert summary["its 95 % interval from"] < summary["test nats"]
    assert (whole / "report.html").read_text().count("data:image/png") == 5
    original = read_music(music.PRESETS["tiny"].source).test[0]
    np.testing.assert_array_equal(read_midi(whole / "original.mid"), original)
    np.testing.assert_array_equal(read_midi(whole / "continued.mid")[:8], original[:8])
    np.testing.assert_array_equal(tops(read_midi(whole / "harmonised.mid")), tops(original))
    assert state_of(whole) == "done"


@pytest.mark.slow
def test_the_same_command_changes_nothing(whole, tmp_path):
    folder = copy(whole, tmp_path / "w")
    with mock.patch.object(measure, "summarise", side_effect=AssertionError):
        run(folder)
    assert_same(whole, folder, WRITTEN)


@pytest.mark.slow
def test_the_model_foresees_as_the_test_did(whole):
    model = rnnlab.load(whole)
    test = read_music(music.PRESETS["tiny"].source).test
    nats = measure.after_first(frame_nats(model.model, model.params, test))
    summary = summary_of(whole)
    assert measure.by_frames(nats) == pytest.approx(summary["test nats"], rel=1e-5)
    assert model.step == summary["best step"] and model.network.hidden == 12


@pytest.mark.slow
def test_the_rest_of_the_lines_is_answered(whole, tune, tmp_path, capsys):
    (tmp_path / "empty.mid").write_bytes(b"")
    lines = [str(tmp_path / "empty.mid"), str(tune), json.dumps({"melody": str(tune)}), ""]
    file = tmp_path / "lines.txt"
    file.write_text("\n".join(lines) + "\n")
    asked = ["run.py", "--experiment=music", f"--workdir={whole}"]
    folder = ROOT / "experiments"
    assert launch.main([*asked, "--mode=predict", f"--input={file}", "--scores"], folder) == 1
    out, err = capsys.readouterr()
    answers = [json.loads(line) for line in out.splitlines()]
    assert [sorted(answer)[0] for answer in answers] == ["error", "answer", "answer", "error"]
    assert "line 1: " in err and "is empty" in err and "2 of 4 lines" in err
    assert len(read_midi(answers[1]["answer"])) == answers[1]["beats"]
    assert launch.main([*asked, "--mode=predict", f"--input={tune}"], folder) == 0
    assert capsys.readouterr().out == answers[1]["answer"] + "\n"
    picture = tmp_path / "roll.png"
    show = [*asked, "--mode=show", f"--input={lines[2]}", f"--output={picture}"]
    assert launch.main(show, folder) == 0 and picture.stat().st_size > 1000


@pytest.mark.slow
def test_runs_side_by_side(tmp_path, capsys):
    """The best first, by the nats of the test."""
    runs = [
        Finished(tmp_path / cell, {"cell": cell, "seed": 0}, {"test nats": nats})
        for cell, nats in (("tanh", 8.9), ("gru", 8.2), ("lstm", 8.3))
    ]
    music.compare(runs, tmp_path)
    out = capsys.readouterr().out
    assert out.index("gru") < out.index("lstm") < out.index("tanh")
    assert "data:image/png" in (tmp_path / "comparison.html").read_text()


# --- settings ---


@pytest.mark.slow
def test_the_preset_tiny(tmp_path):
    assert {"report.html", "free.mid", "model.json"} <= run_tiny(music, tmp_path)
    summary = summary_of(tmp_path)
    assert summary["test nats"] < 0.8 * summary["test nats of the same, after the frame before"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data": "nottingham"}, "data=nottingham: must be jsb_chorales or made"),
        ({"dispatch": 5}, "dispatch=5: must be 1"),
        ({"transpose": -1}, "transpose=-1"),
        ({"epochs": 0}, "epochs=0"),
        ({"buckets": 0}, "buckets=0"),
        ({"prompt": 0}, "prompt=0"),
        ({"particles": 0}, "particles=0"),
        ({"temperature": -0.5}, "temperature=-0.5"),
        ({"parameters": 0}, "parameters=0"),
        ({"compute": "bfloat16"}, "compute=bfloat16"),
    ],
)
def test_bad_values_are_named_as_the_flags_are(changes, message):
    with pytest.raises(UsageError, match=f"^{message}") as error:
        changed(music.Config(), **changes)
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
