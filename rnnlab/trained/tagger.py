"""A trained network that labels the words of lines.

Its description has the `words`, `characters` and `labels` that it knows, in the order of their
codes, and the code from which on words are `rare`.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from typing import Any

from rnnlab.arrays import Params
from rnnlab.data.coded_words import Coder
from rnnlab.data.tokens import TokenVocabulary
from rnnlab.errors import UsageError
from rnnlab.nn import Functional
from rnnlab.run.workdir import Workdir
from rnnlab.trained.description import Kept, write_description
from rnnlab.trained.kinds import STRATEGY
from rnnlab.training.tagger_settings import TaggingNetwork
from rnnlab.training.tagging import Tagger, label, tagger


def describe(workdir: Workdir, network: TaggingNetwork, coder: Coder) -> None:
    """Writes the description of a network that labels words."""
    write_description(
        workdir,
        "tags",
        network,
        words=coder.words.tokens,
        characters=coder.characters.tokens,
        labels=coder.labels,
        rare=coder.rare,
    )


def load(kept: Kept) -> WordTagger:
    """The model that a work directory keeps."""
    network = TaggingNetwork(**kept.description["network"])
    words, characters = (
        TokenVocabulary(tuple(kept.description[name])) for name in ("words", "characters")
    )
    labels, rare = tuple(kept.description["labels"]), int(kept.description["rare"])
    coder = Coder(words, characters, labels, network.lower, rare)
    model = tagger(dataclasses.replace(network, strategy=STRATEGY), coder)
    step, params = kept.parameters(model.init)
    return WordTagger(model, params, coder, network, kept.config, step)


@dataclasses.dataclass(frozen=True, eq=False)
class WordTagger:
    """A trained network that labels the words of lines, such as with parts of speech or entities.

    Words that it does not know are read by their characters, and as `<unk>`.

    Attributes:
        model: the network.
        params: its parameters.
        coder: the words, characters and labels that it knows.
        network: settings of the network.
        config: configuration of the run, as JSON values.
        step: training steps after which the checkpoint was taken.
    """

    model: Functional[Tagger] = dataclasses.field(repr=False)
    params: Params = dataclasses.field(repr=False)
    coder: Coder = dataclasses.field(repr=False)
    network: TaggingNetwork
    config: dict[str, Any] = dataclasses.field(repr=False)
    step: int

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels."""
        return self.coder.labels

    def predict(self, lines: Sequence[str]) -> list[dict[str, Any]]:
        """The label of each word of lines; white space separates words.

        Punctuation should be a word of its own, as in the data that the network was trained on.

        Returns:
            For each line `{"line", "answer", "words", "labels", "probabilities"}`: the labels with
            spaces between them, then words, labels, and the probability of each label by itself.
            A line without words has an empty answer.
        """
        sentences = [line.split() for line in lines]
        found = label(self.model, self.params, [self.coder.encode(words) for words in sentences])
        answers = []
        for line, words, (codes, share) in zip(lines, sentences, found, strict=True):
            labels = self.coder.names(codes)
            answers.append(
                {
                    "line": line,
                    "answer": " ".join(labels),
                    "words": words,
                    "labels": labels,
                    "probabilities": [float(one) for one in share],
                }
            )
        return answers

    def show(self, line: str, path: str | os.PathLike[str]) -> None:
        """Draws the words of a line with their labels over them.

        Args:
            line: words with white space between them.
            path: of the picture, which ends in .png, .pdf or .svg.

        Raises:
            UsageError: a line without words, or of more than fit a picture.
        """
        from rnnlab import plots
        from rnnlab.trained import tag_picture

        (answer,) = self.predict([line])
        words, labels = answer["words"], answer["labels"]
        if not 0 < len(words) <= tag_picture.MOST:
            raise UsageError(
                f"line: has {len(words)} words; a picture shows 1 to {tag_picture.MOST}"
            )
        with plots.style():
            plots.save(tag_picture.plot([(words, labels)]), path)
