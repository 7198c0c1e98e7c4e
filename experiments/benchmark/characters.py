"""A character model, trained in rnnlab and in PyTorch: the same weights, windows and updates.

Two LSTM layers read characters one-hot and a linear readout predicts the next one: what `char_lm`
trains with its preset `large`, without dropout, so that the losses can be compared. An update is
the gradient of the mean cross-entropy of a window, clipped by its norm, and Adam; the state of a
window enters the next. A call makes several updates without waiting in between, as a training does.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments.benchmark.config import Characters
from experiments.benchmark.peers import torch as torch_peer
from rnnlab import interop, precision, timing
from rnnlab.data.pipelines import Window
from rnnlab.timing import Program
from rnnlab.training import devices
from rnnlab.training.language import language_learner
from rnnlab.training.optimisers import Clip, optimiser
from rnnlab.training.settings import LanguageNetwork
from rnnlab.training.update import Learner, TrainState, updates

RATE, CLIP = 0.003, 1.0


class Mode(NamedTuple):
    """How both sides compute.

    Attributes:
      compute: dtype of our network; parameters are float32 on both sides.
      products: how products of float32 are computed, see `rnnlab.precision`.
      arithmetics: the candidates of PyTorch on a GPU; those of 16 bits by its autocast.
      agree: largest relative difference of losses at which candidates agree.
    """

    compute: str
    products: str
    arithmetics: tuple[str, ...]
    agree: float


#: The modes by name. A CPU has the first one only.
MODES = {
    "float32": Mode("float32", "float32", ("fp32",), 1e-4),
    "tf32": Mode("float32", "fast", ("tf32",), 1e-2),
    "bfloat16": Mode("bfloat16", "fast", ("bf16", "fp16"), 5e-2),
}


class Task(NamedTuple):
    """What all candidates train on.

    Attributes:
      settings: sizes of the model and its windows.
      mode: how it is computed.
      windows: of one call, leaves `[updates, ...]`, the first at the start of the text.
    """

    settings: Characters
    mode: Mode
    windows: Window

    @property
    def symbols(self) -> int:
        """Characters that a call reads."""
        return int(self.windows.xs.size)

    def network(self, strategy: str = "autodiff") -> LanguageNetwork:
        """Settings of the model, without dropout."""
        return LanguageNetwork(
            cell="lstm",
            layers=self.settings.depth,
            hidden=self.settings.hidden,
            strategy=strategy,
            compute=self.mode.compute,
        )

    def learner(self, strategy: str = "autodiff") -> Learner:
        """What trains the model, by a strategy of rnnlab."""
        return language_learner(
            self.network(strategy).model(self.settings.alphabet),
            batch=self.settings.text_rows,
            optimiser=optimiser("adam", RATE),
            clip=Clip(norm=CLIP),
        )

    def start(self, strategy: str = "autodiff") -> TrainState:
        """The training state that every candidate begins with."""
        return timing.jit(self.learner(strategy).start)(jax.random.key(0))


def make_task(settings: Characters, mode: Mode) -> Task:
    """Random characters."""
    shape = settings.updates, settings.window + 1, settings.text_rows
    codes = np.random.default_rng(0).integers(settings.alphabet, size=shape).astype(np.int32)
    first = np.arange(settings.updates) == 0
    return Task(settings, mode, Window(codes[:, :-1], codes[:, 1:], first))


def ours(task: Task, strategy: str) -> Program:
    """Updates by rnnlab; the result has the losses of the first call."""
    learner, windows = task.learner(strategy), jax.tree.map(jnp.asarray, task.windows)
    state = task.start(strategy)
    many = partial(updates, learner, task.settings.updates)
    start = time.perf_counter()
    with jax.default_matmul_precision(precision.PRECISIONS[task.mode.products]):
        lowered = timing.jit(many, donate_argnums=0).lower(state, windows)
        program = lowered.compile(devices.compiler_options())  # as a training compiles it

    def call() -> list[float]:
        nonlocal state
        state, metrics = program(state, windows)
        return np.asarray(metrics["loss"]).tolist()

    losses = call()
    return Program(call, time.perf_counter() - start, losses)


def in_torch(task: Task, arithmetic: str | None = None) -> Program:
    """Updates by PyTorch; the result has the losses of the first call.

    Its LSTM adds two biases where ours has one, and Adam would move their sum twice as far: the
    second stays while losses are compared.

    Args:
      task: what is trained.
      arithmetic: one of `torch_peer.ARITHMETICS`; None for float32, as on a CPU.
    """
    torch = torch_peer.set_up()
    device = torch_peer.device_of(torch)
    chosen = torch_peer.ARITHMETICS[arithmetic or "fp32"]
    lstm, readout = modules(torch, task, jax.device_get(task.start().params), device)
    parameters = [*lstm.parameters(), *readout.parameters()]
    adam = torch.optim.Adam(parameters, RATE, fused=True)
    xs, targets = (
        torch.from_numpy(np.ascontiguousarray(a)).long().to(device)
        for a in (task.windows.xs, task.windows.targets)
    )
    autocast = partial(
        torch.autocast,
        device,
        dtype=torch.bfloat16 if chosen.dtype == "float32" else getattr(torch, chosen.dtype),
        enabled=chosen.dtype != "float32",
    )

    def update(index: int, state: Any) -> tuple[Any, Any]:
        adam.zero_grad()
        with autocast():
            inputs = torch.nn.functional.one_hot(xs[index], task.settings.alphabet).float()
            ys, state = lstm(inputs, state)
            logits = readout(ys).float()
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets[index].flatten())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, CLIP)
        adam.step()
        return loss.detach(), tuple(part.detach() for part in state)

    def call() -> list[float]:
        torch_peer.multiply_in_tf32(torch, chosen.tf32)
        state, losses = None, []
        for index in range(task.settings.updates):
            loss, state = update(index, state)
            losses.append(loss)
        return torch.stack(losses).tolist()  # which waits for a GPU

    hooks = [
        parameter.register_hook(torch.zeros_like)
        for name, parameter in lstm.named_parameters()
        if "bias_hh" in name
    ]
    start = time.perf_counter()
    losses = call()
    first = time.perf_counter() - start
    for hook in hooks:
        hook.remove()
    return Program(call, first, losses)


def modules(torch: Any, task: Task, params: Any, device: str) -> tuple[Any, Any]:
    """The network and the readout as modules of PyTorch, with our parameters."""
    sizes = task.settings

    def tensor(array: Any) -> Any:
        return torch.from_numpy(np.array(array, np.float32))

    lstm = torch.nn.LSTM(sizes.alphabet, sizes.hidden, num_layers=sizes.depth)
    weights = interop.to_torch(task.network().stack(), params["cell"])
    lstm.load_state_dict({name: tensor(array) for name, array in weights.items()})
    readout = torch.nn.Linear(sizes.hidden, sizes.alphabet)
    ours = params["readout"]
    readout.load_state_dict({"weight": tensor(ours["w"].T), "bias": tensor(ours["b"])})
    return lstm.to(device), readout.to(device)


def candidates(
    task: Task, strategies: dict[str, str], with_torch: bool
) -> dict[str, Callable[[], Program]]:
    """What makes the program of each candidate, by its name."""
    makers: dict[str, Callable[[], Program]] = {
        name: partial(ours, task, strategy) for name, strategy in strategies.items()
    }
    if not with_torch:
        return makers
    if not torch_peer.on_gpu():
        return makers | {torch_peer.TORCH: partial(in_torch, task)}
    return makers | {
        f"{torch_peer.TORCH} {name}": partial(in_torch, task, name)
        for name in task.mode.arithmetics
    }
