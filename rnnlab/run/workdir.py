"""The work directory of a run: its record, its lock, and files that are written as a whole.

A work directory belongs to one configuration of one experiment (`config.json`) and to one process
at a time (`.lock`). Of several hosts the first one keeps it; the others work in a copy of its small
files, which is thrown away in the end. `status.json` says how the last run ended:

    state      running, done, failed, interrupted or diverged
    argv       the command, with the name of its preset in `preset`
    versions   of the packages that can change a result, and the commit of the source
    sources    checksums of what a result depends on besides the configuration, as the run began:
               source code (`rnnlab.run.sources`) and texts
    accepted   changes of these with which the run was continued nevertheless
    precision  of products of float32
    starts     how many times a process has worked in it; above 1, the run was continued
    seconds    wall time of the last start
"""

import contextlib
import datetime
import io
import json
import os
import pathlib
import tarfile
import tempfile
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Literal

import filelock

from rnnlab.errors import RunError, UsageError
from rnnlab.run import claim, environment, fields, identity, names, sources
from rnnlab.run.fields import to_json
from rnnlab.run.files import atomic_write, expanded
from rnnlab.run.identity import Identity

#: Folders of a work directory that other hosts than the first do not get.
LARGE = frozenset({"checkpoints", "tensorboard", "wandb", "grid_chunks"})

#: The record of the last run.
STATUS = "status.json"

#: The log of a run that trains, and when each of its rows was written.
METRICS, CLOCK = "metrics.jsonl", "clock.jsonl"

#: Held while a process works in the folder.
LOCK = ".lock"

#: How a run can end that was not cut short.
Status = Literal["done", "diverged"]


class Workdir:
    """An open work directory; made by `open_workdir`.

    Attributes:
        root: the folder.
        first: the same; on other hosts than the first, its folder there, which they can read only
            where they share the disk.
        experiment: name of the experiment.
        config: the configuration as plain JSON values.
        status: what `status.json` holds.
        accept_changes: whether the run goes on where what it depends on has changed.
        loggers: what takes the metrics of training besides `metrics.jsonl`: names of
            `rnnlab.run.loggers`, or classes.
    """

    loggers: Sequence[Any] = ("tensorboard",)

    def __init__(
        self,
        root: pathlib.Path,
        experiment: str,
        config: dict[str, Any],
        accept_changes: bool = False,
    ):
        self.root = self.first = root
        self.experiment = experiment
        self.config = config
        self.accept_changes = accept_changes
        self.status: dict[str, Any] = {}
        self._start = time.monotonic()

    def path(self, name: str) -> pathlib.Path:
        """The path of a file in the work directory."""
        return self.root / name

    def within(self, name: str) -> "Workdir":
        """A folder of the work directory, made if need be, to write into as into the whole one.

        It shares the record of the run. With an empty name it is the work directory itself.
        """
        if not name:
            return self
        part = Workdir(self.path(name), self.experiment, self.config, self.accept_changes)
        part.root.mkdir(parents=True, exist_ok=True)
        part.first = self.first / name
        part.status, part.loggers = self.status, self.loggers
        return part

    def write(self, name: str, data: bytes | str) -> pathlib.Path:
        """Writes a file as a whole or not at all, and returns its path."""
        return atomic_write(self.path(name), data)

    def rely_on(self, name: str, contents: bytes) -> None:
        """Records what a result depends on, or checks that it is what it was as the run began.

        Args:
            name: what messages call it, such as `inputs=PATH`.
            contents: all of it.

        Raises:
            UsageError: it has changed, and changes are not accepted.
        """
        here = {name: sources.of_bytes(contents)}
        known = self.status["sources"]
        if known.get(name, here[name]) != here[name]:
            self.accept(f"{name} has changed")
        known |= here
        self._record("running")

    def rely_on_run(self, root: pathlib.Path) -> None:
        """Checks that an earlier run, whose results this one takes over, depends on the same.

        Raises:
            UsageError: something has changed, and changes are not accepted.
        """
        changes = sources.changes(_read_status(root).get("sources", {}), self.status["sources"])
        if changes:
            self.accept(f"in {root}: {', '.join(changes)}")
            self._record("running")

    def accept(self, change: str) -> None:
        """Records a change since the run began with which it goes on.

        Raises:
            UsageError: changes are not accepted.
        """
        if not self.accept_changes:
            raise UsageError(
                f"--workdir={self.first}: {change} since this run began; choose another with "
                "--workdir=PATH, or go on with --accept_changes"
            )
        self.status.setdefault("accepted", []).append(f"{_now()}: {change}")

    def end(self, status: Status) -> None:
        """Records that the run has ended, and how."""
        self._record(status)

    def _fail(self, error: BaseException) -> None:
        """Records a run that an exception ended; a full disk must not hide the exception."""
        interrupted = isinstance(error, KeyboardInterrupt)
        message = "interrupted" if interrupted else f"{type(error).__name__}: {error}"
        if not interrupted:
            self.status["traceback"] = "".join(traceback.format_exception(error))
        with contextlib.suppress(OSError):
            self._record("interrupted" if interrupted else "failed", message)

    def _record(self, status: str, message: str = "") -> None:
        """Writes the status of the run to `status.json`."""
        self.status |= {"state": status, "message": message}
        if status != "running":
            self.status["ended"] = _now()
            self.status["seconds"] = round(time.monotonic() - self._start, 3)
        self.write(STATUS, json.dumps(self.status, indent=2) + "\n")


@contextlib.contextmanager
def open_workdir(
    path: str | os.PathLike[str],
    experiment: str,
    config: Any,
    argv: Sequence[str] = (),
    *,
    preset: str | None = None,
    accept_changes: bool = False,
) -> Iterator[Workdir]:
    """Creates or reopens a work directory and holds it for the duration of a `with` statement.

    Leaving it records `done`, unless `Workdir.end` was called in it; an exception records
    `interrupted` (KeyboardInterrupt) or `failed` and is raised again. A UsageError in a folder
    where an earlier run has made something leaves the record of that run as it was.

    Args:
        path: the folder; made with its parents if it does not exist.
        experiment: name of the experiment.
        config: its configuration, a dataclass of JSON values.
        argv: the command line, for the record.
        preset: the name of the preset that the configuration started from, for the record.
        accept_changes: whether to go on where the source code or a text has changed since the run
            began.

    Raises:
        UsageError: if the folder belongs to another configuration, to something else than a run, or
            to a process that is still working in it; if what the run depends on has changed.
        RunError: if it cannot be made or written, or its `config.json` is damaged.
    """
    from rnnlab import hosts  # which imports jax, after its settings have been made

    workdir = Workdir(expanded(path, "workdir"), experiment, to_json(config), accept_changes)
    here = sources.of(config)
    earlier = b""
    with contextlib.ExitStack() as stack:

        def take() -> bytes:
            nonlocal earlier
            try:
                workdir.root.mkdir(parents=True, exist_ok=True)
                stack.enter_context(_locked(workdir.root))
                state = _read_status(workdir.root).get("state", "")
                claim.claim(workdir.root, Identity(experiment, workdir.config), state)
                if state not in ("", "running") and claim.binds(workdir.root, state):
                    earlier = workdir.path(STATUS).read_bytes()
                _record_start(workdir, here, argv, preset)
                return _packed(workdir.root) if hosts.several() else b""
            except OSError as error:
                raise RunError(
                    f"{workdir.root}: cannot be used as a work directory ({error.strerror}); "
                    "fix this or choose another with --workdir=PATH"
                ) from error

        small = hosts.by_first(take)
        try:
            with hosts.failing_together():
                if not hosts.first():
                    workdir.root = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory()))
                    _unpack(small, workdir.root)
                    _check_same(workdir)
                    _record_start(workdir, here, argv, preset)
            yield workdir
        except BaseException as error:
            if isinstance(error, UsageError) and earlier:
                with contextlib.suppress(OSError):
                    workdir.write(STATUS, earlier)
            else:
                workdir._fail(error)
            raise
        if workdir.status["state"] == "running":
            workdir.end("done")


def default_path(
    experiment: str, config: Any, presets: Mapping[str, Any] = MappingProxyType({})
) -> pathlib.Path:
    """`runs/NAME`, the same for the same configuration; arguments as of `names.of_run`."""
    return pathlib.Path("runs") / names.of_run(experiment, config, presets)


@contextlib.contextmanager
def _locked(root: pathlib.Path) -> Iterator[None]:
    """Holds the lock of a folder; the system drops it with the process, however that ends."""
    lock = filelock.FileLock(root / LOCK)
    try:
        lock.acquire(blocking=False)
    except filelock.Timeout as error:
        holder = "?"
        with contextlib.suppress(OSError):
            holder = _read_status(root).get("pid", "?")
        raise UsageError(
            f"--workdir={root}: process {holder} is working in it; "
            "wait for its end or choose another with --workdir=PATH"
        ) from error
    try:
        yield
    finally:
        lock.release()


def _read_status(root: pathlib.Path) -> dict[str, Any]:
    """The record of the last run; empty in a new folder, and where it is damaged."""
    try:
        return dict(json.loads((root / STATUS).read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError, TypeError, RecursionError):
        return {}


def _packed(root: pathlib.Path) -> bytes:
    """The files of a work directory as an archive, without those that only the first host reads."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as tar:
        for path in sorted(root.rglob("*")):
            if path.is_file() and not LARGE.intersection(path.relative_to(root).parts):
                tar.add(path, path.relative_to(root))
    return archive.getvalue()


def _unpack(archive: bytes, root: pathlib.Path) -> None:
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        tar.extractall(root, filter="data")


def _check_same(workdir: Workdir) -> None:
    here = Identity(workdir.experiment, workdir.config)
    identity.check_same(workdir.first, identity.read(workdir.root), here)


def _record_start(
    workdir: Workdir, here: dict[str, str], argv: Sequence[str], preset: str | None
) -> None:
    """Records that a run begins or goes on, with the sources `here`."""
    old = _read_status(workdir.root)
    there = old.get("sources", {}) if claim.binds(workdir.root, old.get("state", "")) else {}
    workdir.status = {name: old[name] for name in ("accepted",) if name in old}
    changes = sources.changes(there, here)
    if changes:
        workdir.accept(", ".join(changes))
    workdir.status |= {
        "state": "running",
        "message": "",
        "experiment": workdir.experiment,
        "argv": list(argv),
        "preset": preset,
        **_seeds(workdir.config),
        "pid": os.getpid(),
        "versions": environment.versions(),
        "device": environment.device(),
        "sources": there | here,
        "precision": environment.products(),
        "starts": old.get("starts", 0) + 1,
        "started": _now(),
    }
    workdir._record("running")


def _seeds(config: dict[str, Any]) -> dict[str, Any]:
    """The fields `seed` and `seeds` (how many there are) of a configuration that has them."""
    flat = fields.flatten_json(config).items()
    last = ((name.rpartition(".")[2], value) for name, value in flat)
    return {name: value for name, value in last if name in ("seed", "seeds")}


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
