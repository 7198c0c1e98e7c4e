"""A folder with a toy experiment that logs as training does, and can end in every way."""

import signal
import sys

from rnnlab.run import launch

PACKAGE = '''"""Does it run?"""

import json

from experiments.toy.config import PRESETS, Config
from rnnlab.errors import RunError, UsageError
from rnnlab.training.log import Log

__all__ = ["PRESETS", "Config", "run"]

ERRORS = {
    "bug": ZeroDivisionError("of the program"),
    "disk": OSError(28, "No space left on device"),
    "memory": MemoryError("Unable to allocate 9.31 GiB for an array"),
    "interrupt": KeyboardInterrupt(),
    "network": RunError("no network"),
    "refuse": UsageError("corpus=x: no such file"),
}


def run(config, workdir):
    if config.what in ERRORS:
        raise ERRORS[config.what]
    log = Log(workdir)
    for step in (1, 2):
        log.write(step, "train", {"loss": config.network.rate / step})
        log.write(step, "evaluation", {"validation": config.seed + step})
        log.event(step, "speed", {"steps per second": 7.0})
    log.close()
    if config.what == "diverge":
        return "diverged"
    workdir.write("summary.json", json.dumps({"test": config.network.rate, "note": "good"}))
    return "done"
'''

CONFIG = '''import dataclasses

from rnnlab.errors import UsageError


@dataclasses.dataclass(frozen=True)
class Network:
    #: Learning rate.
    rate: float = 0.1
    #: Layers.
    layers: int = 1


@dataclasses.dataclass(frozen=True)
class Config:
    """What to do."""

    #: Units.
    hidden: int = 4
    #: Lengths.
    lengths: tuple[int, ...] = (10, 20)
    #: Whether to be thorough.
    thorough: bool = False
    #: What to do.
    what: str = "end"
    #: The network.
    network: Network = Network()
    #: Seed.
    seed: int = 0

    def __post_init__(self):
        if self.hidden < 1:
            raise UsageError(f"hidden={self.hidden}: must be at least 1")


PRESETS = {"tiny": Config(hidden=2, lengths=(3,)), "large": Config(hidden=64)}
'''


def write(folder):
    """Writes the experiment into a folder of experiments."""
    (folder / "toy").mkdir(parents=True)
    (folder / "toy" / "__init__.py").write_text(PACKAGE)
    (folder / "toy" / "config.py").write_text(CONFIG)
    return folder


def run(folder, *arguments):
    """The exit code of a command line; the handler of SIGTERM stays what it was."""
    handler = signal.getsignal(signal.SIGTERM)
    try:
        return launch.main(["run.py", "--experiment=toy", *arguments], folder)
    finally:
        signal.signal(signal.SIGTERM, handler)


def forget():
    """Drops the modules of the experiment."""
    for name in [name for name in sys.modules if name.startswith("experiments.toy")]:
        del sys.modules[name]
