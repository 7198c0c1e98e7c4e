"""What the driver of an NVIDIA GPU says against times that were just measured on it."""

from __future__ import annotations

import re
import shutil
import subprocess

import jax

#: Reasons that slow a GPU down and are not its work, by their bits in the driver's answer.
SLOWED = {
    0x08: "hardware slowdown",
    0x20: "heat (software)",
    0x40: "heat (hardware)",
    0x80: "power brake",
}
#: Names of that question, in drivers since version 535 and before.
EVENTS = "clocks_event_reasons.active", "clocks_throttle_reasons.active"


def complaints() -> list[str]:
    """What disturbed the GPU that JAX uses, each in a few words; none on another device."""
    if jax.default_backend() != "gpu":
        return []
    bits = _reasons()
    found = [f"the GPU was slowed down: {why}" for bit, why in SLOWED.items() if bits & bit]
    # This process may be listed under a number that it does not know itself, in a container.
    programs = len(ask("--query-compute-apps=pid"))
    if programs > 1:
        found.append(f"{programs} programs were on the GPU")
    return found


def _reasons() -> int:
    """Why the clocks are not higher, as bits; 0 where the driver does not tell."""
    for name in EVENTS:
        for line in ask(f"--query-gpu={name}")[:1]:
            if re.fullmatch(r"0x[0-9a-fA-F]+", line):
                return int(line, 16)
    return 0


def ask(query: str) -> list[str]:
    """The lines that `nvidia-smi` answers about the first GPU; none where it does not."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return []
    command = [tool, query, "--format=csv,noheader", "--id=0"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return []
    return [line.strip() for line in done.stdout.splitlines() if line.strip()]
