"""CIDEr: how much a caption is like what people wrote of the same image, word by word.

R. Vedantam, C. L. Zitnick and D. Parikh, "CIDEr: consensus-based image description evaluation"
(2015). Of every sequence of n words ω, n = 1 .. 4, a sentence s has

    g_ω(s) = h_ω(s) / Σ_ω' h_ω'(s) · log(|I| / max(1, |images with ω in a reference|))

with the counts h and the number of images |I|. A caption's score is the mean cosine of its g with
those of the references of its image, mean over n and times 10, as the servers of COCO report it.
CIDEr-D, which such servers call CIDEr, lets no caption gain by repeating words: in the product,
`g_ω` of the caption is at most that of the reference, and a pair whose lengths differ by d words
counts `exp(-d² / 2σ²)` with σ = 6. Words are compared as they are; the paper's stems are left out.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np

#: Longest sequences of words, the width in words of the penalty of lengths, and the factor.
LONGEST, WIDTH, FACTOR = 4, 6.0, 10.0

Words = Sequence[str]
Counts = Counter[tuple[str, ...]]


def cider(
    captions: Sequence[Words], references: Sequence[Sequence[Words]], *, d: bool = False
) -> np.ndarray:
    """The score of each caption, 0 .. 10; of all, it is their mean.

    Args:
        captions: the words of each.
        references: those of the references of the same images, at least one for each; how rare a
            sequence of words is, is counted in them.
        d: whether it is CIDEr-D.

    Returns:
        `[N]`.
    """
    found = np.zeros((len(captions), LONGEST))
    for n in range(1, LONGEST + 1):
        counted = [[_sequences(words, n) for words in each] for each in references]
        images: Counts = Counter()
        for each in counted:
            images.update({sequence for counts in each for sequence in counts})
        total = math.log(max(len(references), 1))
        rarity = {sequence: total - math.log(count) for sequence, count in images.items()}
        for row, caption in enumerate(captions):
            mine = _weighted(_sequences(caption, n), rarity, total)
            found[row, n - 1] = np.mean(
                [
                    _likeness(mine, _weighted(counts, rarity, total), d)
                    * (math.exp(-((len(caption) - len(words)) ** 2) / (2 * WIDTH**2)) if d else 1)
                    for words, counts in zip(references[row], counted[row], strict=True)
                ]
            )
    return FACTOR * found.mean(axis=1)


def _sequences(words: Words, n: int) -> Counts:
    return Counter(tuple(words[i : i + n]) for i in range(len(words) - n + 1))


def _weighted(
    counts: Counts, rarity: dict[tuple[str, ...], float], total: float
) -> dict[tuple[str, ...], float]:
    """`h · log(|I| / images)`; the sum of counts cancels in a cosine, and CIDEr-D leaves it out."""
    return {sequence: h * rarity.get(sequence, total) for sequence, h in counts.items()}


def _likeness(
    mine: dict[tuple[str, ...], float], theirs: dict[tuple[str, ...], float], d: bool
) -> float:
    product = sum(
        (min(mine[sequence], value) if d else mine[sequence]) * value
        for sequence, value in theirs.items()
        if sequence in mine
    )
    norms = math.sqrt(sum(v * v for v in mine.values()) * sum(v * v for v in theirs.values()))
    return product / norms if norms else 0.0
