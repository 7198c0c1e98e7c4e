"""Shares of variance, against functions whose shares are known."""

import itertools

import numpy as np
import pytest

from rnnlab.errors import UsageError
from rnnlab.training.importance import decompose, importance, on_grid

RNG = np.random.default_rng(2)


def test_the_parts_of_a_product_of_sums():
    """`f = a_i + b_j + a_i b_j` with centred a and b of variances A and B: A, B and A B."""
    a, b = np.array([1.0, 4.0, -2.0]), np.array([-3.0, 5.0])
    p, q = np.array([0.2, 0.5, 0.3]), np.array([0.25, 0.75])
    a, b = a - a @ p, b - b @ q
    values = 7 + a[:, None] + b + a[:, None] * b
    parts = decompose(values, [p, q])
    va, vb = a**2 @ p, b**2 @ q
    expected = {(0,): va, (1,): vb, (0, 1): va * vb, (): va + vb + va * vb}
    assert parts.keys() == expected.keys()
    for place, variance in expected.items():
        assert parts[place] == pytest.approx(variance)


def test_three_axes_against_sums_over_all_points():
    values, weights = RNG.normal(size=(2, 3, 4)), [RNG.dirichlet(np.ones(n)) for n in (2, 3, 4)]
    joint = np.einsum("i,j,k->ijk", *weights)
    mean = (values * joint).sum()
    parts = decompose(values, weights)
    assert parts[()] == pytest.approx((joint * (values - mean) ** 2).sum())

    def marginal(index, kept):
        """The mean of all points that agree with the index on the axes that are kept."""
        points = itertools.product(*(range(n) for n in values.shape))
        same = [x for x in points if all(x[axis] == index[axis] for axis in kept)]
        total = sum(joint[x] for x in same)
        return sum(joint[x] * values[x] for x in same) / total

    for i, j in ((0, 1), (0, 2), (1, 2)):
        variance = 0.0
        for index in itertools.product(*(range(n) for n in values.shape)):
            part = marginal(index, (i, j)) - marginal(index, (i,)) - marginal(index, (j,)) + mean
            variance += joint[index] * part**2
        assert parts[i, j] == pytest.approx(variance)


def test_a_tree_on_its_grid():
    """The grid's values are the tree's at random points, and its pieces are as wide as they are."""
    tree = pytest.importorskip("sklearn.tree").DecisionTreeRegressor(max_depth=4, random_state=0)
    x = RNG.uniform(size=(80, 2))
    x[:, 1] = np.round(x[:, 1])
    fitted = tree.fit(x, np.sin(5 * x[:, 0]) + x[:, 1] * x[:, 0])
    values, (wide, levels) = on_grid(fitted.tree_, 2, {1: (0.0, 1.0)})
    assert wide.sum() == pytest.approx(1) and levels.tolist() == [0.5, 0.5]
    points = RNG.uniform(size=500)
    column = np.searchsorted(np.cumsum(wide)[:-1], points)
    for level in (0, 1):
        seen = fitted.predict(np.stack([points, np.full(500, level)], axis=1))
        np.testing.assert_allclose(values[column, level], seen)


def test_a_function_whose_shares_are_known():
    """`x + y / 2 + 2 (x - 1/2)(y - 1/2)`, y one of 0, 1/2, 1: 1/12, 1/24 and 1/18 of variance."""
    x, y = RNG.uniform(size=600), RNG.integers(3, size=600) / 2
    losses = x + y / 2 + 2 * (x - 0.5) * (y - 0.5)
    found = importance(np.stack([x, y], axis=1), losses, {1: (0, 0.5, 1)})
    parts = {(0,): 1 / 12, (1,): 1 / 24, (0, 1): 4 / 12 / 6}
    for place, part in parts.items():
        assert found.shares[place] == pytest.approx(part / sum(parts.values()), abs=0.04)
    assert found.explained > 0.97 and sum(found.shares.values()) == pytest.approx(1)


def test_noise_is_not_explained():
    x = RNG.uniform(size=(60, 2))
    assert importance(x, RNG.normal(size=60), {}).explained < 0.2


def test_a_constant_has_no_shares():
    found = importance(RNG.uniform(size=(20, 2)), np.ones(20), {})
    assert all(np.isnan(value) for value in found.shares.values()) and np.isnan(found.explained)
    with pytest.raises(UsageError, match="trials: 3, must be at least 6"):
        importance(np.zeros((3, 1)), np.zeros(3), {})
