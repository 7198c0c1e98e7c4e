"""The training loop of all experiments: many updates per dispatch, resumable at any time.

A dispatch ends at multiples of `Plan.dispatch`, at evaluations, at checkpoints and at the last
training step. The dispatches depend on the plan alone, so an interrupted run executes the same
programs as an uninterrupted one and ends with the same bits.

After `jax.distributed.initialize` every host runs the loop. The hosts stop together, and all use
the evaluations and checkpoints of the first one.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np

from rnnlab import hosts
from rnnlab.data.pipelines import Feed
from rnnlab.run.progress import Progress
from rnnlab.run.workdir import Workdir
from rnnlab.training import devices
from rnnlab.training.checkpoint_files import CHECKPOINTS
from rnnlab.training.checkpoints import Checkpoints
from rnnlab.training.evaluators import Evaluator
from rnnlab.training.log import Log
from rnnlab.training.plan import Plan
from rnnlab.training.signals import Deferred, deferred
from rnnlab.training.times import Times
from rnnlab.training.update import Trainable, TrainState


class Outcome(NamedTuple):
    """The result of a training.

    Attributes:
        state: the training state after the last update, or before the one that diverged.
        step: training steps completed.
        diverged: the training step at which loss, gradient or parameters overflowed, 0 if none;
            `[members]` in a population.
        evaluations: what each evaluation returned, with its `step`, as JSON values.
        best: training step of the best checkpoint, 0 for the network as it was drawn; None where
            nothing was measured that could be best.
        restore: returns the training state saved at a training step.
    """

    state: TrainState
    step: int
    diverged: Any
    evaluations: list[dict[str, Any]]
    best: int | None
    restore: Callable[[int], TrainState]


def train(
    workdir: Workdir,
    learner: Trainable,
    plan: Plan,
    key: jax.Array,
    *,
    evaluator: Evaluator | None = None,
    feed: Feed | None = None,
    name: str = "",
) -> Outcome:
    """Trains to the end of the plan, resuming from the newest checkpoint of the work directory.

    Written are `metrics.jsonl`, TensorBoard's events, checkpoints and `times.json` (see `times`).

    Args:
        workdir: of the run.
        learner: what is trained.
        plan: for how long.
        key: PRNG key of the run `[]`; or `[members]`, which trains a population, one member for
            each key, in one program spread over the devices.
        evaluator: measures parameters, and says whether training ends early; it gets those of all
            members in a population.
        feed: batches, unless the learner generates them. All members of a population share them.
        name: of a folder within the work directory, where an experiment trains more than once.

    Raises:
        KeyboardInterrupt: Ctrl-C or SIGTERM, after a checkpoint.
        UsageError: the work directory holds another architecture.
        RunError: a checkpoint cannot be written.
    """
    with deferred() as signals:
        run = _Run(workdir, learner, plan, key, evaluator, feed, name)
        try:
            return run.go(signals)
        finally:
            run.close()


class _Run:
    """One execution of the loop."""

    def __init__(
        self,
        workdir: Workdir,
        learner: Trainable,
        plan: Plan,
        key: jax.Array,
        evaluator: Evaluator | None,
        feed: Feed | None,
        name: str,
    ):
        self._workdir, self._plan, self._feed = workdir.within(name), plan, feed
        self._evaluator, self._name = evaluator, name
        self._programs = devices.Programs(learner, key)
        self._times = Times(self._workdir)
        self._checkpoints = Checkpoints(self._workdir.path(CHECKPOINTS))
        self._evaluations: list[dict[str, Any]] = []
        self._best: tuple[float, int] | None = None
        self._stopped = False
        self._position = feed.position() if feed is not None else None
        self._ahead: Any = None
        self._resume()

    def _resume(self) -> None:
        """Resumes from the newest checkpoint, or starts."""
        fresh = self._programs.start()
        found = self._checkpoints.latest(devices.whole(fresh))
        if found is None:
            self._state, self._step = fresh, 0
            self._lost = False
            self._log = Log(self._workdir)
            return
        state, note = found
        self._lost = _all_lost(state.diverged)
        self._state = self._programs.place(state)
        self._times.take_up()
        self._step = int(np.max(np.asarray(state.step)))
        self._log = Log(self._workdir, note["metrics"], self._step)
        self._evaluations = note["evaluations"]
        self._best = tuple(note["best"]) if note["best"] else None
        self._stopped = note["stopped"]
        if self._feed is not None:
            self._feed.restore(note["feed"])
            self._position = note["feed"]

    def go(self, signals: Deferred) -> Outcome:
        """Runs all dispatches."""
        self._times.begin()
        self._first = self._step
        plan, title = self._plan, self._name or self._workdir.experiment
        with Progress(title, plan.steps, done=self._step) as bar:
            if self._step < plan.steps:
                with self._times.of("start"):
                    self._log.open()
            if self._step == 0 and not self._evaluations:
                self._measure()
            while self._step < plan.steps and not self._stopped and not self._lost:
                self._obey(signals)
                rows = self._dispatch()
                marked = self._step in plan.evaluate_at
                if (marked or self._due(plan.evaluate_every)) and not self._lost:
                    self._measure()
                if self._due(plan.checkpoint_every) and not self._lost:
                    self._save()
                bar.advance(rows.pop("count"), _numbers(rows, self._evaluations))
            if not self._lost:
                self._save()
            with self._times.of("checkpoint"):
                self._checkpoints.wait()
        self._record_times()
        signals.obey()
        return self._outcome()

    def _dispatch(self) -> dict[str, Any]:
        """Makes the updates of one dispatch and writes a row of metrics."""
        stop = self._plan.next_stop(self._step)
        count = stop - self._step
        if self._ahead is None:
            with self._times.of("data"):
                self._ahead = self._take(self._step)
        batches = self._ahead
        with self._times.of("compile"):
            program = self._programs.updates(count, self._state, batches)
        start = time.monotonic()
        self._state, metrics = program(self._state, batches)
        waited = self._look_ahead(stop, metrics)
        metrics = jax.tree.map(np.asarray, devices.whole(metrics))
        self._lost = _all_lost(devices.whole(self._state.diverged))
        seconds = time.monotonic() - start
        self._times.add("program", seconds - waited)
        self._times.add("data", waited)
        self._step = stop
        means = {k: np.mean(v.astype(np.float64), axis=-1) for k, v in metrics.items()}
        self._log.write(stop, "train", means)
        speed = count * self._plan.units_per_update / seconds
        self._log.event(stop, "speed", {f"{self._plan.speed_unit} per second": speed})
        return means | {"count": count, "speed": f"{speed:.3g} {self._plan.speed_unit}/s"}

    def _take(self, step: int) -> Any:
        """The batches of the dispatch that begins after training step `step`."""
        if self._feed is None:
            return None
        return self._feed.take(self._plan.next_stop(step) - step)

    def _look_ahead(self, stop: int, metrics: Any) -> float:
        """Prepares the next batches while the program runs.

        Returns:
            Seconds for which the program waited for them: 0 if it had not finished before.
        """
        if self._feed is None:
            return 0.0
        self._position = self._feed.position()
        start = time.monotonic()
        self._ahead = self._take(stop) if stop < self._plan.steps else None
        seconds = time.monotonic() - start
        return seconds if jax.tree.leaves(metrics)[0].is_ready() else 0.0

    def _due(self, period: int) -> bool:
        return self._step % period == 0 or self._step == self._plan.steps

    def _measure(self) -> None:
        """Evaluates, and saves a checkpoint if the result is the best so far."""
        if self._evaluator is None:
            return
        with self._times.of("evaluate"):
            values = self._evaluator(devices.whole(self._state.params), self._step)
        self._log.write(self._step, "evaluation", values)
        row = json.loads(self._log.text.splitlines()[-1])
        values = hosts.told_json(row["evaluation"])
        self._evaluations.append({"step": self._step, **values})
        self._stopped = self._evaluator.finished(values)
        best = values.get(self._plan.best)
        if best is not None and (self._best is None or best < self._best[0]):
            self._best = (best, self._step)
            self._save()

    def _save(self) -> None:
        note = {
            "metrics": self._log.text,
            "evaluations": self._evaluations,
            "best": list(self._best) if self._best else None,
            "stopped": self._stopped,
            "feed": self._position,
        }
        with self._times.of("checkpoint"):
            self._checkpoints.save(devices.whole(self._state), note)
        self._record_times()

    def _obey(self, signals: Deferred) -> None:
        """Saves a checkpoint and stops, if a signal has arrived."""
        if hosts.any_of(signals.came):
            if self._step:
                self._save()
            self._checkpoints.wait()
            signals.obey()
            if hosts.several():  # the signal may have come to another one
                raise KeyboardInterrupt

    def _record_times(self) -> None:
        if self._step != self._first:
            self._times.write()

    def _outcome(self) -> Outcome:
        state = devices.whole(self._state)
        return Outcome(
            state=state,
            step=self._step,
            diverged=np.asarray(state.diverged),
            evaluations=self._evaluations,
            best=self._best[1] if self._best else None,
            restore=partial(_restore, self._workdir, state),
        )

    def close(self) -> None:
        """Closes log and checkpoints."""
        self._log.close()
        self._checkpoints.close()


def _all_lost(diverged: jax.Array) -> bool:
    """Whether all members have diverged."""
    return bool(np.all(np.asarray(diverged) > 0))


def _restore(workdir: Workdir, like: TrainState, step: int) -> TrainState:
    checkpoints = Checkpoints(workdir.path(CHECKPOINTS))
    try:
        return checkpoints.restore(step, like)[0]
    finally:
        checkpoints.close()


def _numbers(rows: dict[str, Any], evaluations: list[dict[str, Any]]) -> str:
    """What the progress bar shows: of a population, medians."""
    shown = [f"loss {_middle(rows['loss']):.4g}", f"‖g‖ {_middle(rows['gradient_norm']):.3g}"]
    if evaluations:
        last = {k: v for k, v in evaluations[-1].items() if k != "step"}
        shown += [f"evaluation {k} {_middle(v):.4g}" for k, v in list(last.items())[:2]]
    return ", ".join([*shown, rows["speed"]])


def _middle(value: Any) -> float:
    array = np.asarray(value, np.float64)
    array = array[np.isfinite(array)]
    return float(np.median(array)) if array.size else float("nan")
