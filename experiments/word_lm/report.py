"""Curve, sentences and likely next words of a trained word model, as a picture and a page."""

from __future__ import annotations

import math
from typing import Any

import jax
import numpy as np
from matplotlib.figure import Figure

from experiments.word_lm.measure import Curve
from rnnlab import plots
from rnnlab.arrays import Params
from rnnlab.data.corpus import Corpus
from rnnlab.run.report import Report
from rnnlab.run.workdir import Workdir
from rnnlab.training import generation
from rnnlab.training.language import LanguageModel

CURVE = "curve.png"
#: Words that are read before a word is predicted.
READ = 35
#: Words that are generated, in so many texts.
WORDS, TEXTS = 60, 4
#: Contexts whose next words are shown, words of them that are shown, and how many are likeliest.
CONTEXTS, SHOWN, LIKELIEST = 6, 8, 5


def write(
    workdir: Workdir,
    summary: dict[str, Any],
    curve: Curve,
    corpus: Corpus,
    model: LanguageModel,
    params: Params,
) -> None:
    """Draws the picture and writes the page.

    Args:
        workdir: of the run.
        summary: the run in a few numbers.
        curve: perplexities by epoch.
        corpus: the text.
        model: the language model.
        params: its parameters, of the best checkpoint.
    """
    with plots.style():
        plots.save(plot(curve, summary["test perplexity published"]), workdir.path(CURVE))
    page = Report("How good a language model is a recurrent network?")
    page.text(INTRODUCTION)
    page.table(list(summary.items()), columns=("what", "value"), caption=CAPTION)
    page.figure(
        workdir.path(CURVE),
        caption="Perplexity of each epoch's training windows as they were met, and of the "
        "validation split after it. Dotted: the published test perplexity of this setting.",
        alt="Perplexity against epochs.",
    )
    page.heading("What it writes")
    page.verbatim("\n\n".join(write_sentences(model, params, corpus)))
    page.heading("What it expects")
    page.table(likely_words(model, params, corpus), caption=EXPECTED)
    page.settings(workdir)
    page.write(workdir.path("report.html"))


def plot(curve: Curve, published: float | None) -> Figure:
    """Perplexity against epochs."""
    figure, axes = plots.subplots(1, 1, width=6)
    axis = axes[0, 0]
    epochs = np.arange(len(curve.training)) + 1
    axis.plot(epochs, curve.training, "o-", label="training")
    axis.plot(epochs, curve.validation[1:], "o-", label="validation")
    if published is not None:
        axis.axhline(published, color="#555555", linestyle=":", label="published, test")
    axis.set(xlabel="epoch", ylabel="perplexity", yscale="log")
    axis.legend()
    return figure


def write_sentences(model: LanguageModel, params: Params, corpus: Corpus) -> list[str]:
    """Texts that the network generates after the end of the training split, a sentence a line."""
    prompt = corpus.vocabulary.read(corpus.primer)
    key = jax.random.key(0)
    sample = jax.jit(
        lambda params: generation.sample(model, params, prompt, key, batch=TEXTS, count=WORDS)
    )
    return [corpus.vocabulary.write(codes).strip() for codes in np.asarray(sample(params)).T]


def likely_words(model: LanguageModel, params: Params, corpus: Corpus) -> list[dict[str, str]]:
    """The likeliest words, with their probabilities, at places of the validation split."""
    codes, words = corpus.codes("validation"), corpus.symbols["validation"]
    read = min(READ, len(codes) - 1)
    ends = np.linspace(read, len(codes) - 1, CONTEXTS).astype(int)
    contexts = codes[ends - read + np.arange(read)[:, None]]

    @jax.jit
    def predict(params: Params) -> Any:
        _, logits = model.run(params, contexts, model.initial_state(CONTEXTS))
        return jax.nn.log_softmax(logits[-1])

    log_p = np.asarray(predict(params))
    rows = []
    for end, known in zip(ends, log_p, strict=True):
        best = np.argsort(-known)[:LIKELIEST]
        shown = zip(corpus.vocabulary.decode(best), known[best], strict=True)
        rows.append(
            {
                "after": "… " + " ".join(words[max(0, end - SHOWN) : end]),
                "expects": ", ".join(f"{word} {math.exp(p):.0%}" for word, p in shown),
                "comes": f"{words[end]} {math.exp(known[codes[end]]):.1%}",
            }
        )
    return rows


INTRODUCTION = """\
    The network reads a text word by word and predicts the next one; the end of a line is a word
    too. Perplexity is exp of the mean cross-entropy in nats: a guess among that many words, all
    as likely, would be as good. The test split was read once, as one text from its first word,
    with the checkpoint of the lowest validation loss. For validation the split is cut into 20
    rows that are read side by side, each from the initial state."""
CAPTION = """\
    Perplexities, and losses in nats for each word. The training perplexity is a mean over an epoch
    during which the network changed."""
EXPECTED = """\
    After some places of the validation split, of which the last words are shown: the likeliest
    words with their probabilities, and the word that comes with its own."""
