"""Stacks, both directions and residuals against plain NumPy."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import rnnlab.cells as cells
from rnnlab.combinators import Bidirectional, Dropout, Residual, Stack, bidirectional, stack
from rnnlab.errors import UsageError
from rnnlab.layer import streams
from rnnlab.unroll import unroll
from tests.cells import reference
from tests.combinators.samples import KEY, LENGTHS, RESETS, D, T, arguments, assert_close


def test_residual_adds_the_inputs():
    cell = cells.LSTM(D)
    params, xs, state = arguments(cell)
    final, ys = unroll(
        Residual(cell), params, xs, state, lengths=LENGTHS, resets=RESETS, reverse=True
    )
    want, plain = reference.run(cell, params, xs, state, LENGTHS, RESETS, True)
    within = np.arange(T)[:, None, None] < LENGTHS[:, None]
    assert_close((final, ys), (want, np.where(within, plain + np.asarray(xs), 0)))


def test_residual_goes_around_other_arrangements():
    inside = bidirectional(stack(cells.GRU, (3, 2)))
    params, xs, state = arguments(inside)
    final, ys = unroll(inside, params, xs, state)
    assert_close(unroll(Residual(inside), params, xs, state), (final, ys + xs))


def test_bidirectional_joins_both_directions_and_reverse_turns_both_around():
    layer = Bidirectional(cells.LSTM(3), cells.GRU(2))
    params, xs, state = arguments(layer)
    for reverse in (False, True):
        flags = {"lengths": LENGTHS, "resets": RESETS}
        final, ys = unroll(layer, params, xs, state, **flags, reverse=reverse)
        ahead, left = reference.run(
            layer.forward, params["forward"], xs, state.forward, **flags, reverse=reverse
        )
        back, right = reference.run(
            layer.backward, params["backward"], xs, state.backward, **flags, reverse=not reverse
        )
        assert_close(ys, np.concatenate([left, right], axis=-1))
        assert_close((final.forward, final.backward), (ahead, back))


def test_stack_of_sizes():
    layers = stack(cells.LSTM, (5, 3), dropout=0.2)
    assert layers == Stack((cells.LSTM(5), Dropout(0.2), cells.LSTM(3)))
    assert layers.features_out == 3
    assert stack(cells.GRU, [2]) == Stack((cells.GRU(2),))
    params = jax.eval_shape(lambda key: layers.init(key, D, jnp.bfloat16), KEY)
    assert [p["wx"].shape for p in params if p] == [(D, 20), (5, 12)]
    assert {leaf.dtype for leaf in jax.tree.leaves(params)} == {jnp.dtype(jnp.bfloat16)}


def test_layers_draw_their_parameters_with_keys_of_their_own():
    one, two = stack(cells.Elman, (D, D)).init(KEY, D)
    assert not np.array_equal(one["wx"], two["wx"])
    both = bidirectional(cells.Elman(D)).init(KEY, D)
    assert not np.array_equal(both["forward"]["wx"], both["backward"]["wx"])


@pytest.mark.slow
def test_the_joint_state_of_a_stack_has_a_jacobian():
    layers = stack(cells.LSTM, (3, 2))
    params, xs, state = arguments(layers)
    jacobian = jax.jacfwd(lambda s: layers.step(params, xs[0], s)[0])(state)
    assert not jacobian[0].h[1].h.any()  # the lower layer does not see the upper one
    assert jacobian[1].h[0].c.any()  # the upper one sees the carousel of the lower


def test_only_what_reads_one_way_has_a_step():
    assert not hasattr(bidirectional(cells.GRU(2)), "step")
    for layer in (
        Stack((cells.GRU(4), bidirectional(cells.GRU(2)))),
        Residual(bidirectional(cells.GRU(4))),
    ):
        assert not streams(layer)
        params, xs, state = arguments(layer, features=8 if isinstance(layer, Residual) else D)
        with pytest.raises(UsageError, match="Bidirectional reads the sequence in both directions"):
            layer.step(params, xs[0], state)
    assert streams(Residual(Stack((Dropout(0.5), cells.GRU(4)))))
