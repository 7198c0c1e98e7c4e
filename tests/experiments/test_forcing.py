"""The experiment `forcing`: what is trained, what is measured of it, resumption, bad values."""

from unittest import mock

import numpy as np
import pytest

from experiments import forcing
from experiments.forcing import measure as measuring
from experiments.forcing import report
from rnnlab.combinators import Autonomous, Feedback
from rnnlab.errors import UsageError
from rnnlab.run import results
from rnnlab.run.workdir import open_workdir
from rnnlab.training import devices
from rnnlab.training.series import read
from tests import quick
from tests.experiments.presets import run_tiny
from tests.experiments.settings import changed, trainings

SMALL = changed(
    forcing.PRESETS["tiny"],
    networks=("tanh",),
    hidden=5,
    samples=500,
    steps=20,
    evaluate_every=20,
    dispatch=10,
    warmup=0,
    starts=3,
    before=10,
    ahead=40,
    long=100,
)


@pytest.fixture(scope="module", autouse=True)
def cheap_programs():
    """Less time to compile, more to run, the same numbers to rounding."""
    with mock.patch.object(devices, "COMPILER_OPTIONS", quick.known_options()):
        yield


def measured(folder, config=SMALL):
    with open_workdir(folder, "forcing", config) as workdir:
        return measuring.measure(config, workdir, read(config.source))


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    folder = tmp_path_factory.mktemp("small") / "w"
    with trainings(measuring) as made:
        return folder, measured(folder), made


@pytest.mark.slow
def test_every_network_and_interval_is_trained_and_judged(small):
    _, data, made = small
    assert data.sizes == {"network": 1, "every": 2, "seed": 2, "start": 3}
    assert len(made) == 2 and all(len(keys) == 2 for _, _, keys in made)
    assert (data.valid >= 0).all() and np.isfinite(data.log10_gradient).all()
    assert ((data.histograms >= 0) & (data.histograms <= 1)).all()
    rows = report.table(data)
    assert [row["τ"] for row in rows] == [1, 10] and rows[0]["diverged"] == 0


@pytest.mark.slow
def test_a_training_that_is_there_is_not_repeated(small, tmp_path):
    folder, data, _ = small
    (folder / "results.nc").unlink()
    (folder / "partial/tanh-10.nc").unlink()
    with trainings(measuring) as made:
        again = measured(folder)
    assert len(made) == 1  # and it takes its network from the last checkpoint
    assert again.equals(data)
    assert results.load_dataset(folder / "results.nc").equals(data)


@pytest.mark.slow
def test_the_preset_tiny(tmp_path):
    """Once in ten steps is better than always, as the state is lost each time."""
    assert {"report.html", "forcing.png", "results.nc"} <= run_tiny(forcing, tmp_path)
    data = results.load_dataset(tmp_path / "results.nc")
    valid = data.valid.median(("start", "seed")).sel(network="gru").values
    assert valid[1] > 2 * valid[0]
    page = (tmp_path / "report.html").read_text()
    assert page.count("data:image/png") == 1 and "31 steps" in page


@pytest.mark.slow
def test_what_an_observation_replaces():
    series = read(SMALL.source)
    for replaced, kind in (("state", Autonomous), ("input", Feedback)):
        trial = measuring.Trial(changed(SMALL, replaced=replaced), series, "tanh", 10)
        assert isinstance(trial._cell, kind)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"intervals": (5, 1)}, r"intervals=\(5, 1\): must be at least one value, increasing"),
        ({"intervals": (0, 1)}, r"intervals=\(0, 1\): must be at least 1"),
        ({"intervals": (200, 300)}, r"intervals=\(200, 300\): 200 and 300 are the same"),
        ({"replaced": "all"}, "replaced=all: must be state or input"),
        ({"networks": ("none",)}, "networks='none'"),
        ({"lead": 220}, "lead=220: must be below length=220"),
    ],
)
def test_bad_values_are_named_as_the_flags_are(changes, message):
    with pytest.raises(UsageError, match=f"^{message}"):
        changed(forcing.Config(), **changes)
