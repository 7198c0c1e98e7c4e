"""PyTorch: eager, in training mode, gradients by autograd.

Its forward pass runs under `no_grad`, as nothing else keeps what a gradient needs either. On a GPU
its layers are those of cuDNN, whose speed depends on the arithmetic more than on anything else; so
there each arithmetic is a candidate of its own.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

from experiments.benchmark.candidate import Candidate
from experiments.benchmark.peers.base import Peer
from experiments.benchmark.problem import FORWARD, GRADIENT, GRADIENT_INPUTS, Problem
from rnnlab import interop, precision
from rnnlab.cells import Elman, StandardCell
from rnnlab.combinators import Bidirectional, Stack
from rnnlab.errors import UsageError
from rnnlab.timing import Program, compile_jax

TORCH = "PyTorch"


class Arithmetic(NamedTuple):
    """How cuDNN computes.

    Attributes:
      dtype: of weights, inputs and outputs.
      tf32: whether factors of products of float32 are shortened to 10 bits.
    """

    dtype: str
    tf32: bool


#: Those of the candidates on a GPU, by the end of their names.
ARITHMETICS = {
    "fp32": Arithmetic("float32", False),
    "tf32": Arithmetic("float32", True),
    "bf16": Arithmetic("bfloat16", False),
    "fp16": Arithmetic("float16", False),
}


class Torch(Peer):
    """`torch.nn.RNN`, `LSTM` and `GRU`, in the problem's dtype."""

    name, package, versions = TORCH, "torch", ((2, 5), (3,))

    def candidate(self, problem: Problem) -> Candidate:
        """The problem's layer in this library."""
        return TorchCandidate(self.name, problem)


class TorchOnGPU(Torch):
    """The same on a GPU, by cuDNN, in one arithmetic.

    Args:
      arithmetic: one of `ARITHMETICS`. Those of 32 bits are compared on problems in float32, those
        of 16 bits on problems in bfloat16.
    """

    def __init__(self, arithmetic: str) -> None:
        self.name, self._arithmetic = f"{TORCH} {arithmetic}", ARITHMETICS[arithmetic]

    def applies(self, problem: Problem) -> bool:
        """Whether the problem has as many bits."""
        return (problem.dtype == "float32") == (self._arithmetic.dtype == "float32")

    def candidate(self, problem: Problem) -> Candidate:
        """The problem's layer in this library."""
        if not on_gpu():
            raise UsageError(
                f"needs a GPU with cuDNN, this is a {jax.default_backend()}: torch is the peer here"
            )
        return TorchCandidate(self.name, problem, self._arithmetic)


def on_gpu() -> bool:
    """Whether JAX runs on a GPU, where PyTorch runs on it too."""
    return jax.default_backend() == "gpu"


class TorchCandidate:
    """A module of `torch.nn` that equals the problem's layer.

    Args:
      name: how it is called in tables.
      problem: what it computes.
      arithmetic: how; None for the problem's dtype, float32 multiplied as JAX does.

    Raises:
      ImportError: PyTorch is not installed.
      UsageError: it has no such layer, or no GPU where JAX has one.
    """

    lacks: tuple[str, ...] = ()

    def __init__(self, name: str, problem: Problem, arithmetic: Arithmetic | None = None) -> None:
        tf32 = precision.in_use() != "float32"
        arithmetic = arithmetic or Arithmetic(problem.dtype, tf32)
        self.name, self.dtype, self._problem = name, arithmetic.dtype, problem
        state = interop.to_torch(problem.layer, problem.params)
        self._torch = torch = set_up()
        self._tf32, self._device = arithmetic.tf32, device_of(torch)
        self._dtype = getattr(torch, arithmetic.dtype)
        self._module = _module(torch, problem).to(self._device, self._dtype).train()
        self._module.load_state_dict({key: self._tensor(a) for key, a in state.items()})
        self._xs, self._readout = self._tensor(problem.xs), self._tensor(problem.readout)

    def program(self, pass_: str) -> Program:
        """Makes a pass and runs it once."""
        torch, module = self._torch, self._module
        xs = self._xs.clone().requires_grad_(pass_ == GRADIENT_INPUTS)
        wanted = tuple(module.parameters()) + ((xs,) if pass_ == GRADIENT_INPUTS else ())

        def forward() -> Any:
            with torch.no_grad():
                return module(xs)[0]

        def gradient() -> Any:
            loss = (module(xs)[0] * self._readout).sum()
            return torch.autograd.grad(loss, wanted)

        started = self._started(forward if pass_ == FORWARD else gradient)
        call = self._waiting(started)
        start = time.perf_counter()
        result = call()
        return Program(call, time.perf_counter() - start, result, start=started)

    def as_ours(self, pass_: str, result: Any) -> Any:
        """A result as NumPy arrays, gradients of rnnlab's parameters."""
        if pass_ == FORWARD:
            return _array(result)
        problem = self._problem
        names = [name for name, _ in self._module.named_parameters()]
        gradients = dict(zip(names, map(_array, result), strict=False))
        wide = jax.tree.map(lambda a: jax.numpy.asarray(a, np.float32), problem.params)

        def pull(gradients: Any) -> Any:
            return jax.vjp(lambda p: interop.to_torch(problem.layer, p), wide)[1](gradients)[0]

        d_params = compile_jax(pull, {name: gradients[name] for name in names}).result
        return d_params if pass_ == GRADIENT else (d_params, _array(result[-1]))

    def _started(self, function: Callable[[], Any]) -> Callable[[], Any]:
        """The function, in its own arithmetic: that is a setting of the whole process."""
        if self._device == "cpu":
            return function

        def call() -> Any:
            multiply_in_tf32(self._torch, self._tf32)
            return function()

        return call

    def _waiting(self, function: Callable[[], Any]) -> Callable[[], Any]:
        """The function, ended only when a GPU has done its work too."""
        if self._device == "cpu":
            return function

        def call() -> Any:
            result = function()
            self._torch.cuda.synchronize()
            return result

        return call

    def _tensor(self, array: Any) -> Any:
        """A tensor of the candidate's dtype; NumPy and PyTorch share no bfloat16."""
        exact = self._torch.from_numpy(np.array(array, np.float32))
        return exact.to(self._device, self._dtype)


def set_up() -> Any:
    """PyTorch with as many threads as JAX has cores, and float32 products like those of JAX."""
    import torch

    torch.set_num_threads(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1)
    multiply_in_tf32(torch, precision.in_use() != "float32")
    return torch


def multiply_in_tf32(torch: Any, allowed: bool) -> None:
    """Sets whether factors of products of float32 are shortened on a GPU."""
    torch.backends.cudnn.allow_tf32 = allowed
    torch.backends.cuda.matmul.allow_tf32 = allowed


def device_of(torch: Any) -> str:
    """Where PyTorch runs: where JAX does.

    Raises:
      UsageError: a build of PyTorch without a GPU, where JAX has one.
    """
    if not on_gpu():
        return "cpu"
    if not torch.cuda.is_available():
        raise UsageError("this build of PyTorch has no GPU, JAX has one")
    return "cuda"


def _module(torch: Any, problem: Problem) -> Any:
    """The module of that depth and those directions; `to_torch` has checked that it exists."""
    layer = problem.layer
    depth = len(layer.layers) if isinstance(layer, Stack) else 1
    layer = layer.layers[0] if isinstance(layer, Stack) else layer
    both = isinstance(layer, Bidirectional)
    cell = layer.forward if both else layer
    assert isinstance(cell, StandardCell)
    simple = isinstance(cell, Elman)
    kind = "RNN" if simple else type(cell).__name__
    settings = {"nonlinearity": cell.activation} if simple else {}
    return getattr(torch.nn, kind)(
        problem.shape.features, cell.hidden, num_layers=depth, bidirectional=both, **settings
    )


def _array(tensor: Any) -> np.ndarray:
    return tensor.detach().float().cpu().numpy()
