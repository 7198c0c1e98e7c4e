"""A trained network that reads texts and names their class.

Its description has the `vocabulary`, the tokens in the order of their codes, and the names of the
`classes`.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from rnnlab.arrays import Float, Params
from rnnlab.data.tokenise import tokenise
from rnnlab.data.tokens import UNKNOWN_CODE, TokenVocabulary
from rnnlab.errors import UsageError
from rnnlab.run.workdir import Workdir
from rnnlab.trained.description import Kept, write_description
from rnnlab.trained.kinds import STRATEGY
from rnnlab.training.classification import Model, attention_weights, log_probabilities
from rnnlab.training.classifier_settings import ClassifierNetwork

#: Words that a picture shows at most, and of a text that it is drawn of: it is read many times.
SHOWN, READ = 40, 2000


def describe(
    workdir: Workdir,
    network: ClassifierNetwork,
    vocabulary: TokenVocabulary,
    classes: Sequence[str],
) -> None:
    """Writes the description of a classifier of texts."""
    more = {"vocabulary": list(vocabulary.tokens), "classes": list(classes)}
    write_description(workdir, "texts", network, ClassifierNetwork, **more)


def load(kept: Kept) -> TextClassifier:
    """The model that a work directory keeps."""
    classes = tuple(kept.description["classes"])
    vocabulary = TokenVocabulary(tuple(kept.description["vocabulary"]))
    network = ClassifierNetwork(**kept.description["network"])
    plain = dataclasses.replace(network, strategy=STRATEGY)
    model = plain.classifier(vocabulary.size, len(classes))
    step, params = kept.parameters(model.init)
    return TextClassifier(model, params, vocabulary, classes, network, kept.config, step)


@dataclasses.dataclass(frozen=True, eq=False)
class TextClassifier:
    """A trained network that reads texts and names their class.

    Words that the vocabulary lacks are read as `<unk>`, and a text without words has a class, too.

    Attributes:
        model: the network.
        params: its parameters.
        vocabulary: the words that it knows.
        classes: names of the classes.
        network: settings of the network.
        config: configuration of the run, as JSON values.
        step: training steps after which the checkpoint was taken.
    """

    model: Model = dataclasses.field(repr=False)
    params: Params = dataclasses.field(repr=False)
    vocabulary: TokenVocabulary = dataclasses.field(repr=False)
    classes: tuple[str, ...]
    network: ClassifierNetwork
    config: dict[str, Any] = dataclasses.field(repr=False)
    step: int

    def __call__(self, texts: Sequence[str]) -> Float[np.ndarray, "texts classes"]:
        """Log-probabilities of the classes of texts, float64."""
        codes = [self.vocabulary.encode(tokenise(text)) for text in texts]
        return log_probabilities(self.model, self.params, codes).reshape(-1, len(self.classes))

    def predict(self, lines: Sequence[str]) -> list[dict[str, Any]]:
        """The likeliest class of each line of text.

        Returns:
            For each line `{"line", "answer", "probability", "classes"}`: the likeliest class, its
            probability, and those of all classes by name.
        """
        answers = []
        for line, row in zip(lines, np.exp(self(lines)), strict=True):
            classes = {name: float(p) for name, p in zip(self.classes, row, strict=True)}
            answer = max(classes, key=lambda name: classes[name])
            answers.append(
                {"line": line, "answer": answer, "probability": classes[answer], "classes": classes}
            )
        return answers

    def effects(
        self, line: str, most: int | None = None
    ) -> tuple[list[str], Float[np.ndarray, "words"]]:
        """The first words of a line, and what each of them does to the answer.

        The whole line is read once for each of these words.

        Args:
            line: a text.
            most: how many words; None for all.

        Returns:
            The words, and by how much `log p` of the answer is larger than if that word were
            unknown, in nats.
        """
        words = tokenise(line)
        codes = self.vocabulary.encode(words)
        words = words[:most]
        without = np.tile(codes, (len(words), 1))
        np.fill_diagonal(without, UNKNOWN_CODE)
        log_p = log_probabilities(self.model, self.params, [codes, *without])
        return words, (log_p[0] - log_p[1:])[:, log_p[0].argmax()]

    def show(self, line: str, path: str | os.PathLike[str]) -> None:
        """Draws what each word of a line does to the answer, and the attention where there is one.

        Args:
            line: a text, of which the first 40 words are drawn.
            path: a file that ends in .png, .pdf or .svg.

        Raises:
            UsageError: a text of more words than are read for a picture.
        """
        from rnnlab import plots

        read = tokenise(line)
        if len(read) > READ:
            raise UsageError(f"line: has {len(read)} words; a picture takes a text of up to {READ}")
        (answer,) = self.predict([line])
        words, effects = self.effects(line, SHOWN)
        weights = attention_weights(self.model, self.params, self.vocabulary.encode(read))
        values = {"nats for the answer": effects}
        values |= {} if weights is None else {"attention": weights[:SHOWN]}
        places = np.arange(len(words))
        with plots.style():
            width = max(4.0, 0.28 * len(words) + 2)
            figure, axes = plots.subplots(len(values), 1, width=width)
            for ax, (name, numbers) in zip(axes[:, 0], values.items(), strict=True):
                ax.bar(places, numbers, color=np.where(numbers < 0, "C3", "C0").tolist())
                ax.set_xticks(places, words, rotation=60, ha="right")
                ax.set(ylabel=name)
                ax.axhline(0, color="k", lw=0.6)
            axes[0, 0].set_title(f"{answer['answer']}, p = {answer['probability']:.3f}")
            plots.save(figure, path)
