"""Curve, similarities, neighbours, analogies and a map of word vectors, as pictures and a page."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from experiments.embeddings import measure
from experiments.embeddings.config import Config
from experiments.embeddings.measure import Both
from rnnlab import plots
from rnnlab.arrays import Float
from rnnlab.data.word_tests import TEST, VALIDATION, WordTests
from rnnlab.run.report import Report
from rnnlab.run.workdir import Workdir
from rnnlab.trained.vectors import WordVectors
from rnnlab.training import log

CURVE, MAP = "curve.png", "map.png"
#: Words whose neighbours are shown, neighbours of each.
SHOWN, NEAR = 12, 6
#: The most frequent words say little of others, and are left out of the map.
COMMON = 100


def write(
    workdir: Workdir,
    config: Config,
    epoch: int,
    summary: dict[str, Any],
    tests: WordTests,
    both: Both,
) -> None:
    """Draws the pictures and writes the page.

    Args:
        workdir: of the run, with its metrics.
        config: of the run.
        epoch: training steps of an epoch.
        summary: the run in a few numbers.
        tests: what the vectors were tested on.
        both: the vectors of both models.
    """
    rows = workdir.path(log.METRICS).read_text(encoding="utf-8")
    with plots.style():
        title = measure.titles(config)[VALIDATION]
        curve = plot_curve(log.read(rows, "train"), log.read(rows, "evaluation"), epoch, title)
        plots.save(curve, workdir.path(CURVE))
        plots.save(plot_map(both.trained, config), workdir.path(MAP))
    page = Report("What do words that stand near each other say of a word?")
    page.text(INTRODUCTION)
    page.table(list(summary.items()), columns=("what", "value"), caption=CAPTION)
    page.figure(workdir.path(CURVE), caption=CURVE_CAPTION, alt="Loss and ρ against epochs.")
    page.heading("Similarity")
    page.table(measure.similarity_table(config, both, tests), caption=SIMILARITY_CAPTION)
    page.heading("Neighbours")
    page.table(neighbours(both, tests), caption=NEIGHBOURS_CAPTION)
    page.heading("Analogies")
    page.table(measure.analogy_table(both, tests), caption=ANALOGY_CAPTION)
    page.heading("A map of words")
    page.figure(workdir.path(MAP), caption=MAP_CAPTION[config.map], alt="Words on a plane.")
    page.settings(workdir)
    page.write(workdir.path("report.html"))


def plot_curve(
    trained: list[dict[str, Any]], evaluated: list[dict[str, Any]], epoch: int, title: str
) -> Figure:
    """Loss, and ρ of the set of pairs with that title, against epochs."""
    figure, axes = plots.subplots(1, 2, width=9)
    loss, rho = axes[0]
    loss.plot([row["step"] / epoch for row in trained], [row["loss"] for row in trained], lw=0.9)
    loss.set(xlabel="epoch", ylabel="nats for each pair and its noise words")
    known = [row for row in evaluated if row[measure.RHO] is not None]
    rho.plot([row["step"] / epoch for row in known], [row[measure.RHO] for row in known], "o-")
    rho.set(xlabel="epoch", ylabel=f"Spearman's ρ, {title}")
    return figure


def neighbours(both: Both, tests: WordTests) -> list[dict[str, str]]:
    """The nearest words of some frequent words of the test set, by both models."""
    trained = both.trained
    words = {word for pair in tests.similarity[TEST] for word in pair[:2] if word in trained}
    frequent = sorted({trained.code(word) for word in words})[:SHOWN]
    rows = []
    for code in frequent:
        word = trained.vocabulary.words[code]
        row = {"word": word}
        for name, vectors in both.named().items():
            row[name] = ", ".join(near for near, _ in vectors.nearest(word, NEAR))
        rows.append(row)
    return rows


def plot_map(vectors: WordVectors, config: Config) -> Figure:
    """Frequent words on a plane, each written where it lies and moved from others as is needed."""
    size = vectors.vocabulary.size
    count = min(config.map_words, size)
    first = min(COMMON, size - count)
    words = vectors.vocabulary.words[first : first + count]
    points = spread(project(vectors.directions[first : first + count], config))
    figure, axes = plots.subplots(1, 1, width=11, height=11)
    ax = axes[0, 0]
    ax.set(xlim=(-0.04, 1.04), ylim=(-0.02, 1.02), xticks=[], yticks=[])
    for word, (x, y) in zip(words, points, strict=True):
        # As it is: a word such as "$" begins no formula.
        ax.text(x, y, word, ha="center", va="center", fontsize=7, parse_math=False)
    return figure


def project(directions: Float[np.ndarray, "n E"], config: Config) -> Float[np.ndarray, "n 2"]:
    """The words on a plane: t-SNE (van der Maaten and Hinton 2008), or principal components."""
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE

    if config.map == "pca" or len(directions) < 10:
        return PCA(2, random_state=0).fit_transform(directions)
    perplexity = min(15.0, (len(directions) - 1) / 3)
    model = TSNE(2, perplexity=perplexity, metric="cosine", init="random", random_state=config.seed)
    return model.fit_transform(directions)


def spread(
    points: Float[np.ndarray, "n 2"], width: float = 0.07, height: float = 0.014
) -> Float[np.ndarray, "n 2"]:
    """Points scaled to the unit square, moved until no two words of that size cover each other."""
    points = points - points.min(axis=0)
    points = points / np.maximum(points.max(axis=0), 1e-12)
    index = np.arange(len(points))
    for _ in range(200):
        across, up = np.moveaxis((points[:, None] - points[None]) / (width, height), -1, 0)
        near = (np.abs(across) < 1) & (np.abs(up) < 1) & (index[:, None] != index)
        if not near.any():
            break
        # Up or down, which is the shorter way; of two at the same height the later goes up.
        sign = np.where(up == 0, np.sign(index[:, None] - index), np.sign(up))
        push = np.where(near, (1 - np.abs(up)) * sign, 0).sum(axis=1)
        points[:, 1] += 0.3 * height * np.clip(push, -2, 2)
    return np.clip(points, 0, 1)


INTRODUCTION = """\
    Skip-gram with negative sampling (Mikolov et al. 2013) trains two vectors for each word: one as
    a centre word, which is kept, and one as a word near others. Beside it stands a count model of
    the same text, windows, left-out words and number of features: the positive pointwise mutual
    information of words and the words near them, and a truncated SVD of it. Levy and Goldberg
    (2014) showed that both have to do with the same matrix.

    The defaults were chosen by SimLex-999, with WordSim-353 in sight, so that ρ of skip-gram on
    the second is optimistic by an unknown amount."""
CAPTION = """\
    ρ is Spearman's rank correlation between the cosines of pairs of words and what people say;
    intervals are those of Bonett and Wright (2000), that of the difference is a bootstrap over
    pairs."""
CURVE_CAPTION = """\
    Left: the loss of training, a mean over each dispatch. Right: rank correlation with the
    pairs by which settings are chosen, after each epoch."""
SIMILARITY_CAPTION = """\
    Rank correlation with the similarity that people see, over pairs whose words are both in the
    vocabulary."""
NEIGHBOURS_CAPTION = "Words with the largest cosine to frequent words of the test set."
ANALOGY_CAPTION = """\
    Share of right answers to "a is to b as c is to …": the word with the largest cosine to
    b - a + c, without a, b and c themselves (3CosAdd), among all words of the vocabulary.
    Questions with a word out of the vocabulary are not asked."""
MAP_CAPTION = {
    "tsne": "Frequent words, placed by t-SNE of the cosines between them; words that would cover "
    "each other are moved up or down.",
    "pca": "Frequent words on the first two principal components of their directions; words that "
    "would cover each other are moved up or down.",
}
