"""Settings that experiments share: what they make, and what they refuse."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

from rnnlab import cells
from rnnlab.combinators import Dropout, Stack
from rnnlab.errors import UsageError
from rnnlab.training.optimisers import Clip
from rnnlab.training.plan import Plan
from rnnlab.training.settings import Descent, LanguageNetwork, Network, Scheduled, Training

ROOT = Path(__file__).parents[2]


def test_a_network_is_a_stack():
    network = Network(cell="gru", layers=2, hidden=5)
    gru = cells.by_name("gru", 5)
    assert network.stack() == Stack((gru, gru))
    noise = Dropout(0.2)
    assert Network(cell="gru", layers=2, hidden=5, dropout=0.2).stack() == Stack(
        (gru, noise, gru, noise)
    )
    both = Network(cell="gru", hidden=5, dropout=0.2, dropout_inputs=True)
    assert both.stack() == Stack((noise, gru, noise))
    assert Network(cell="gru", hidden=5, dropout_inputs=True).stack() == Stack((gru,))
    assert network.stack(chrono=9).layers[0] == cells.by_name("gru", 5, chrono=9)


def test_a_network_with_a_readout():
    reader = Network(hidden=5, strategy="autodiff", compute="bfloat16").reader(3)
    assert (reader.outputs, reader.strategy) == (3, "autodiff")
    assert reader.compute == jnp.bfloat16 and Network().reader(3).compute is None
    model = LanguageNetwork(hidden=5, embedding=4).model(7)
    assert (model.symbols, model.embedding) == (7, 4)


def test_a_training_is_an_optimiser_and_a_plan():
    training = Training(
        steps=20, learning_rate=0.5, optimiser="sgd", schedule="linear", warmup=4, clip_norm=2.0
    )
    plan = training.plan(best="loss", units_per_update=3)
    assert plan == Plan(20, 50, 500, 500, best="loss", units_per_update=3)
    assert training.clip() == Clip(norm=2.0) and Training(clip_norm=0).clip() == Clip()
    params, rates = {"w": np.ones(2, np.float32)}, []
    optimiser: Any = training.make()
    state = optimiser.init(params)
    for _ in range(20):
        update, state = optimiser.update(params, state, params)
        rates.append(-float(update["w"][0]))
    np.testing.assert_allclose(rates[:5], [0.125, 0.25, 0.375, 0.5, 0.5], rtol=1e-6)
    np.testing.assert_allclose(np.diff(rates[4:]), -0.5 / 16, rtol=1e-4)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Network(cell="lstn"), "cell='lstn'.*did you mean 'lstm'"),
        (lambda: Network(hidden=0), "hidden=0"),
        (lambda: Network(layers=0), "layers=0"),
        (lambda: Network(dropout=1.0), "dropout=1.0"),
        (lambda: Network(strategy="x"), "strategy='x'"),
        (lambda: Network(compute="float16"), "compute=float16"),
        (lambda: LanguageNetwork(embedding=-1), "embedding=-1"),
        (lambda: Descent(batch=0), "batch=0"),
        (lambda: Descent(optimiser="adm"), "optimiser='adm'"),
        (lambda: Descent(learning_rate=float("nan")), "learning_rate=nan"),
        (lambda: Descent(clip_norm=-1), "clip_norm=-1"),
        (lambda: Scheduled(checkpoint_every=0), "checkpoint_every=0"),
        (lambda: Training(schedule="x"), "schedule='x'"),
        (lambda: Training(steps=0), "steps=0"),
        (lambda: Training(steps=5, warmup=5), "warmup=5"),
        (lambda: Training(evaluate_every=0), "evaluate_every=0"),
    ],
)
def test_wrong_values_are_named(make, message):
    with pytest.raises(UsageError, match=f"^{message}") as error:
        make()
    assert "\n" not in str(error.value)


def test_settings_are_imported_without_data_and_checkpoints():
    """Configurations are made for `--help`, which should be fast and start no device."""
    code = (
        "import sys\n"
        "import rnnlab.training.settings\n"
        "slow = {'grain', 'orbax', 'flax', 'matplotlib', 'pandas', 'tensorflow_datasets'}\n"
        "from jax._src import xla_bridge\n"
        "assert not slow & set(sys.modules), slow & set(sys.modules)\n"
        "assert not xla_bridge._backends\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, timeout=60)
