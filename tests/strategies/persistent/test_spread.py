"""The kernels of `spread`: how they are cut, and what Pallas' interpreter makes of them.

Their instructions are tested in `test_instructions.py`.
"""

import pathlib
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rnnlab.cells import CELLS
from rnnlab.strategies.hoisted.step_columns import StepColumns
from rnnlab.strategies.persistent import pallas
from rnnlab.strategies.persistent.chip import Chip
from rnnlab.strategies.persistent.kernel import FORWARD_TILES, RAN_TILES, Forward, Ran
from rnnlab.strategies.persistent.large_batches import in_turn
from rnnlab.strategies.persistent.spread_plan import SpreadPlan, fits
from rnnlab.strategies.persistent.units import Units

NEEDS_PALLAS = pytest.mark.skipif(pallas.missing() is not None, reason=str(pallas.missing()))
H100 = Chip()
BFLOAT16, FLOAT32 = jnp.dtype(jnp.bfloat16), jnp.dtype(jnp.float32)


def units_of(name, hidden):
    cell = CELLS[name](hidden)
    params = jax.eval_shape(lambda: cell.init(jax.random.key(0), 3, jnp.float32))
    state = jax.eval_shape(lambda: cell.initial_state((1,), jnp.float32))
    return Units(StepColumns(cell, params, {}, jax.ShapeDtypeStruct((1, 1, 3), jnp.float32), state))


def plan_of(name, hidden, batch, narrow=BFLOAT16, parts=1, chip=H100):
    return fits(units_of(name, hidden), hidden, batch, narrow, parts, chip, flags=0)


def test_a_large_lstm_is_cut_as_it_was_measured():
    plan = plan_of("lstm", 768, 16)
    assert isinstance(plan, SpreadPlan)
    (forward,), (backward,) = plan.forward, plan.backward
    assert (forward.rows, forward.slices, forward.staged) == (8, 96, True)
    assert (backward.rows, backward.slices, backward.staged) == (16, 48, False)
    assert forward.registers == forward.fragments and backward.registers == backward.fragments
    assert (forward.batch, backward.batch) == (3, 12)  # all chunks at once
    assert plan.rows == 16


@pytest.mark.parametrize("name", ["tanh", "gru_reset_before", "mut3", "lstm_fgr", "lstm_peephole"])
@pytest.mark.parametrize("hidden", [256, 300, 768])
def test_whatever_fits_obeys_the_limits(name, hidden):
    pcie, rtx = Chip(processors=114), Chip(processors=188, shared_memory=99 * 1024)
    for batch, parts, chip in (
        (1, 1, H100),
        (16, 3, pcie),
        (64, 1, H100),
        (33, 2, H100),
        (32, 1, rtx),
    ):
        narrow = BFLOAT16 if parts == 1 else FLOAT32
        plan = plan_of(name, hidden, batch, narrow, parts, chip)
        if isinstance(plan, str):
            continue
        assert plan.hidden >= hidden and plan.hidden % 16 == 0
        for shares in (plan.forward, plan.backward):
            assert plan.tiles * shares[0].slices <= chip.processors
            assert sum(share.shared_memory for share in shares) <= chip.free_memory
            assert len({(share.rows, share.hidden) for share in shares}) == 1
            for share in shares:
                assert share.hidden == plan.hidden
                assert share.real_chunks >= 16  # each warp has one that it waits for


def test_few_units_are_filled_up_to_a_chunk_for_every_warp():
    assert plan_of("lstm", 200, 16).hidden == 256


def test_reasons_are_said_in_words():
    assert "nothing to exchange" in plan_of("additive", 512, 16)
    reason = plan_of("tanh", 8192, 5)
    assert "16 sequences with 8192 hidden units need 256 processors, this GPU has 132" in reason
    assert "KiB of shared memory in each of 96 processors" in plan_of("lstm", 768, 16, FLOAT32, 9)


def test_a_smaller_gpu_has_fewer_but_larger_slices():
    large, small = (plan_of("lstm", 512, 64, chip=Chip(processors=n)) for n in (132, 114))
    assert (large.forward[0].rows, small.forward[0].rows) == (16, 32)


@pytest.mark.parametrize(
    ("hidden", "batch", "launches", "tiles"),
    [(512, 128, 1, 8), (512, 256, 2, 8), (512, 144, 2, 5), (1024, 64, 2, 2), (1024, 80, 3, 2)],
)
def test_tiles_that_do_not_fit_at_once_are_shared_out_among_launches(
    hidden, batch, launches, tiles
):
    plan = plan_of("lstm", hidden, batch)
    assert isinstance(plan, SpreadPlan)
    assert (-(-(batch // 16) // plan.tiles), plan.tiles) == (launches, tiles)


def test_launches_take_their_tiles_in_turn_and_give_what_one_gives():
    sizes = []

    def run(given):
        sizes.append(given.u.shape)
        return Ran(given.u * given.fixed, given.state + given.initial, None, None)

    u = jnp.arange(2.0 * 6 * 3).reshape(2, 6, 3)
    given = Forward([jnp.ones(1)], u, u[0] + 1, jnp.ones(3), u, u[1])
    found = Ran(*jax.jit(in_turn(run, 2, FORWARD_TILES, RAN_TILES))(given))
    assert set(sizes) == {(2, 2, 3)}
    assert found.states is None
    np.testing.assert_array_equal(found.y, u * (u[0] + 1))
    np.testing.assert_array_equal(found.state, u[1] + 1)
    both = jax.tree.map(lambda a: jnp.stack([a, 2 * a]), given)
    ys, *_ = jax.jit(jax.vmap(in_turn(run, 2, FORWARD_TILES, RAN_TILES)))(both)
    np.testing.assert_array_equal(ys[1], 2 * u * (2 * (u[0] + 1)))


@NEEDS_PALLAS
@pytest.mark.slow
@pytest.mark.parametrize("name", ["tanh", "lstm", "gru", "gru_reset_before", "mut3", "lstm_fgr"])
def test_the_interpreter_gives_what_autodiff_gives(name):
    script = pathlib.Path(__file__).with_name("interpret_spread.py")
    subprocess.run([sys.executable, str(script), name], check=True, timeout=600)
