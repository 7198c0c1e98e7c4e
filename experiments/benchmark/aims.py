"""What was aimed at, and whether it is reached: the aims that the suite `targets` measures.

Each compares the fastest of our strategies with the fastest of some opponents, on the gradient of
the parameters, at each of its shapes.
"""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Callable, Sequence
from typing import Any

from experiments.benchmark.candidate import OURS
from experiments.benchmark.notation import Shape
from experiments.benchmark.ratios import PLAIN, ratio_of
from experiments.benchmark.results import MEDIAN, Rows, interval_of
from rnnlab.cells import CELLS

#: Columns of the table of aims.
WHAT, RATIO, LEAST, VERDICT = "aim", "ratio", "at least", "verdict"
REACHED, MISSED = "reached", "missed"

#: Shapes that fill a GPU, those on a CPU, and those of the last aim, with H of 128 or more.
GPU_SHAPES = "32x128x128x128", "32x256x64x256", "64x100x256x512", "128x50x64x64", "16x1024x768x768"
CPU_SHAPES = "32x128x128x128", "32x256x64x256", "64x100x256x512", "128x50x64x64", "1x1000x32x64"
WIDE_SHAPES = CPU_SHAPES[:3]
#: Layers that cuDNN has, and those that some library on JAX has.
CUDNN = "tanh", "gru", "lstm"
JAX_PEERS = "linen", "nnx", "haiku", "equinox", "keras"
OTHER_CELLS = tuple(name for name in CELLS if name not in ("tanh", "relu", "gru", "lstm"))


@dataclasses.dataclass(frozen=True)
class Aim:
    """An aim about the speed of layers.

    Attributes:
      title: where, in which arithmetic, against whom.
      device: gpu or cpu.
      dtype: of weights, inputs and outputs.
      layers: as `parse_layer` reads them.
      shapes: as `parse_shape` reads them.
      peers: the opponents, by the names that flags use; none for our own plain autodiff.
      each: the least ratio of a shape.
      wide: the same above 256 units; None for the same.
      median: the least median over layers and shapes; None for none.
    """

    title: str
    device: str
    dtype: str
    layers: tuple[str, ...]
    shapes: tuple[str, ...]
    peers: tuple[str, ...]
    each: float
    wide: float | None = None
    median: float | None = None

    def at(self, shape: Shape) -> float:
        """The least ratio at a shape."""
        return self.wide if self.wide is not None and shape.hidden > 256 else self.each


#: Aims about layers by the names that flags use; that about the character model is apart.
AIMS: dict[str, Aim] = {
    "gpu_cudnn": Aim(
        "GPU, bfloat16, against cuDNN's best of bf16 and fp16",
        *("gpu", "bfloat16", CUDNN, GPU_SHAPES, ("torch_bf16", "torch_fp16")),
        each=1.0,
        median=1.2,
    ),
    "gpu_jax": Aim(
        "GPU, bfloat16, against the best library on JAX",
        *("gpu", "bfloat16", (*CUDNN, "gru_reset_before"), GPU_SHAPES, JAX_PEERS),
        each=5.0,
        wide=3.0,
    ),
    "gpu_float32": Aim(
        "GPU, float32 in full precision, against cuDNN in fp32",
        *("gpu", "float32", CUDNN, GPU_SHAPES, ("torch_fp32",)),
        each=1.5,
    ),
    "gpu_cells": Aim(
        "GPU, bfloat16, cells that cuDNN has not, against our own autodiff",
        *("gpu", "bfloat16", OTHER_CELLS, ("32x128x128x128",), ()),
        each=5.0,
    ),
    "cpu_jax": Aim(
        "CPU, float32, against the best library on JAX",
        *("cpu", "float32", ("tanh", "gru", "lstm", "lstm:bi", "lstm:3"), CPU_SHAPES, JAX_PEERS),
        each=1.0,
        median=1.3,
    ),
    "cpu_torch": Aim(
        "CPU, float32, against PyTorch at H of 128 or more",
        *("cpu", "float32", ("lstm",), WIDE_SHAPES, ("torch",)),
        each=0.9,
    ),
}
#: The aim about the character model, its title and its aim.
CHARACTERS = "gpu_characters"
CHARACTERS_TITLE = "GPU, training of char_lm's large model, tokens/s against PyTorch with cuDNN"
CHARACTERS_LEAST = 1.2


def is_opponent(aim: Aim, names: Sequence[str]) -> Callable[[str], bool]:
    """Whether a candidate is one that an aim compares with, given the names of its peers."""
    return lambda candidate: candidate in (names if aim.peers else (PLAIN,))


def verdict(
    title: str,
    where: str,
    rows: Rows,
    opponent: Callable[[str], bool],
    least: float,
) -> dict[str, Any]:
    """A line of the table: our fastest against the fastest opponent, on rows timed together.

    Args:
      title: of the aim.
      where: layer and shape, or model.
      rows: of all candidates, in the order of the measurement.
      opponent: whether a candidate is one.
      least: the least ratio.
    """
    line: dict[str, Any] = {WHAT: title, "where": where}
    timed = [row for row in rows if MEDIAN in row]
    against = [row for row in timed if opponent(row["candidate"])]
    others = {row["candidate"] for row in against}
    mine = [r for r in timed if r["candidate"].startswith(OURS) and r["candidate"] not in others]
    if not mine or not against:
        why = _why(rows, opponent) if mine else _why(rows, lambda name: name.startswith(OURS))
        missing = "no opponent" if mine else "none of ours"
        return line | {LEAST: f"{least:g}", VERDICT: f"not measured: {missing}{why}"}
    best, rival = (min(each, key=lambda row: row[MEDIAN]) for each in (mine, against))
    ratio, interval = ratio_of(rival, best)
    line |= {
        "fastest of ours": f"{best['candidate'].removeprefix(OURS)}, {best[MEDIAN]:.4g} ms",
        "fastest opponent": f"{rival['candidate']}, {rival[MEDIAN]:.4g} ms",
        RATIO: round(ratio, 3),
        interval_of(RATIO): interval,
        LEAST: f"{least:g}",
        VERDICT: REACHED if ratio >= least else MISSED,
    }
    note = best["note"]  # what disturbed it, or what runs in the place of a strategy
    return line | {VERDICT: f"{line[VERDICT]} ({note})"} if note else line


def _why(rows: Rows, wanted: Callable[[str], bool]) -> str:
    """Why candidates have no time, as far as rows say it."""
    notes = [f"{row['candidate']}: {row['note']}" for row in rows if wanted(row["candidate"])]
    return f" ({'; '.join(notes)})" if notes else " has this layer"


def overall(title: str, lines: Rows, each: str, median: float | None) -> dict[str, Any]:
    """The last line of an aim: over all its layers and shapes."""
    every = [line for line in lines if line[WHAT] == title and "where" in line]
    mine = [line for line in every if RATIO in line]
    if not mine:
        return {WHAT: title, "where": "all", VERDICT: "not measured"}
    ratios = [line[RATIO] for line in mine]
    middle, smallest = statistics.median(ratios), min(ratios)
    missed = sum(not line[VERDICT].startswith(REACHED) for line in mine)
    below = [f"{missed} of {len(mine)} below what was aimed at"] if missed else []
    if median is not None and middle < median:
        below.append("the median is below its aim")
    said = f"{MISSED} ({'; '.join(below)})" if below else REACHED
    unknown = len(every) - len(mine)
    wanted = f"each {each}" + ("" if median is None else f", median {median:g}")
    return {
        WHAT: title,
        "where": f"all {len(mine)}: median {middle:.3g}, least {smallest:.3g}",
        LEAST: wanted,
        VERDICT: said + (f", {unknown} not measured" if unknown else ""),
    }
