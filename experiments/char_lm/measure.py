"""What does a character model learn of a text, and when: quotes, then short words, then names?

A recurrent network predicts the next character of Tiny Shakespeare or of any text file (Karpathy
2015, "The unreasonable effectiveness of recurrent neural networks"). It reads the text in parallel
places, window after window with continuing state (truncated backpropagation through time). Measured
are nats per character on the validation split and the share of generated words that exist in the
corpus; the checkpoint with the best validation loss is tested once. Pictures show single cells that
follow quotes or the position in the line (Karpathy, Johnson and Fei-Fei 2015).

Command: python run.py --experiment=char_lm
Any text: --config.corpus=PATH
Under a minute, on a text that it makes: --config.tiny=true
Write with it, once it is trained: the same command and --config.generate=500
--config.prompt="ROMEO:" --config.temperature=0.8 --config.top_k=20
Splits: the first 90 % of the text train, 5 % validate, 5 % test.
"""

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments import _char_report
from experiments._char_corpus import Corpus, claim, noted, read_corpus
from experiments._corpus import MADE, places, windows
from experiments._training import REPORT, finite, once, renamed, tell_diverged, with_setting
from rnnlab import cells, strategies
from rnnlab.combinators import Dropout, Stack
from rnnlab.data import Vocabulary
from rnnlab.data.spelling import known_share, spelled_words
from rnnlab.errors import UsageError
from rnnlab.run.tables import print_table
from rnnlab.run.workdir import Workdir
from rnnlab.training import diagnostics, generation, optimisers
from rnnlab.training.checkpoints import Checkpoints
from rnnlab.training.generation import Choice
from rnnlab.training.language import LanguageModel, TextLoss, language_learner
from rnnlab.training.loop import CHECKPOINTS, Outcome, train
from rnnlab.training.model import Reader
from rnnlab.training.optimisers import Clip
from rnnlab.training.plan import Plan
from rnnlab.training.step import Learner

#: Texts that are generated at each evaluation, the first of which is shown.
SAMPLES = 8
#: Letters of words that hardly exist by chance.
LONG = 5

#: What the two settings change.
TINY: dict[str, Any] = {
    "corpus": MADE,
    "hidden": 64,
    "batch": 16,
    "length": 32,
    "steps": 300,
    "learning_rate": 0.01,
    "warmup": 20,
    "samples": (100, 300),
    "evaluate_every": 100,
    "checkpoint_every": 100,
    "sample_characters": 200,
}
LARGE: dict[str, Any] = {
    "hidden": 384,
    "layers": 2,
    "dropout": 0.3,
    "batch": 64,
    "steps": 3000,
    "learning_rate": 0.003,
}


@dataclasses.dataclass(frozen=True)
class Config:
    """What is read, by which network, trained how; and what a trained one is asked to write."""

    #: tiny_shakespeare, penn_treebank, made (a text for quick runs) or the path of a text file.
    corpus: str = "tiny_shakespeare"
    #: Any cell by its name in rnnlab.cells.CELLS: lstm, gru, tanh, ...
    cell: str = "lstm"
    #: Layers, one after the other.
    layers: int = 1
    #: Hidden units of each layer.
    hidden: int = 256
    #: Features of a character, learned; 0 reads characters one-hot.
    embedding: int = 0
    #: Probability with which an output of a layer is zeroed in training.
    dropout: float = 0.0
    #: Places of the text that are read side by side.
    batch: int = 32
    #: Steps of a window, through which the gradient flows.
    length: int = 64
    #: Training steps, a window each.
    steps: int = 2000
    #: sgd, momentum, nesterov, rmsprop, adagrad, adam, adamw or nadam.
    optimiser: str = "adam"
    #: Learning rate, highest of the schedule.
    learning_rate: float = 0.004
    #: constant, linear, cosine or inverse_sqrt.
    schedule: str = "cosine"
    #: Steps in which the learning rate rises.
    warmup: int = 100
    #: The gradient is scaled down to this norm; 0 leaves it.
    clip_norm: float = 1.0
    #: Steps after which a text is generated and kept, with an evaluation.
    samples: tuple[int, ...] = (100, 300, 500, 700, 1200, 2000)
    #: Characters of a generated text.
    sample_characters: int = 500
    #: Steps between evaluations.
    evaluate_every: int = 500
    #: Steps between checkpoints.
    checkpoint_every: int = 500
    #: Training steps of a dispatch.
    chunk: int = 50
    #: Seed of all that is random.
    seed: int = 0
    #: How sequences are run: hoisted, autodiff, rematerialised, split, auto, ...
    strategy: str = "hoisted"
    #: Type in which the network is computed: float32 or bfloat16. Parameters are float32.
    compute: str = "float32"
    #: Where TensorFlow Datasets keeps prepared data; empty for its own default.
    data_dir: str = ""
    #: Folder that holds the original file of the data set (tiny_shakespeare: input.txt), for use
    #: without a network; empty to download it.
    manual_dir: str = ""
    #: Use a small setting that takes less than a minute, on a text that it makes. Fields that are
    #: given other values than their defaults keep these.
    tiny: bool = False
    #: Use a large setting, two layers of 384 units with dropout; fields as with `tiny`.
    large: bool = False
    #: Write this many characters with the best checkpoint of the work directory, to the terminal,
    #: as they are drawn, and train nothing. 0 trains.
    generate: int = 0
    #: What the generated text begins with. A few lines of the corpus are read before it.
    prompt: str = ""
    #: Of generation: below 1 likely characters become likelier still, 0 takes the likeliest.
    temperature: float = 1.0
    #: Of generation: how many of the likeliest characters are drawn from; 0 for all.
    top_k: int = 0
    #: Of generation: seed of the characters drawn.
    draw: int = 0

    #: Fields that ask something of a trained network and do not change it.
    FREE = ("generate", "prompt", "temperature", "top_k", "draw")

    def __post_init__(self) -> None:
        """Checks every field."""
        counts = ("layers", "hidden", "batch", "length", "sample_characters")
        for name in counts:
            if getattr(self, name) < 1:
                raise UsageError(f"{name}={getattr(self, name)}: must be a positive integer")
        for name in ("generate", "clip_norm", "seed", "draw"):
            if getattr(self, name) < 0:
                raise UsageError(f"{name}={getattr(self, name)}: must be at least 0")
        if self.compute not in ("float32", "bfloat16"):
            raise UsageError(f"compute={self.compute!r}: must be float32 or bfloat16")
        if self.tiny and self.large:
            raise UsageError("tiny=true, large=true: choose one of them")
        if not all(step > 0 for step in self.samples):
            raise UsageError(f"samples={self.samples}: must be positive numbers of steps")
        strategies.by_name(self.strategy)
        self.choice()
        self.plan()
        self.optimise()
        self.model(2)

    def chosen(self) -> "Config":
        """The configuration with the values of the setting that is asked for."""
        return with_setting(self, tiny=TINY, large=LARGE)

    def model(self, characters: int) -> LanguageModel:
        """The network for that many characters."""
        layers: list[Any] = []
        for _ in range(self.layers):
            layers.append(cells.by_name(self.cell, self.hidden))
            if self.dropout:
                with renamed("rate", "dropout"):
                    layers.append(Dropout(self.dropout))
        compute = None if self.compute == "float32" else jnp.dtype(self.compute)
        reader = Reader(Stack(tuple(layers)), characters, self.strategy, compute)
        return LanguageModel(reader, self.embedding)

    def learner(self, characters: int) -> Learner:
        """What is trained, and how."""
        return language_learner(
            self.model(characters),
            batch=self.batch,
            optimiser=self.optimise(),
            clip=Clip(norm=self.clip_norm or None),
        )

    def optimise(self) -> Any:
        """The optimiser."""
        rate = optimisers.schedule(self.schedule, self.learning_rate, self.steps, self.warmup)
        return optimisers.optimiser(self.optimiser, rate)

    def plan(self) -> Plan:
        """How long training is."""
        return Plan(
            steps=self.steps,
            chunk=self.chunk,
            evaluate_every=self.evaluate_every,
            checkpoint_every=self.checkpoint_every,
            evaluate_at=tuple(step for step in self.samples if step <= self.steps),
            best="validation",
            unit="characters",
            units=self.batch * self.length,
        )

    def choice(self) -> Choice:
        """How characters are drawn when a trained network writes."""
        return Choice(self.temperature, self.top_k)


def run(config: Config, workdir: Workdir) -> None:
    """Trains, tests and draws, or does what is left of that; or writes with a trained network."""
    config = config.chosen()
    if config.generate:
        write(config, workdir)
        return
    corpus = read_corpus(config)
    claim(config, workdir, corpus)
    outcome = fit(config, workdir, corpus)
    if outcome.diverged:
        tell_diverged(outcome)
        return
    best = outcome.restore(outcome.best) if outcome.best else outcome.state
    summary = once(workdir, lambda: summarise(config, corpus, outcome, best.params))
    if not workdir.path(REPORT).exists():
        model = config.model(corpus.vocabulary.size)
        validation = corpus.texts["validation"]
        _char_report.write(workdir, summary, model, best.params, validation, corpus.vocabulary)
    rows = [(name, value) for name, value in summary.items() if value is not None]
    print_table(rows, columns=("what", "value"), title="Losses in nats per character")
    print(f"Text at each step, curve and cells: {workdir.path(REPORT)}")


def fit(config: Config, workdir: Workdir, corpus: Corpus) -> Outcome:
    """Trains to the end, or goes on where a run was stopped."""
    feed, _ = windows(corpus.codes("train"), config)
    return train(
        workdir,
        config.learner(corpus.vocabulary.size),
        config.plan(),
        jax.random.key(config.seed),
        evaluate=evaluation(config, workdir, corpus),
        feed=feed,
    )


def evaluation(
    config: Config, workdir: Workdir, corpus: Corpus
) -> Callable[[Any, int], dict[str, float]]:
    """Measures validation loss, generated words, matrices and adjoints; keeps and shows texts."""
    model, vocabulary = config.model(corpus.vocabulary.size), corpus.vocabulary
    loss = TextLoss(model, corpus.codes("validation"))
    known = frozenset(spelled_words(corpus.texts["train"]))
    prompt = vocabulary.encode(corpus.primer)
    read = places(corpus.codes("validation"), config.length)
    folder = workdir.within(_char_report.SAMPLES)

    @jax.jit
    def sample(params: Any, key: jax.Array) -> jax.Array:
        count = config.sample_characters
        return generation.sample(model, params, prompt, key, batch=SAMPLES, count=count)

    def evaluate(params: Any, step: int) -> dict[str, float]:
        key = jax.random.fold_in(jax.random.key(config.seed), step)
        texts = [vocabulary.decode(codes) for codes in np.asarray(sample(params, key)).T]
        values = {
            "validation": loss(params),
            "known_words": _mean([known_share(text, known) for text in texts]),
            "known_long_words": _mean([known_share(text, known, LONG) for text in texts]),
        }
        if step in config.samples:
            folder.write(f"{step:06}.txt", texts[0])
            numbers = ", ".join(f"{name} {value:.3f}" for name, value in values.items())
            print(f"--- step {step}: {numbers}\n{texts[0][:300]}\n", flush=True)
        cell, weights = model.reader.cell, params["cell"]
        xs = model.embed(params, jnp.asarray(read))
        return (
            values
            | diagnostics.matrix_numbers(cell, weights)
            | diagnostics.adjoint_numbers(cell, weights, xs)
        )

    return evaluate


def summarise(config: Config, corpus: Corpus, outcome: Outcome, params: Any) -> dict[str, Any]:
    """The run in a few numbers; this is where the test split is looked at."""
    by_step = {row["step"]: row for row in outcome.evaluations}
    known = frozenset(spelled_words(corpus.texts["train"]))
    test = TextLoss(config.model(corpus.vocabulary.size), corpus.codes("test"))
    step = outcome.best or outcome.step
    return {
        "best step": step,
        "validation": by_step[step]["validation"],
        "test": test(params),
        "without context": _entropy(corpus.codes("train"), corpus.vocabulary.size),
        "words generated that exist": by_step[step]["known_words"],
        f"the same, {LONG} letters or more": by_step[step]["known_long_words"],
        "words of the validation text that exist": finite(
            known_share(corpus.texts["validation"], known)
        ),
    }


def write(config: Config, workdir: Workdir) -> None:
    """Writes with the best checkpoint, each character as it is drawn.

    Raises:
        UsageError: there is no checkpoint, it is of another network, or a character of the prompt
            is not one of its text.
    """
    note, folder = noted(workdir), workdir.path(CHECKPOINTS)
    if note is None or not folder.exists():
        raise _no_checkpoint(config, workdir)
    vocabulary = Vocabulary(note["characters"])
    strange = sorted(set(config.prompt) - set(vocabulary.characters))
    if strange:
        raise UsageError(
            f"prompt={config.prompt!r}: has {''.join(strange)!r}, which the text does not have"
        )
    prompt = vocabulary.encode(note["primer"] + config.prompt)
    checkpoints = Checkpoints(folder)
    try:
        learner = config.learner(vocabulary.size)
        state = checkpoints.best(jax.jit(learner.start)(jax.random.key(config.seed)))
    finally:
        checkpoints.close()
    if state is None:
        raise _no_checkpoint(config, workdir)
    model, key = config.model(vocabulary.size), jax.random.key(config.draw)
    print(config.prompt, end="", flush=True)
    codes = generation.stream(model, state.params, prompt, key, config.choice())
    for _, code in zip(range(config.generate), codes, strict=False):
        print(vocabulary.characters[code], end="", flush=True)
    print()
    if not workdir.path(REPORT).exists():
        workdir.set_state("interrupted", "training is not finished")


def _no_checkpoint(config: Config, workdir: Workdir) -> UsageError:
    return UsageError(
        f"generate={config.generate}: {workdir.root} holds no checkpoint; train first, with the "
        "same command without --config.generate"
    )


def _mean(shares: Sequence[float]) -> float:
    """The mean of those that are defined."""
    defined = [share for share in shares if math.isfinite(share)]
    return sum(defined) / len(defined) if defined else math.nan


def _entropy(codes: np.ndarray, size: int) -> float:
    """Of the frequencies of characters, in nats: the loss of a model that knows nothing else."""
    shares = np.bincount(codes, minlength=size) / len(codes)
    return float(-np.sum(shares[shares > 0] * np.log(shares[shares > 0])))
