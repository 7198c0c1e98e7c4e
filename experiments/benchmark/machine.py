"""What everything is measured on, and when: device, processor, versions, flags, command."""

from __future__ import annotations

import datetime
import importlib.metadata
import os
import pathlib
import platform
import shlex
import sys
from typing import Any

import jax

from experiments.benchmark import allocator
from experiments.benchmark.peers import PEERS, check_version
from rnnlab import precision
from rnnlab.errors import UsageError


def describe(setting: str) -> dict[str, Any]:
    """Date and command, device, cores, versions, flags and allocator of this process.

    Args:
      setting: of the allocator.
    """
    device = jax.devices()[0]
    return {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="minutes"),
        "command": shlex.join([pathlib.Path(sys.argv[0]).name, *sys.argv[1:]]),
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
        "float32 products": precision.in_use(),
        "allocator": allocator.describe(setting),
    }


def _peer_versions() -> dict[str, str]:
    """Version of each peer's package, or why there is none."""
    versions = {}
    for peer in PEERS.values():
        try:
            versions[peer.package] = check_version(peer)
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
