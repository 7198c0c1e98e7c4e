"""Several hosts that train as one, after `jax.distributed.initialize`.

All hosts run the same program and come to the same calls in the same order. The first one keeps the
work directory, and sends the others what it read there.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils

from rnnlab.errors import RunError, UsageError

#: Errors of the first host that end the others with the same line.
_ERRORS: dict[str, type[Exception]] = {"UsageError": UsageError, "RunError": RunError}


def several() -> bool:
    """Whether there is more than this host."""
    return jax.process_count() > 1


def first() -> bool:
    """Whether this host is the first, or the only one."""
    return jax.process_index() == 0


def told(contents: bytes) -> bytes:
    """The bytes of the first host, on every host."""
    if not several():
        return contents
    length = int(multihost_utils.broadcast_one_to_all(np.uint32(len(contents))))
    # As whole words, which a sum with the zeros of the other hosts leaves as they are.
    words = np.frombuffer(contents[:length].ljust(-(-length // 4) * 4, b"\0"), np.uint32)
    if not first():
        words = np.zeros(-(-length // 4), np.uint32)
    found = multihost_utils.broadcast_one_to_all(words)
    return np.asarray(found).astype(np.uint32).tobytes()[:length]


def told_json(value: Any) -> Any:
    """A JSON value as the first host has it."""
    return json.loads(told(json.dumps(value).encode())) if several() else value


def any_of(flag: bool) -> bool:
    """Whether it is true on any host."""
    return bool(multihost_utils.process_allgather(np.uint32(flag)).any()) if several() else flag


def by_first(make: Callable[[], bytes]) -> bytes:
    """What the first host makes; where that is an error of this library, every host raises it."""
    if not several():
        return make()
    error, contents = ["", ""], b""
    if first():
        try:
            contents = make()
        except tuple(_ERRORS.values()) as caught:
            error = [type(caught).__name__, str(caught)]
    kind, message = told_json(error)
    if kind:
        raise _ERRORS[kind](message)
    return told(contents)


@contextlib.contextmanager
def failing_together() -> Iterator[None]:
    """If the `with` statement fails on one host it fails on all, which would wait for that one."""
    error: Exception | None = None
    try:
        yield
    except tuple(_ERRORS.values()) as caught:
        error = caught
    failed = any_of(error is not None)
    if error is not None:
        raise error
    if failed:
        raise RunError("another host could not start; see its message")
