"""The clock beside the metrics: when each row was written, over all starts of a run."""

import json

import numpy as np
import pytest

from rnnlab.run import results
from rnnlab.run.workdir import open_workdir
from rnnlab.training import log
from rnnlab.training.log import Log
from tests.training.test_loop import PLAN, Config, evaluate, run


def lines(root, name):
    return [json.loads(line) for line in (root / name).read_text().splitlines()]


def test_a_run_that_resumes_drops_the_times_of_the_rows_that_it_drops(tmp_path):
    def log_of(text="", step=0):
        workdir.loggers = ()
        return Log(workdir, text, step)

    with open_workdir(tmp_path, "toy", Config()) as workdir:
        first = log_of()
        for step in (1, 2):
            first.write(step, "train", {"loss": 0.5})
        kept = first.text
        first.write(3, "train", {"loss": 0.5})
        later = lines(tmp_path, "clock.jsonl")[1]["seconds"]
        second = log_of(kept, 2)
        assert lines(tmp_path, "clock.jsonl")[-1]["step"] == 2
        second.write(3, "train", {"loss": 0.25})
    assert [row["step"] for row in lines(tmp_path, "clock.jsonl")] == [1, 2, 3]
    assert lines(tmp_path, "clock.jsonl")[-1]["seconds"] >= later
    assert all("seconds" not in row for row in lines(tmp_path, "metrics.jsonl"))


@pytest.mark.parametrize("damage", ["gone", "cut"])
def test_a_clock_that_is_damaged_stops_nothing(tmp_path, damage):
    with open_workdir(tmp_path, "toy", Config()) as workdir:
        workdir.loggers = ()
        first = Log(workdir)
        first.write(1, "train", {"loss": 0.5})
        if damage == "gone":
            (tmp_path / "clock.jsonl").unlink()
        else:
            (tmp_path / "clock.jsonl").write_text('{"step": 1, "gro')
        second = Log(workdir, first.text, 1)
        second.write(2, "train", {"loss": 0.5})


@pytest.mark.slow
def test_the_metrics_of_a_run_that_was_stopped_have_their_times(tmp_path):
    def crash(params, step):
        if step == 16:
            raise ZeroDivisionError
        return evaluate(params, step)

    with pytest.raises(ZeroDivisionError):
        run(tmp_path, evaluate=crash)
    run(tmp_path)
    frame = results.metrics(tmp_path)
    assert frame.step.max() == PLAN.steps and frame.seconds.notna().all()
    assert (np.diff(frame.seconds) >= 0).all() and frame.time.dt.tz is not None


def test_curves_are_means_of_up_to_a_tenth_of_their_rows():
    rows = [{"step": 10 * n, "loss": float(n)} for n in range(1, 41)]
    steps, losses = log.smoothed(rows)
    assert steps.tolist() == list(range(40, 401, 10))
    assert losses.tolist() == [n - 1.5 for n in range(4, 41)]
    assert len(log.smoothed(rows[:5])[0]) == 5
