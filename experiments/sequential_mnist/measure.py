"""Can a network read a digit pixel by pixel, and name it 784 steps later?

Images of MNIST are read as sequences: row by row (28 steps), pixel by pixel (784 steps; Le, Jaitly
and Hinton 2015), or pixel by pixel in a fixed random order, in which neighbours lie hundreds of
steps apart. A linear readout of the last output names the digit; the loss is the cross-entropy.
Measured are accuracy and loss on validation images, the recurrent matrices, and how far back the
loss is felt.

Command: python run.py --experiment=sequential_mnist --config.order=permuted
Pixel by pixel: --config.order=pixels. Row by row: --config.order=rows
Under a minute, on small images that it makes: --config.tiny=true
Splits: the published 60,000 and 10,000 images; the last 5,000 of the former validate. The test
images are looked at once, with the checkpoint that misread the fewest validation images.
"""

import dataclasses
import json
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from experiments import _mnist_report
from experiments._mnist_images import (
    CLASSES,
    COUNTS,
    MADE,
    ORDERS,
    SIDES,
    Images,
    Splits,
    read_images,
    sequences,
)
from experiments._training import REPORT, once, renamed, tell_diverged, with_setting
from rnnlab import cells, strategies
from rnnlab.combinators import Dropout, Stack
from rnnlab.data.pipelines import Feed, shuffled
from rnnlab.errors import UsageError
from rnnlab.run.tables import print_table
from rnnlab.run.workdir import Workdir
from rnnlab.statistics import wilson_interval
from rnnlab.training import diagnostics, optimisers
from rnnlab.training.loop import Outcome, train
from rnnlab.training.model import Reader
from rnnlab.training.optimisers import Clip
from rnnlab.training.plan import Plan
from rnnlab.training.step import Learner

#: What a work directory keeps of the test: the answer to each image.
ANSWERS = "answers.json"
#: Images of an evaluation that are read at a time, which bounds its memory.
READ = 100
#: Images over which the adjoints are averaged.
FELT = 8

#: Unless told, biases start for memories of this part of the sequence: our choice.
CHRONO_PART = 8

#: What the small setting changes.
TINY: dict[str, Any] = {
    "images": MADE,
    "hidden": 32,
    "batch": 20,
    "epochs": 6,
    "learning_rate": 0.01,
    "warmup": 20,
}


@dataclasses.dataclass(frozen=True)
class Config:
    """What is read in which order, by which network, trained how."""

    #: mnist, or made (small digit-like images for quick runs).
    images: str = "mnist"
    #: rows, pixels or permuted.
    order: str = "pixels"
    #: Any cell by its name in rnnlab.cells.CELLS: lstm, gru, tanh, ...
    cell: str = "gru"
    #: Layers, one after the other.
    layers: int = 1
    #: Hidden units of each layer.
    hidden: int = 128
    #: Longest memory, in steps, for which the biases of an LSTM or a GRU start (chrono
    #: initialisation of Tallec and Ollivier 2018); 0 for their usual start, -1 for an eighth of the
    #: sequence where the cell has such a start.
    chrono: int = -1
    #: Probability with which an output of a layer is zeroed in training.
    dropout: float = 0.0
    #: Images of a training step.
    batch: int = 64
    #: Times that the training images are read.
    epochs: int = 16
    #: sgd, momentum, nesterov, rmsprop, adagrad, adam, adamw or nadam.
    optimiser: str = "adam"
    #: Learning rate, highest of the schedule.
    learning_rate: float = 0.004
    #: constant, linear, cosine or inverse_sqrt.
    schedule: str = "cosine"
    #: Steps in which the learning rate rises.
    warmup: int = 200
    #: The gradient is scaled down to this norm; 0 leaves it.
    clip_norm: float = 1.0
    #: Training steps between evaluations; 0 evaluates after every epoch.
    evaluate_every: int = 0
    #: Training steps between checkpoints.
    checkpoint_every: int = 200
    #: Training steps of a dispatch.
    chunk: int = 20
    #: Seed of all that is random.
    seed: int = 0
    #: How sequences are run: hoisted, autodiff, rematerialised, split, auto, ...
    strategy: str = "hoisted"
    #: Type in which the network is computed: float32 or bfloat16. Parameters are float32.
    compute: str = "float32"
    #: Where TensorFlow Datasets keeps prepared data; empty for its own default.
    data_dir: str = ""
    #: Folder that holds the four original files of MNIST (train-images-idx3-ubyte.gz, ...), for use
    #: without a network; empty to download them.
    manual_dir: str = ""
    #: Use a small setting that takes less than a minute, on images that it makes. Fields that are
    #: given other values than their defaults keep these.
    tiny: bool = False

    def __post_init__(self) -> None:
        """Checks every field."""
        for name in ("layers", "hidden", "batch", "epochs"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name}={getattr(self, name)}: must be a positive integer")
        for name in ("clip_norm", "evaluate_every", "seed"):
            if getattr(self, name) < 0:
                raise UsageError(f"{name}={getattr(self, name)}: must be at least 0")
        if self.chrono < -1:
            raise UsageError(f"chrono={self.chrono}: must be at least -1")
        _check_choice("images", self.images, tuple(COUNTS))
        _check_choice("order", self.order, ORDERS)
        _check_choice("compute", self.compute, ("float32", "bfloat16"))
        count = COUNTS[self.images][0]
        if self.batch > count:
            raise UsageError(
                f"batch={self.batch}: must be within 1 .. {count}, the number of training images"
            )
        strategies.by_name(self.strategy)
        self.plan()
        self.optimise()
        self.reader()

    def chosen(self) -> "Config":
        """The configuration with the values of the setting that is asked for."""
        return with_setting(self, tiny=TINY)

    @property
    def epoch(self) -> int:
        """Training steps of an epoch."""
        return COUNTS[self.images][0] // self.batch

    @property
    def steps(self) -> int:
        """Training steps."""
        return self.epochs * self.epoch

    def memory(self) -> int:
        """The longest memory, in steps, for which biases start; 0 for their usual start."""
        if self.chrono >= 0:
            return self.chrono
        side = SIDES[self.images]
        steps = (side if self.order == "rows" else side**2) // CHRONO_PART
        offered = self.cell in cells.CELLS and "chrono" in cells.settings_of(self.cell)
        return steps if offered and steps > 2 else 0

    def reader(self) -> Reader:
        """The network."""
        memory = self.memory()
        settings = {"chrono": memory} if memory else {}
        layers: list[Any] = []
        for _ in range(self.layers):
            layers.append(cells.by_name(self.cell, self.hidden, **settings))
            if self.dropout:
                with renamed("rate", "dropout"):
                    layers.append(Dropout(self.dropout))
        compute = None if self.compute == "float32" else jnp.dtype(self.compute)
        return Reader(Stack(tuple(layers)), CLASSES, self.strategy, compute)

    def learner(self, features: int) -> Learner:
        """What is trained, and how, on steps of that many pixels."""
        reader = self.reader()

        def loss(params: Any, carry: Any, batch: Images, key: jax.Array) -> Any:
            nats, right = examine(reader, self.order, params, batch, key)
            return nats.mean(), (carry, {"accuracy": right.astype(nats.dtype).mean()})

        return Learner(
            init=lambda key: reader.init(key, features),
            loss=loss,
            optimiser=self.optimise(),
            clip=Clip(norm=self.clip_norm or None),
            axes=Images(0, 0),
            batch=self.batch,
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
            evaluate_every=self.evaluate_every or self.epoch,
            checkpoint_every=self.checkpoint_every,
            best="error",
            unit="images",
            units=self.batch,
        )


def run(config: Config, workdir: Workdir) -> None:
    """Trains, tests and draws, or does what is left of that."""
    config = config.chosen()
    splits = read_images(config.images, config.data_dir, config.manual_dir)
    outcome = fit(config, workdir, splits)
    if outcome.diverged:
        tell_diverged(outcome)
        return
    summary = once(workdir, lambda: summarise(config, workdir, splits, outcome))
    if not workdir.path(REPORT).exists():
        answers = np.array(json.loads(workdir.path(ANSWERS).read_text(encoding="utf-8")))
        _mnist_report.write(workdir, config.epoch, summary, splits.test, answers)
    rows = [(name, value) for name, value in summary.items() if value is not None]
    print_table(rows, columns=("what", "value"), title=f"MNIST, {config.order}, {config.cell}")
    print(f"Curve, confusions and adjoints: {workdir.path(REPORT)}")


def fit(config: Config, workdir: Workdir, splits: Splits) -> Outcome:
    """Trains to the end, or goes on where a run was stopped."""
    features = splits.train.pixels.shape[-1] if config.order == "rows" else 1
    return train(
        workdir,
        config.learner(features),
        config.plan(),
        jax.random.key(config.seed),
        evaluate=evaluation(config, splits.validation),
        feed=Feed(shuffled(splits.train, config.batch, config.seed)),
    )


def logits(
    reader: Reader, order: str, params: Any, pixels: Any, key: jax.Array | None = None
) -> jax.Array:
    """What the readout of the last output says of each digit, `[N, 10]`."""
    _, ys = reader.run(params, sequences(pixels, order), key=key)
    return reader.read(params, ys[-1])


def examine(
    reader: Reader, order: str, params: Any, images: Images, key: jax.Array | None = None
) -> tuple[jax.Array, jax.Array]:
    """Cross-entropy in nats of each image, and whether its answer is right, `[N]` each."""
    said = logits(reader, order, params, images.pixels, key)
    nats = optax.losses.softmax_cross_entropy_with_integer_labels(said, images.labels)
    return nats, jnp.argmax(said, axis=-1).astype(jnp.int32) == images.labels


class Result(NamedTuple):
    """What a network made of some images.

    Attributes:
        answers: the likeliest digit of each, `[N]`.
        accuracy: share of right answers.
        loss: mean cross-entropy in nats.
    """

    answers: np.ndarray
    accuracy: float
    loss: float


class Examination:
    """Shows images to networks, a part of them at a time; noise is off.

    Args:
        reader: the network.
        order: of the pixels.
        images: what it is shown.
    """

    def __init__(self, reader: Reader, order: str, images: Images):
        self._count = len(images.labels)
        self._labels = np.asarray(images.labels)
        parts = -(-self._count // READ)
        size = -(-self._count // parts)  # of equal size, with the least padding
        room = np.zeros((parts * size, *images.pixels.shape[1:]), np.uint8)
        room[: self._count] = images.pixels
        self._pixels = room.reshape(parts, size, *images.pixels.shape[1:])
        self._reader, self._order = reader, order

    def __call__(self, params: Any) -> Result:
        """The result of a network with these parameters."""
        said = np.asarray(_read(self._reader, self._order, params, self._pixels), np.float64)
        said = said.reshape(-1, CLASSES)[: self._count]
        largest = said.max(axis=1)
        total = largest + np.log(np.exp(said - largest[:, None]).sum(axis=1))
        nats = total - said[np.arange(self._count), self._labels]
        answers = said.argmax(axis=1)
        return Result(answers, float(np.mean(answers == self._labels)), float(nats.mean()))


@partial(jax.jit, static_argnums=(0, 1))
def _read(reader: Reader, order: str, params: Any, parts: Any) -> jax.Array:
    """The logits `[parts, N, 10]` of images `[parts, N, S, S]`, one part after the other."""
    return jax.lax.map(partial(logits, reader, order, params), parts)


def evaluation(config: Config, images: Images) -> Callable[[Any, int], dict[str, float]]:
    """Measures accuracy and loss on the images, the matrices, and how far back a loss is felt."""
    reader = config.reader()
    examination = Examination(reader, config.order, images)
    xs = sequences(images.pixels[:FELT], config.order)

    def evaluate(params: Any, step: int) -> dict[str, float]:
        del step
        result = examination(params)
        return (
            {"accuracy": result.accuracy, "loss": result.loss, "error": 1 - result.accuracy}
            | diagnostics.matrix_numbers(reader.cell, params["cell"])
            | diagnostics.adjoint_numbers(reader.cell, params["cell"], xs)
        )

    return evaluate


def summarise(config: Config, workdir: Workdir, splits: Splits, outcome: Outcome) -> dict[str, Any]:
    """The run in a few numbers; this is where the test images are looked at."""
    by_step = {row["step"]: row for row in outcome.evaluations}
    step = outcome.best or outcome.step
    best = outcome.restore(outcome.best) if outcome.best else outcome.state
    result = Examination(config.reader(), config.order, splits.test)(best.params)
    count = len(splits.test.labels)
    wrong = int(np.sum(result.answers != splits.test.labels))
    low, high = wilson_interval(count - wrong, count)
    workdir.write(ANSWERS, json.dumps(result.answers.tolist()))
    return {
        "best step": step,
        "best epoch": step / config.epoch,
        "validation accuracy": by_step[step]["accuracy"],
        "validation loss": by_step[step]["loss"],
        "test accuracy": result.accuracy,
        "its 95 % interval from": low,
        "its 95 % interval to": high,
        "test loss": result.loss,
        "test images misread": wrong,
        "most frequent digit": float(np.bincount(splits.test.labels).max() / count),
    }


def _check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise UsageError(f"{name}={value!r}: unknown, choose one of {', '.join(choices)}")
