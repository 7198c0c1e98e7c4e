"""Whether a candidate computes what it should: its distance from the reference of the problem."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np

from experiments.benchmark.candidate import Candidate
from experiments.benchmark.problem import FORWARD, GRADIENT, GRADIENT_INPUTS, Problem

#: Largest difference to the reference at which a candidate agrees, relative to the largest entry of
#: each array. bfloat16 has 8 bits, and some add up thousands of terms in it.
TOLERANCES = {"float32": 1e-4, "bfloat16": 0.25}


def difference(problem: Problem, candidate: Candidate, pass_: str, result: Any) -> float:
    """Largest difference to the reference, relative to the largest entry of each array.

    Raises:
      TypeError: a result of another dtype than the candidate's, or shape than the problem's.
    """
    for leaf in jax.tree.leaves(result):
        if str(leaf.dtype).removeprefix("torch.") != candidate.dtype:
            raise TypeError(f"returns {leaf.dtype} for {candidate.dtype}")
    ys, d_params, d_xs = problem.reference
    wanted = {FORWARD: ys, GRADIENT: d_params, GRADIENT_INPUTS: (d_params, d_xs)}[pass_]
    got = candidate.as_ours(pass_, result)
    return max(
        _relative(path, wanted_leaf, got_leaf)
        for (path, wanted_leaf), got_leaf in zip(
            jax.tree_util.tree_leaves_with_path(wanted), jax.tree.leaves(got), strict=True
        )
        if getattr(path[-1] if path else None, "key", "") not in candidate.lacks
    )


def _relative(path: Any, wanted: Any, got: Any) -> float:
    wanted, got = np.asarray(wanted, np.float64), np.asarray(got).astype(np.float64)
    if wanted.shape != got.shape:
        place = jax.tree_util.keystr(path)
        raise TypeError(f"returns the shape {got.shape}{place} instead of {wanted.shape}")
    return float(np.abs(got - wanted).max() / (np.abs(wanted).max() or 1.0))
