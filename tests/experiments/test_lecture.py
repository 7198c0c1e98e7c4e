"""The experiment `lecture`: its numbers by formulas, its scenarios as processes, its pages."""

import json
import math
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest

from experiments import lecture
from experiments.lecture import measure, report, scenarios
from experiments.lecture.config import SCENARIOS, Config
from experiments.lecture.examples import (
    bound,
    carousel,
    clipping,
    identity,
    parity,
    thresholds,
    truncation,
    vanishing,
)
from experiments.lecture.figures import FIGURES
from experiments.lecture.words import WORDS
from rnnlab.errors import RunError, UsageError
from rnnlab.run.workdir import open_workdir
from tests import pages
from tests.experiments.presets import run_tiny

ROOT = Path(__file__).parents[2]
PAGES = ROOT / "docs" / "lecture"
TOPICS = list(measure.TOPICS)


@pytest.fixture(autouse=True)
def float32():
    """As a student has it; and 32 bits are where numbers of this size go wrong."""
    with measure.as_pasted():
        yield


# --- numbers ---


@pytest.mark.parametrize("w", [0.9, 1.0, 1.1])
def test_a_unit_carries_a_gradient_as_its_power(w):
    assert vanishing.carried_back(w, 20) == pytest.approx(w**20, rel=1e-5)


@pytest.mark.slow
def test_the_numbers_of_the_lectures():
    assert f"{vanishing.carried_back(0.9):.2e}" == "2.66e-05"
    assert round(vanishing.carried_back(1.1)) == 13781
    assert thresholds.threshold("tanh") == pytest.approx(1, abs=1e-6)
    assert thresholds.threshold("sigmoid") == pytest.approx(4, abs=1e-5)
    assert float(carousel.log10_adjoint_of_c(100.0)[0]) == 0
    found = carousel.log10_adjoint_of_c(1.0)
    assert float(found[0]) == pytest.approx(-1000 * math.log10(1 + math.exp(-1)), rel=1e-4)
    log10 = {name: float(values[0]) for name, values in identity.irnn_and_others().items()}
    assert log10["ReLU, identity (IRNN)"] == pytest.approx(0, abs=1e-5)
    assert log10["ReLU, 0.9 identity"] == pytest.approx(1000 * math.log10(0.9), rel=1e-5)


@pytest.mark.slow
def test_the_bound_is_that_of_the_matrix_and_holds():
    for sigma in (0.9, 2.0):
        found = bound.bound_and_measured(sigma, steps=20, units=8)
        np.testing.assert_allclose(found["bound"], found["T"] * np.log10(sigma))
        assert (found["measured"] <= found["bound"] + 1e-5).all()


@pytest.mark.slow
def test_parity_by_hand_is_parity():
    xs, odd = parity.bits(jax.random.key(5), 9, 4)
    for row in range(4):
        ones = np.cumsum(np.asarray(xs)[:, row, 0])
        np.testing.assert_array_equal(odd[:, row], ones % 2)
    assert parity.by_hand(steps=50) == 1.0


@pytest.mark.slow
def test_parity_is_learned_and_clipping_and_truncation_do_what_is_said():
    assert parity.trained()["T = 1000"] > 0.99
    assert clipping.descent(0.5)["loss"][-1] < 0.01 < 0.3 < clipping.descent(np.inf)["loss"][-1]
    assert truncation.cosine(128, 1.0) == pytest.approx(1, abs=1e-5)
    assert truncation.cosine(1, 1.0) < truncation.cosine(16, 1.0) < 1


# --- pages ---


def test_every_topic_has_words_a_page_and_its_code_on_it():
    assert list(WORDS) == TOPICS and set(FIGURES) <= set(TOPICS)
    for name in TOPICS:
        blocks = pages.blocks(PAGES / f"{name}.md")
        first = next(block for block in blocks if block.language == "python")
        assert first.text.rstrip() == report.code(name)
        assert f"({name}.md)" in (PAGES / "index.md").read_text("utf-8")


@pytest.mark.slow
@pytest.mark.parametrize("name", [*TOPICS, "scenarios"])
def test_the_code_of_a_page_prints_what_it_shows(name):
    page = PAGES / f"{name}.md"
    printed, shown = pages.run(page), pages.shown(page)
    assert len(printed) == len(shown) == 1
    (between, numbers), (expected, values) = map(pages.pieces, (printed[0], shown[0]))
    assert between == expected and numbers == pytest.approx(values, rel=0.05, abs=0.02)


# --- the run ---


@pytest.mark.slow
def test_the_preset_tiny_and_its_rerun(tmp_path):
    names = run_tiny(lecture, tmp_path)
    assert {"report.html", *(f"{name}.json" for name in TOPICS)} <= names
    text = (tmp_path / "report.html").read_text()
    assert text.count("data:image/png") == len(FIGURES)
    assert "def carried_back(w: float, steps: int = 100)" in text and "2.66e-5" in text
    kept = measure.measure(lecture.PRESETS["tiny"], _Folder(tmp_path))
    numbers = {number.what: number.measured for number in report.numbers(kept)}
    assert numbers["0.9^100, through 100 steps"] == pytest.approx(0.9**100, rel=1e-4)
    assert numbers["decades by which a gradient exceeds (γ σ_max)^T, at most"] <= 1e-5


class _Folder:
    """What measuring needs of a work directory that is finished."""

    def __init__(self, folder):
        self._folder = folder

    def path(self, name):
        return self._folder / name


@pytest.mark.slow
def test_scenarios_run_side_by_side_and_attention_is_drawn(tmp_path):
    config = Config(scenarios=("translation", "frame_labelling"))
    with open_workdir(tmp_path / "w", "lecture", config) as workdir:
        workdir.end(lecture.run(config, workdir))
    for name in config.scenarios:
        status = json.loads((tmp_path / "w/scenarios" / name / "status.json").read_text())
        assert status["state"] == "done"
    text = (tmp_path / "w/report.html").read_text()
    assert text.count("data:image/png") == len(FIGURES) + 1
    assert SCENARIOS["translation"] in text and "test macro F1" in text


# --- scenarios as processes ---


@pytest.fixture
def commands(monkeypatch):
    """Makes every scenario a process that runs the code given for it."""

    def replace(**codes):
        real = subprocess.Popen

        def popen(argv, **options):
            name = next(a for a in argv if a.startswith("--experiment=")).partition("=")[2]
            return real([sys.executable, "-c", codes[name]], **options)

        monkeypatch.setattr(scenarios.subprocess, "Popen", popen)

    return replace


def test_one_that_fails_says_why_and_ends_the_others(commands, tmp_path):
    sleep = f"import time, pathlib; time.sleep(60); pathlib.Path({str(tmp_path)!r}, 'x').touch()"
    commands(sentiment="raise SystemExit('error: no')", translation=sleep)
    started = time.monotonic()
    with (
        pytest.raises(RunError, match=r"scenarios=sentiment: ended with 1 \(error: no\); see"),
        scenarios.Scenarios(["translation", "sentiment"], tmp_path, 2) as running,
    ):
        translation = running._running["translation"]
        running.finish()
    assert time.monotonic() - started < 50 and translation.returncode == -signal.SIGTERM


def test_no_more_run_than_there_may(commands, tmp_path):
    commands(sentiment="print('a')", translation="print('b')", captioning="print('c')")
    names = ["sentiment", "translation", "captioning"]
    with scenarios.Scenarios(names, tmp_path, 1) as running:
        assert list(running._running) == ["sentiment"]
        running.finish()
    assert [(tmp_path / f"{name}.txt").read_text().strip() for name in names] == ["a", "b", "c"]


def test_bad_values():
    with pytest.raises(UsageError, match=r"^scenarios=juggling: must be of image_classification"):
        Config(scenarios=("juggling",))
    with pytest.raises(UsageError, match=r"^processes=0"):
        Config(processes=0)
    with pytest.raises(UsageError, match="without repetition"):
        Config(scenarios=("sentiment", "sentiment"))
