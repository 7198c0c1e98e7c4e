"""Training of a character model, in rnnlab and in PyTorch: characters per second."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from experiments.benchmark import models
from experiments.benchmark.candidate import OURS
from experiments.benchmark.characters import MODES, candidates, make_task
from experiments.benchmark.config import Config
from experiments.benchmark.peers.torch import on_gpu
from experiments.benchmark.results import Result, Rows, Table
from rnnlab.cells import LSTM
from rnnlab.strategies import supported

TITLE = "Training a character model"


def run(config: Config) -> Iterator[Result]:
    """Times it in every mode that the device has."""
    rows: Rows = []
    modes = tuple(MODES) if on_gpu() else ("float32",)
    for mode in modes:
        rows += measure(config, mode, config.characters.reader_strategies)
        yield Table(TITLE, list(rows), complete=mode == modes[-1])


def measure(config: Config, mode: str, strategies: Sequence[str]) -> Rows:
    """The rows of one mode.

    Args:
      config: sizes of the model, peers and turns.
      mode: one of `MODES`.
      strategies: of ours; those that do not run here are left out.
    """
    settings = config.characters
    task = make_task(settings, MODES[mode])
    mine = [name for name in supported(LSTM(settings.hidden)) if name in strategies]
    with_torch = any(name.startswith("torch") for name in config.candidates.peers)
    makers = candidates(task, {f"{OURS}{name}": name for name in mine}, with_torch)
    about = {
        "model": f"{settings.depth} LSTM of {settings.hidden}, "
        f"windows of {settings.text_rows} rows and {settings.window} steps",
        "arithmetic": mode,
    }
    return models.measure(makers, about, task.symbols, config.candidates, MODES[mode].agree)
