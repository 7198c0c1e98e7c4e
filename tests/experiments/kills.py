"""A run of an experiment in a process of its own, which is killed (SIGKILL) after an evaluation."""

import importlib
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

ROOT = Path(__file__).parents[2]
SCRIPT = """
import sys
sys.path[:0] = [{root!r}]
import jax
jax.config.update("jax_enable_x64", True)
jax.config.update("jax_numpy_dtype_promotion", "strict")
from tests.experiments import kills
kills.die({number}, {delay})
kills.call({module!r}, {name!r}, {arguments!r})
"""


def killed(run, *arguments, number, delay):
    """Calls a function of a test module in another process, and lets it be killed.

    Args:
        run: the function, which trains.
        arguments: of it, paths or what `repr` writes.
        number: the process ends after that many evaluations, counted from 1.
        delay: seconds from there on.

    Returns:
        Whether it was killed; else it has ended well.
    """
    written = tuple(str(one) if isinstance(one, Path) else one for one in arguments)
    code = SCRIPT.format(
        root=str(ROOT),
        number=number,
        delay=delay,
        module=run.__module__,
        name=run.__name__,
        arguments=written,
    )
    environment = os.environ | {"JAX_PLATFORMS": "cpu"}
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, timeout=600)
    assert done.returncode in (0, -signal.SIGKILL)
    return done.returncode != 0


def die(number, delay):
    """The process ends `delay` seconds after its `number`-th evaluation."""
    from rnnlab.training import loop

    measure, count = loop._Run._measure, [0]

    def counting(self):
        measure(self)
        count[0] += 1
        if count[0] == number:
            threading.Timer(delay, os.kill, (os.getpid(), signal.SIGKILL)).start()

    loop._Run._measure = counting


def call(module, name, arguments):
    """Calls a function that takes the folder of the run first."""
    getattr(importlib.import_module(module), name)(Path(arguments[0]), *arguments[1:])
