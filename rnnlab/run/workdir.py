"""The work directory of a run: its record, its lock, and files that are written as a whole.

A work directory belongs to one configuration of one experiment (`config.json`) and to one process
at a time (`.lock`). Of several hosts the first one keeps it; the others work in a copy of its small
files, which is thrown away in the end. `status.json` says how the last run ended:

    state      running, done, failed, interrupted or diverged
    argv       the command, with the name of its preset in `preset`
    versions   of the packages that can change a result, and the commit of the source
    precision  of products of float32
    starts     how many times a process has worked in it; above 1, the run was continued
    seconds    wall time of the last start
"""

import contextlib
import datetime
import hashlib
import io
import json
import os
import pathlib
import tarfile
import tempfile
import time
import traceback
from collections.abc import Iterator, Sequence
from typing import Any, Literal

import filelock

from rnnlab.errors import RunError, UsageError
from rnnlab.run import environment, fields, identity
from rnnlab.run.fields import to_json

#: Folders of a work directory that other hosts than the first do not get.
LARGE = frozenset({"checkpoints", "tensorboard", "grid_chunks"})

#: The log of a run that trains.
METRICS = "metrics.jsonl"

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
    """

    def __init__(self, root: pathlib.Path, experiment: str, config: dict[str, Any]):
        self.root = self.first = root
        self.experiment = experiment
        self.config = config
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
        part = Workdir(self.path(name), self.experiment, self.config)
        part.root.mkdir(parents=True, exist_ok=True)
        part.first = self.first / name
        part.status = self.status
        return part

    def write(self, name: str, data: bytes | str) -> pathlib.Path:
        """Writes a file as a whole or not at all, and returns its path."""
        return atomic_write(self.path(name), data)

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
        self.write("status.json", json.dumps(self.status, indent=2) + "\n")


@contextlib.contextmanager
def open_workdir(
    path: str | os.PathLike[str],
    experiment: str,
    config: Any,
    argv: Sequence[str] = (),
    *,
    preset: str | None = None,
) -> Iterator[Workdir]:
    """Creates or reopens a work directory and holds it for the duration of a `with` statement.

    Leaving it records `done`, unless `Workdir.end` was called in it; an exception records
    `interrupted` (KeyboardInterrupt) or `failed` and is raised again.

    Args:
        path: the folder; made with its parents if it does not exist.
        experiment: name of the experiment.
        config: its configuration, a dataclass of JSON values.
        argv: the command line, for the record.
        preset: the name of the preset that the configuration started from, for the record.

    Raises:
        UsageError: if the folder belongs to another configuration, to something else than a run, or
            to a process that is still working in it.
        RunError: if it cannot be made or written, or its `config.json` is damaged.
    """
    from rnnlab import hosts  # which imports jax, after its settings have been made

    workdir = Workdir(pathlib.Path(path), experiment, to_json(config))
    with contextlib.ExitStack() as stack:

        def take() -> bytes:
            try:
                workdir.root.mkdir(parents=True, exist_ok=True)
                stack.enter_context(_locked(workdir.root))
                _claim(workdir)
                _record_start(workdir, argv, preset)
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
                    _record_start(workdir, argv, preset)
            yield workdir
        except BaseException as error:
            workdir._fail(error)
            raise
        if workdir.status["state"] == "running":
            workdir.end("done")


def default_path(experiment: str, config: Any) -> pathlib.Path:
    """`runs/NAME-HASH`, the same for the same configuration."""
    text = json.dumps(to_json(config), sort_keys=True)
    return pathlib.Path("runs") / f"{experiment}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def atomic_write(path: str | os.PathLike[str], data: bytes | str) -> pathlib.Path:
    """Writes a file so that it holds the old or the new contents at every moment.

    Raises:
        OSError: if the disk is full or the place cannot be written; the old file is untouched.
    """
    path = pathlib.Path(path)
    draft = path.with_name(f".{path.name}.tmp")
    try:
        with open(draft, "wb") as file:
            file.write(data.encode() if isinstance(data, str) else data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            draft.unlink()
        if isinstance(error, OSError):
            error.filename = str(path)  # a full disk does not say where
        raise
    return path


@contextlib.contextmanager
def _locked(root: pathlib.Path) -> Iterator[None]:
    """Holds the lock of a folder; the system drops it with the process, however that ends."""
    lock = filelock.FileLock(root / LOCK)
    try:
        lock.acquire(blocking=False)
    except filelock.Timeout as error:
        raise UsageError(
            f"--workdir={root}: process {_read_status(root).get('pid', '?')} is working in it; "
            "wait for its end or choose another with --workdir=PATH"
        ) from error
    try:
        yield
    finally:
        lock.release()


def _read_status(root: pathlib.Path) -> dict[str, Any]:
    """The record of the last run; empty in a new folder, and where it is damaged."""
    try:
        return dict(json.loads((root / "status.json").read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
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


def _claim(workdir: Workdir) -> None:
    """Writes `config.json` into a new folder, or checks that an old one has the same."""
    if workdir.path(identity.FILE).exists():
        _check_same(workdir)
        return
    foreign = sorted(entry.name for entry in workdir.root.iterdir() if entry.name[0] != ".")
    if foreign:
        raise UsageError(
            f"--workdir={workdir.root}: is not a work directory (it holds {foreign[0]} and no "
            "config.json); choose another with --workdir=PATH"
        )
    workdir.write(
        identity.FILE, identity.text(identity.Identity(workdir.experiment, workdir.config))
    )


def _check_same(workdir: Workdir) -> None:
    here = identity.Identity(workdir.experiment, workdir.config)
    identity.check_same(workdir.first, identity.read(workdir.root), here)


def _record_start(workdir: Workdir, argv: Sequence[str], preset: str | None) -> None:
    starts = _read_status(workdir.root).get("starts", 0)
    workdir.status = {
        "state": "running",
        "message": "",
        "experiment": workdir.experiment,
        "argv": list(argv),
        "preset": preset,
        **_seeds(workdir.config),
        "pid": os.getpid(),
        "versions": environment.versions(),
        "device": environment.device(),
        "precision": environment.products(),
        "starts": starts + 1,
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
