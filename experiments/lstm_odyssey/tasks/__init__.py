"""The tasks of `lstm_odyssey`, a file for each kind."""

from __future__ import annotations

from collections.abc import Callable

from experiments.lstm_odyssey.config import Config
from experiments.lstm_odyssey.tasks.base import Task
from experiments.lstm_odyssey.tasks.copying import CopyTask
from experiments.lstm_odyssey.tasks.music import MusicTask
from experiments.lstm_odyssey.tasks.speech import SpeechTask
from experiments.lstm_odyssey.tasks.text import TextTask

__all__ = ["Task", "read"]

_READ: dict[str, Callable[[Config], Task]] = {
    "copy": lambda config: CopyTask(config.copy),
    "text": lambda config: TextTask(config.text),
    "music": lambda config: MusicTask(config.music),
    "speech": lambda config: SpeechTask(config.speech),
}


def read(config: Config, name: str) -> Task:
    """The task of that name with its data."""
    return _READ[name](config)
