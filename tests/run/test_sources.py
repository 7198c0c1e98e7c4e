"""Which source code a result depends on, told by checksums."""

import dataclasses
import importlib
import sys

import pytest

from experiments import char_lm
from rnnlab.run import sources


@dataclasses.dataclass(frozen=True)
class Config:
    cell: str = "my_cells.leaky:Leaky"
    cells: tuple[str, ...] = ("tanh", "my_cells.leaky:Leaky")


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package of a user's own: a cell that uses one module beside it and not another."""
    folder = tmp_path / "my_cells"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "leaky.py").write_text("import json\nfrom . import gates\nclass Leaky: ...\n")
    (folder / "gates.py").write_text("from my_cells.noise import DRAW\n")
    (folder / "noise.py").write_text("DRAW = 0\n")
    (folder / "other.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    importlib.import_module("my_cells.leaky")
    importlib.import_module("my_cells.other")
    yield folder
    for name in [name for name in sys.modules if name.partition(".")[0] == "my_cells"]:
        del sys.modules[name]


def test_a_cell_of_ones_own_and_what_it_imports_from_its_folder(package):
    before = sources.of(Config())
    names = {"my_cells", "my_cells.leaky", "my_cells.gates", "my_cells.noise"}
    assert set(sources.own(before)) == names
    (package / "other.py").write_text("1")
    assert sources.of(Config()) == before
    for name in ("leaky", "gates", "noise"):
        file = package / f"{name}.py"
        file.write_text(file.read_text() + "# changed\n")
        now = sources.of(Config())
        assert sources.changes(before, now) == [f"the module my_cells.{name} has changed"]
        before = now


def test_an_experiment_is_its_package():
    found = sources.of(char_lm.Config())
    assert set(found) == {"rnnlab", "experiment"}
    assert found == sources.of(char_lm.PRESETS["tiny"])
    assert found["experiment"] != sources.of(Config())["experiment"]


def test_a_folder_is_every_module_in_it(tmp_path):
    def checksum(**files):
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        for name, text in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).with_suffix(".py").write_text(text)
        return sources._of_folder(folder)

    assert checksum(a="x", b="y") == checksum(b="y", a="x")
    assert len({checksum(a="x", b="y"), checksum(a="xy", b=""), checksum(a="y", b="x")}) == 3


def test_what_only_one_of_two_runs_depends_on_is_no_change():
    assert sources.changes({"rnnlab": "1", "gone": "2"}, {"rnnlab": "1", "new": "3"}) == []
    assert sources.changes({"rnnlab": "1"}, {"rnnlab": "2"}) == ["rnnlab has changed (from 1 to 2)"]
