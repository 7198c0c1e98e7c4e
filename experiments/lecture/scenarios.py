"""Other experiments in their preset `tiny`, each a process of its own, some side by side."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Self

import rnnlab
from rnnlab.errors import RunError

#: The command `rnnlab`, whether or not it is installed.
COMMAND = "import sys; from rnnlab.run.launch import console; sys.exit(console())"
#: What their folders lie in.
FOLDER = "scenarios"
#: Seconds between two looks at what has ended.
EVERY = 0.1


class Scenarios:
    """Runs what has not been done in `folder/NAME`, where it can be continued by itself.

    A context: when it is left early, what has begun is ended.

    Args:
        names: of experiments.
        folder: of their work directories.
        processes: how many run side by side.
    """

    def __init__(self, names: Sequence[str], folder: pathlib.Path, processes: int):
        self._waiting, self._folder, self._processes = list(names), folder, processes
        self._running: dict[str, subprocess.Popen] = {}

    def __enter__(self) -> Self:
        self.advance()
        return self

    def __exit__(self, *error: object) -> None:
        for process in self._running.values():
            process.terminate()
        for process in self._running.values():
            process.wait()

    def advance(self) -> None:
        """Begins others in the place of those that have ended.

        Raises:
            RunError: one has failed.
        """
        for name, process in list(self._running.items()):
            code = process.poll()
            if code is not None:
                del self._running[name]
                _require(name, self._folder / name, code)
        while self._waiting and len(self._running) < self._processes:
            name = self._waiting.pop(0)
            self._running[name] = _start(name, self._folder / name)

    def finish(self) -> None:
        """Waits for all; errors as in `advance`."""
        while self._waiting or self._running:
            self.advance()
            time.sleep(EVERY)


def command(name: str, workdir: pathlib.Path) -> list[str]:
    """The flags of a run."""
    return [f"--experiment={name}", "--preset=tiny", f"--workdir={workdir}"]


def _start(name: str, workdir: pathlib.Path) -> subprocess.Popen:
    root = str(pathlib.Path(rnnlab.__file__).parents[1])
    paths = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
    workdir.mkdir(parents=True, exist_ok=True)
    output = workdir.with_suffix(".txt")
    with open(output, "wb") as file:
        return subprocess.Popen(
            [sys.executable, "-c", COMMAND, *command(name, workdir)],
            env={**os.environ, "PYTHONPATH": paths},
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
        )


def _require(name: str, workdir: pathlib.Path, code: int) -> None:
    if code:
        output = workdir.with_suffix(".txt")
        lines = output.read_text(encoding="utf-8", errors="replace").splitlines() or [""]
        raise RunError(f"scenarios={name}: ended with {code} ({lines[-1][:200]}); see {output}")
