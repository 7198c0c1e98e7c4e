"""Exact growth in the linear network s_t = s_{t-1} W: singular values of W^T.

They are those of the state Jacobian ∂s_T/∂s_0. For s_0 of random direction and unit length, the
root of the mean of ‖s_T‖² is the Frobenius norm of W^T over √N.
"""

import numpy as np
from numpy.typing import ArrayLike

from rnnlab.errors import UsageError
from rnnlab.gradients.theory.checks import Floats, count, modulus, positive, single_count


def log10_singular_values_orthogonal(gain: ArrayLike, steps: ArrayLike) -> Floats:
    """log10 of the singular values of W^T for W = gain Q, Q orthogonal: one point, T log10 gain.

    All N singular values are equal, so this is the growth of every state, at every T. It is also
    the singular-value law of a product of T different orthogonal matrices of the same gain.

    Raises:
        UsageError: gain not positive, steps not an integer >= 0.

    Source: Saxe, McClelland and Ganguli 2014.
    """
    return count("steps", steps) * np.log10(positive("gain", gain))


def log10_singular_values_normal(eigenvalues: ArrayLike, steps: ArrayLike) -> Floats:
    """log10 of the singular values of W^T for normal W (W W* = W* W), largest first.

    W = U diag(eigenvalues) U* gives sigma_k(W^T) = |eigenvalue_k|^T, exact at every T. Symmetric,
    antisymmetric, circulant and orthogonal matrices are normal.

    Args:
        eigenvalues: [..., N], real or complex; zero is allowed and gives -inf.
        steps: T, broadcast against the leading axes of `eigenvalues`.

    Returns:
        [..., N], descending.

    Raises:
        UsageError: eigenvalues without an axis or not finite, steps not an integer >= 0.

    Source: Horn and Johnson 2013, section 2.5.
    """
    moduli = modulus("eigenvalues", eigenvalues)
    if moduli.ndim == 0 or moduli.shape[-1] == 0:
        raise UsageError(f"eigenvalues: shape {moduli.shape}: must be [..., N] with N >= 1")
    logs = _log10_power(moduli, count("steps", steps)[..., None])
    return np.sort(logs, axis=-1)[..., ::-1]


def log10_frobenius_normal(eigenvalues: ArrayLike, steps: ArrayLike) -> Floats:
    """log10 ‖W^T‖_F = ½ log10 sum_k |eigenvalue_k|^(2T) for normal W.

    Arguments, errors and source as for `log10_singular_values_normal`.
    """
    return _log10_norm(log10_singular_values_normal(eigenvalues, steps))


def log10_sigma_max_jordan(eigenvalue: ArrayLike, size: int, steps: ArrayLike) -> Floats:
    """log10 of the largest singular value of J^T, J one Jordan block.

    J = eigenvalue I + S with ones on the first superdiagonal S, the least normal matrix of its
    spectral radius rho = |eigenvalue|. (J^T)_{i,i+k} = C(T, k) eigenvalue^(T-k), so below rho = 1
    the norm first grows like T^(size-1) and only then follows rho^T. The phase of the eigenvalue
    is a unitary similarity and does not matter. Exact up to rounding, for every T: the entries are
    formed as logarithms, divided by the largest, and only then given to the SVD.

    Args:
        eigenvalue: real or complex, zero allowed (then J^T = 0 for T >= size, and -inf).
        size: n, order of the block.
        steps: T, broadcast against `eigenvalue`.

    Returns:
        The broadcast shape of `eigenvalue` and `steps`.

    Raises:
        UsageError: eigenvalue not finite, size < 1, steps not an integer >= 0.

    Source: Horn and Johnson 2013, section 3.2; Trefethen and Embree 2005 (transient growth).
    """
    diagonals = _log10_jordan_diagonals(eigenvalue, size, steps)
    scale = np.max(diagonals, axis=-1)
    finite_scale = np.where(np.isneginf(scale), 0.0, scale)
    values = 10.0 ** (diagonals - finite_scale[..., None])
    offset = np.arange(size) - np.arange(size)[:, None]
    toeplitz = np.where(offset >= 0, values[..., np.maximum(offset, 0)], 0.0)
    with np.errstate(divide="ignore"):  # the zero matrix: log10 0 = -inf is the answer
        return np.log10(np.linalg.norm(toeplitz, ord=2, axis=(-2, -1))) + finite_scale


def log10_frobenius_jordan(eigenvalue: ArrayLike, size: int, steps: ArrayLike) -> Floats:
    """log10 ‖J^T‖_F = ½ log10 sum_k (n - k) (C(T, k) |eigenvalue|^(T-k))², J one Jordan block.

    Arguments, errors and source as for `log10_sigma_max_jordan`.
    """
    diagonals = _log10_jordan_diagonals(eigenvalue, size, steps)
    lengths = size - np.arange(size, dtype=np.float64)
    return _log10_norm(diagonals + 0.5 * np.log10(lengths))


def _log10_jordan_diagonals(eigenvalue: ArrayLike, size: int, steps: ArrayLike) -> Floats:
    """log10 |C(T, k) eigenvalue^(T-k)| for k = 0 .. size-1, shape [..., size]."""
    k = np.arange(single_count("size", size, least=1), dtype=np.float64)
    moduli = modulus("eigenvalue", eigenvalue)[..., None]
    time = count("steps", steps)[..., None]
    # C(T, k) as a running product of ratios keeps 1e-13 where lgamma(T) - ... loses 1e-11.
    with np.errstate(divide="ignore"):  # log10 0 = -inf from k > T on
        ratios = np.log10(np.maximum(time - k[:-1], 0.0) / k[1:])
    start = np.zeros((*ratios.shape[:-1], 1))
    binomials = np.cumsum(np.concatenate([start, ratios], axis=-1), axis=-1)
    return binomials + _log10_power(moduli, np.maximum(time - k, 0.0))


def _log10_power(base: Floats, exponent: Floats) -> Floats:
    """log10 base^exponent with 0^0 = 1, for base >= 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(exponent == 0, 0.0, exponent * np.log10(base))


def _log10_norm(log10_values: Floats) -> Floats:
    """log10 of the Euclidean norm over the last axis, from the log10 of its entries."""
    scale = np.max(log10_values, axis=-1)
    finite_scale = np.where(np.isneginf(scale), 0.0, scale)
    squares = np.sum(100.0 ** (log10_values - finite_scale[..., None]), axis=-1)
    with np.errstate(divide="ignore"):  # all entries zero: -inf
        return 0.5 * np.log10(squares) + finite_scale
