"""The processes of several hosts: how they meet, what they show, and how they end."""

from __future__ import annotations

import contextlib
import os
import re
import sys
from collections.abc import Iterator
from typing import NamedTuple

from rnnlab.errors import RunError, UsageError

#: Seconds that a host which has failed waits for the others to end.
PATIENCE = 60
#: Seconds without a sign of life after which JAX takes a host for dead and ends the others.
SILENCE = 60


class Hosts(NamedTuple):
    """How several hosts find each other.

    Attributes:
        coordinator: ADDRESS:PORT of the first host; None where the cluster tells (Slurm, MPI, TPU).
        host: number of this one, from 0; None where the cluster tells.
        count: how many there are; None where the cluster tells.
    """

    coordinator: str | None
    host: int | None
    count: int | None


def of_flags(coordinator: str | None, host: int | None, count: int | None) -> Hosts | None:
    """What `--coordinator`, `--host` and `--hosts` say; None for one host alone.

    Raises:
        UsageError: one of them is missing, or none that there can be.
    """
    if coordinator is None:
        if host is not None or count is not None:
            raise UsageError("--host, --hosts: need --coordinator=ADDRESS:PORT of the first host")
        return None
    if coordinator == "auto":
        return Hosts(None, host, count)
    if not re.fullmatch(r".+:\d+", coordinator):
        raise UsageError(f"--coordinator={coordinator}: must be ADDRESS:PORT, or auto")
    if host is None or count is None or not 0 <= host < count < 2**31:
        raise UsageError(
            f"--host={host}, --hosts={count}: with --coordinator give how many hosts there are and "
            "which one this is, 0 being the first"
        )
    return Hosts(coordinator, host, count)


def join(hosts: Hosts) -> None:
    """Meets the other hosts.

    Raises:
        RunError: they have not met.
    """
    import jax

    try:
        jax.distributed.initialize(
            hosts.coordinator,
            hosts.count,
            hosts.host,
            heartbeat_timeout_seconds=SILENCE,
            shutdown_timeout_seconds=PATIENCE,
        )
    except (RuntimeError, ValueError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        where = hosts.coordinator or "auto"
        raise RunError(
            f"--coordinator={where}: the hosts have not met ({reason}); start the same command "
            "on each within five minutes, with its own --host"
        ) from error


@contextlib.contextmanager
def ending_without_the_others(several: Hosts | None) -> Iterator[None]:
    """Within it, an error that comes of the death of another host ends this one in one line.

    Where the first host dies, JAX may be faster: it aborts the others, with a line of its own.
    """
    try:
        yield
    except Exception as error:
        kind, text = type(error).__name__, str(error)
        lost = ("Gloo", "NCCL", "Connection", "heartbeat", "oordination", "UNAVAILABLE")
        if several and kind == "JaxRuntimeError" and any(word in text for word in lost):
            _end_without_the_others()
        raise


def _end_without_the_others() -> None:
    """Ends this process at once: what Python does at exit would wait for hosts that are gone."""
    print(
        "error: another host has ended without a word; start the same commands again on all hosts "
        "to resume from the last checkpoint",
        file=sys.__stderr__,
        flush=True,
    )
    os._exit(1)


@contextlib.contextmanager
def quiet_unless_first(several: Hosts | None) -> Iterator[None]:
    """Only the first of several hosts shows tables and progress; errors are shown after it."""
    with contextlib.ExitStack() as stack:
        if several is not None and not first():
            nowhere = stack.enter_context(open(os.devnull, "w", encoding="utf-8"))
            stack.enter_context(contextlib.redirect_stdout(nowhere))
            stack.enter_context(contextlib.redirect_stderr(nowhere))
        yield


def first() -> bool:
    """Whether this process is the first host's; asks JAX, which is imported for it."""
    from rnnlab import hosts

    return hosts.first()
