"""A trained language model of characters or words: it predicts, scores and generates text.

Its description has the `vocabulary`, the symbols in the order of their codes, the `primer`, what is
read before a text is generated, and of a transformer the `architecture`.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import islice
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from rnnlab.arrays import Array, Float, Int, Params, State
from rnnlab.data import Vocabulary, WordVocabulary
from rnnlab.data.corpus import Corpus
from rnnlab.errors import UsageError
from rnnlab.nn.decoding import Choice
from rnnlab.run.workdir import Workdir
from rnnlab.trained.description import Kept, write_description
from rnnlab.trained.kinds import STRATEGY
from rnnlab.training import generation
from rnnlab.training.cross_entropy import cross_entropy
from rnnlab.training.language import SymbolModel
from rnnlab.training.settings import LanguageNetwork
from rnnlab.training.transformer_settings import TransformerNetwork

#: What the description calls a network that is not recurrent.
TRANSFORMER = "transformer"
#: Symbols that are read in one dispatch, which bounds the memory; lines that are read together.
STEPS, LINES = 64, 16


def describe(
    workdir: Workdir, network: LanguageNetwork | TransformerNetwork, corpus: Corpus
) -> None:
    """Writes the description of a language model."""
    words = isinstance(corpus.vocabulary, WordVocabulary)
    transformer = isinstance(network, TransformerNetwork)
    write_description(
        workdir,
        "words" if words else "characters",
        network,
        TransformerNetwork if transformer else LanguageNetwork,
        vocabulary=list(corpus.vocabulary.symbols),
        primer=corpus.primer,
        **({"architecture": TRANSFORMER} if transformer else {}),
    )


def load(kept: Kept) -> TextModel:
    """The model that a work directory keeps."""
    symbols = kept.description["vocabulary"]
    words = kept.description["kind"] == "words"
    vocabulary = WordVocabulary(tuple(symbols)) if words else Vocabulary("".join(symbols))
    network, plain = _network(kept.description)
    model = plain.model(vocabulary.size)
    step, params = kept.parameters(model.init)
    primer = kept.description["primer"]
    return TextModel(model, params, vocabulary, primer, network, kept.config, step)


def _network(description: dict[str, Any]) -> tuple[Any, Any]:
    """The settings of the network, and of one with the same parameters that every device runs."""
    if description.get("architecture") == TRANSFORMER:
        network = TransformerNetwork(**description["network"])
        return network, network
    network = LanguageNetwork(**description["network"])
    return network, dataclasses.replace(network, strategy=STRATEGY)


@dataclasses.dataclass(frozen=True, eq=False)
class TextModel:
    """A trained language model of characters or words.

    Words that the vocabulary lacks are read as `<unk>`, where it has that; all other symbols that
    it lacks are refused.

    Attributes:
        model: network and readout.
        params: their parameters.
        vocabulary: the symbols, V of them.
        primer: the end of the training text, which is read before a text is generated or scored.
        network: settings of the network.
        config: configuration of the run, as JSON values.
        step: training steps after which the checkpoint was taken.
    """

    model: SymbolModel = dataclasses.field(repr=False)
    params: Params = dataclasses.field(repr=False)
    vocabulary: Vocabulary | WordVocabulary = dataclasses.field(repr=False)
    primer: str = dataclasses.field(repr=False)
    network: LanguageNetwork | TransformerNetwork
    config: dict[str, Any] = dataclasses.field(repr=False)
    step: int

    def __call__(self, text: str) -> Float[np.ndarray, "codes V"]:
        """Log-probabilities of the symbol that follows each symbol of a text, float32.

        The text is read from the initial state.

        Raises:
            UsageError: the text has symbols that the vocabulary lacks.
        """
        codes = self.read(text)
        state, rows = self.model.initial_state(1), []
        for window in _windows(codes[:, None]):
            state, log_p = _log_probabilities(self.model, self.params, window, state)
            rows.append(np.asarray(log_p[:, 0]))
        empty = np.zeros((0, self.vocabulary.size), np.float32)
        return np.concatenate([empty, *rows])[: len(codes)]

    def predict(self, lines: Sequence[str]) -> list[dict[str, Any]]:
        """How well lines of text are predicted.

        Each line is read alone, after the primer. Its end counts as a symbol where the training
        text had line ends.

        Args:
            lines: lines of text, without line ends.

        Returns:
            For each line `{"line", "answer", "symbols", "nats", "perplexity"}`: the number of
            symbols, mean nats for each and their exp, which is the answer in four digits; None for
            the last two, and "-", where there is no symbol.

        Raises:
            UsageError: a line has symbols that the vocabulary lacks.
        """
        codes = [self.read(line + self._line_end, "line") for line in lines]
        nats = [
            one
            for start in range(0, len(codes), LINES)
            for one in self._nats(codes[start : start + LINES])
        ]
        return [_score(line, one) for line, one in zip(lines, nats, strict=True)]

    def generate(
        self,
        prompt: str = "",
        count: int = 200,
        temperature: float = 1.0,
        top_k: int = 0,
        seed: int = 0,
        *,
        top_p: float = 1.0,
    ) -> str:
        """The prompt and `count` symbols after it.

        Args:
            prompt: what the text begins with; the primer is read before it.
            count: symbols to generate.
            temperature: below 1 likely symbols become likelier still, 0 takes the likeliest.
            top_k: how many of the likeliest symbols are drawn from; 0 for all.
            seed: of the symbols drawn.
            top_p: of the likeliest of these, as many as have this probability together are drawn
                from; 1 for all.

        Raises:
            UsageError: a number out of range, or symbols that the vocabulary lacks.
        """
        if count < 0:
            raise UsageError(f"count={count}: must be at least 0")
        pieces = self.stream(prompt, temperature, top_k, seed, top_p=top_p)
        return "".join(islice(pieces, count + 1))

    def stream(
        self,
        prompt: str = "",
        temperature: float = 1.0,
        top_k: int = 0,
        seed: int = 0,
        *,
        top_p: float = 1.0,
    ) -> Iterator[str]:
        """The prompt, then what `generate` appends, each symbol as soon as it is drawn, forever.

        Arguments and errors are those of `generate`.
        """
        choice = Choice(temperature, top_k, top_p)
        read = self.read(prompt, "prompt")
        codes = np.concatenate([self.vocabulary.read(self.primer), read])
        drawn = generation.stream(self.model, self.params, codes, jax.random.key(seed), choice)
        # Without an error so far, which a generator would raise only when it is asked.
        return self._pieces(prompt, int(read[-1]) if len(read) else None, drawn)

    def read(self, text: str, name: str = "text") -> Int[np.ndarray, "codes"]:
        """The codes of a text, int32 `[N]`.

        Args:
            text: the text.
            name: what errors call it.

        Raises:
            UsageError: it has symbols that the vocabulary lacks.
        """
        try:
            return self.vocabulary.read(text)
        except UsageError as error:
            known = set(self.vocabulary.symbols)
            symbols = text.split() if isinstance(self.vocabulary, WordVocabulary) else text
            strange = sorted(set(symbols) - known)[:10]
            raise UsageError(
                f"{name}={text.rstrip()[:30]!r}: has {', '.join(map(repr, strange))}, which the "
                f"model does not know; its vocabulary has {self.vocabulary.size} symbols"
            ) from error

    def _pieces(self, prompt: str, after: int | None, drawn: Iterator[int]) -> Iterator[str]:
        yield prompt
        if prompt[-1:].isspace():
            after = None
        for code in drawn:
            yield self.vocabulary.piece(code, after)
            after = code

    @property
    def _line_end(self) -> str:
        words = isinstance(self.vocabulary, WordVocabulary)
        return "\n" if words or "\n" in self.vocabulary.symbols else ""

    def _nats(self, lines: Sequence[np.ndarray]) -> list[np.ndarray]:
        """The cross-entropy of each symbol of some lines, at most LINES of them."""
        first = self.vocabulary.read(self.primer)
        whole = np.zeros((max(map(len, lines)) + 1, LINES), np.int32)
        whole[0] = first[-1]
        for column, line in enumerate(lines):
            whole[1 : 1 + len(line), column] = line
        state = self._primed(first[:-1])
        rows = [np.zeros((0, LINES), np.float32)]
        for inputs, targets in zip(_windows(whole[:-1]), _windows(whole[1:]), strict=True):
            state, nats = _cross_entropies(self.model, self.params, inputs, targets, state)
            rows.append(np.asarray(nats))
        nats = np.concatenate(rows)
        return [nats[: len(line), column] for column, line in enumerate(lines)]

    def _primed(self, codes: np.ndarray) -> State:
        """The state of LINES lines after these codes."""
        state = self.model.initial_state(1)
        for code in codes:
            state, _ = _log_probabilities(self.model, self.params, code[None, None], state)
        return jax.tree.map(lambda leaf: jnp.repeat(leaf, LINES, axis=0), state)


def _windows(codes: np.ndarray) -> Iterator[np.ndarray]:
    """Codes `[N, B]` in windows `[STEPS, B]`, the last one filled up with zeros."""
    for start in range(0, len(codes), STEPS):
        window = codes[start : start + STEPS]
        yield np.pad(window, ((0, STEPS - len(window)), (0, 0)))


@partial(jax.jit, static_argnums=0)
def _log_probabilities(
    model: SymbolModel, params: Params, codes: Array, state: State
) -> tuple[State, Array]:
    state, logits = model.run(params, codes, state)
    return state, jax.nn.log_softmax(logits)


@partial(jax.jit, static_argnums=0)
def _cross_entropies(
    model: SymbolModel, params: Params, codes: Array, targets: Array, state: State
) -> tuple[State, Array]:
    state, logits = model.run(params, codes, state)
    return state, cross_entropy(logits, targets)


def _score(line: str, nats: np.ndarray) -> dict[str, Any]:
    mean = float(nats.mean(dtype=np.float64)) if len(nats) else None
    perplexity = None if mean is None else math.exp(min(mean, 700.0))
    answer = "-" if perplexity is None else f"{perplexity:.4g}"
    return {
        "line": line,
        "answer": answer,
        "symbols": len(nats),
        "nats": mean,
        "perplexity": perplexity,
    }
