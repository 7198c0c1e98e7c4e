"""What is computed: how layers are written, the reference, the number of operations."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from experiments.benchmark.notation import Shape, parse_layer
from experiments.benchmark.problem import FORWARD, GRADIENT, GRADIENT_INPUTS, Problem, outputs_of
from tests import quick


@pytest.mark.parametrize(
    ("layer", "parameters"), [("lstm", 1), ("gru:bi", 2), ("tanh:3", 3), ("lstm:bi:2", 4)]
)
def test_layers_are_written_by_cell_direction_and_depth(layer, parameters):
    drawn = jax.eval_shape(lambda: parse_layer(layer, 5).init(jax.random.key(0), 3))
    names = [path[-1].key for path, _ in jax.tree_util.tree_leaves_with_path(drawn)]
    assert names.count("wx") == parameters


def test_the_reference_is_the_gradient_by_finite_differences():
    problem = Problem("gru", Shape(2, 3, 4, 5), "float32")
    _, d_params, d_xs = problem.reference
    direction = np.random.default_rng(0).normal(size=d_xs.shape)
    params, xs = jax.tree.map(np.float64, (problem.params, problem.xs))
    apply = quick.jit(outputs_of(problem.layer, "autodiff"))

    def loss(eps):
        return float((np.asarray(apply(params, xs + eps * direction)) * problem.readout).sum())

    slope = (loss(1e-5) - loss(-1e-5)) / 2e-5
    np.testing.assert_allclose(slope, (d_xs * direction).sum(), rtol=1e-7)
    assert set(d_params) == {"wx", "wh", "b", "bh"}


def test_flops_count_the_matrix_products():
    shape = Shape(batch=2, time=3, features=5, hidden=7)
    stacked = Problem("lstm:2", shape, "float32")
    first, second = (5 + 7) * 28, (7 + 7) * 28
    assert stacked.flops(FORWARD) == 2 * 2 * 3 * (first + second)
    assert stacked.flops(GRADIENT_INPUTS) == 3 * stacked.flops(FORWARD)
    assert stacked.flops(GRADIENT_INPUTS) - stacked.flops(GRADIENT) == 2 * 2 * 3 * 5 * 28
    both = Problem("tanh:bi", shape, "float32")
    assert both.flops(FORWARD) == 2 * 2 * 3 * 2 * (5 + 7) * 7
