"""Numbers about a network's memory for evaluations: its matrices, and how far a loss is felt."""

from __future__ import annotations

import jax
import numpy as np

from rnnlab.arrays import Array, Float, Params
from rnnlab.gradients import adjoint_profile, recurrent_matrices
from rnnlab.layer import Layer


def matrix_numbers(cell: Layer, params: Params) -> dict[str, float]:
    """ρ and σ_max of each recurrent matrix: `spectral_radius/NAME`, `sigma_max/NAME`.

    Args:
        cell: a cell or a combinator.
        params: its parameters. Names are those of `rnnlab.gradients.recurrent_matrices`.
    """
    numbers = {}
    for name, matrix in recurrent_matrices(cell, params).items():
        numbers[f"spectral_radius/{name}"] = float(matrix.spectral_radius)
        numbers[f"sigma_max/{name}"] = float(matrix.sigma_max)
    return numbers


def adjoint_numbers(cell: Layer, params: Params, xs: Float[Array, "T B D"]) -> dict[str, float]:
    """`log10_adjoint/k`: log10 ‖∂L/∂s_{T-k}‖ for lags k = 0, 1, 2, 4, … up to T.

    The loss is `L = <w, y_T>` of the last output with the unit vector `w = (1, …, 1)/√H`, one for
    each sequence; the mean over sequences is returned.

    Args:
        cell: a cell or a combinator with a state of one time.
        params: its parameters.
        xs: inputs `[T, B, D]`.
    """
    profile = adjoint_profile(cell, params, xs, loss="last").log10_joint
    by_lag = np.asarray(profile, np.float64).mean(axis=1)[::-1]
    lags = [0, *(2**n for n in range(len(by_lag).bit_length()) if 2**n < len(by_lag))]
    return {f"log10_adjoint/{lag}": float(by_lag[lag]) for lag in lags}


def population_numbers(
    cell: Layer, params: Params, xs: Float[Array, "T B D"]
) -> dict[str, Float[np.ndarray, "members"]]:
    """The numbers of `matrix_numbers` and `adjoint_numbers` for each member, `[members]`.

    Args:
        cell: a cell or a combinator.
        params: its parameters, with a leading axis of members.
        xs: inputs `[T, B, D]`, the same for all.
    """
    rows = []
    for member in range(len(jax.tree.leaves(params)[0])):
        own = jax.tree.map(lambda leaf, member=member: leaf[member], params)
        rows.append(matrix_numbers(cell, own) | adjoint_numbers(cell, own, xs))
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}
