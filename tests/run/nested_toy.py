"""A toy experiment whose settings are nested, in a folder beside a package that is none."""

import signal
import sys

from rnnlab.run import command_line, launch, registry

PACKAGE = '''"""Does it run?

Second paragraph.
"""

import time

import jax
import jax.numpy as jnp

from experiments.toy.config import PRESETS, Config
from rnnlab.errors import RunError

__all__ = ["PRESETS", "Config", "run"]


def run(config, workdir):
    if config.what == "wait":
        workdir.write("waiting", f"{jnp.zeros(()).dtype} {jax.config.jax_numpy_dtype_promotion}")
        time.sleep(60)
    if config.what == "disk":
        raise OSError(28, "No space left on device", str(workdir.path("x")))
    if config.what == "network":
        raise RunError("corpus: no network;\\nput the file into PATH")
    if config.what == "bug":
        raise ZeroDivisionError
    if config.what == "memory":
        import numpy as np

        np.ones((config.hidden, 2**44))
    if config.what == "device memory":
        jax.jit(lambda: jnp.ones((config.hidden, 2**44)).sum(axis=0))()
    print("radii", config.radii)
    return "diverged" if config.what == "diverge" else None
'''

CONFIG = '''import dataclasses

from rnnlab.errors import UsageError

RADII = (0.5, 1.0)


@dataclasses.dataclass(frozen=True)
class Schedule:
    #: Updates.
    steps: int = 100
    #: Learning rate, highest
    #: of the schedule.
    rate: float = 0.1
    #: Whether it warms up.
    warm: bool = False

    def __post_init__(self):
        if self.warm and self.steps < 10:
            raise UsageError(f"steps={self.steps}: too few to warm up")


@dataclasses.dataclass(frozen=True)
class Longer(Schedule):
    steps: int = 1000


@dataclasses.dataclass(frozen=True)
class Network:
    #: Size of a step.
    rate: float = 1.0
    #: Layers.
    layers: int = 1


@dataclasses.dataclass(frozen=True)
class Config:
    """What to do."""

    #: Spectral radii, each above 0;
    #: any number of them.
    radii: tuple[float, ...] = RADII
    #: Cells.
    cells: tuple[str, ...] = ("tanh",)
    hidden: int = 4
    #: Whether to be thorough.
    thorough: bool = False
    scale: float = 1.0
    #: What to do: end, wait, disk, network, diverge, bug.
    what: str = "end"
    network: Network = Network()
    training: Schedule = Longer()
    seed: int = 7
    seeds: int = 2

    def __post_init__(self):
        if self.hidden < 1:
            raise UsageError(f"hidden={self.hidden}: must be a positive integer")


PRESETS = {
    "tiny": Config(hidden=2, training=Longer(steps=5)),
    "large": Config(radii=(0.5, 0.9), thorough=True),
}
'''


def folder(tmp_path, monkeypatch):
    """A folder of experiments; the current directory is beside it, and the process as it was."""
    folder = tmp_path / "experiments"
    (folder / "toy").mkdir(parents=True)
    (folder / "toy" / "__init__.py").write_text(PACKAGE)
    (folder / "toy" / "config.py").write_text(CONFIG)
    (folder / "notes").mkdir()
    (folder / "notes" / "__init__.py").write_text('"""Not an experiment: no Config."""')
    (folder / "notes" / "config.py").touch()
    (folder / "__pycache__").mkdir()
    (folder / "readme.txt").touch()
    monkeypatch.chdir(tmp_path)
    handler = signal.getsignal(signal.SIGTERM)
    yield folder
    signal.signal(signal.SIGTERM, handler)
    for name in [name for name in sys.modules if name.startswith("experiments.toy")]:
        del sys.modules[name]


def run(folder, *arguments):
    return launch.main(["run.py", "--experiment=toy", *arguments], folder)


def config_of(folder, *arguments):
    argv = ["run.py", "--experiment=toy", *arguments]
    return command_line.CommandLine(argv).config(registry.find(folder, "toy").settings())
