"""What combinators refuse, in one line."""

from __future__ import annotations

import jax.numpy as jnp
import pytest

import rnnlab.cells as cells
from rnnlab.combinators import (
    Bidirectional,
    Dropout,
    LayerNorm,
    Residual,
    Stack,
    VariationalDropout,
    Zoneout,
    bidirectional,
    stack,
)
from rnnlab.errors import UsageError
from rnnlab.unroll import unroll
from tests.combinators.samples import KEY, B, H, T, arguments


@pytest.mark.parametrize("rate", [-0.1, 1, 1.0, float("nan"), True, "0.5", None])
def test_a_rate_outside_zero_to_one_is_refused(rate):
    cell = cells.LSTM(H)
    for make in (
        Dropout,
        lambda r: Zoneout(cell, r),
        lambda r: VariationalDropout(cell, r, 0.1),
        lambda r: VariationalDropout(cell, 0.1, r),
    ):
        with pytest.raises(UsageError, match=r"rate=.*: must be a probability in \[0, 1\)"):
            make(rate)
    if rate is not None:
        with pytest.raises(UsageError, match="cell_rate="):
            Zoneout(cell, 0.1, rate)


def test_arrangements_that_do_not_fit_are_refused():
    with pytest.raises(UsageError, match="features_in=3: Residual adds its input to 4 outputs"):
        Residual(cells.LSTM(4)).init(KEY, 3)
    params, _, _ = arguments(cells.LSTM(4))
    with pytest.raises(UsageError, match="features_in=3: Residual"):
        unroll(Residual(cells.LSTM(4)), params, jnp.zeros((T, B, 3), jnp.float64))
    for layers in ((), (Dropout(0.1),)):
        with pytest.raises(UsageError, match="must contain at least one cell"):
            Stack(layers)
    with pytest.raises(UsageError, match="layer=Dropout"):
        Residual(Dropout(0.1))
    with pytest.raises(UsageError, match="backward=3: must be a cell"):
        Bidirectional(cells.GRU(2), 3)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("wrap", [LayerNorm, lambda c: Zoneout(c, 0.1)])
def test_wrappers_want_a_single_cell(wrap):
    for layer in (stack(cells.GRU, (2,)), bidirectional(cells.GRU(2)), Dropout(0.1), "lstm"):
        with pytest.raises(UsageError, match="needs a single cell"):
            wrap(layer)
    with pytest.raises(UsageError, match="has a LayerNorm already"):
        LayerNorm(Zoneout(LayerNorm(cells.GRU(2)), 0.1)).init(KEY, 3)
