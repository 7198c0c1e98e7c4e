"""Two hosts of two devices train what one host of four does; they stop and go on together."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from rnnlab.run import host_processes, launch
from rnnlab.training import log

ROOT = Path(__file__).parents[2]
CONFIG = """import dataclasses

@dataclasses.dataclass(frozen=True)
class Config:
    #: Networks; 0 for a language model.
    members: int = 0
"""
RUN = '''"""Trains on several hosts."""
import os, signal
import jax
import jax.numpy as jnp
import numpy as np
from experiments.toy_hosts.config import Config
from rnnlab import cells
from rnnlab.data import tasks
from rnnlab.data.pipelines import Feed, stream
from rnnlab.training import devices, language, model, optimisers
from rnnlab.training.loop import train
from rnnlab.training.plan import Plan
from tests import quick
from tests.training.measured import Measured

devices.COMPILER_OPTIONS = quick.known_options()
#: A step at which the last host ends.
LEAVE = int(os.environ.get("TOY_LEAVE", "0"))
#: The number of a host that dies at step 4.
DIES = int(os.environ.get("TOY_DIES", "-1"))

def run(config, workdir):
    plan = Plan(steps=12, dispatch=2, evaluate_every=4, checkpoint_every=4, best="size")
    adam = optimisers.optimiser("adam", 0.01)

    def evaluate(params, step):
        if step == LEAVE != 0 and jax.process_index() == jax.process_count() - 1:
            os.kill(os.getpid(), signal.SIGTERM)
        if step == 4 and jax.process_index() == DIES:
            os.kill(os.getpid(), signal.SIGKILL)
        mean = jnp.abs(jax.tree.leaves(params)[0]).mean()
        # What the hosts find differs, and the first one is right.
        return {"size": 1 / (step + 1) + jax.process_index(), "mean": np.asarray(mean)}

    key, feed = jax.random.key(0), None
    if config.members:
        task = tasks.by_name("adding")
        reader = model.Reader(cells.by_name("tanh", 4), task.features_out)
        learner = model.task_learner(reader, task, batch=4, length=4, optimiser=adam)
        key = jax.random.split(key, config.members)
    else:
        reader = model.Reader(cells.by_name("gru", 4), 5)
        network = language.LanguageModel(reader, 0)
        learner = language.language_learner(network, batch=4, optimiser=adam)
        feed = Feed(stream(np.arange(200) ** 2 % 5, 4, 3))
    outcome = train(workdir, learner, plan, key, evaluator=Measured(evaluate), feed=feed)
    best = outcome.restore(outcome.best)
    found = (outcome.state.params, best.params)
    workdir.write("found.txt", str(jax.tree.map(lambda leaf: np.asarray(leaf).tolist(), found)))
    print("processes:", jax.process_count(), "devices:", jax.device_count())
'''
START = """
import pathlib, sys
from rnnlab.run import launch
sys.exit(launch.main(sys.argv, pathlib.Path(sys.argv.pop(1))))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hosts")
    (folder / "toy_hosts").mkdir()
    (folder / "toy_hosts" / "config.py").write_text(CONFIG)
    (folder / "toy_hosts" / "__init__.py").write_text(RUN)
    return folder


def start(folder, name, devices, *flags, leave=0, dies=-1):
    count = f"--xla_force_host_platform_device_count={devices}"
    return subprocess.Popen(
        [
            sys.executable,
            "-c",
            START,
            folder,
            "--experiment=toy_hosts",
            f"--workdir={name}",
            *flags,
        ],
        cwd=folder,
        env=os.environ
        | {
            "XLA_FLAGS": count,
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(folder)]),
            "TOY_LEAVE": str(leave),
            "TOY_DIES": str(dies),
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(*processes):
    """Exit code, output and errors of each."""
    try:
        said = [process.communicate(timeout=120) for process in processes]
    finally:
        for process in processes:
            process.kill()
    return [(process.returncode, *texts) for process, texts in zip(processes, said, strict=True)]


def on_two(folder, name, *flags, last=(), leave=0, dies=-1):
    """A run of two hosts; the last one has further flags, and ends at the step `leave`.

    Host number `dies` is killed at step 4.
    """
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    meet = (f"--coordinator=localhost:{port}", "--hosts=2")
    more = ((), last)
    return finish(
        *(
            start(folder, name, 2, *flags, *more[i], *meet, f"--host={i}", leave=leave, dies=dies)
            for i in range(2)
        )
    )


@cache
def whole_run(folder, members):
    """A run of two hosts that nothing interrupts: its folder, and how both ended."""
    name = f"two-{members}"
    first, second = on_two(folder, name, f"--config.members={members}")
    assert first[0] == second[0] == 0, first[2] + second[2]
    return folder / name, first, second


def losses(path):
    rows = log.read((path / "metrics.jsonl").read_text(), "train")
    return [row["step"] for row in rows], np.array([row["loss"] for row in rows])


@pytest.mark.slow
@pytest.mark.parametrize("members", [0, 2, 3])
def test_two_hosts_give_the_losses_of_one(folder, members):
    """Three members cannot be cut for two hosts, so that each trains them all."""
    flag = f"--config.members={members}"
    ((code, _, errors),) = finish(start(folder, f"one-{members}", 4, flag))
    assert code == 0, errors
    whole, first, second = whole_run(folder, members)
    assert "processes: 2 devices: 4" in first[1]
    assert "processes" not in second[1]
    assert "work directory" in first[2] and "work directory" not in second[2]
    one, two = losses(folder / f"one-{members}"), losses(whole)
    assert one[0] == two[0] == [2, 4, 6, 8, 10, 12]
    np.testing.assert_allclose(two[1], one[1], rtol=1e-5)
    assert json.loads((whole / "status.json").read_text())["state"] == "done"


@pytest.mark.slow
@pytest.mark.parametrize("members", [0, 2])
def test_a_signal_to_one_host_stops_both_and_they_go_on_with_the_same_bits(folder, members):
    flag = f"--config.members={members}"
    name, (whole, *_) = f"left-{members}", whole_run(folder, members)
    first, second = on_two(folder, name, flag, leave=4)
    assert (first[0], second[0]) == (130, 143), first[2] + second[2]
    assert "rerun the same command" in first[2] and "rerun the same command" in second[2]
    assert losses(folder / name)[0][-1] < 12
    again = on_two(folder, name, flag)
    assert [code for code, *_ in again] == [0, 0], again
    for file in ("metrics.jsonl", "found.txt"):
        assert (folder / name / file).read_bytes() == (whole / file).read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("dies", [0, 1])
def test_a_host_that_dies_ends_the_other_and_they_go_on(folder, dies):
    name, (whole, *_) = f"dead-{dies}", whole_run(folder, 0)
    begun = time.monotonic()
    ended = on_two(folder, name, "--config.members=0", dies=dies)
    assert ended[dies][0] == -signal.SIGKILL
    code, _, errors = ended[1 - dies]
    assert time.monotonic() - begun < host_processes.SILENCE + 60
    if code == -signal.SIGABRT and dies == 0:  # the first one died, and JAX was faster
        assert "Terminating process because the JAX distributed service" in errors
    else:
        (line,) = [line for line in errors.splitlines() if line.startswith("error: ")]
        assert code == 1 and "another host has ended without a word" in line
        assert "Traceback" not in errors
    again = on_two(folder, name, "--config.members=0")
    assert [code for code, *_ in again] == [0, 0], again
    for file in ("metrics.jsonl", "found.txt"):
        assert (folder / name / file).read_bytes() == (whole / file).read_bytes()


@pytest.mark.slow
def test_another_configuration_on_one_host_is_refused(folder):
    ended = on_two(folder, "differ", "--config.members=2", last=("--config.members=3",))
    assert [code for code, *_ in ended] == [1, 2]
    assert "another host could not start" in ended[0][2]
    assert "members is 2 there and 3 here" in ended[1][2]
    assert json.loads((folder / "differ" / "status.json").read_text())["state"] == "failed"


def test_an_error_of_the_first_host_is_that_of_all(folder):
    (folder / "foreign").mkdir()
    (folder / "foreign" / "letter.txt").write_text("dear")
    ended = on_two(folder, "foreign")
    assert [code for code, *_ in ended] == [2, 2]
    for _, _, errors in ended:
        assert "--workdir=foreign: is not a work directory" in errors


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--hosts=2",), "need --coordinator=ADDRESS:PORT"),
        (("--coordinator=here", "--hosts=2", "--host=0"), "must be ADDRESS:PORT, or auto"),
        (("--coordinator=here:1", "--hosts=2", "--host=2"), "--host=2, --hosts=2"),
        (("--coordinator=here:1",), "--host=None, --hosts=None"),
    ],
)
def test_flags_that_do_not_go_together(folder, flags, words, capsys):
    assert launch.main(["run.py", *flags], folder) == 2
    assert words in capsys.readouterr().err
