"""The modes of the command line that begin no run.

Generate, predict and show ask a trained model: its work directory is only read, `rnnlab.load`
returns the model, and one that cannot do what is asked refuses with a UsageError. Compare puts
finished runs side by side.
"""

import dataclasses
import itertools
import json
import pathlib
import sys
from collections.abc import Iterator
from typing import Any, Literal, Protocol, get_args, runtime_checkable

from rnnlab.errors import RunError, UsageError
from rnnlab.run import lines
from rnnlab.run.pictures import check_format

Mode = Literal["run", "generate", "predict", "show", "compare"]
MODES: tuple[Mode, ...] = get_args(Mode)

#: Lines that are answered together, at most.
BATCH = 64


@runtime_checkable
class Writer(Protocol):
    """A model that writes text."""

    def stream(
        self, prompt: str, temperature: float, top_k: int, seed: int, *, top_p: float
    ) -> Iterator[str]:
        """The prompt, then what continues it, each symbol as soon as it is drawn, forever."""
        ...


@runtime_checkable
class Predictor(Protocol):
    """A model that answers lines."""

    def predict(self, lines: list[str], /) -> list[dict[str, Any]]:
        """An answer to each line: a dict with the text `answer`."""
        ...


@runtime_checkable
class Shower(Protocol):
    """A model that draws how it reads a line."""

    def show(self, line: str, path: pathlib.Path, /) -> None:
        """Writes a picture."""
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
    #: Of the likeliest of these, as many as have this probability together; 1 for all.
    top_p: float = 1.0
    #: Seed of the symbols drawn.
    draw: int = 0

    def __post_init__(self) -> None:
        """Checks every field."""
        for name, least in {"count": 1, "temperature": 0, "top_k": 0, "draw": 0}.items():
            value = getattr(self, name)
            if not least <= value < float("inf"):
                finite = ", and finite" if isinstance(value, float) else ""
                raise UsageError(f"--{name}={value}: must be at least {least}{finite}")
            if isinstance(value, int) and value >= 2**31:
                raise UsageError(f"--{name}={value}: must be below 2^31")
        if not 0 < self.top_p <= 1:
            raise UsageError(f"--top_p={self.top_p}: must be above 0 and at most 1")

    def ask(self, model: object) -> None:
        """Prints the prompt and what the model continues it with.

        Raises:
            UsageError: if the model writes no text, or does not know a symbol of the prompt.
        """
        if not isinstance(model, Writer):
            raise UsageError(f"--mode=generate: a {type(model).__name__} writes no text")
        pieces = model.stream(
            self.prompt, self.temperature, self.top_k, self.draw, top_p=self.top_p
        )
        for piece in itertools.islice(pieces, self.count + 1):
            print(piece, end="", flush=True)
        print()


@dataclasses.dataclass(frozen=True)
class Predict:
    """An answer to each line of a file.

    A model of pictures or sounds is asked about files: their names are the lines, or one of them is
    given itself.
    """

    #: The file, or - for standard input.
    input: str = "-"
    #: Answers as lines of JSON, with all that the model says of a line.
    scores: bool = False

    def ask(self, model: object) -> None:
        """Prints the answers of the model, a line for each line.

        Lines that have come already are answered together, at most BATCH of them, and before
        further ones are waited for. A line that the model cannot read is an error on standard
        error; its answer is empty, and the others are answered.

        Raises:
            UsageError: if there is no such file, or the model answers no lines.
            RunError: at the end, if some lines have no answer.
        """
        if not isinstance(model, Predictor) or not getattr(model, "answers_lines", True):
            raise UsageError(f"--mode=predict: a {type(model).__name__} answers no lines")
        count = unanswered = 0
        for batch in self._batches(model):
            for answer in _answers(model, batch):
                count += 1
                if "error" in answer:
                    unanswered += 1
                    print(f"error: line {count}: {answer['error']}", file=sys.stderr)
                print(json.dumps(answer) if self.scores else answer.get("answer", ""))
            sys.stdout.flush()
        if unanswered:
            raise RunError(f"{unanswered} of {count} lines have no answer")

    def _batches(self, model: Predictor) -> Iterator[list[str]]:
        if _is_read_whole(model, self.input):
            yield [self.input]
            return
        with lines.opened(self.input) as stream:
            yield from lines.batches(stream, BATCH, f"--input={self.input}")


@dataclasses.dataclass(frozen=True)
class Show:
    """A picture of how a model reads one line."""

    #: The line, or a file that begins with it, or - for standard input.
    input: str = ""
    #: The picture, which ends in .png, .pdf or .svg.
    output: str = "shown.png"

    def __post_init__(self) -> None:
        """Checks the ending of the picture."""
        check_format(f"--output={self.output}", pathlib.Path(self.output).suffix[1:].lower())

    def ask(self, model: object) -> None:
        """Draws the picture.

        Raises:
            UsageError: if the model draws nothing, or cannot read the line, or there is no folder
                for the picture.
        """
        if not isinstance(model, Shower):
            raise UsageError(f"--mode=show: a {type(model).__name__} draws no lines")
        if not self.input:
            raise UsageError("--mode=show: needs --input=TEXT, or --input=FILE")
        path = pathlib.Path(self.output).expanduser()
        whole = _is_read_whole(model, self.input)
        line = self.input if whole else lines.first(self.input)
        try:
            model.show(line, path)
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
            raise UsageError(f"--output={self.output}: {error.strerror}") from error
        print(path)


@dataclasses.dataclass(frozen=True)
class Compare:
    """A page that puts the finished runs of a folder side by side (`rnnlab.run.compare`)."""


def _is_read_whole(model: object, name: str) -> bool:
    """Whether a file is one that the model reads itself, by its ending, and not one of lines."""
    return pathlib.PurePath(name).suffix.lower() in getattr(model, "endings", ())


def _answers(model: Predictor, batch: list[str]) -> list[dict[str, Any]]:
    """The answers to some lines; a line that the model refuses has the `error` instead.

    Where one of the lines is refused, each half is asked by itself.
    """
    try:
        return model.predict(batch)
    except UsageError as error:
        if len(batch) == 1:
            return [{"line": batch[0], "error": str(error)}]
    half = len(batch) // 2
    return [*_answers(model, batch[:half]), *_answers(model, batch[half:])]


#: What is asked in each mode but `run`; its fields are the flags of that mode.
Question = Generate | Predict | Show | Compare
QUESTIONS: dict[str, type[Question]] = {
    "generate": Generate,
    "predict": Predict,
    "show": Show,
    "compare": Compare,
}


def load(workdir: pathlib.Path, *, accept_changes: bool = False) -> object:
    """The model of a work directory.

    Raises:
        UsageError: if there is no such work directory, or no model in it, or its cell has changed
            and changes are not accepted.
    """
    import rnnlab

    return rnnlab.load(workdir, accept_changes=True) if accept_changes else rnnlab.load(workdir)
