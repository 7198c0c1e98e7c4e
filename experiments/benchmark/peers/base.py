"""What a peer is: how a library runs one cell over a sequence, and what follows from that."""

from __future__ import annotations

import abc
import functools
import importlib.metadata
import re
from typing import Any

import jax
import jax.numpy as jnp

from experiments.benchmark.candidate import Candidate, JaxCandidate
from experiments.benchmark.problem import Apply, Problem
from rnnlab.arrays import Params
from rnnlab.combinators import Bidirectional, Stack
from rnnlab.errors import UsageError
from rnnlab.layer import Layer, output_size


class Peer(abc.ABC):
    """A library.

    Attributes:
      name: of the library.
      package: what its distribution is called.
      versions: the first that is known to work, and the first that is not known.
    """

    name: str
    package: str
    versions: tuple[tuple[int, ...], tuple[int, ...]]

    @abc.abstractmethod
    def candidate(self, problem: Problem) -> Candidate:
        """The problem's layer in this library. Raises whatever says why there is none."""

    def applies(self, problem: Problem) -> bool:
        """Whether it is to be compared on problems in that dtype at all."""
        del problem
        return True


class JaxPeer(Peer):
    """A library on JAX that runs a cell over a sequence, `[T, B, D]` to `[T, B, H]`.

    Attributes:
      batch_major: its inputs and outputs are `[B, T, ...]`.
      lacks: names of parameters that the library does not have.
    """

    batch_major = False
    lacks: tuple[str, ...] = ()

    @abc.abstractmethod
    def convert(self, cell: Any, params: Any) -> Any:
        """The library's weights; UsageError where it has no such cell."""

    @abc.abstractmethod
    def run(self, cell: Any, features: int, problem: Problem, reverse: bool) -> Apply:
        """A pure function of weights and inputs; anything stateful is made here, before tracing."""

    def candidate(self, problem: Problem) -> Candidate:
        """The problem's layer in this library."""
        with jax.numpy_dtype_promotion("standard"):
            self._convert_all(problem.layer, problem.params)  # refuses what the library lacks
            return JaxCandidate(
                self.name,
                problem,
                self._build(problem.layer, problem.shape.features, problem, False),
                functools.partial(self._convert_all, problem.layer),
                batch_major=self.batch_major,
                lacks=self.lacks,
                promotion="standard",
            )

    def _convert_all(self, layer: Layer, params: Params) -> Any:
        if isinstance(layer, Stack):
            pairs = zip(layer.layers, params, strict=True)
            return tuple(self._convert_all(each, inner) for each, inner in pairs)
        if isinstance(layer, Bidirectional):
            return {
                name: self._convert_all(getattr(layer, name), inner)
                for name, inner in params.items()
            }
        return self.convert(layer, params)

    def _build(self, layer: Layer, features: int, problem: Problem, reverse: bool) -> Apply:
        if isinstance(layer, Stack):
            widths = [features]
            for each in layer.layers[:-1]:
                widths.append(output_size(each) or widths[-1])
            parts = [
                self._build(each, width, problem, reverse)
                for each, width in zip(layer.layers, widths, strict=True)
            ]
            return functools.partial(_one_after_the_other, parts)
        if isinstance(layer, Bidirectional):
            ahead = self._build(layer.forward, features, problem, reverse)
            back = self._build(layer.backward, features, problem, not reverse)
            return lambda weights, xs: jnp.concatenate(
                [ahead(weights["forward"], xs), back(weights["backward"], xs)], axis=-1
            )
        return self.run(layer, features, problem, reverse)


def _one_after_the_other(parts: list[Apply], weights: Any, xs: Any) -> Any:
    for part, inner in zip(parts, weights, strict=True):
        xs = part(inner, xs)
    return xs


def check_version(peer: Peer) -> str:
    """The version of an installed peer.

    Raises:
      UsageError: it is not installed, or of a version that this benchmark does not know.
    """
    try:
        version = importlib.metadata.version(peer.package)
    except importlib.metadata.PackageNotFoundError as error:
        raise UsageError("is not installed; pip install 'rnnlab[peers]' adds it") from error
    least, beyond = peer.versions
    numbers = tuple(map(int, re.findall(r"\d+", version.partition("+")[0])[:3]))
    if not least <= numbers < beyond:
        known = f">={'.'.join(map(str, least))},<{'.'.join(map(str, beyond))}"
        raise UsageError(f"{peer.package} {version} is not among the known versions {known}")
    return version
