"""The documentation: the site builds without warnings, and what it says can be done can be done."""

import itertools
import os
import pathlib
import re
import shlex
import subprocess
import sys

import pytest

from rnnlab.run import many, registry
from rnnlab.run.command_line import CommandLine
from rnnlab.run.fields import flatten

ROOT = pathlib.Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
PAGES = sorted((ROOT / "docs").rglob("*.md"))
EXPERIMENTS = registry.experiments(ROOT / "experiments")

#: The blocks that continuous integration and newcomers run, byte for byte.
RUN = "python -m pip install -e .\npython run.py\n"
TEST = 'python -m pip install -e ".[test]"\npython -m pytest -n 2\n'


@pytest.mark.slow
def test_site_builds_without_warnings(tmp_path):
    result = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)],
        cwd=ROOT,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1", "PYTHONWARNINGS": "ignore"},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    assert "WARNING" not in result.stderr
    pages = list(tmp_path.rglob("*.html"))
    assert len(pages) > len(EXPERIMENTS)
    loaded = (
        r'<(?:script|img|iframe)[^>]* src="https?:|<link[^>]* rel="stylesheet"[^>]* href="https?:'
    )
    for page in pages:
        assert not re.search(loaded, page.read_text("utf-8")), f"{page.name} needs a network"


def test_readme_is_short():
    assert len(README.read_text("utf-8").splitlines()) <= 150


def test_quick_start_has_the_two_blocks():
    section = re.search(r"^## Quick start$(.*?)(?=^## )", README.read_text("utf-8"), re.M | re.S)
    assert section is not None
    assert re.findall(r"^```bash\n(.*?)^```", section[1], re.M | re.S) == [RUN, TEST]


def commands(path):
    """The commands of a page, `python run.py …` and `rnnlab …`, as lists of words."""
    text = path.read_text("utf-8")
    lines = re.sub(r"\\\n\s*", "", text).splitlines()
    starts = ("python run.py", "rnnlab --")
    found = [line.strip() for line in lines if line.strip().startswith(starts)]
    found += re.findall(r"`((?:python run\.py|rnnlab --)[^`]*)`", text)
    words = [shlex.split(command.removeprefix("python "), comments=True) for command in found]
    return [list(itertools.takewhile(lambda word: word[0] not in "|>2", each)) for each in words]


COMMANDS = [
    pytest.param(command, id=f"{path.relative_to(ROOT)}: {shlex.join(command)}")
    for path in [README, *PAGES]
    for command in commands(path)
    if "--experiment=NAME" not in command
    # What is one's own, and records of earlier runs, are there when the page is run.
    and not re.search(r"--experiments=|--config-file=|=my_", " ".join(command))
]


@pytest.mark.parametrize("argv", COMMANDS)
def test_commands_parse(argv):
    argv = [word.replace("ADDRESS:PORT", "localhost:1234") for word in argv]
    lists = many.find([word.replace("$SLURM_ARRAY_TASK_ID", "0") for word in argv])
    line = CommandLine(lists.argv)
    experiment = registry.find(ROOT / "experiments", line.experiment)
    line.check(experiment)
    settings = experiment.settings()
    for variant in many.variants(lists, settings, line.fields_given(settings), line.workdir):
        CommandLine(variant.argv).config(settings)


def field_names(experiment):
    """The fields of an experiment, by their full and short names."""
    full = flatten(experiment.settings().config_class())
    return {*full, *(name.rpartition(".")[2] for name in full)}


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_flags_in_docstrings_exist(name):
    experiment = EXPERIMENTS[name]
    known = field_names(experiment)
    assert set(re.findall(r"--config\.([\w.]*\w)", experiment.docstring)) <= known
    presets = experiment.settings().presets
    assert set(re.findall(r"--preset=(\w+)", experiment.docstring)) <= set(presets)


def test_flags_in_pages_exist():
    known = {"FIELD", *(name for each in EXPERIMENTS.values() for name in field_names(each))}
    for path in [README, *PAGES]:
        text = path.read_text("utf-8")
        assert set(re.findall(r"--config\.([\w.]*\w)", text)) <= known, path.name


def test_modules_that_pages_run_exist():
    for path in [README, *PAGES]:
        for module in re.findall(r"python -m (experiments[\w.]*)", path.read_text("utf-8")):
            assert (ROOT / (module.replace(".", "/") + ".py")).exists(), f"{path.name}: {module}"


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_experiment_has_a_page(name):
    page = f"docs/experiments/{name}.md"
    assert (ROOT / page).exists()
    assert f"[`{name}`]({page})" in README.read_text("utf-8")
    assert f"[`{name}`]({name}.md)" in (ROOT / "docs/experiments/index.md").read_text("utf-8")


def anchors(path):
    """The anchors of the headings of a page."""
    headings = re.findall(r"^#+ (.*)$", path.read_text("utf-8"), re.M)
    return {re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in headings}


def test_links_of_the_readme_resolve():  # those of the site are checked when it is built
    links = re.findall(r"\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)", README.read_text("utf-8"))
    assert links
    for target, anchor in links:
        path = ROOT / target
        assert path.is_file(), target
        assert not anchor or anchor in anchors(path), f"{target}#{anchor}"


def python_blocks(path):
    """The Python code of a page."""
    return re.findall(r"^```python\n(.*?)^```", path.read_text("utf-8"), re.M | re.S)


@pytest.mark.slow
def test_examples_run(tmp_path):
    examples = [python_blocks(README)[0], *python_blocks(ROOT / "docs/cells.md")]
    examples += [
        "from rnnlab import unroll\n"
        "cell = Leaky(8)\n"
        "ys = unroll(cell, cell.init(jax.random.key(0), 3), jnp.ones((5, 2, 3)))[1]\n"
        "assert ys.shape == (5, 2, 8)\n",
        *python_blocks(ROOT / "docs/gradients.md"),
        *python_blocks(ROOT / "docs/training.md"),
    ]
    code = "\n".join(examples).replace("steps=2000", "steps=2")
    result = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr


TERMS = re.findall(r"^\| (.+?) \|", (ROOT / "docs/terms.md").read_text("utf-8"), re.M)[2:]


def test_terms_are_defined_once():
    assert len(TERMS) > 50
    words = [word.strip("` ").lower() for term in TERMS for word in term.split(",")]
    assert sorted(words) == sorted(set(words))


#: Names that were given up because the word means something else, and what is written now.
GIVEN_UP: dict[str, str] = {
    r"\bscan_chunks\b": "scan_time_blocks",
    r"\bchunk_near_root\b": "time_block_near_root",
    r"\bRematerialised\(chunk": "Rematerialised(time_block)",
    r"\bstrategies\.(chunks|blocks)\b": "strategies.time_blocks, strategies.hoisted",
    r"\bBLOCK\b": "TIME_BLOCK",
    r"\bsweep\.chunks\b|\bChunk\b": "sweep.grid_chunks, GridChunk",
    r"\brequire_blocks\b|\bimport Blocks\b": "require_gate_blocks, GateBlocks",
    r"\b(recurrent_|input_)?blocks\(self\)": "gate_names, recurrent_gate_names",
    r"\b(set_block|block_slice)\b": "set_gate, gate_slice",
    r"\b[Pp]lan\.chunk\b|\bchunk: int\b|config\.chunk\b": "dispatch",
    r"\b[Pp]lan\.units?\b": "speed_unit, units_per_update",
    r"\btraining\.step\b|\btrain_steps?\b": "training.update, update, updates",
    r"\bgradients\.step\b|\btake_apart\b": "gradients.step_halves, halve_step",
    r"\bGrid\.steps\b|\bgrid\.steps\b": "Grid.sorted_lengths",
    r"\bset_state\(self\b|\bSTATES\b": "Workdir.end, Status",
    r"\bfeed\.state\(\)": "Feed.position()",
    r"\bclass Scaled\b(?!\(NamedTuple)": "WithGain; Scaled is a scaled number",
    r"\bdef _?draw\w*\(.*\) -> Figure\b": "plot_*",
    r"\bPARTS = \"parts\"": "results.PARTIAL",
    r"\bCorpora\(": "InputTexts",
    r"\bsettings_of\b": "hyperparameters_of",
    r"\bbuilder\.load_text\b|\bmnist\.load\b": "load_text_split, load_images",
    r"\binitializers\.chrono_bias\b": "initializers.draw_chrono_bias",
    r"\bfor ever\b": "forever",
    r"\bcannot be had\b": "cannot be loaded",
    r"config\.(tiny|large|medium)\b": "--preset=NAME",
    r"config\.generate\b": "--mode=generate",
}


@pytest.mark.parametrize("pattern", GIVEN_UP)
def test_names_that_were_given_up_stay_away(pattern):
    for folder in ("rnnlab", "experiments"):
        for path in (ROOT / folder).rglob("*.py"):
            found = re.search(pattern, path.read_text("utf-8"))
            assert found is None, f"{path}: {found and found[0]}; write {GIVEN_UP[pattern]}"
