"""The wheel: it holds the experiments, and the command `rnnlab` runs them from any folder."""

import os
import pathlib
import subprocess
import sys
import zipfile

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent

#: What the script does that installing the wheel makes.
CONSOLE = "import sys; from rnnlab.run.launch import console; sys.argv[0] = 'rnnlab'; "
CONSOLE += "sys.exit(console())"


def call(*command, **settings):
    done = subprocess.run(command, capture_output=True, text=True, **settings)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input")
    flags = ("--no-deps", "--no-build-isolation", "--no-index", f"--wheel-dir={folder}")
    call(*pip, "wheel", *flags, str(ROOT))
    (wheel,) = folder.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """A folder that holds what the wheel installs."""
    folder = tmp_path_factory.mktemp("installed")
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input")
    call(*pip, "install", "--no-deps", "--no-index", f"--target={folder}", str(wheel))
    return folder


def rnnlab(installed, folder, *flags):
    """`rnnlab` in a folder, with nothing of the checkout on the path."""
    environment = os.environ | {"PYTHONPATH": str(installed), "JAX_PLATFORMS": "cpu"}
    return call(sys.executable, "-c", CONSOLE, *flags, cwd=folder, env=environment)


@pytest.mark.slow
def test_the_wheel_installs_one_package_and_one_command(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.partition("/")[0] for name in names if ".dist-info/" not in name} == {"rnnlab"}
    source = {path.relative_to(ROOT).as_posix() for path in ROOT.glob("experiments/**/*.py")}
    assert {f"rnnlab/bundled/{name}" for name in source} <= {*names}
    assert {"rnnlab/py.typed", "rnnlab/run/report.html.jinja", "rnnlab/data/checksums.tsv"} <= {
        *names
    }
    (entry,) = [name for name in names if name.endswith("entry_points.txt")]
    assert "rnnlab = rnnlab.run.launch:console" in zipfile.ZipFile(wheel).read(entry).decode()


@pytest.mark.slow
def test_an_editable_installation_copies_nothing(tmp_path):
    code = "import sys; from hatchling.build import build_editable; build_editable(sys.argv[1])"
    call(sys.executable, "-c", code, str(tmp_path), cwd=ROOT)
    (editable,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(editable) as archive:
        names = [name for name in archive.namelist() if ".dist-info/" not in name]
        assert names == ["_rnnlab.pth"] and archive.read(names[0]).decode() == str(ROOT)


@pytest.mark.slow
def test_an_installed_rnnlab_runs_its_experiments_from_any_folder(installed, tmp_path):
    listed = rnnlab(installed, tmp_path, "--list")
    folders = {path.parent.name for path in ROOT.glob("experiments/*/config.py")}
    assert {line.split()[0] for line in listed.splitlines()} == folders
    rnnlab(installed, tmp_path, "--experiment=char_lm", "--preset=tiny", "--config.steps=40")
    (root,) = (tmp_path / "runs").iterdir()
    assert root.name.startswith("char_lm-tiny-steps=40-") and (root / "report.html").exists()
    written = rnnlab(installed, tmp_path, f"--workdir={root}", "--mode=generate", "--count=5")
    assert len(written) == 6


@pytest.mark.slow
def test_a_suite_that_starts_processes_works_where_it_is_installed(installed, tmp_path):
    flags = ("--experiment=benchmark", "--preset=tiny", "--config.suites=memory", "--workdir=w")
    rnnlab(installed, tmp_path, *flags)
    assert "No module named" not in (tmp_path / "w" / "report.html").read_text()


@pytest.mark.slow
def test_an_own_experiment_runs_where_rnnlab_is_installed(installed, tmp_path):
    from tests.run import toy

    toy.write(tmp_path / "my_lab")
    rnnlab(installed, tmp_path, "--experiments=my_lab", "--each.seed=0,1", "--workdir=w")
    assert len(list((tmp_path / "w").iterdir())) == 2
