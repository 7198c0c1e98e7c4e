"""Equations and memory of the programs of each strategy."""

from __future__ import annotations

import jax
import pytest

import rnnlab.cells as cells
from rnnlab.combinators import stack
from rnnlab.strategies import Rematerialised, autodiff, hoisted
from rnnlab.unroll import unroll
from tests.strategies.samples import STRATEGIES, shapes


def gradient_function(cell, strategy):
    """The gradient of the sum of the last state, for `params` and `xs`."""

    def loss(params, xs):
        state, _ = unroll(cell, params, xs, strategy=strategy)
        return sum(part.sum() for part in jax.tree.leaves(state))

    return jax.grad(loss)


def count_equations(jaxpr):
    """Equations at any depth."""
    inner = jax.tree.leaves([list(eqn.params.values()) for eqn in jaxpr.eqns])
    return len(jaxpr.eqns) + sum(count_equations(part) for part in inner if hasattr(part, "eqns"))


@pytest.mark.parametrize("strategy_name", [*STRATEGIES, "stacked"])
def test_the_program_does_not_grow_with_the_sequence(strategy_name):
    cell = stack(cells.LSTM, (4, 4)) if strategy_name == "stacked" else cells.LSTM(4)
    strategy = STRATEGIES.get(strategy_name, hoisted)
    if isinstance(strategy, Rematerialised):
        strategy = Rematerialised(8, strategy.inner)  # no rest for either length

    def size(steps):
        jaxpr = jax.make_jaxpr(gradient_function(cell, strategy))(*shapes(cell, steps, 2))
        return count_equations(jaxpr)

    assert size(320) == size(32)


def temporaries(cell, strategy, steps, **sizes):
    """Bytes that the compiled gradient needs beside its arguments and results."""
    lowered = jax.jit(gradient_function(cell, strategy)).lower(*shapes(cell, steps, 1, **sizes))
    memory = lowered.compile().memory_analysis()
    assert memory is not None
    return memory.temp_size_in_bytes


def test_memory_of_rematerialised_grows_as_the_root_of_the_length():
    cell = cells.Elman(256)
    plain, frugal = (
        [temporaries(cell, strategy, steps) for steps in (4096, 65536)]
        for strategy in (autodiff, STRATEGIES["rematerialised"])
    )
    assert plain[1] / plain[0] == pytest.approx(16, rel=0.1)
    assert frugal[1] / frugal[0] == pytest.approx(4, rel=0.3)


@pytest.mark.parametrize("cell", [cells.Elman(128), cells.LSTM(128)])
def test_a_gradient_over_100_000_steps_fits_200_mib(cell):
    size = temporaries(cell, "rematerialised", 100_000, features=128)
    inputs = 100_000 * 128 * 4
    assert size + inputs < 200 * 2**20
