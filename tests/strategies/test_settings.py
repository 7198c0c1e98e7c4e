"""Time blocks, sizes and inner strategies."""

from __future__ import annotations

import numpy as np
import pytest

import rnnlab.cells as cells
from rnnlab.errors import UsageError
from rnnlab.strategies import Rematerialised, Split, Truncated, autodiff, hoisted
from rnnlab.strategies.rematerialised import time_block_near_root
from tests.strategies.samples import H


@pytest.mark.parametrize("steps", [0, 1, 2, 3, 36, 37, 100_000])
def test_time_blocks_lie_near_the_root(steps):
    size = time_block_near_root(steps)
    assert np.sqrt(steps) <= size <= max(1, 2 * np.sqrt(steps) + 1)
    assert steps in (3, 37) or steps % size == 0


@pytest.mark.parametrize("strategy", [Rematerialised, Truncated])
@pytest.mark.parametrize("size", [0, -1, 1.5, True])
def test_sizes_that_are_no_positive_integers_are_refused(strategy, size):
    with pytest.raises(UsageError, match="must be a positive integer"):
        strategy(size)


def test_names_and_functions_stand_for_inner_strategies():
    assert Truncated(5, "hoisted") == Truncated(5, hoisted)
    assert Rematerialised(inner="hoisted") == Rematerialised(inner=hoisted)
    assert Split("autodiff") == Split(autodiff)
    assert Truncated(5, lambda *call: autodiff(*call)).refuses(cells.LSTM(H)) is None
    with pytest.raises(UsageError, match=r"^inner='hoist': unknown, choose one of autodiff, ho"):
        Truncated(5, "hoist")
    with pytest.raises(UsageError, match=r"^inner=3: must be a strategy, or a function like one"):
        Split(3)


def test_sizes_of_numpy_are_integers():
    assert Truncated(np.int64(5)) == Truncated(5) and type(Truncated(np.int32(5)).steps) is int
    assert type(Rematerialised(np.int64(3)).time_block) is int
    with pytest.raises(UsageError, match=r"^steps=2147483648: must be at most 2147483647"):
        Truncated(2**31)
