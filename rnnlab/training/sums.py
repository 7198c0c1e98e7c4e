"""A network that reads a sum and writes its answer: its settings, its training, and its answers."""

from __future__ import annotations

import dataclasses
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from rnnlab import cells, strategies
from rnnlab.arrays import Array, Bool, Float, Params
from rnnlab.combinators import Stack
from rnnlab.data import sums
from rnnlab.data.sums import VOCABULARY, Numbers, Sums
from rnnlab.data.tokens import END_CODE, START_CODE
from rnnlab.run import checks
from rnnlab.training.cross_entropy import cross_entropy
from rnnlab.training.evaluators import Evaluator
from rnnlab.training.optimisers import Clip
from rnnlab.training.update import Learner

if TYPE_CHECKING:  # modules of models would slow down `--help`
    from rnnlab.nn import Functional
    from rnnlab.nn.decoding import Written
    from rnnlab.nn.encoder_decoder import EncoderDecoder

#: Sums that are answered at a time, which bounds the memory.
READ = 512
HAND_OVERS = ("state", "context", "attention")


@dataclasses.dataclass(frozen=True)
class SumNetwork:
    """An encoder that reads a sum and a decoder that writes the answer."""

    #: Cell of encoder and decoder: lstm, gru, tanh, ...; or MODULE:NAME of your own.
    cell: str = "gru"
    #: Layers of the encoder, and of the decoder.
    layers: int = 1
    #: Hidden units of each layer.
    hidden: int = 128
    #: Features of a character, learned.
    embedding: int = 32
    #: What the decoder gets of the sum: state (it starts from the encoder's last one), context (the
    #: same vector at every step) or attention.
    hand_over: str = "state"
    #: How sequences are run: hoisted, autodiff, stepwise, rematerialised, split, auto, ...
    strategy: str = "hoisted"

    def __post_init__(self) -> None:
        """Checks every field."""
        checks.at_least(self, layers=1, hidden=1, embedding=1)
        checks.one_of(self, "hand_over", HAND_OVERS)
        strategies.by_name(self.strategy)
        self.stack()

    def stack(self) -> Stack:
        """The layers of the encoder, or of the decoder."""
        return Stack(tuple(cells.by_name(self.cell, self.hidden) for _ in range(self.layers)))

    def model(self) -> Functional[EncoderDecoder]:
        """The model."""
        from rnnlab.nn import Functional
        from rnnlab.nn.encoder_decoder import EncoderDecoder

        return Functional(
            lambda rngs: EncoderDecoder(
                VOCABULARY.size,
                VOCABULARY.size,
                encoder=self.stack(),
                decoder=self.stack(),
                embedding=self.embedding,
                readout=self.hidden,
                hand_over=self.hand_over,
                strategy=self.strategy,
                rngs=rngs,
            )
        )


def sum_learner(
    model: Functional[EncoderDecoder],
    *,
    digits: int,
    reverse: bool,
    batch: int,
    optimiser: optax.GradientTransformation,
    clip: Clip,
) -> Learner:
    """What trains a model on sums that are drawn for each update, none of them held out.

    The loss is the mean cross-entropy of a character of an answer, `</s>` among them, after the
    right characters before it.

    Args:
        model: what is trained.
        digits: of the longest numbers.
        reverse: whether sums are read from their end.
        batch: sums of an update.
        optimiser: turns gradients into updates.
        clip: bounds of the gradient.
    """

    def loss(params: Params, carry: Any, drawn: Sums, key: Array) -> Any:
        del key
        nats, counts = losses(model, params, drawn)
        return nats.sum() / counts.sum(), (carry, {})

    return Learner(
        init=model.init,
        loss=loss,
        optimiser=optimiser,
        clip=clip,
        sample=lambda key: sums.training_batch(key, batch, digits, reverse),
    )


def losses(
    model: Functional[EncoderDecoder], params: Params, drawn: Sums
) -> tuple[Float[Array, "N"], Float[Array, "N"]]:
    """The cross-entropy in nats of each whole answer `[N]`, and its characters `[N]`."""
    module = model.bind(params)
    first = jnp.full((len(drawn.target), 1), START_CODE, jnp.int32)
    before = jnp.concatenate([first, drawn.target[:, :-1]], axis=1)
    memory = module.encode(drawn.source, drawn.source_lengths)
    nats = cross_entropy(module.logits(memory, before).logits, drawn.target)
    places = jnp.arange(drawn.target.shape[1], dtype=jnp.int32)
    counted = places < drawn.target_lengths[:, None]
    return jnp.where(counted, nats, 0).sum(axis=1), counted.sum(axis=1).astype(nats.dtype)


def answer(model: Functional[EncoderDecoder], params: Params, drawn: Sums) -> Written:
    """What the network writes, the likeliest character at every step."""
    from rnnlab.nn.decoding import greedy

    module, most = model.bind(params), drawn.target.shape[1]
    memory = module.encode(drawn.source, drawn.source_lengths)
    limits = jnp.full(len(drawn.source), most, jnp.int32)
    step = partial(module.step, memory)
    return greedy(step, module.begin(memory), limits, most, start=START_CODE, end=END_CODE)


class Result(NamedTuple):
    """What a network made of some sums.

    Attributes:
        answers: what it wrote, `[N]` texts.
        right: whether every character of the answer is right.
        loss: mean cross-entropy of a character in nats.
    """

    answers: list[str]
    right: Bool[np.ndarray, "N"]
    loss: float


class Examination:
    """Asks networks some sums.

    Args:
        model: the model.
        numbers: of the sums.
        digits: of the longest numbers, as in training.
        reverse: whether sums are read from their end.
    """

    def __init__(
        self, model: Functional[EncoderDecoder], numbers: Numbers, digits: int, reverse: bool
    ):
        self._model, self._numbers = model, numbers
        self._sums = sums.written(numbers, digits, reverse)

    def __call__(self, params: Params) -> Result:
        """The result of a network with these parameters."""
        batches = _in_batches(self._sums)
        written, nats, counts = jax.device_get(_examine(self._model, params, batches))
        count = len(self._numbers.first)
        rows = written.symbols.reshape(-1, written.symbols.shape[-1])[:count]
        answers = [
            "".join(VOCABULARY.tokens[code] for code in row[:length])
            for row, length in zip(rows, written.lengths.ravel(), strict=False)
        ]
        wanted = (int(a) + int(b) for a, b in zip(*self._numbers, strict=True))
        right = [answer == str(total) for answer, total in zip(answers, wanted, strict=True)]
        loss = nats.sum(dtype=np.float64) / counts.sum(dtype=np.float64)
        return Result(answers, np.array(right, bool), float(loss))


def _in_batches(drawn: Sums) -> Sums:
    """Sums `[batches, N, ...]` in batches of equal size; empty ones fill up the last.

    The size is a power of two, so that few programs are compiled for any number of sums.
    """
    count = len(drawn.source)
    size = min(READ, 1 << max(count - 1, 0).bit_length())
    batches = -(-count // size)

    def one(array: Any) -> np.ndarray:
        room = np.zeros((batches * size, *array.shape[1:]), np.int32)
        room[:count] = array
        return room.reshape(batches, size, *array.shape[1:])

    return jax.tree.map(one, drawn)


@partial(jax.jit, static_argnums=0)
def _examine(model: Functional[EncoderDecoder], params: Params, batches: Sums) -> Any:
    """The answers, with nats and characters of the right ones, batch after batch."""

    def one(drawn: Sums) -> Any:
        return answer(model, params, drawn), *losses(model, params, drawn)

    return jax.lax.map(one, batches)


class SumEvaluator(Evaluator):
    """How a network answers held-out sums; arguments as in `Examination`."""

    def __init__(
        self, model: Functional[EncoderDecoder], numbers: Numbers, digits: int, reverse: bool
    ):
        self._examine = Examination(model, numbers, digits, reverse)

    def __call__(self, params: Params, step: int) -> dict[str, Any]:
        """`exact`, the share of right answers, `error`, that of wrong ones, and `loss` in nats."""
        del step
        result = self._examine(params)
        exact = float(result.right.mean())
        return {"exact": exact, "error": 1 - exact, "loss": result.loss}
