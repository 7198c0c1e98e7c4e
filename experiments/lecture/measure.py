"""Every number of the lectures, measured."""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import numpy as np

from experiments.lecture.config import Config
from experiments.lecture.examples import (
    bound,
    carousel,
    clipping,
    identity,
    parity,
    thresholds,
    truncation,
    vanishing,
)
from experiments.lecture.scenarios import FOLDER, Scenarios
from rnnlab.run.workdir import Workdir

#: Largest singular values of the matrices whose gradients are compared with the bound.
SIGMAS = (0.9, 1.0, 1.5, 3.0)
#: Weights of the unit, biases of the forget gate, and horizons of truncation with their radii.
WEIGHTS, BIASES, HORIZONS, RADII = (0.9, 1.0, 1.1), (100.0, 5.0, 1.0), (1, 4, 16, 64, 128), (0.9, 1)
#: Largest norms of a gradient that descents leave alone.
NORMS = {"without": math.inf, "with": 0.5}


#: Scenarios by how long they take, the longest first: in this order they begin.
LONGEST = ("captioning", "translation", "frame_labelling", "sentiment", "image_classification")


class Number(NamedTuple):
    """A number of the lectures.

    Attributes:
        what: it is.
        lecture: the number that the lectures say, or what they say of it.
        measured: the same, measured.
    """

    what: str
    lecture: str
    measured: float


class Topic(NamedTuple):
    """What was measured of a topic.

    Attributes:
        numbers: those that the lectures name.
        series: what is drawn, by name, as JSON values.
    """

    numbers: list[Number]
    series: dict[str, Any]


def measure(config: Config, workdir: Workdir) -> dict[str, Topic]:
    """All topics, each kept in the work directory as soon as it is measured.

    The scenarios run meanwhile.

    Raises:
        RunError: a scenario has failed.
    """
    topics, folder = {}, workdir.path(FOLDER)
    names = sorted(config.scenarios, key=LONGEST.index)
    with Scenarios(names, folder, config.processes) as running:
        for name, make in TOPICS.items():
            topics[name] = _kept(workdir, name, make)
            running.advance()
        running.finish()
    return topics


def _as_json(value: Any) -> Any:
    """Dicts in their order, which `jax.tree.map` would not keep, with arrays as lists."""
    if isinstance(value, dict):
        return {name: _as_json(one) for name, one in value.items()}
    return np.asarray(value).tolist()


@contextlib.contextmanager
def as_pasted() -> Iterator[None]:
    """JAX as somebody has it who pastes the code, and not as experiments do: in float32."""
    with jax.enable_x64(False), jax.numpy_dtype_promotion("standard"):
        yield


def _kept(workdir: Workdir, name: str, make: Callable[[], Topic]) -> Topic:
    path = workdir.path(f"{name}.json")
    if not path.exists():
        with as_pasted():
            found = make()
        series = _as_json(found.series)
        workdir.write(path.name, json.dumps({"numbers": found.numbers, "series": series}))
    kept = json.loads(path.read_text(encoding="utf-8"))
    return Topic([Number(*row) for row in kept["numbers"]], kept["series"])


def _vanishing() -> Topic:
    found = {w: vanishing.carried_back(w) for w in WEIGHTS}
    said = ("2.66e-5", "1", "13,781")
    rows = zip(WEIGHTS, said, strict=True)
    numbers = [Number(f"{w}^100, through 100 steps", text, found[w]) for w, text in rows]
    steps = (1, *range(5, 101, 5))
    series = {str(w): [vanishing.carried_back(w, T) for T in steps] for w in WEIGHTS}
    return Topic(numbers, {"T": steps, **series})


def _bound() -> Topic:
    series = {str(sigma): bound.bound_and_measured(sigma) for sigma in SIGMAS}
    above = max(float(np.max(s["measured"] - s["bound"])) for s in series.values())
    vanish, large = series[str(SIGMAS[0])], series[str(SIGMAS[-1])]
    return Topic(
        [
            Number("decades by which a gradient exceeds (γ σ_max)^T, at most", "0 or less", above),
            Number(
                "log10 of the gradient, σ_max = 0.9, T = 100",
                f"{vanish['bound'][-1]:.2f} or less",
                float(vanish["measured"][-1]),
            ),
            Number(
                "the same, σ_max = 3: the bound lets it explode",
                f"{large['bound'][-1]:.1f} or less",
                float(large["measured"][-1]),
            ),
        ],
        series,
    )


def _thresholds() -> Topic:
    kinds = {"identity": "1", "tanh": "1", "sigmoid": "4"}
    numbers = [
        Number(f"weight from which a gradient can grow, {kind}", said, thresholds.threshold(kind))
        for kind, said in kinds.items()
    ]
    weights = np.linspace(0.5, 5, 46).tolist()
    series = {kind: [thresholds.steepest(kind, w, 10) for w in weights] for kind in kinds}
    return Topic(numbers, {"w": weights, **series})


def _identity() -> Topic:
    found = {name: np.asarray(values) for name, values in identity.irnn_and_others().items()}
    first = {name: float(values[0]) for name, values in found.items()}
    irnn, shrunk = "ReLU, identity (IRNN)", "ReLU, 0.9 identity"
    said = {irnn: "0", shrunk: f"{1000 * math.log10(0.9):.2f}"}
    numbers = [
        Number(f"log10 of the gradient after 1,000 steps: {name}", text, first[name])
        for name, text in said.items()
    ]
    return Topic(numbers, {name: values[::10] for name, values in found.items()})


def _carousel() -> Topic:
    found = {bias: np.asarray(carousel.log10_adjoint_of_c(bias)) for bias in BIASES}
    said = {bias: f"{-1000 * math.log10(1 + math.exp(-bias)):.2f}" for bias in BIASES}
    numbers = [
        Number(
            f"log10 of the gradient of c after 1,000 steps, forget bias {bias:g}",
            said[bias].replace("-0.00", "0"),
            float(values[0]),
        )
        for bias, values in found.items()
    ]
    return Topic(numbers, {str(bias): values[::10] for bias, values in found.items()})


def _parity() -> Topic:
    learned = parity.trained()
    numbers = [Number("parity of 1,000 bits, weights by hand: right", "1", parity.by_hand())]
    numbers += [
        Number(f"learned from 12 bits, {name}: right", "1", v) for name, v in learned.items()
    ]
    return Topic(numbers, {})


def _clipping() -> Topic:
    series = {name: clipping.descent(most) for name, most in NORMS.items()}
    numbers = [
        Number(f"loss after 400 updates {name} clipping", said, float(series[name]["loss"][-1]))
        for name, said in {"without": "large", "with": "near 0"}.items()
    ]
    largest = float(series["without"]["norm"].max())
    numbers.append(Number("norm of the gradient on the cliff", "large", largest))
    return Topic(numbers, series)


def _truncation() -> Topic:
    series = {str(r): [truncation.cosine(k, r) for k in HORIZONS] for r in RADII}
    numbers = [
        Number(f"cosine of the gradient cut every {k} of 128 steps", said, series["1"][place])
        for place, (k, said) in enumerate(zip(HORIZONS, ("below 1",) * 4 + ("1",), strict=True))
        if k in (1, 16, 128)
    ]
    return Topic(numbers, {"k": HORIZONS, **series})


#: How each topic is measured, in the order of the lectures.
TOPICS: dict[str, Callable[[], Topic]] = {
    "vanishing": _vanishing,
    "bound": _bound,
    "thresholds": _thresholds,
    "identity": _identity,
    "carousel": _carousel,
    "parity": _parity,
    "clipping": _clipping,
    "truncation": _truncation,
}
