"""The count model: positive pointwise mutual information and a truncated SVD.

Sources: J. A. Bullinaria and J. P. Levy, "Extracting semantic representations from word
co-occurrence statistics" (2012); O. Levy, Y. Goldberg and I. Dagan, "Improving distributional
similarity with lessons learned from word embeddings", TACL (2015).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from rnnlab.arrays import Float, Int
from rnnlab.training.skip_gram import Text


def count_pairs(
    text: Text,
    read: Float[np.ndarray, "V"],
    window: int,
    passes: int = 1,
    seed: int = 0,
) -> Any:
    """How often each word is near each other word, the mean of some passes over the text.

    As skip-gram sees it: words are left out at random, the others move together; a pair at a
    distance of d words has the weight `(W + 1 - d) / W`, and none where a line ends between them.

    Args:
        text: the text.
        read: probability with which each word is read.
        window: W.
        passes: over the text, each with other words left out; one, where none are.
        seed: of what is left out.

    Returns:
        Float64 `[V, V]`, a sparse array of SciPy in rows.
    """
    from scipy import sparse

    size, draw = len(read), np.random.default_rng(seed)
    passes = passes if np.any(read < 1) else 1
    total = sparse.csr_array((size, size), dtype=np.float64)
    for _ in range(passes):
        kept = draw.random(len(text.codes)) < read[text.codes]
        codes, lines = text.codes[kept], text.lines[kept]
        for distance in range(1, min(window, len(codes) - 1) + 1):
            near = lines[distance:] == lines[:-distance]
            first, second = codes[:-distance][near], codes[distance:][near]
            weights = np.full(len(first), (window + 1 - distance) / (window * passes))
            pairs = sparse.coo_array((weights, (first, second)), shape=(size, size)).tocsr()
            total = total + pairs + pairs.T
    return total.tocsr()


def positive_pmi(counts: Any, smoothing: float, shift: float) -> Any:
    """`max(log p(w, c) - log p(w) - log P(c) - log shift, 0)`, with `P(c) ~ count(c)^smoothing`.

    Args:
        counts: of pairs, sparse `[V, V]`.
        smoothing: of the frequencies of context words.
        shift: 1 for none.

    Returns:
        A sparse array of SciPy `[V, V]`.
    """
    from scipy import sparse

    pairs = counts.tocoo()
    of_words = np.asarray(counts.sum(axis=1)).ravel()
    of_contexts = np.asarray(counts.sum(axis=0)).ravel() ** smoothing
    given = pairs.data / of_words[pairs.row]
    pmi = np.log(given / (of_contexts[pairs.col] / of_contexts.sum())) - np.log(shift)
    kept = pmi > 0
    places = pairs.row[kept], pairs.col[kept]
    return sparse.csr_array((pmi[kept], places), shape=counts.shape)


def svd_vectors(matrix: Any, features: int, singular: float) -> Float[np.ndarray, "V E"]:
    """`U S^singular` of the truncated SVD; with fewer features where the matrix has fewer."""
    from scipy.sparse.linalg import svds

    features = min(features, min(matrix.shape) - 1)
    start = np.ones(min(matrix.shape)) / np.sqrt(min(matrix.shape))
    result: Any = svds(matrix.astype(np.float64), features, v0=start)
    left, values, _ = result
    order = np.argsort(-values)
    return left[:, order] * values[order] ** singular


def count_vectors(
    text: Text,
    read: Float[np.ndarray, "V"],
    window: int,
    features: int,
    *,
    shift: float,
    smoothing: float,
    singular: float,
    passes: int,
    seed: int,
) -> Float[np.ndarray, "V E"]:
    """Vectors of the count model; arguments as above."""
    counts = count_pairs(text, read, window, passes, seed)
    return svd_vectors(positive_pmi(counts, smoothing, shift), features, singular)


def farthest_from(
    scores: Float[np.ndarray, "V V"], optimum: Float[np.ndarray, "V V"]
) -> tuple[float, Int[np.ndarray, "2"]]:
    """The largest distance of a score from its optimum, where that is finite, and its place."""
    distance = np.where(np.isfinite(optimum), np.abs(scores - optimum), 0)
    place = np.array(np.unravel_index(distance.argmax(), distance.shape))
    return float(distance.max()), place
