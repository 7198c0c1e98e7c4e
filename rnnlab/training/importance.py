"""Which hyperparameters matter: the variance of a loss, shared out among them.

A random forest learns the loss from the hyperparameters, and the variance of what it predicts over
their whole space is decomposed (functional analysis of variance): with `f_u` what the
hyperparameters u do together beyond what fewer of them do,

    f(x) = f_∅ + Σ_i f_i(x_i) + Σ_{i<j} f_ij(x_i, x_j) + …,    V = Σ_i V_i + Σ_{i<j} V_ij + …

A tree is constant on boxes, so that its parts are sums over a grid of all its thresholds, exactly.

Source: F. Hutter, H. Hoos and K. Leyton-Brown, "An efficient approach for assessing hyperparameter
importance" (2014).
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from rnnlab.arrays import Float
from rnnlab.errors import UsageError

#: Of the forest: its trees, and the fewest trials in a leaf.
TREES, LEAF = 64, 3


class Importance(NamedTuple):
    """How the variance of a loss is shared out.

    Attributes:
        shares: of the predicted variance, of each hyperparameter by its place, `(0,)`, and of each
            pair, `(0, 1)`: means over the trees. With more than two hyperparameters, what three of
            them do together is missing to 1.
        explained: R² of the forest for trials that it has not seen (out of bag): what is missing to
            1 is due to the seed, or was not found. Below 0 nothing was found.
    """

    shares: dict[tuple[int, ...], float]
    explained: float


def importance(
    trials: Float[np.ndarray, "N D"],
    losses: Float[np.ndarray, "N"],
    levels: Mapping[int, Sequence[float]],
    seed: int = 0,
) -> Importance:
    """Which hyperparameters move a loss.

    The grid of a tree has as many points as the product of its numbers of thresholds: this is for a
    few hyperparameters.

    Args:
        trials: hyperparameters, each within 0 .. 1, over which they count evenly.
        losses: of the trials.
        levels: the values of those that have a few, all as likely, by their places.
        seed: of the forest.

    Raises:
        UsageError: fewer than two trials for a leaf.
    """
    from sklearn.ensemble import RandomForestRegressor  # which takes a second to import

    if len(losses) < 2 * LEAF:
        raise UsageError(f"trials: {len(losses)}, must be at least {2 * LEAF}")
    forest: Any = RandomForestRegressor(
        TREES, min_samples_leaf=LEAF, oob_score=True, random_state=seed
    ).fit(trials, losses)
    parts = [decompose(*on_grid(tree.tree_, trials.shape[1], levels)) for tree in forest]
    varied = [part for part in parts if part[()] > 0]
    shares = {
        place: float(np.mean([part[place] / part[()] for part in varied] or [np.nan]))
        for place in parts[0]
        if place
    }
    return Importance(shares, float(forest.oob_score_) if varied else np.nan)


def on_grid(
    tree: Any, dimensions: int, levels: Mapping[int, Sequence[float]]
) -> tuple[np.ndarray, list[Float[np.ndarray, "n"]]]:
    """What a tree of scikit-learn predicts in each of its boxes, and how wide these are.

    Returns:
        Predictions `[n_1, …, n_D]`, and for each axis the shares `[n_i]` of its pieces.
    """
    points, weights = [], []
    for axis in range(dimensions):
        if axis in levels:
            points.append(np.asarray(levels[axis], float))
            weights.append(np.full(len(points[-1]), 1 / len(points[-1])))
            continue
        cuts = np.unique(tree.threshold[tree.feature == axis])
        edges = np.concatenate([[0.0], cuts[(cuts > 0) & (cuts < 1)], [1.0]])
        points.append((edges[1:] + edges[:-1]) / 2)
        weights.append(np.diff(edges))
    grid = np.stack([axis.ravel() for axis in np.meshgrid(*points, indexing="ij")], axis=1)
    values = tree.predict(grid.astype(np.float32))
    return values.reshape([len(axis) for axis in points]), weights


def decompose(
    values: np.ndarray, weights: Sequence[Float[np.ndarray, "n"]]
) -> dict[tuple[int, ...], float]:
    """The variances `V_i` and `V_ij` of a function on a grid, in its units squared.

    Args:
        values: of the function `[n_1, …, n_D]`.
        weights: for each axis the shares of its points, which sum to 1.

    Returns:
        Variances by the places of the axes: `(i,)`, `(i, j)` with i < j, and the whole one, `()`.
    """
    axes = tuple(range(values.ndim))
    middle = _mean(values, weights, axes)

    def marginal(*kept: int) -> np.ndarray:
        others = [axis for axis in axes if axis not in kept]
        return _mean(values, weights, others) - middle

    parts: dict[tuple[int, ...], np.ndarray] = {(): values - middle}
    parts |= {(i,): marginal(i) for i in axes}
    for i, j in itertools.combinations(axes, 2):
        parts[i, j] = marginal(i, j) - parts[i,] - parts[j,]
    return {
        place: _mean(np.broadcast_to(part**2, values.shape), weights, axes).item()
        for place, part in parts.items()
    }


def _mean(
    values: np.ndarray, weights: Sequence[Float[np.ndarray, "n"]], over: Sequence[int]
) -> np.ndarray:
    """The mean over some axes, which are kept with a length of 1."""
    for axis in over:
        weight = np.expand_dims(weights[axis], [one for one in range(values.ndim) if one != axis])
        values = (values * weight).sum(axis=axis, keepdims=True)
    return values
