"""A cell's step divided by units, against the step itself and JAX's derivative of it."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rnnlab.cells import CELLS
from rnnlab.layer import NoisyCell
from rnnlab.strategies.hoisted.step_columns import Adjoints, CannotRun, StepColumns
from rnnlab.strategies.persistent.units import Units
from rnnlab.tracing import bind

D, H = 3, 4
DIVIDED = [name for name in CELLS if name != "lstm_cell_norm"]


def problem(cell):
    """A cell's traced step, and numbers for everything that it reads."""
    keys = iter(jax.random.split(jax.random.key(0), 99))
    draw = lambda a: 0.5 * jax.random.normal(next(keys), a.shape, jnp.float64)  # noqa: E731
    params = jax.tree.map(draw, cell.init(jax.random.key(1), D, jnp.float64))
    state = jax.tree.map(draw, cell.initial_state((), jnp.float64))
    x = jax.random.normal(next(keys), (D,), jnp.float64)
    rows, steps = jax.tree.map(lambda a: a[None], state), x[None, None]
    assert not isinstance(cell, NoisyCell) or not set(cell.per_row) & set(params)
    columns = StepColumns(cell, params, {}, steps, rows)
    return Units(columns), columns, params, x, state


def u_of(columns, params, x):
    """What is projected of an input, as vectors."""
    weights, constants = columns.projection.fixed(params)
    known = {columns.projection.inputs[0]: x[:, None]}
    outputs = columns.projection.outputs
    found = columns.projection.evaluate(
        outputs, constants, known, lambda place, a: weights[place] @ a
    )
    return [a[:, 0] for a in found]


def multiplier(units, columns, params, turned=False):
    """The products of a stage, backwards of the transposed weights."""
    weights, _ = columns.step.fixed(params)

    def multiply(stage, vectors):
        found = []
        for place, parts in zip(units.stages[stage], vectors, strict=True):
            weight = weights[place].T if turned else weights[place]
            result = weight @ jnp.concatenate(parts)
            found.append(jnp.split(result, result.shape[0] // H))
        return found

    return multiply


@pytest.mark.parametrize("name", DIVIDED)
def test_a_step_and_its_derivative_are_those_of_the_cell(name):
    cell = CELLS[name](H)
    units, columns, params, x, state = problem(cell)
    _, constants = columns.step.fixed(params)
    fixed = [jnp.broadcast_to(c, (H,)) for c in constants]
    us, before = u_of(columns, params, x), jax.tree.leaves(state)
    forward = multiplier(units, columns, params)
    after, y, sums = units.forward(bind, fixed, us, before, forward)
    (want_after, want_y), pull = jax.vjp(lambda s: cell.step(params, x, s), state)
    for got, want in zip([*after, y], [*jax.tree.leaves(want_after), want_y], strict=True):
        np.testing.assert_allclose(got, want, atol=1e-13)

    d_after, dy = jax.tree.map(jnp.cos, (want_after, want_y))
    inputs = Adjoints(fixed, [], [us[place] for place in columns.kept], before, sums)
    backward = multiplier(units, columns, params, turned=True)
    d_state = jax.tree.leaves(d_after)
    adjoints, _ = units.backward(bind, jnp.add, inputs, d_state, dy, backward)
    wants = jax.tree.leaves(pull((d_after, dy)))
    for got, want in zip(adjoints.state, wants, strict=True):
        np.testing.assert_allclose(got, want, atol=1e-13)


def test_products_that_wait_for_others_make_a_stage_of_their_own():
    stages = {name: problem(CELLS[name](H))[0].stages for name in ("lstm", "gru_reset_before")}
    assert stages == {"lstm": [[0]], "gru_reset_before": [[0], [1]]}
    assert problem(CELLS["additive"](H))[0].stages == []
    units = problem(CELLS["mut3"](H))[0]  # x z and r wait for nothing, the candidate for r
    assert units.stages == [[0, 1], [2]]


def test_a_vector_put_together_of_gates_is_taken_apart():
    units = problem(CELLS["lstm_fgr"](H))[0]
    assert [len(product.pieces) for product in units.products] == [1, 3]
    assert units.matrices == 4 + 3 * 3


def test_a_cell_that_mixes_its_units_is_refused_by_the_name_of_the_operation():
    with pytest.raises(CannotRun, match="reduce_sum mixes the units"):
        problem(CELLS["lstm_cell_norm"](H))


def test_what_the_backward_pass_does_not_read_is_known():
    units, columns, *_ = problem(CELLS["lstm"](H))
    kept = dict(zip(("h", "c", *"ifgo"), units.reads, strict=True))
    assert kept == {"h": False, "c": True, **dict.fromkeys("ifgo", True)}
    assert len(columns.sums) == 4


@dataclasses.dataclass(frozen=True)
class Wide:
    """A cell whose second state has twice as many units."""

    hidden: int

    def init(self, key, features_in, dtype=jnp.float32):
        return {"w": jax.random.normal(key, (features_in, self.hidden), dtype)}

    def initial_state(self, batch_shape=(), dtype=jnp.float32):
        shape = (*batch_shape, self.hidden)
        return (jnp.zeros(shape, dtype), jnp.zeros((*batch_shape, 2 * self.hidden), dtype))

    def step(self, params, x, state):
        h = jnp.tanh(state[0] + x @ params["w"])
        return (h, jnp.concatenate([h, h], -1)), h


def test_states_of_unequal_widths_are_refused():
    with pytest.raises(CannotRun, match=r"a part of the state has the shape \(8,\), not \(4,\)"):
        problem(Wide(H))
