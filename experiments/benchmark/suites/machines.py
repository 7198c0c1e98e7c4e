"""Results that were measured on several machines, or at several times, side by side."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Iterator
from typing import Any

from experiments.benchmark.aims import RATIO, VERDICT
from experiments.benchmark.candidate import OURS
from experiments.benchmark.config import Config
from experiments.benchmark.results import (
    FILE,
    LAYERS,
    MEDIAN,
    VERSUS_JAX,
    VERSUS_TORCH,
    Result,
    Rows,
    Table,
    interval_of,
)
from experiments.benchmark.suites.targets import CANDIDATES
from experiments.benchmark.suites.targets import TITLE as TARGETS
from rnnlab.errors import UsageError

#: The versions that matter most for a time.
VERSIONS = "jax", "torch", "flax"


def run(config: Config) -> Iterator[Result]:
    """Reads the files, and yields the machines, their layers and their aims."""
    found = [read(path) for path in config.machines.results]
    names = [f"{number}: {_device(each['machine'])}" for number, each in enumerate(found, 1)]
    yield Table("Machines", [_machine(n, each) for n, each in zip(names, found, strict=True)])
    layers: Rows = []
    aims: Rows = []
    for name, each in zip(names, found, strict=True):
        rows = [row for title in (LAYERS, CANDIDATES) for row in each["tables"].get(title, [])]
        layers += [{"machine": name} | row for row in fastest(rows)]
        aims += [{"machine": name} | line for line in each["tables"].get(TARGETS, [])]
    yield Table("Layers by machine", _together(layers, ("layer", "shape", "dtype", "pass")))
    yield Table("Aims by machine", _together(aims, ("aim", "where")))


def read(path: str) -> dict[str, Any]:
    """What a run of the benchmark has found.

    Args:
      path: its work directory, or its file.

    Raises:
      UsageError: there is none, or a file of something else.
    """
    file = pathlib.Path(path).expanduser()
    file = file / FILE if file.is_dir() else file
    try:
        contents = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"results={path}: cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise UsageError(f"results={path}: is no {FILE} of the benchmark (not JSON)") from error
    whole = isinstance(contents, dict) and all(
        isinstance(contents.get(part), dict) for part in ("machine", "tables")
    )
    if not whole or "device" not in contents["machine"]:
        raise UsageError(f"results={path}: is no {FILE} of the benchmark")
    return contents


def _device(machine: dict[str, Any]) -> str:
    """The device; of a CPU, which JAX calls cpu, the name of the processor."""
    device = str(machine["device"])
    return f"{machine.get('processor', 'cpu')} (cpu)" if device.startswith("cpu") else device


def _machine(name: str, contents: dict[str, Any]) -> dict[str, Any]:
    machine = contents["machine"]
    versions = machine.get("versions", {})
    known = {package: versions.get(package, "") for package in VERSIONS}
    return {
        "machine": name,
        "processor": f"{machine.get('processor', '')}, {machine.get('cores', '?')} cores",
        "date": machine.get("date", "not recorded"),
        "versions": ", ".join(f"{package} {version}" for package, version in known.items()),
        "command": machine.get("command", "not recorded"),
    }


def fastest(rows: Rows) -> Rows:
    """For each layer, shape, dtype and pass our fastest candidate, with its ratios."""
    best: dict[tuple[Any, ...], dict[str, Any]] = {}
    for row in rows:
        if not row.get("candidate", "").startswith(OURS) or MEDIAN not in row:
            continue
        key = tuple(row[name] for name in ("layer", "shape", "dtype", "pass"))
        best[key] = min(best.get(key, row), row, key=lambda each: each[MEDIAN])
    return [
        {name: row[name] for name in ("layer", "shape", "dtype", "pass")}
        | {
            "fastest of ours": row["candidate"].removeprefix(OURS),
            MEDIAN: row[MEDIAN],
            **{v: _with_interval(row, v) for v in (VERSUS_JAX, VERSUS_TORCH)},
        }
        for row in best.values()
    ]


def _with_interval(row: dict[str, Any], ratio: str) -> str:
    if ratio not in row:
        return ""
    interval = row.get(interval_of(ratio))
    return f"{row[ratio]:.3g}{f' ({interval})' if interval else ''}"


def _together(rows: Rows, about: tuple[str, ...]) -> Rows:
    """The same rows, those about the same beneath each other, and what they are about first."""
    order = list(dict.fromkeys(tuple(row.get(name, "") for name in about) for row in rows))
    placed = sorted(rows, key=lambda row: order.index(tuple(row.get(name, "") for name in about)))
    last = (RATIO, interval_of(RATIO), VERDICT)
    return [
        {name: row.get(name, "") for name in (*about, "machine")}
        | {n: v for n, v in row.items() if n not in (*about, "machine", *last)}
        | {name: row[name] for name in last if name in row}
        for row in placed
    ]
