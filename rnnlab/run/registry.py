"""The folder of experiments as a registry, read from source so that listing it costs no import.

A package of the folder is an experiment if its `config.py` has a class `Config`. Importing the
package gives `Config` and `run(config, workdir)`; `config.py` may name some of its instances in
`PRESETS`. The first line of the package's docstring is its summary.
"""

import ast
import dataclasses
import difflib
import importlib
import importlib.util
import inspect
import pathlib
import sys
from collections.abc import Iterable
from types import ModuleType
from typing import Any

from rnnlab.errors import RunError, UsageError


@dataclasses.dataclass(frozen=True)
class Experiment:
    """One experiment: where it is and what it asks."""

    name: str
    path: pathlib.Path
    docstring: str

    @property
    def summary(self) -> str:
        """First line of the docstring."""
        return self.docstring.partition("\n")[0]

    def settings(self) -> "Settings":
        """Imports `experiments.NAME.config` alone, which is faster than the whole package."""
        if self.path.is_dir():
            self._forget_others()
            whole = sys.modules.get(self._module)
            package = whole or _unexecuted(self._module, self.path)
            sys.modules[self._module] = package
            try:
                module = importlib.import_module(f"{self._module}.config")
            finally:
                if whole is None:  # nobody should find a package that has not been executed
                    sys.modules.pop(self._module, None)
        else:
            module = self.load()
        return Settings(self.name, module.Config, dict(getattr(module, "PRESETS", {})))

    def load(self) -> ModuleType:
        """Imports the package as `experiments.NAME`, wherever its folder is."""
        self._forget_others()
        if self.path.is_dir() and self._module in sys.modules:
            return sys.modules[self._module]
        module = _unexecuted(self._module, self.path)
        sys.modules[self._module] = module  # dataclasses and pickle look for the module by its name
        config = sys.modules.get(f"{self._module}.config")
        if config is not None:
            module.__dict__["config"] = config
        try:
            assert module.__spec__ is not None and module.__spec__.loader is not None
            module.__spec__.loader.exec_module(module)
        except BaseException:
            sys.modules.pop(self._module, None)
            raise
        return module

    @property
    def _module(self) -> str:
        return f"experiments.{self.name}"

    def _forget_others(self) -> None:
        """Drops modules of this name that were imported from another folder."""
        inside = self._module + "."
        for name in [
            name for name in sys.modules if name == self._module or name[: len(inside)] == inside
        ]:
            file = getattr(sys.modules[name], "__file__", None)
            if file is None or not pathlib.Path(file).resolve().is_relative_to(self.path.resolve()):
                del sys.modules[name]


@dataclasses.dataclass(frozen=True)
class Settings:
    """What can be set in an experiment.

    Attributes:
        experiment: its name.
        config_class: its dataclass `Config`, whose fields all have defaults.
        presets: instances of it by name.
    """

    experiment: str
    config_class: type
    presets: dict[str, Any]

    def base(self, preset: str | None) -> Any:
        """The instance whose fields the command line changes.

        Raises:
            UsageError: if there is no preset of that name.
        """
        if preset is None:
            return self.config_class()
        if preset not in self.presets:
            kind = f"preset of {self.experiment}"
            raise unknown(f"--preset={preset}", kind, preset, self.presets)
        return self.presets[preset]


def experiments(folder: pathlib.Path) -> dict[str, Experiment]:
    """All experiments of a folder by name, in alphabetical order."""
    paths = sorted(path for path in folder.glob("*") if not path.name.startswith(("_", ".")))
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

    Of a dotted name the last part alone may be meant.

    Args:
        where: the argument as it was written, which opens the message.
        kind: what the name should have named, such as "experiment".
        name: the unknown name.
        known: the names that exist.
    """
    known = list(known)
    meant = {full.rpartition(".")[2]: full for full in known} | {full: full for full in known}
    near = difflib.get_close_matches(name, meant, n=1)
    hint = f"; did you mean {meant[near[0]]}?" if near else ";"
    return UsageError(f"{where}: no such {kind}{hint} known: {', '.join(known) or 'none'}")


def _read(path: pathlib.Path) -> Experiment | None:
    """The experiment in a package, or in a module of its own."""
    if path.is_dir():
        package, config = path / "__init__.py", path / "config.py"
        if package.exists() and config.exists() and "Config" in _names(_parse(config)):
            return Experiment(path.name, path, _docstring(_parse(package)))
    elif path.suffix == ".py":
        tree = _parse(path)
        if {"Config", "run"} <= _names(tree):
            return Experiment(path.stem, path, _docstring(tree))
    return None


def _parse(path: pathlib.Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def _names(tree: ast.Module) -> set[str]:
    """Classes and functions at top level."""
    return {node.name for node in tree.body if isinstance(node, (ast.ClassDef, ast.FunctionDef))}


def _docstring(tree: ast.Module) -> str:
    return inspect.cleandoc(ast.get_docstring(tree) or "(no docstring)")


def _unexecuted(name: str, path: pathlib.Path) -> ModuleType:
    """The module of a package folder or of a file, before any of its code has run."""
    if path.is_dir():
        file, inside = path / "__init__.py", [str(path)]
    else:
        file, inside = path, None
    spec = importlib.util.spec_from_file_location(name, file, submodule_search_locations=inside)
    if spec is None or spec.loader is None:
        raise RunError(f"{path}: cannot be imported as a Python module")
    return importlib.util.module_from_spec(spec)
