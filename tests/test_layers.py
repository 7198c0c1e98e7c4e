"""Imports run one way, by what the source files say.

Libraries below, what uses them above:

    arrays < layer < tracing, cells < strategies < unroll < combinators, gradients
    gradients < nn < interop < sweep, training
    training < trained < experiments

`arrays`, the types, is below all. `initializers`, `errors`, `sizes`, `data`, `hosts`, `own`,
`precision`, `statistics`, `plots`, `comparison`, `timing` and `run` are for everybody above the
layers they need. Within an experiment: config < measure < run, config < report < run.
"""

import ast
import pathlib

import pytest

ROOT = pathlib.Path(__file__).parents[1]

#: Each part of rnnlab, and the parts that it may import besides itself.
BELOW = {"arrays": set(), "errors": set(), "hosts": {"errors"}, "statistics": {"errors"}}
BELOW["own"], BELOW["precision"] = {"errors"}, set()
BELOW["run"] = {"errors", "hosts", "own", "precision", "sizes"}
BELOW["plots"] = {"errors", "run", "statistics"}
BELOW["comparison"] = {"plots", "run", "statistics"}
BELOW["sizes"] = {"errors"}
BELOW["timing"] = {"errors"}
BELOW["initializers"] = {"arrays", "errors", "sizes"}
BELOW["data"] = {"arrays", "errors", "hosts", "run", "sizes"}
BELOW["layer"] = {"arrays", "errors"}
BELOW["tracing"] = {"arrays", "layer"}
BELOW["cells"] = {"arrays", "errors", "initializers", "layer", "own", "sizes"}
BELOW["eager"] = {"errors"}
BELOW["strategies"] = BELOW["cells"] | {"cells", "tracing"}
BELOW["unroll"] = BELOW["strategies"] | {"eager", "strategies"}
BELOW["combinators"] = BELOW["unroll"] | {"unroll"}
BELOW["gradients"] = BELOW["combinators"] | {"combinators", "precision"}
BELOW["systems"] = BELOW["unroll"] | {"unroll"}
BELOW["nn"] = BELOW["gradients"] | {"gradients"}
BELOW["interop"] = BELOW["nn"] | {"nn"}
UTILITIES = {"data", "hosts", "statistics", "plots", "run", "systems"}
BELOW["sweep"] = BELOW["nn"] | {"nn", "interop"} | UTILITIES
BELOW["training"] = BELOW["nn"] | {"nn", "interop"} | UTILITIES
BELOW["trained"] = BELOW["training"] | {"training"}

#: Modules that exist on some systems only.
NOT_EVERYWHERE = {"fcntl", "resource", "termios", "pwd", "grp", "pty", "tty"}


def modules(folder):
    return [
        pytest.param(path, id=path.relative_to(ROOT).as_posix())
        for path in sorted((ROOT / folder).rglob("*.py"))
    ]


def imports(path, *, whole=True):
    """Dotted names of what a module imports; without `whole`, at its top level only."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = set()
    for node in ast.walk(tree) if whole else tree.body:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            assert node.module is not None
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def parts(names, package):
    """What follows `package.` in dotted names, up to the next dot."""
    inside = (name.split(".") for name in names)
    return {name[1] for name in inside if name[0] == package and len(name) > 1}


@pytest.mark.parametrize("path", modules("rnnlab"))
def test_the_library_imports_only_what_is_below(path):
    place = path.relative_to(ROOT / "rnnlab").with_suffix("").parts
    names = imports(path)
    assert not parts(names, "experiments") and not parts(names, "tests")
    assert not NOT_EVERYWHERE & {name.partition(".")[0] for name in imports(path, whole=False)}
    if place == ("__init__",):
        return  # it names what is everywhere, and imports it when it is asked for
    used = {part for part in parts(names, "rnnlab") if not part.startswith("_")}
    used &= {entry.stem for entry in (ROOT / "rnnlab").iterdir()}  # not names of rnnlab/__init__.py
    assert used <= BELOW[place[0]] | {place[0]}


@pytest.mark.parametrize("path", modules("experiments"))
def test_an_experiment_imports_itself_and_the_library(path):
    place = path.relative_to(ROOT / "experiments").with_suffix("").parts
    assert len(place) >= 2, "an experiment is a package"
    assert not any(name.startswith("_") for name in place if name != "__init__")
    assert parts(imports(path), "experiments") <= {place[0]}


@pytest.mark.parametrize("path", modules("experiments"))
def test_what_measures_draws_nothing(path):
    place = path.relative_to(ROOT / "experiments").with_suffix("").parts
    if place[1] in ("__init__", "run"):
        return
    own = {name for name in imports(path) if name.startswith(f"experiments.{place[0]}.")}
    found = {module for name in own if (module := _module(name)) is not None}
    assert ROOT / "experiments" / place[0] / "run.py" not in found
    if _draws(path):
        assert place[1] not in MEASURING
    else:
        assert not {module.name for module in found if _draws(module)}


#: Modules and folders of an experiment that do nothing but set, measure or describe results.
MEASURING = {"config", "measure", "schema", "results", "suites"}


def _module(name):
    """The file of a module, given its name or that of something in it; None for a library."""
    path = ROOT.joinpath(*name.split("."))
    for candidate in (path, path.parent):
        if candidate.with_suffix(".py").exists():
            return candidate.with_suffix(".py")
        if (candidate / "__init__.py").exists():
            return candidate / "__init__.py"
    return None


def _draws(path):
    """Whether a module makes pictures, tables or reports, by its name or by what it imports."""
    place = path.relative_to(ROOT / "experiments").with_suffix("").parts
    named = {"report", "pictures", "tables", "plots", "figures"} & set(place)
    libraries = ("rnnlab.plots", "matplotlib", "rnnlab.run.report")
    return bool(named) or any(name.startswith(libraries) for name in imports(path))
