"""What a result depends on besides the configuration: source code, told apart by checksums.

`rnnlab`       the library, with its version
`experiment`   the package of the experiment
MODULE         a module of one's own that the configuration names as `MODULE:NAME`, or that the
               experiment imports from beside its folder of experiments; and every other one that
               it imports from the same folder

A work directory keeps them in `status.json`, so that numbers of a cell that was changed since, or
of another version of rnnlab, are not taken for those of the present one.
"""

import ast
import functools
import hashlib
import importlib.util
import pathlib
import re
import sys
from collections.abc import Iterable, Iterator
from types import ModuleType
from typing import Any

import rnnlab
from rnnlab.run.fields import flatten

_LIBRARY = pathlib.Path(rnnlab.__file__).parent
_NAMED = re.compile(r"([\w.]+):\w+")


def of(config: Any) -> dict[str, str]:
    """Checksums of the source code that a run with this configuration depends on, by name."""
    found = {"rnnlab": f"{rnnlab.__version__} {_of_folder(_LIBRARY)}"}
    module = sys.modules.get(type(config).__module__)
    if module is not None:
        found |= _of_experiment(module)
    for name in (*_named(flatten(config).values()), *_beside(module)):
        for each in _with_imports(name):
            found[each] = of_bytes(_file(each).read_bytes())  # type: ignore[union-attr]
    return found


def own(sources: dict[str, str]) -> dict[str, str]:
    """Of the result of `of`, the modules of one's own."""
    return {name: value for name, value in sources.items() if name not in ("rnnlab", "experiment")}


def changes(there: dict[str, str], here: dict[str, str]) -> list[str]:
    """What differs between the sources of a run as it began and those of the present, in words.

    What only one of them has is left out: that depends on the configuration alone.
    """
    differ = [name for name in there if name in here and there[name] != here[name]]
    return [_words(name, there[name], here[name]) for name in differ]


def of_bytes(data: bytes) -> str:
    """The checksum of some bytes: the first 64 bits of their SHA-256."""
    return hashlib.sha256(data).hexdigest()[:16]


def _words(name: str, there: str, here: str) -> str:
    if name == "rnnlab":
        return f"rnnlab has changed (from {there} to {here})"
    return f"the {'' if name == 'experiment' else 'module '}{name} has changed"


def _of_experiment(module: ModuleType) -> dict[str, str]:
    """The package of an experiment, given the module of its `Config`; else that module alone."""
    file = _file(module.__name__)
    if file is None or file.is_relative_to(_LIBRARY):
        return {}
    if file.name == "config.py" and module.__package__:
        return {"experiment": _of_folder(file.parent)}
    return {"experiment": of_bytes(file.read_bytes())}


def _beside(module: ModuleType | None) -> Iterator[str]:
    """The modules that an experiment imports from the folder in which its folder lies."""
    file = None if module is None else _file(module.__name__)
    if module is None or file is None or file.name != "config.py" or not module.__package__:
        return
    for path in sorted(file.parent.rglob("*.py")):
        inside = path.relative_to(file.parent).with_suffix("").parts
        name = ".".join((module.__package__, *(part for part in inside if part != "__init__")))
        for each in _imports(name, path):
            imported = _file(each)
            if imported is not None and imported.is_relative_to(file.parents[2]):
                yield each


@functools.cache
def _of_folder(folder: pathlib.Path) -> str:
    """The checksum of all modules in a folder; read once, as the modules are."""
    whole = hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        name, contents = path.relative_to(folder).as_posix(), path.read_bytes()
        whole.update(f"{name}\0{len(contents)}\0".encode() + contents)
    return whole.hexdigest()[:16]


def _named(values: Iterable[Any]) -> Iterator[str]:
    """The modules of all values of the form `MODULE:NAME`, in tuples too."""
    for value in values:
        if isinstance(value, tuple):
            yield from _named(value)
        elif isinstance(value, str) and (match := _NAMED.fullmatch(value)):
            yield match[1]


def _with_imports(name: str) -> list[str]:
    """A module that was imported, and what it imports, directly or not, from the same folder."""
    found: dict[str, None] = {}
    waiting, root = [name], _root(name)
    while waiting:
        each = waiting.pop()
        file = _file(each)
        if each in found or file is None or root is None or not file.is_relative_to(root):
            continue
        if each.partition(".")[0] in ("rnnlab", "experiments") or "site-packages" in file.parts:
            continue
        found[each] = None
        waiting += _imports(each, file)
    return list(found)


def _root(name: str) -> pathlib.Path | None:
    """The folder in which Python has found the outermost package of a module."""
    file = _file(name)
    if file is None:
        return None
    return file.parents[name.count(".") + (file.name == "__init__.py")]


def _file(name: str) -> pathlib.Path | None:
    """The source file of a module that was imported; None where it has none."""
    file = getattr(sys.modules.get(name), "__file__", None)
    path = pathlib.Path(file).resolve() if file else None
    return path if path is not None and path.suffix == ".py" and path.exists() else None


def _imports(name: str, file: pathlib.Path) -> Iterator[str]:
    """Dotted names of all that a module may import, by its source."""
    package = name if file.name == "__init__.py" else name.rpartition(".")[0]
    for node in ast.walk(ast.parse(file.read_bytes())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            relative = "." * node.level + (node.module or "")
            module = importlib.util.resolve_name(relative, package) if node.level else relative
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)
