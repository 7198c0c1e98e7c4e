"""A model that translates, trained in rnnlab and in PyTorch: the same weights, batch and updates.

The encoder is a GRU in both directions, the decoder a GRU with the general attention of Luong, Pham
and Manning (2015) and their tanh layer; symbols are read and written with the same vectors. An
update is the gradient of the mean cross-entropy of a symbol, clipped by its norm, and Adam.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments.benchmark.config import Translation
from experiments.benchmark.peers import torch as torch_peer
from rnnlab import interop, timing
from rnnlab.data.buckets import Padded
from rnnlab.data.tokens import END_CODE, SPECIAL, START_CODE
from rnnlab.timing import Program
from rnnlab.training import devices
from rnnlab.training.optimisers import Clip, optimiser
from rnnlab.training.translation import CodedPair, translation_learner
from rnnlab.training.translator_settings import TranslatorNetwork
from rnnlab.training.update import TrainState, update

RATE, CLIP = 0.001, 1.0
#: Updates whose losses are compared before anything is timed.
COMPARED = 4


class Task(NamedTuple):
    """What all candidates train on.

    Attributes:
      network: settings of the model, without dropout.
      vocabulary: symbols of each language V.
      batch: pairs of sentences, batch first, the longest source first.
      varied: whether sentences are padded.
    """

    network: TranslatorNetwork
    vocabulary: int
    batch: Padded
    varied: bool

    @property
    def symbols(self) -> int:
        """Symbols that an update reads and writes, padding and start symbols left out."""
        source, target = self.batch.lengths
        return int(source.sum() + (target - 1).sum())

    def learner(self, strategy: str = "hoisted") -> Any:
        """What trains the model, by a strategy of rnnlab."""
        network = dataclasses.replace(self.network, strategy=strategy)
        return translation_learner(
            network.model(self.vocabulary, self.vocabulary),
            optimiser=optimiser("adam", RATE),
            clip=Clip(norm=CLIP),
            smoothing=0.0,
        )

    def start(self) -> TrainState:
        """The training state that every candidate begins with."""
        return timing.jit(self.learner().start)(jax.random.key(0))


def make_task(settings: Translation, varied: bool) -> Task:
    """Random sentences of `settings.steps` symbols, or of half as many to as many."""
    rng = np.random.default_rng(0)
    steps, rows = settings.steps, settings.pairs
    least = -(-steps // 2) if varied else steps
    lengths = np.sort(rng.integers(least, steps + 1, (2, rows)).astype(np.int32), axis=1)[:, ::-1]
    places = np.arange(steps)
    codes = rng.integers(len(SPECIAL), settings.vocabulary, (2, rows, steps)).astype(np.int32)
    source, written = np.where(places < lengths[..., None], codes, 0).astype(np.int32)
    target = np.zeros((rows, steps + 2), np.int32)
    target[:, 0], target[:, 1:-1] = START_CODE, written
    target[np.arange(rows), lengths[1] + 1] = END_CODE
    batch = Padded(
        CodedPair(source, target),
        CodedPair(lengths[0], lengths[1] + 2),
        np.arange(rows, dtype=np.int32),
    )
    network = TranslatorNetwork(
        hidden=settings.hidden,
        decoder_hidden=settings.hidden,
        embedding=settings.hidden,
        readout=settings.hidden,
        dropout=0.0,
    )
    return Task(network, settings.vocabulary, batch, varied)


def ours(task: Task, strategy: str) -> Program:
    """Updates by rnnlab; `call` makes the next one, and the result has the first losses."""
    learner, batch = task.learner(strategy), jax.tree.map(jnp.asarray, task.batch)
    state = task.start()
    start = time.perf_counter()
    lowered = timing.jit(partial(update, learner), donate_argnums=0).lower(state, batch)
    program = lowered.compile(devices.compiler_options())  # as a training compiles it

    def call() -> float:
        nonlocal state
        state, metrics = program(state, batch)
        return float(jax.block_until_ready(metrics)["loss"])

    losses = [call()]
    first = time.perf_counter() - start
    return Program(call, first, losses + [call() for _ in range(1, COMPARED)])


def in_torch(task: Task) -> Program:
    """Updates by PyTorch; `call` makes the next one, and the result has the first losses.

    Its GRU adds two biases where ours has one, and Adam would move their sum twice as far: the
    second stays while losses are compared.
    """
    torch = torch_peer.set_up()
    module = translator(torch, task)
    module.load_state_dict(state_dict(torch, task, jax.device_get(task.start().params)))
    adam = torch.optim.Adam(module.parameters(), RATE, fused=True)
    pair, lengths = task.batch.values, task.batch.lengths
    source, target = (torch.from_numpy(np.ascontiguousarray(a)).long() for a in pair)
    source_lengths = torch.from_numpy(np.ascontiguousarray(lengths.source)).long()
    before, after = target[:, :-1], target[:, 1:].clone()

    def call() -> float:
        adam.zero_grad()
        logits = module(source, source_lengths, before)
        loss = torch.nn.functional.cross_entropy(
            logits.flatten(0, 1), after.flatten(), ignore_index=0
        )
        loss.backward()
        torch.nn.utils.clip_grad_norm_(module.parameters(), CLIP)
        adam.step()
        return loss.item()

    single = torch.arange(3 * task.network.hidden) >= 2 * task.network.hidden
    hooks = [
        parameter.register_hook(lambda gradient: gradient * single)
        for name, parameter in module.named_parameters()
        if "bias_hh" in name
    ]
    start = time.perf_counter()
    losses = [call()]
    first = time.perf_counter() - start
    losses += [call() for _ in range(1, COMPARED)]
    for hook in hooks:
        hook.remove()
    return Program(call, first, losses)


def translator(torch: Any, task: Task) -> Any:
    """The model as a module of PyTorch, which packs sentences where they are padded."""
    from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

    nn, size, vocabulary = torch.nn, task.network.hidden, task.vocabulary

    class Translator(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.source = nn.Embedding(vocabulary, size, padding_idx=0)
            self.target = nn.Embedding(vocabulary, size, padding_idx=0)
            self.encoder = nn.GRU(size, size, batch_first=True, bidirectional=True)
            self.start = nn.Linear(2 * size, size)
            self.decoder = nn.GRU(size, size, batch_first=True)
            self.keys = nn.Linear(2 * size, size, bias=False)
            self.readout = nn.Linear(3 * size, size)
            self.output = nn.Linear(size, vocabulary)
            self.output.weight = self.target.weight

        def forward(self, source: Any, lengths: Any, before: Any) -> Any:
            xs, steps = self.source(source), source.shape[1]
            if task.varied:
                packed, final = self.encoder(pack_padded_sequence(xs, lengths, batch_first=True))
                memory, _ = pad_packed_sequence(packed, batch_first=True, total_length=steps)
            else:
                memory, final = self.encoder(xs)
            start = torch.tanh(self.start(torch.cat([final[0], final[1]], -1)))
            ys, _ = self.decoder(self.target(before), start[None])
            scores = torch.bmm(ys, self.keys(memory).transpose(1, 2))
            if task.varied:
                beyond = torch.arange(steps)[None, None] >= lengths[:, None, None]
                scores = scores.masked_fill(beyond, float("-inf"))
            context = torch.bmm(torch.softmax(scores, -1), memory)
            readouts = torch.tanh(self.readout(torch.cat([ys, context], -1)))
            return self.output(readouts)

    return Translator()


def state_dict(torch: Any, task: Task, params: Any) -> dict[str, Any]:
    """Our parameters as those of the module of PyTorch."""
    network = task.network
    layers = {"encoder": network.encoder(), "decoder": network.decoder()}
    arrays: dict[str, np.ndarray] = {
        "source.weight": params["source"]["table"],
        "target.weight": params["target"]["table"],
        "output.weight": params["target"]["table"],
        "output.bias": params["bias"],
        "keys.weight": params["attention"]["weight"]["kernel"].T,
    }
    for ours_name, name in (("readout", "readout"), ("starts", "start")):
        linear = params[ours_name]
        linear = linear[0] if ours_name == "starts" else linear
        arrays |= {f"{name}.weight": linear["kernel"].T, f"{name}.bias": linear["bias"]}
    for name, stack in layers.items():
        weights = (params[name]["weights"][0],)
        arrays |= {f"{name}.{k}": a for k, a in interop.to_torch(stack, weights).items()}
    return {name: torch.from_numpy(np.array(array, np.float32)) for name, array in arrays.items()}


def candidates(task: Task, strategies: Mapping[str, str], with_torch: bool) -> dict[str, Any]:
    """What makes the program of each candidate, by its name."""
    makers: dict[str, Callable[[], Program]] = {
        name: partial(ours, task, strategy) for name, strategy in strategies.items()
    }
    return makers | ({torch_peer.TORCH: partial(in_torch, task)} if with_torch else {})
