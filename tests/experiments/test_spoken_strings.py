"""The experiment `spoken_digits` on strings: loss, streams, a run, its model, its resumption."""

import itertools
import json
import random
from pathlib import Path
from typing import Any
from unittest import mock

import jax
import numpy as np
import pytest
from scipy.io import wavfile

import rnnlab
from experiments import spoken_digits
from experiments.spoken_digits import strings
from rnnlab.data.buckets import pad
from rnnlab.data.digit_strings import fixed_strings
from rnnlab.data.recordings import Strings, made_recordings, split
from rnnlab.errors import UsageError
from rnnlab.nn.ctc import edits, greedy, merged
from rnnlab.run import launch
from rnnlab.run.workdir import open_workdir
from rnnlab.trained.transcriber import Transcriber
from rnnlab.training import devices
from rnnlab.training.optimisers import Clip, optimiser
from rnnlab.training.speech_settings import Front, SpeechNetwork
from rnnlab.training.transcribing import error_rate, transcribing_learner
from tests import quick
from tests.experiments.kills import killed
from tests.experiments.presets import run_tiny
from tests.experiments.runs import assert_same, evaluations, state_of, summary_of
from tests.experiments.settings import changed

ROOT = Path(__file__).parents[2]
SMALL: dict[str, Any] = {
    "hidden": 12,
    "strategy": "autodiff",
    "bidirectional": False,
    "batch": 12,
    "epochs": 8,
    "learning_rate": 0.03,
    "evaluate_every": 20,
    "checkpoint_every": 12,
    "validation": 6,
    "test": 6,
    "beam": 4,
}
WRITTEN = ("metrics.jsonl", "answers.json", "model.json")
pytestmark = pytest.mark.slow


def config_of(**changes):
    return changed(spoken_digits.PRESETS["tiny_strings"], **(SMALL | changes))


def run(folder, **changes):
    config = config_of(**changes)
    cheap = mock.patch.object(devices, "COMPILER_OPTIONS", quick.known_options())
    with cheap, open_workdir(folder, "spoken_digits", config) as workdir:
        workdir.end(spoken_digits.run(config, workdir))


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A finished run."""
    folder = tmp_path_factory.mktemp("whole") / "w"
    run(folder)
    return folder


@pytest.fixture(scope="module")
def spoken():
    settings = Strings(shortest=2, longest=4, most_pause=0.1, seconds=1.2)
    return fixed_strings(made_recordings(2, 9), settings, 3, 1)


def drawn(**settings):
    """A network as it was drawn."""
    settings = {"cell": "gru", "hidden": 4, "strategy": "autodiff", "pooling": "last"} | settings
    network, front = SpeechNetwork(**settings), Front(stacked=2, bands=8)
    model = network.listener(front, 11, np.stack([np.full(8, -9.0), np.full(8, 3.0)]))
    params = jax.tree.map(lambda a: 3 * a if a.ndim > 1 else a, model.init(jax.random.key(0)))
    params["hear"] = model.init(jax.random.key(0))["hear"]
    return Transcriber(model, params, tuple("0123456789"), front, network, {}, 0)


def test_a_stream_says_what_the_whole_does(spoken):
    model, sound = drawn(bidirectional=False), spoken[0].samples
    (log_p,) = model([sound])
    np.testing.assert_allclose(model.stream().feed(sound), log_p, atol=1e-4)
    pieces = np.array_split(sound, 17)
    said = list(model.listen(pieces))
    assert [int(word) for word, _ in said] == list(merged(log_p.argmax(axis=1)))
    times = [seconds for _, seconds in said]
    assert times == sorted(times) and all(0.035 <= t <= len(sound) / 8000 for t in times)
    with pytest.raises(UsageError, match="bidirectional=true"):
        next(drawn().listen(pieces))


def test_strings_do_not_hear_each_other(spoken):
    for model in (drawn(), drawn(bidirectional=False, cell="lstm", layers=2)):
        together = model([one.samples for one in spoken])
        for one, log_p in zip(spoken, together, strict=True):
            (alone,) = model([one.samples])
            assert alone.shape == log_p.shape
            np.testing.assert_allclose(alone, log_p, atol=1e-4)


def test_the_loss_of_a_batch_is_that_of_its_strings_and_misfits_do_not_count(spoken):
    """With more room, rows that fill up, and labels that do not fit: the same mean for a digit."""
    model = drawn()
    learner = transcribing_learner(
        model.model, batch=4, optimiser=optimiser("sgd", 0.1), clip=Clip()
    )
    loss = quick.jit(learner.loss)

    def of(rows, chosen, more=0):
        steps = [max(len(r[0]) for r in rows) + more, 4]
        batch = pad(rows, steps, np.array(chosen, np.int32), time_major=False)
        value, (_, numbers) = loss(model.params, (), batch, jax.random.key(0))
        return float(value), float(numbers["misfits"])

    rows = [tuple(one) for one in spoken]
    values = [of([row], [0])[0] * len(row[1]) for row in rows]
    expected = sum(values) / sum(len(row[1]) for row in rows)
    assert of(rows, [0, 1, 2])[0] == pytest.approx(expected, rel=1e-5)
    assert of(rows, [0, 1, 2, -1], 500)[0] == pytest.approx(expected, rel=1e-5)
    short = (rows[0][0][:600], np.array([3, 3, 3], np.int32))  # 3 steps, and 5 are needed
    value, misfits = of([*rows, short], [0, 1, 2, 3])
    assert value == pytest.approx(expected, rel=1e-5) and misfits == 0.25


def test_error_rates():
    wanted = [np.array([1, 2, 3]), np.array([4])]
    assert error_rate([(1, 2, 3), (4,)], wanted) == 0
    assert error_rate([(1, 3), (4, 4)], wanted) == 0.5
    low, high = strings.interval([(1, 3), (4, 4)], wanted)
    assert low <= 0.5 <= high


# --- a run, and its model ---


def test_it_learns_and_everything_is_there(whole):
    rows, summary = evaluations(whole), summary_of(whole)
    best = min(rows, key=lambda row: row["error"])
    assert summary["best step"] == best["step"] and best["error"] < 1
    kept = json.loads((whole / "answers.json").read_text())
    wanted = strings.tested(config_of(), mock.Mock(splits=split(made_recordings(18, 0))))
    wrong = sum(edits(s, w.digits.tolist()) for s, w in zip(kept["network"], wanted, strict=True))
    assert summary["test digit error rate"] == wrong / summary["test digits"]
    assert (whole / "report.html").read_text().count("data:image/png") >= 2
    assert state_of(whole) == "done"


def test_the_model_writes_as_the_test_did(whole):
    model = rnnlab.load(whole)
    assert isinstance(model, Transcriber)
    wanted = strings.tested(config_of(), mock.Mock(splits=split(made_recordings(18, 0))))
    said = [list(greedy(one).labels) for one in model([one.samples for one in wanted])]
    assert said == json.loads((whole / "answers.json").read_text())["greedy"]


def test_files_are_answered(whole, tmp_path, capsys):
    (string,) = fixed_strings(split(made_recordings(18, 0)).test, config_of().strings, 1, 8)
    wavfile.write(tmp_path / "said.wav", 8000, string.samples)
    (tmp_path / "names.txt").write_text(f"{tmp_path}/said.wav\n{tmp_path}/none.wav\n")
    asked = ["run.py", "--experiment=spoken_digits", f"--workdir={whole}"]
    folder = ROOT / "experiments"
    file = [*asked, "--mode=predict", f"--input={tmp_path / 'names.txt'}", "--scores"]
    assert launch.main(file, folder) == 1
    answer, error = map(json.loads, capsys.readouterr().out.splitlines())
    assert "No such file" in error["error"]
    assert answer["answer"] == " ".join(word["word"] for word in answer["words"])
    times = [(word["start"], word["end"]) for word in answer["words"]]
    assert all(0 <= start < end <= answer["seconds"] for start, end in times)
    assert all(a[1] <= b[0] for a, b in itertools.pairwise(times))
    picture = tmp_path / "heard.svg"
    show = [*asked, "--mode=show", f"--input={tmp_path}/said.wav", f"--output={picture}"]
    assert launch.main(show, folder) == 0
    assert all(name in picture.read_text() for name in ("time (s)", "frequency (Hz)", "heard as"))


def test_the_preset_tiny_strings(tmp_path):
    with mock.patch.dict(spoken_digits.PRESETS, tiny=spoken_digits.PRESETS["tiny_strings"]):
        assert {"report.html", "heard_0.png"} <= run_tiny(spoken_digits, tmp_path / "w")
    summary = summary_of(tmp_path / "w")
    assert summary["test digit error rate"] <= summary["test digit error rate, greedy"] < 0.2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"pooling": "mean"}, "pooling=mean: must be last"),
        ({"said": "word"}, "said=word: must be digit or string"),
        ({"beam": 0}, "beam=0"),
    ],
)
def test_bad_values_are_named_as_the_flags_are(changes, message):
    with pytest.raises(UsageError, match=f"^{message}"):
        config_of(**changes)


@pytest.mark.cpu
def test_killed_at_a_random_moment(whole, tmp_path):
    """Resumed, it ends with the same bytes; twice killed, too."""
    folder = tmp_path / "w"
    assert any([killed(run, folder, number=1, delay=random.random() * 0.5) for _ in range(2)])
    run(folder)
    assert_same(whole, folder, WRITTEN)
