"""Tables and pictures of a benchmark, written after every part, so that Ctrl-C loses nothing."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
from typing import Any

import jax
from matplotlib.figure import Figure

from experiments import _benchmark_allocator, _benchmark_peers
from rnnlab import plots
from rnnlab.errors import UsageError
from rnnlab.run.report import Report
from rnnlab.run.tables import print_table
from rnnlab.run.workdir import Workdir


class Output:
    """What the suites have found so far: `results.json`, pictures and `report.html`.

    Args:
      workdir: where they go.
      allocator: the setting under which everything is measured.
    """

    def __init__(self, workdir: Workdir, allocator: str) -> None:
        self._workdir = workdir
        self._machine = machine(allocator)
        self._tables: dict[str, list[dict[str, Any]]] = {}
        self._figures: dict[str, tuple[str, str]] = {}

    def table(self, title: str, rows: list[dict[str, Any]], *, show: bool = True) -> None:
        """Puts a table in place of the one of that title; `show` prints it too."""
        self._tables[title] = rows
        if show and rows:
            print_table(rows, title=title, columns=columns(rows))
        self._write()

    def figure(self, name: str, figure: Figure, *, caption: str, alt: str) -> None:
        """Puts a picture in place of the one of that name."""
        plots.save(figure, self._workdir.path(f"{name}.png"))
        self._figures[name] = (caption, alt)
        self._write()

    def text(self, name: str, content: str) -> None:
        """Writes a file of that name beside the results."""
        self._workdir.write(name, content)

    def record(self, **facts: Any) -> None:
        """Adds facts about the machine that a suite has measured."""
        self._machine |= facts
        self._write()

    def _write(self) -> None:
        results = {"machine": self._machine, "tables": self._tables}
        self._workdir.write("results.json", json.dumps(results, indent=2) + "\n")
        report = Report("Benchmark")
        for title, rows in self._tables.items():
            if rows:
                report.table(rows, caption=title, columns=columns(rows))
        for name, (caption, alt) in self._figures.items():
            report.figure(self._workdir.path(f"{name}.png"), caption=caption, alt=alt)
        report.heading("Machine")
        report.table(
            [{"what": k, "value": json.dumps(v)} for k, v in self._machine.items()],
            caption="What all candidates ran on.",
        )
        report.settings(self._workdir)
        report.write(self._workdir.path("report.html"))


def columns(rows: list[dict[str, Any]]) -> list[str]:
    """Names of all columns, in the order in which rows bring them up."""
    return list(dict.fromkeys(name for row in rows for name in row))


def machine(allocator: str) -> dict[str, Any]:
    """Device, cores, versions, flags and allocator of this process."""
    device = jax.devices()[0]
    return {
        "device": f"{device.device_kind} ({device.platform})",
        "devices of JAX": len(jax.devices()),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "versions": {
            package: importlib.metadata.version(package) for package in ("jax", "jaxlib", "numpy")
        }
        | _peer_versions(),
        "flags": {
            name: os.environ[name]
            for name in ("XLA_FLAGS", "JAX_PLATFORMS", "OMP_NUM_THREADS")
            if name in os.environ
        },
        "x64": jax.config.read("jax_enable_x64"),
        "float32 products": "float32",
        "allocator": _benchmark_allocator.describe(allocator),
    }


def _peer_versions() -> dict[str, str]:
    """Version of each peer's package, or why there is none."""
    versions = {}
    for peer in _benchmark_peers.PEERS:
        try:
            versions[peer.package] = _benchmark_peers.check_version(peer)
        except UsageError as error:
            versions[peer.package] = str(error)
    return versions


def _processor() -> str:
    """The processor's name, which Python itself does not know on Linux."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            names = [line.partition(":")[2] for line in file if line.startswith("model name")]
    except OSError:
        names = []
    return names[0].strip() if names else platform.processor()
