"""Starts by name: which cell, and what its recurrent matrix and biases are."""

import jax
import numpy as np
import pytest

from rnnlab import cells
from rnnlab.errors import UsageError
from rnnlab.layer import output_size
from rnnlab.training import starts
from rnnlab.training.starts import Population


def params(name, hidden=8, length=50):
    return starts.by_name(name, hidden, length).init(jax.random.key(0), 3)


@pytest.mark.parametrize("name", [*starts.STARTS, *cells.CELLS])
def test_every_name_is_a_cell(name):
    assert output_size(starts.by_name(name, 6, 2)) == 6


@pytest.mark.parametrize("name", ["tanh_identity", "irnn"])
def test_identity(name):
    np.testing.assert_array_equal(params(name)["wh"], np.eye(8))
    assert not np.any(params(name)["b"])


def test_orthogonal_and_gaussian():
    wh = np.asarray(params("tanh_orthogonal")["wh"], np.float64)
    np.testing.assert_allclose(wh @ wh.T, np.eye(8), atol=1e-5)
    wh = params("tanh_gaussian", hidden=200)["wh"]
    assert np.asarray(wh).std() == pytest.approx(200**-0.5, rel=0.02)


def test_the_other_weights_of_irnn_are_small():
    assert np.abs(params("irnn", hidden=100)["wx"]).max() < 0.005


@pytest.mark.parametrize("name", ["lstm_chrono", "gru_chrono"])
def test_chrono_gates_forget_within_the_length(name):
    short, long = (np.abs(params(name, length=length)["b"]).max() for length in (2, 1000))
    assert short < np.log(3) and np.log(3) < long < np.log(1000)


def test_a_cell_of_ones_own_is_a_start_too():
    assert starts.by_name("rnnlab:LSTM", 6, 50) == cells.by_name("lstm", 6)
    assert Population(("rnnlab:LSTM", "gru")).networks == ("rnnlab:LSTM", "gru")
    with pytest.raises(UsageError, match="no module named 'no_such'"):
        Population(("no_such:Cell",))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"networks": ("lsmt",)}, "networks='lsmt': unknown, choose one of tanh_identity"),
        ({"networks": ()}, r"networks=\(\): must be at least one value"),
        ({"networks": ("gru", "gru")}, r"networks=\('gru', 'gru'\): must be without repetition"),
        ({"seeds": 0}, "seeds=0"),
        ({"hidden": 0}, "hidden=0"),
        ({"strategy": "x"}, "strategy='x'"),
    ],
)
def test_bad_values(fields, message):
    with pytest.raises(UsageError, match=f"^{message}"):
        Population(**fields)
