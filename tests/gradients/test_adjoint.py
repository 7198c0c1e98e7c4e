import dataclasses
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rnnlab import initializers
from rnnlab.cells import LSTM, AdditiveIdentity, CarouselState, Elman
from rnnlab.cells.base import StandardCell
from rnnlab.combinators import Stack, bidirectional
from rnnlab.errors import UsageError
from rnnlab.gradients import adjoint_profile
from tests import quick
from tests.gradients.networks import CELLS, measured, network

STEPS = 10_000


def log10(values):
    with np.errstate(divide="ignore"):
        return np.log10(np.asarray(values))


def linear(gain, hidden=8):
    return Elman(hidden, activation="identity", wh_init=initializers.Orthogonal(gain))


def perturbed_gradients(cell, params, xs, state, cotangents):
    """`∂L/∂s_t` for t = 0..T, leaf by leaf: autodiff by zeros added to the state at every time.

    The output is that of the perturbed state; every cell here has `y = h' + (what has no h')`.
    """
    head = 2 if isinstance(cell, Stack) else 0  # the leaf h' of the last layer
    zeros = jax.tree.map(lambda a: jnp.zeros((xs.shape[0] + 1, *a.shape), a.dtype), state)

    def loss(offsets):
        s = jax.tree.map(lambda a, d: a + d[0], state, offsets)
        total = jnp.zeros((), xs.dtype)
        for t in range(xs.shape[0]):
            after, y = cell.step(params, xs[t], s)
            s = jax.tree.map(lambda a, d, t=t: a + d[t + 1], after, offsets)
            y = y - jax.tree.leaves(after)[head] + jax.tree.leaves(s)[head]
            total += jnp.sum(y * cotangents[t])
        return total

    return jax.tree.leaves(quick.jit(jax.grad(loss))(zeros))


@pytest.mark.parametrize("name", ["lstm", "gru_reset_before", "stack", "residual"])
def test_profile_is_that_of_autodiff(name):
    cell = CELLS[name]
    params, xs, state = network(cell, steps=4)
    rng = np.random.default_rng(1)
    cotangents = jnp.asarray(rng.normal(size=(4, 2, cell.features_out)))
    profile = measured(adjoint_profile, cell, params, xs, state, loss=cotangents)
    leaves = perturbed_gradients(cell, params, xs, state, cotangents)
    joint = log10(np.linalg.norm(np.concatenate(leaves, axis=-1), axis=-1))
    np.testing.assert_allclose(profile.log10_joint, joint, atol=1e-12)
    names = {"lstm": ("h", "c"), "stack": ("0.h", "0.c", "1.h")}.get(name, ("h",))
    for part, leaf in zip(names, leaves, strict=True):
        expected = log10(np.linalg.norm(leaf, axis=-1))
        np.testing.assert_allclose(profile.log10_parts[part], expected, atol=1e-12)
    if name == "stack":
        both = log10(np.hypot(*(np.linalg.norm(leaf, axis=-1) for leaf in leaves[::2])))
        np.testing.assert_allclose(profile.log10_parts["h"], both, atol=1e-12)


def test_losses_are_cotangents():
    cell = CELLS["lstm"]
    params, xs, state = network(cell, steps=4)
    last = measured(adjoint_profile, cell, params, xs, state, loss="last")
    every = measured(adjoint_profile, cell, params, xs, state, loss="every")
    w = jnp.full((4, 2, 4), 0.5)  # the unit vector of a cell with four units
    for named, weights in ((last, w.at[:-1].set(0)), (every, w)):
        given = measured(adjoint_profile, cell, params, xs, state, loss=weights)
        np.testing.assert_allclose(named.log10_joint, given.log10_joint, atol=1e-14)
    np.testing.assert_allclose(last.log10_parts["h"][-1], 0, atol=1e-15)
    np.testing.assert_array_equal(last.log10_parts["c"][-1], -np.inf)


@pytest.mark.parametrize("dtype, tolerance", [(jnp.float32, 1e-3), (jnp.float64, 1e-9)])
def test_orthogonal_network_over_10000_steps(dtype, tolerance):
    time = np.arange(STEPS + 1)
    cell = linear(1.0)
    params = cell.init(jax.random.key(0), 3, dtype)
    for gain in (0.1, 0.5, 1.5):
        scaled = params | {"wh": params["wh"] * jnp.asarray(gain, dtype)}
        xs = jnp.zeros((STEPS, 2, 3), dtype)
        profile = adjoint_profile(cell, scaled, xs, key=jax.random.key(1))
        assert profile.log10_joint.dtype == dtype
        exact = np.broadcast_to((STEPS - time)[:, None] * np.log10(gain), (STEPS + 1, 2))
        np.testing.assert_allclose(profile.log10_joint, exact, rtol=0, atol=tolerance)


def test_additive_identity_never_vanishes():
    cell = AdditiveIdentity(8)
    params, xs, state = network(cell, steps=STEPS, dtype=jnp.float32)
    profile = measured(adjoint_profile, cell, params, xs, state)
    np.testing.assert_allclose(profile.log10_joint, 0, atol=1e-6)


def test_dead_units_give_minus_infinity():
    cell = Elman(4, activation="relu")
    params, xs, _ = network(cell, steps=3)
    params |= {"b": jnp.full(4, -100.0)}
    profile = measured(adjoint_profile, cell, params, xs)
    np.testing.assert_array_equal(profile.log10_joint[:-1], -np.inf)


def test_a_network_that_overflows_has_no_gradient():
    cell = Elman(2, activation="relu")
    params = cell.init(jax.random.key(0), 1, jnp.float32)
    params |= {"wx": jnp.ones((1, 2), jnp.float32), "wh": jnp.array([[3, -3], [3, 4]], jnp.float32)}
    xs = (
        jnp.ones((200, 2, 1), jnp.float32).at[:, 0].set(-1)
    )  # the first sequence is dead, and sound
    profile = measured(adjoint_profile, cell, params, xs)
    assert np.isneginf(profile.log10_joint[0, 0]) and np.isnan(profile.log10_joint[:50, 1]).all()
    early = jnp.zeros((200, 2, 2), jnp.float32).at[19].set(1)  # a loss before the overflow
    profile = measured(adjoint_profile, cell, params, xs, loss=early)
    assert np.isfinite(profile.log10_joint[:21, 1]).all()


def test_slow_layer_is_not_lost_behind_a_fast_one():
    """The lower layer's adjoint grows by 3 a step, the upper one's shrinks by 3: 2000 steps."""
    cell = Stack((linear(3.0), linear(1 / 3)))
    params, xs, _ = network(cell, steps=2000, dtype=jnp.float32)
    profile = measured(adjoint_profile, cell, params, xs)
    back = 2000 - np.arange(2001)[:, None]
    upper = profile.log10_parts["1.h"]
    np.testing.assert_allclose(upper, np.repeat(-back * np.log10(3), 2, 1), atol=1e-3)
    lower = np.asarray(profile.log10_parts["0.h"])
    np.testing.assert_allclose(lower[0] - lower[1000], 1000 * np.log10(3), atol=1e-3)


def test_vmap_over_parameters_and_inputs_is_the_loop():
    cell = CELLS["tanh"]
    points = [network(cell, steps=20, batch=(), seed=seed)[:2] for seed in range(3)]
    params, xs = jax.tree.map(lambda *a: jnp.stack(a), *points)
    together = quick.jit(jax.vmap(lambda p, x: adjoint_profile(cell, p, x)))(params, xs)
    for i, point in enumerate(points):
        alone = measured(adjoint_profile, cell, *point)
        np.testing.assert_allclose(together.log10_joint[i], alone.log10_joint, atol=1e-12)


@dataclasses.dataclass(frozen=True)
class Counted(Elman):
    """A tanh network that counts how often its step is traced."""

    traces: ClassVar[list[int]] = []

    def step(self, params, x, state):
        self.traces.append(1)
        return super().step(params, x, state)


def test_equal_cells_compile_once():
    params, xs, state = network(Counted(4), steps=7)
    adjoint_profile(Counted(4), params, xs, state)
    first = len(Counted.traces)
    adjoint_profile(Counted(4), params, xs + 1, state)
    shapes_only = 1  # of the output, to see that the loss fits
    assert len(Counted.traces) <= first + shapes_only


@dataclasses.dataclass(frozen=True)
class Reading(StandardCell):
    """Holds `c` for ever, and its output reads it past the new state: `y = h' + c`."""

    def initial_state(self, batch_shape=(), dtype=jnp.float32):
        zeros = jnp.zeros((*batch_shape, self.hidden), dtype)
        return CarouselState(h=zeros, c=zeros)

    def step(self, params, x, state):
        h = jnp.tanh(*self.affine(params, x, state.h))
        return CarouselState(h=h, c=state.c), h + 2 * state.c


def test_output_that_reads_the_old_state():
    cell = Reading(4)
    params, xs, state = network(cell, steps=6)
    profile = measured(adjoint_profile, cell, params, xs, state, loss="every")
    remaining = 6 - np.arange(7)
    expected = np.repeat(log10(2 * remaining)[:, None], 2, axis=1)
    np.testing.assert_allclose(profile.log10_parts["c"], expected, atol=1e-12)


def test_usage_errors_name_argument_and_way_out():
    cell = LSTM(4)
    params, xs, state = network(cell, steps=3)
    with pytest.raises(UsageError, match=r"loss='first': must be 'last', 'every'"):
        adjoint_profile(cell, params, xs, loss="first")
    with pytest.raises(UsageError, match=r"loss is float64\[3, 4\]: .* float64\[3, 2, 4\]"):
        adjoint_profile(cell, params, xs, loss=jnp.ones((3, 4)))
    with pytest.raises(UsageError, match=r"parts='m': not in this state, which has h, c"):
        adjoint_profile(cell, params, xs, parts=("m",))
    with pytest.raises(UsageError, match=r"T=0"):
        adjoint_profile(cell, params, xs[:0])
    with pytest.raises(UsageError, match=r"xs holds nan at \[1, 0, 2\]"):
        adjoint_profile(cell, params, xs.at[1, 0, 2].set(jnp.nan))
    broken = params | {"wh": params["wh"].at[0, 3].set(jnp.inf)}
    with pytest.raises(UsageError, match=r"params\['wh'\] holds inf at \[0, 3\]"):
        adjoint_profile(cell, broken, xs)
    with pytest.raises(UsageError, match=r"state\.c holds nan"):
        adjoint_profile(cell, params, xs, state._replace(c=state.c * jnp.nan))
    half = jax.tree.map(lambda a: a.astype(jnp.bfloat16), params)
    with pytest.raises(UsageError, match=r"bfloat16: .* float32 or float64"):
        adjoint_profile(cell, half, xs.astype(jnp.bfloat16))
    both = bidirectional(LSTM(4))
    with pytest.raises(UsageError, match=r"measure each direction by itself"):
        adjoint_profile(both, both.init(jax.random.key(0), 3, jnp.float64), xs)
