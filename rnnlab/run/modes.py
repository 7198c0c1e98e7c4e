"""The modes of the command line that use a trained model: generate and predict.

The work directory is only read. `rnnlab.load` returns the model; one that cannot do what is asked
refuses with a UsageError.
"""

import contextlib
import dataclasses
import io
import itertools
import json
import os
import pathlib
import sys
from collections.abc import Iterable, Iterator
from typing import Any, Literal, Protocol, get_args, runtime_checkable

from rnnlab.errors import UsageError

Mode = Literal["run", "generate", "predict"]
MODES: tuple[Mode, ...] = get_args(Mode)

#: Lines of a file that are answered together.
BATCH = 64


@runtime_checkable
class Writer(Protocol):
    """A model that writes text."""

    def stream(self, prompt: str, temperature: float, top_k: int, seed: int) -> Iterator[str]:
        """The prompt, then what continues it, each symbol as soon as it is drawn, forever."""
        ...


@runtime_checkable
class Predictor(Protocol):
    """A model that answers lines."""

    def predict(self, lines: list[str], /) -> list[dict[str, Any]]:
        """An answer to each line."""
        ...


@dataclasses.dataclass(frozen=True)
class Generate:
    """A text that continues a prompt, shown as it is drawn."""

    #: What the text begins with.
    prompt: str = ""
    #: Symbols to draw: characters or words.
    count: int = 500
    #: Below 1 likely symbols become likelier still, 0 takes the likeliest.
    temperature: float = 1.0
    #: How many of the likeliest symbols are drawn from; 0 for all.
    top_k: int = 0
    #: Seed of the symbols drawn.
    draw: int = 0

    def __post_init__(self) -> None:
        """Checks every field."""
        for name, least in {"count": 1, "temperature": 0, "top_k": 0, "draw": 0}.items():
            value = getattr(self, name)
            if not least <= value < float("inf"):
                raise UsageError(f"--{name}={value}: must be at least {least}")
            if isinstance(value, int) and value >= 2**31:
                raise UsageError(f"--{name}={value}: must be below 2^31")

    def ask(self, model: object) -> None:
        """Prints the prompt and what the model continues it with.

        Raises:
            UsageError: if the model writes no text, or does not know a symbol of the prompt.
        """
        if not isinstance(model, Writer):
            raise UsageError(f"--mode=generate: a {type(model).__name__} writes no text")
        pieces = model.stream(self.prompt, self.temperature, self.top_k, self.draw)
        for piece in itertools.islice(pieces, self.count + 1):
            print(piece, end="", flush=True)
        print()


@dataclasses.dataclass(frozen=True)
class Predict:
    """An answer to each line of a file, as a line of JSON."""

    #: The file, or - for standard input.
    input: str = "-"

    def ask(self, model: object) -> None:
        """Prints the answers of the model.

        Raises:
            UsageError: if there is no such file, or the model cannot answer its lines.
        """
        if not isinstance(model, Predictor):
            raise UsageError(f"--mode=predict: a {type(model).__name__} answers no lines")
        # Of standard input each line is answered before the next one is waited for.
        batch = 1 if self.input == "-" else BATCH
        with self._lines() as lines:
            try:
                self._answer(model, lines, batch)
            except UnicodeDecodeError as error:
                raise UsageError(f"--input={self.input}: is not a text in UTF-8") from error

    def _lines(self) -> contextlib.AbstractContextManager[Iterable[str]]:
        if self.input == "-":
            if isinstance(sys.stdin, io.TextIOWrapper):
                sys.stdin.reconfigure(encoding="utf-8", errors="strict")
            return contextlib.nullcontext(sys.stdin)
        try:
            return open(os.path.expanduser(self.input), encoding="utf-8")
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
            raise UsageError(f"--input={self.input}: {error.strerror}") from error

    def _answer(self, model: Predictor, lines: Iterable[str], batch: int) -> None:
        for part in _batches((line.rstrip("\r\n") for line in lines), batch):
            for answer in model.predict(part):
                print(json.dumps(answer), flush=batch == 1)


#: What is asked in each mode but `run`; its fields are the flags of that mode.
QUESTIONS: dict[str, type[Generate] | type[Predict]] = {"generate": Generate, "predict": Predict}


def load(workdir: pathlib.Path, *, accept_changes: bool = False) -> object:
    """The model of a work directory.

    Raises:
        UsageError: if there is no such work directory, or no model in it, or its cell has changed
            and changes are not accepted.
    """
    import rnnlab

    return rnnlab.load(workdir, accept_changes=True) if accept_changes else rnnlab.load(workdir)


def _batches(lines: Iterable[str], size: int) -> Iterator[list[str]]:
    lines = iter(lines)
    while part := list(itertools.islice(lines, size)):
        yield part
