"""Runs that are killed, or run out of disk or descriptors, at random moments: nothing is lost.

Every experiment that keeps what it has measured is stopped, some of the times while it writes or
evaluates, until it is allowed to finish. It ends with the same bits as a run that was left alone,
and no start finds less than the one before it had finished.
"""

import json
import random
import signal

import pytest
import xarray as xr

from rnnlab.run import results
from tests.experiments.victim import Server

pytestmark = pytest.mark.slow

#: Kills of each experiment.
KILLS = 17
#: Full disks and missing descriptors of each experiment.
FAULTS = 8

#: The exit code where not even the output, a file here, could be written.
UNSAID = 70

TRAINING = ["--config.steps=12", "--config.evaluate_every=4", "--config.dispatch=2"]
WARMED = [*TRAINING, "--config.warmup=2", "--config.checkpoint_every=3"]
LANGUAGE = [*WARMED, "--config.hidden=8"]
EPOCHS = ["--config.epochs=2", "--config.hidden=6", "--config.checkpoint_every=7"]
#: The command of each experiment, small enough for seconds.
COMMANDS = {
    "addition": LANGUAGE,
    "bptt_horizon": ["--config.steps=6", "--config.gradient_batches=2", "--config.tasks=adding"],
    "captioning": [*LANGUAGE, "--config.alone=4"],
    "char_lm": LANGUAGE,
    "clipping": [*TRAINING, "--config.methods=sgd,clip"],
    "cliff": ["--config.points=21", "--config.updates=20"],
    "embeddings": ["--config.epochs=2", "--config.checkpoint_epochs=1", "--config.map=pca"],
    "forcing": WARMED,
    "forecasting": WARMED,
    "frame_labelling": [*LANGUAGE, "--config.rounds=2", "--config.shuffled=false"],
    "gradient_norms": ["--config.lengths=5,10", "--config.hidden=4", "--config.cells=tanh,gru"],
    "gradient_profiles": ["--config.cells=tanh", "--config.forget_biases=-1,1"],
    "image_classification": ["--config.epochs=1", "--config.checkpoint_every=7"],
    "jacobian_spectra": ["--config.lengths=1,2", "--config.seeds=2"],
    "lstm_odyssey": ["--config.tasks=copy,text", "--config.steps=6"],
    "lyapunov": ["--config.gains=0.5,2", "--config.widths=8", "--config.spectrum_cells=tanh"],
    "memory_tasks": [*TRAINING, "--config.networks=tanh_orthogonal"],
    "music": EPOCHS,
    "precision": ["--config.lengths=1,10", "--config.chaotic_length=10"],
    "rnn_vs_transformer": [*WARMED, "--config.same_time=false"],
    "sentiment": EPOCHS,
    "sequential_mnist": ["--config.epochs=1", "--config.hidden=6", "--config.evaluate_every=10"],
    "spoken_digits": EPOCHS,
    "tagging": EPOCHS,
    "translation": EPOCHS,
    "word_lm": ["--config.epochs=2", "--config.hidden=6", "--config.embedding=6"],
}
#: Files that hold times, or pictures of them.
TIMES = {"status.json", "times.json", "clock.jsonl", "report.html"}
#: More of them, where times are the question; metrics and checkpoints are compared there, too.
TIMED = {"rnn_vs_transformer": {"summary.json", "timing.json", "slopes.png", "curves.png"}}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("cache"))
    yield server
    server.close()


class Runs:
    """Runs of one experiment, and one of them that was left alone."""

    def __init__(self, server, name, folder):
        self._server, self._folder = server, folder
        self._flags = [f"--experiment={name}", "--preset=tiny", *COMMANDS[name]]
        self._times = TIMES | TIMED.get(name, set())
        self.whole = folder / "whole"
        self.start("whole")  # which compiles
        code, self.seconds = self.start("again")
        assert code == 0, self.told("again")
        self.assert_whole("again")

    def start(self, name, happens=None):
        """Starts or goes on with the run of that name, and returns its exit code and seconds."""
        argv = [*self._flags, f"--workdir={self.folder(name)}"]
        return self._server.run(argv, self._folder / f"{name}.log", happens)

    def folder(self, name):
        return self._folder / name

    def assert_whole(self, name):
        """The run of that name holds what the one that was left alone does."""
        assert_same(self.folder(name), self.whole, self._times)

    def told(self, name):
        return (self._folder / f"{name}.log").read_text(errors="replace")[-3000:]


def finished(folder):
    """What is finished: files of parts, and the newest checkpoint of each training."""
    if (folder / results.FILE).exists() or (folder / "summary.json").exists():
        return None
    parts = {path for path in folder.glob("*/*.n[cp][z]*")} | set(folder.glob("partial/*.nc"))
    newest = {}
    for path in folder.rglob("checkpoints/*"):
        if path.name.isdecimal():
            newest[path.parent] = max(int(path.name), newest.get(path.parent, 0))
    return parts, newest


def assert_nothing_lost(before, after):
    if after is None:
        return
    assert before is not None, "the whole result was there"
    assert before[0] <= after[0]
    assert all(after[1].get(folder, -1) >= step for folder, step in before[1].items())


def assert_same(folder, whole, times):
    """Two finished runs hold the same files, with the same numbers in all but those of times."""
    assert json.loads((folder / "status.json").read_text())["state"] == "done"
    names = [sorted(_files(root)) for root in (folder, whole)]
    assert names[0] == names[1]
    for name in names[0]:
        here, there = folder / name, whole / name
        if here.name in times:
            continue
        if here.suffix == ".nc":
            xr.testing.assert_identical(results.load_dataset(here), results.load_dataset(there))
        elif here.name == "summary.json":
            a, b = (json.loads(path.read_text()) for path in (here, there))
            assert [(k, v) for k, v in a.items() if "time" not in k and "seconds" not in k] == [
                (k, v) for k, v in b.items() if "time" not in k and "seconds" not in k
            ]
        else:
            assert here.read_bytes() == there.read_bytes(), name


def _files(root):
    """What is compared: all but events of TensorBoard and, of checkpoints, all but their notes.

    The note of a checkpoint has the checksums of its arrays.
    """
    for path in root.rglob("*"):
        name = path.relative_to(root)
        parts = name.parts
        if path.is_file() and not any(part[0] == "." for part in parts):
            inside = "checkpoints" in parts and parts[-2:] != ("contents", "metadata")
            if "tensorboard" not in parts and not inside:
                yield name.as_posix()


def moment(draw, seconds):
    """When something happens: at any time, while something is written, or during an evaluation."""
    when = draw.choice(("time", "time", "save", "save", "measure"))
    if when == "time":
        return {"when": when, "after": draw.uniform(0, seconds)}
    number = draw.randint(1, 8) if when == "save" else draw.randint(1, 3)
    return {"when": when, "number": number, "after": draw.uniform(0, 0.03)}


@pytest.mark.parametrize("name", COMMANDS)
def test_killed_at_random_moments(server, tmp_path, name):
    runs, draw = Runs(server, name, tmp_path), random.Random(name)
    kills = attempt = 0
    while kills < KILLS:
        attempt += 1
        one, before = f"run-{attempt}", (set(), {})
        for _ in range(draw.randint(3, 7)):
            code, _ = runs.start(one, {"what": "kill", **moment(draw, runs.seconds)})
            assert code in (0, -signal.SIGKILL), runs.told(one)
            kills += code != 0
            after = finished(runs.folder(one))
            assert_nothing_lost(before, after)
            before = after
            if code == 0:
                break
        code, _ = runs.start(one)
        assert code == 0, runs.told(one)
        assert "damaged" not in runs.told(one)
        runs.assert_whole(one)


@pytest.mark.parametrize("name", COMMANDS)
def test_out_of_disk_or_descriptors_at_random_moments(server, tmp_path, name):
    runs, draw = Runs(server, name, tmp_path), random.Random(name)
    for attempt in range(FAULTS):
        one = f"run-{attempt}"
        what = (
            {"what": "full", "size": draw.choice((0, 100, 2000, 20_000))}
            if attempt % 2
            else {"what": "few", "spare": draw.randint(0, 12)}
        )
        code, _ = runs.start(one, what | moment(draw, runs.seconds))
        assert code in (0, 1, UNSAID), runs.told(one)
        before = finished(runs.folder(one))
        code, _ = runs.start(one)
        assert code == 0, runs.told(one)
        assert "damaged" not in runs.told(one)
        assert_nothing_lost(before, finished(runs.folder(one)))
        runs.assert_whole(one)
