"""The folder of experiments as a registry, read from source so that asking it costs no import.

A module of the folder is an experiment if its name does not start with an underscore and it has, at
top level, a class `Config` and a function `run(config, workdir)`. A field of `Config` is documented
by the `#:` comment lines directly above it:

    @dataclasses.dataclass(frozen=True)
    class Config:
        #: Hidden units of the network.
        hidden: int = 64
"""

import ast
import dataclasses
import difflib
import importlib.util
import inspect
import pathlib
import sys
from collections.abc import Iterable
from types import ModuleType

from rnnlab.errors import RunError, UsageError


@dataclasses.dataclass(frozen=True)
class Field:
    """One field of a `Config`, as its source writes it."""

    name: str
    type: str
    default: str
    doc: str


@dataclasses.dataclass(frozen=True)
class Experiment:
    """One experiment: where it is, what it asks, what can be configured."""

    name: str
    path: pathlib.Path
    docstring: str
    fields: tuple[Field, ...]

    @property
    def summary(self) -> str:
        """First line of the docstring."""
        return self.docstring.partition("\n")[0]

    def load(self) -> ModuleType:
        """Imports the module as `experiments.NAME`, wherever its folder is."""
        name = f"experiments.{self.name}"
        spec = importlib.util.spec_from_file_location(name, self.path)
        if spec is None or spec.loader is None:
            raise RunError(f"{self.path}: cannot be imported as a Python module")
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module  # dataclasses and pickle look a class up by its module's name
        spec.loader.exec_module(module)
        return module


def experiments(folder: pathlib.Path) -> dict[str, Experiment]:
    """All experiments of a folder by name, in alphabetical order."""
    paths = sorted(path for path in folder.glob("*.py") if not path.name.startswith("_"))
    found = (_read(path) for path in paths)
    return {experiment.name: experiment for experiment in found if experiment is not None}


def find(folder: pathlib.Path, name: str) -> Experiment:
    """The experiment of that name.

    Raises:
        UsageError: if there is none; names those there are.
    """
    known = experiments(folder)
    if name not in known:
        raise unknown(f"--experiment={name}", "experiment", name, known)
    return known[name]


def unknown(where: str, kind: str, name: str, known: Iterable[str]) -> UsageError:
    """The error for a name that does not exist, with the nearest one and all that do.

    Args:
        where: the argument as it was written, which opens the message.
        kind: what the name should have named, such as "experiment".
        name: the unknown name.
        known: the names that exist.
    """
    known = list(known)
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"; did you mean {near[0]}?" if near else ";"
    return UsageError(f"{where}: no such {kind}{hint} known: {', '.join(known) or 'none'}")


def _read(path: pathlib.Path) -> Experiment | None:
    source = path.read_text(encoding="utf-8")
    tree = ast.parse(source, filename=str(path))
    classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
    functions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    if "Config" not in classes or "run" not in functions:
        return None
    docstring = inspect.cleandoc(ast.get_docstring(tree) or "(no docstring)")
    return Experiment(path.stem, path, docstring, _fields(classes["Config"], source.splitlines()))


def _fields(config: ast.ClassDef, lines: list[str]) -> tuple[Field, ...]:
    return tuple(
        Field(
            name=node.target.id,
            type=ast.unparse(node.annotation),
            default=ast.unparse(node.value) if node.value else "",
            doc=_comment_above(lines, node.lineno - 1),
        )
        for node in config.body
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
    )


def _comment_above(lines: list[str], index: int) -> str:
    """The `#:` lines that end directly above `lines[index]`, joined to one paragraph."""
    doc: list[str] = []
    while index > 0 and (line := lines[index - 1].strip()).startswith("#:"):
        doc.insert(0, line.removeprefix("#:").strip())
        index -= 1
    return " ".join(doc)
