"""The folder of experiments as a registry, read from source so that listing it costs no import.

A package of the folder is an experiment if its `config.py` has a class `Config`. Importing the
package defines `Config`, `run(config, workdir)` and perhaps `compare(runs, folder)`, which
`rnnlab.run.compare` explains; `config.py` may name some instances of `Config` in `PRESETS`. The
first line of the package's docstring is its summary.
"""

import ast
import dataclasses
import difflib
import importlib
import importlib.util
import inspect
import os
import pathlib
import sys
from collections.abc import Iterable
from types import ModuleType
from typing import Any

from rnnlab.errors import UsageError


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
        self._forget_others()
        whole = sys.modules.get(self._module)
        sys.modules[self._module] = whole or self._unexecuted()
        try:
            module = importlib.import_module(f"{self._module}.config")
        finally:
            if whole is None:  # nobody should find a package that has not been executed
                del sys.modules[self._module]
        return Settings(self.name, module.Config, dict(getattr(module, "PRESETS", {})))

    def load(self) -> ModuleType:
        """Imports the package as `experiments.NAME`, wherever its folder is."""
        self._forget_others()
        if self._module in sys.modules:
            return sys.modules[self._module]
        package = self._unexecuted()
        config = sys.modules.get(f"{self._module}.config")
        if config is not None:
            package.__dict__["config"] = config
        sys.modules[self._module] = package
        try:
            assert package.__spec__ is not None and package.__spec__.loader is not None
            package.__spec__.loader.exec_module(package)
        except BaseException:
            del sys.modules[self._module]
            raise
        return package

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

    def _unexecuted(self) -> ModuleType:
        """The package before any of its code has run, in which its modules can be found."""
        spec = importlib.util.spec_from_file_location(
            self._module, self.path / "__init__.py", submodule_search_locations=[str(self.path)]
        )
        assert spec is not None
        return importlib.util.module_from_spec(spec)


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


def bundled() -> pathlib.Path:
    """The folder of the experiments that come with rnnlab: installed with it, or beside it."""
    installed = pathlib.Path(__file__).parents[1] / "bundled" / "experiments"
    return installed if installed.is_dir() else pathlib.Path(__file__).parents[2] / "experiments"


def own_folder(path: str) -> pathlib.Path:
    """A folder of one's own experiments; modules beside it can be imported from then on.

    Raises:
        UsageError: there is no such folder, or no experiment in it.
    """
    # Python keeps what it has found at a relative path when the working directory changes.
    folder = pathlib.Path(os.path.expanduser(path)).resolve()
    if not folder.is_dir():
        raise UsageError(f"--experiments={path}: no such folder")
    if not experiments(folder):
        raise UsageError(
            f"--experiments={path}: holds no experiment, which is a folder NAME/ with __init__.py "
            "and with a class Config in config.py"
        )
    beside = str(folder.parent)
    if beside not in sys.path:
        sys.path.append(beside)
    return folder


def experiments(folder: pathlib.Path) -> dict[str, Experiment]:
    """All experiments of a folder by name, in alphabetical order."""
    found = map(_read, sorted(path for path in folder.glob("*") if path.is_dir()))
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


def _read(folder: pathlib.Path) -> Experiment | None:
    """The experiment in a folder, if there is one."""
    package, config = folder / "__init__.py", folder / "config.py"
    if not (package.exists() and config.exists() and _has_config(_parse(config))):
        return None
    docstring = inspect.cleandoc(ast.get_docstring(_parse(package)) or "(no docstring)")
    return Experiment(folder.name, folder, docstring)


def _parse(path: pathlib.Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def _has_config(tree: ast.Module) -> bool:
    return any(isinstance(node, ast.ClassDef) and node.name == "Config" for node in tree.body)
