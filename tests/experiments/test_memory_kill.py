"""Generated tasks: a run that is killed at a random moment continues with the same bits."""

import random
from unittest import mock

import pytest
import xarray as xr

from experiments import memory_tasks
from experiments.memory_tasks.measure import measure as measure_all
from rnnlab.run.workdir import open_workdir
from rnnlab.training import devices
from tests import quick
from tests.experiments.kills import killed
from tests.experiments.settings import changed

SMALL = changed(
    memory_tasks.Config(),
    networks=("additive", "tanh_identity"),
    tasks=("adding",),
    lengths=(5,),
    seeds=2,
    hidden=4,
    batch=4,
    steps=40,
    evaluate_every=4,
    evaluation_batch=16,
    dispatch=4,
    solved=1e-6,
)
TRAINED = ("adding-5-additive", "adding-5-tanh_identity")


def measure(folder):
    cheap = mock.patch.object(devices, "COMPILER_OPTIONS", quick.known_options())
    with cheap, open_workdir(folder, "memory_tasks", SMALL) as workdir:
        return measure_all(SMALL, workdir)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole") / "w"
    return folder, measure(folder)


@pytest.mark.cpu
@pytest.mark.slow
def test_killed_at_a_random_moment(whole, tmp_path):
    finished, data = whole
    folder, number = tmp_path / "w", random.randint(1, 20)  # of those of both networks
    killed(measure, folder, number=number, delay=random.random() * 0.3)
    xr.testing.assert_identical(measure(folder), data)
    for name in TRAINED:
        rows = [(root / name / "metrics.jsonl").read_bytes() for root in (folder, finished)]
        assert rows[0] == rows[1]
