"""A trained network that translates lines.

Its description has the units and codes of the `source` and `target` language, and how translations
are written: `beams` and `penalty` of beam search.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from typing import Any

from rnnlab.arrays import Params
from rnnlab.data.coded_lines import LineCoder
from rnnlab.data.tokens import END
from rnnlab.errors import UsageError
from rnnlab.nn.decoding import Choice
from rnnlab.nn.encoder_decoder import EncoderDecoder
from rnnlab.nn.functional import Functional
from rnnlab.run.workdir import Workdir
from rnnlab.trained.description import Kept, write_description
from rnnlab.trained.kinds import STRATEGY
from rnnlab.training.translating import Coders, Line, attention_of, spaced, translate_lines
from rnnlab.training.translator_settings import TranslatorNetwork

#: Symbols of a line whose attention is drawn, at most.
MOST = 80


def describe(
    workdir: Workdir, network: TranslatorNetwork, coders: Coders, beams: int, penalty: float
) -> None:
    """Writes the description of a network that translates."""
    write_description(
        workdir,
        "translation",
        network,
        source=coders.source.record(),
        target=coders.target.record(),
        beams=beams,
        penalty=penalty,
    )


def load(kept: Kept) -> Translator:
    """The model that a work directory keeps."""
    network = TranslatorNetwork(**kept.description["network"])
    coders = Coders(*(LineCoder.read(kept.description[side]) for side in ("source", "target")))
    model = dataclasses.replace(network, strategy=STRATEGY).model(
        coders.source.vocabulary.size, coders.target.vocabulary.size
    )
    step, params = kept.parameters(model.init)
    beams, penalty = int(kept.description["beams"]), float(kept.description["penalty"])
    return Translator(model, params, coders, beams, penalty, network, kept.config, step)


@dataclasses.dataclass(frozen=True, eq=False)
class Translator:
    """A trained network that translates lines.

    Attributes:
        model: the network.
        params: its parameters.
        coders: units and codes of both languages.
        beams: of beam search; 1 is greedy.
        penalty: of the length, see `rnnlab.nn.beam`.
        network: settings of the network.
        config: configuration of the run, as JSON values.
        step: training steps after which the checkpoint was taken.
    """

    model: Functional[EncoderDecoder] = dataclasses.field(repr=False)
    params: Params = dataclasses.field(repr=False)
    coders: Coders = dataclasses.field(repr=False)
    beams: int
    penalty: float
    network: TranslatorNetwork
    config: dict[str, Any] = dataclasses.field(repr=False)
    step: int

    def predict(
        self, lines: Sequence[str], beams: int | None = None, penalty: float | None = None
    ) -> list[dict[str, Any]]:
        """The translation of each line.

        Args:
            lines: sentences, detokenised as in the training text; what a network does not know of
                them it reads as `<unk>`. White space is read as one space; a line of nothing else
                has an empty translation.
            beams: of beam search; None for those of the training run.
            penalty: likewise.

        Returns:
            For each line `{"line", "answer", "score", "log_probability"}`, the latter in nats.
        """
        return _answers(self._translate(lines, beams, penalty))

    def sample(
        self,
        lines: Sequence[str],
        temperature: float = 1.0,
        top_k: int = 0,
        top_p: float = 1.0,
        seed: int = 0,
    ) -> list[dict[str, Any]]:
        """A translation of each line that is drawn, symbol by symbol.

        The same line with the same seed has the same translation, whatever the other lines are.

        Args:
            lines: as in `predict`.
            temperature: below 1 likely symbols become likelier still, 0 takes the likeliest.
            top_k: how many of the likeliest symbols are drawn from; 0 for all.
            top_p: of the likeliest of these, as many as have this probability together are drawn
                from; 1 for all.
            seed: of what is drawn.

        Returns:
            As `predict`; the score is the log-probability.

        Raises:
            UsageError: a number out of range.
        """
        choice = Choice(temperature, top_k, top_p)
        return _answers(
            translate_lines(self.model, self.params, self.coders, lines, choice=choice, seed=seed)
        )

    def show(self, line: str, path: str | os.PathLike[str]) -> None:
        """Draws what was attended to for each symbol of the translation.

        Args:
            line: a sentence.
            path: of the picture, which ends in .png, .pdf or .svg.

        Raises:
            UsageError: a network without attention, or a line without symbols or with too many.
        """
        from rnnlab import plots
        from rnnlab.trained import attention_picture

        if self.network.hand_over != "attention":
            raise UsageError(f"hand_over={self.network.hand_over}: there is no attention to draw")
        source, target = self.coders.source, self.coders.target
        read = source.tokens(spaced(line))
        if not 0 < len(read) <= MOST:
            raise UsageError(f"line: has {len(read)} symbols; a picture shows 1 to {MOST}")
        (found,) = self._translate([line])
        weights = attention_of(self.model, self.params, source.vocabulary.encode(read), found.codes)
        written = [target.vocabulary.tokens[code] for code in found.codes]
        assert weights is not None
        with plots.style():
            plots.save(attention_picture.plot(weights, read, [*written, END]), path)

    def _translate(
        self, lines: Sequence[str], beams: int | None = None, penalty: float | None = None
    ) -> list[Line]:
        return translate_lines(
            self.model,
            self.params,
            self.coders,
            lines,
            self.beams if beams is None else beams,
            self.penalty if penalty is None else penalty,
        )


def _answers(found: Sequence[Line]) -> list[dict[str, Any]]:
    return [
        {
            "line": each.line,
            "answer": each.text,
            "score": each.score,
            "log_probability": each.log_probability,
        }
        for each in found
    ]
