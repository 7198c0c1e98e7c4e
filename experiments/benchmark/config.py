"""What the benchmark times: a section of the configuration for each suite."""

from __future__ import annotations

import dataclasses

from experiments.benchmark.allocator import TUNABLES
from experiments.benchmark.notation import DTYPES, parse_layer, parse_shape
from rnnlab.cells import CELLS, factory_by_name
from rnnlab.errors import UsageError
from rnnlab.precision import PRECISIONS
from rnnlab.run import checks
from rnnlab.strategies import STRATEGIES

SUITES = (
    "layers",
    "cells",
    "scaling",
    "auto",
    "sweep",
    "memory",
    "stream",
    "translation",
    "characters",
    "targets",
    "machines",
)
#: What the suite `targets` compares, by the names that flags use.
AIMS = (
    "gpu_cudnn",
    "gpu_jax",
    "gpu_float32",
    "gpu_cells",
    "gpu_characters",
    "cpu_jax",
    "cpu_torch",
)
#: Other libraries by the names that flags use.
PEERS = ("linen", "nnx", "haiku", "equinox", "keras", "cudnn", "torch")
#: PyTorch on a GPU in one arithmetic each; there `torch` means all of them.
TORCH_PEERS = ("torch_fp32", "torch_tf32", "torch_bf16", "torch_fp16")
#: What a layer is asked to compute; `inputs` is the gradient of parameters and inputs.
PASSES = ("forward", "gradient", "inputs")
#: What `scaling` varies: a size of the shape, or the number of layers.
AXES = ("T", "H", "B", "depth")


@dataclasses.dataclass(frozen=True)
class Candidates:
    """Who takes part in `layers`, `cells`, `scaling`, `auto` and `targets`, and for how long."""

    #: Strategies of ours; none for all that run on this device, in `auto` those it chooses among.
    strategies: tuple[str, ...] = ()
    #: Other libraries, those that are installed: linen, nnx, haiku, equinox, keras, cudnn, torch;
    #: none for no other. On a GPU torch means torch_fp32, torch_tf32, torch_bf16 and torch_fp16.
    peers: tuple[str, ...] = PEERS
    #: Rounds in which the candidates take turns.
    turns: int = 15
    #: Seconds after which a candidate has no more turns, for each shape and pass.
    seconds: float = 4.0
    #: How often all candidates are timed again, at most, while the machine is disturbed.
    repeats: int = 2
    #: Calls that a turn starts on a GPU before it waits for the last, of which its time is the
    #: mean; with 1 the way from Python to the GPU and back counts too.
    queued: int = 1

    def __post_init__(self) -> None:
        checks.known(self, "strategies", "strategy", STRATEGIES)
        if self.peers != ("none",):
            checks.known(self, "peers", "peer", (*PEERS, *TORCH_PEERS))
        checks.at_least(self, turns=1, repeats=0, queued=1)
        checks.positive(self, "seconds")


@dataclasses.dataclass(frozen=True)
class Layers:
    """The suite `layers`."""

    #: Layers: CELL, CELL:bi for both directions, CELL:3 for three layers.
    layers: tuple[str, ...] = ("tanh", "lstm", "gru", "gru_reset_before", "lstm:3", "lstm:bi")
    #: Their shapes, BxTxDxH; none for 32x128x128x128, 32x256x64x256, 64x100x256x512, 128x50x64x64,
    #: 1x1000x32x64, and on a GPU 16x1024x768x768.
    shapes: tuple[str, ...] = ()
    #: Their dtypes: float32, bfloat16.
    dtypes: tuple[str, ...] = DTYPES
    #: What they compute: forward, gradient, and inputs for the gradient of parameters and inputs.
    passes: tuple[str, ...] = PASSES

    def __post_init__(self) -> None:
        checks.not_empty(self, "layers", "dtypes", "passes")
        checks.known(self, "dtypes", "dtype", DTYPES)
        checks.known(self, "passes", "pass", PASSES)
        for layer in self.layers:
            parse_layer(layer, 1)
        for shape in self.shapes:
            parse_shape("shapes", shape)


@dataclasses.dataclass(frozen=True)
class Cells:
    """The suite `cells`."""

    #: Cells to compare; none for all.
    cells: tuple[str, ...] = ()
    #: Their shape, BxTxDxH.
    shape: str = "32x128x128x128"

    def __post_init__(self) -> None:
        checks.known(self, "cells", "cell", CELLS, own=factory_by_name)
        parse_shape("shape", self.shape)


@dataclasses.dataclass(frozen=True)
class Scaling:
    """The suite `scaling`."""

    #: The layer whose gradient is timed.
    layer: str = "lstm"
    #: What is varied: T, H, B, or depth for the number of layers.
    axes: tuple[str, ...] = AXES
    #: The shape in the middle of each axis, BxTxDxH.
    base: str = "32x128x128x128"
    #: Sizes along each axis, each twice the one before.
    points: int = 5

    def __post_init__(self) -> None:
        checks.not_empty(self, "axes")
        checks.known(self, "axes", "axis", AXES)
        checks.at_least(self, points=1)
        parse_layer(self.layer, 1)
        parse_shape("base", self.base)
        if ":" in self.layer and "depth" in self.axes:
            raise UsageError(
                f"layer={self.layer!r}: cannot be stacked; choose a cell, or axes without depth"
            )


@dataclasses.dataclass(frozen=True)
class Auto:
    """The suite `auto`, whose layers have as many inputs as units."""

    #: A cell for each number of gates.
    cells: tuple[str, ...] = ("tanh", "gru", "lstm")
    #: Batch sizes.
    rows: tuple[int, ...] = (1, 32, 128)
    #: Numbers of units.
    hidden: tuple[int, ...] = (32, 128, 512)
    #: Length of the sequences, in steps.
    length: int = 64
    #: Their dtypes: float32, bfloat16. Those that are left out take the entries of float32.
    entry_dtypes: tuple[str, ...] = ("float32",)

    def __post_init__(self) -> None:
        checks.not_empty(self, "cells", "rows", "hidden", "entry_dtypes")
        checks.known(self, "entry_dtypes", "dtype", DTYPES)
        checks.known(self, "cells", "cell", CELLS, own=factory_by_name)
        checks.at_least(self, rows=1, hidden=1, length=1)


@dataclasses.dataclass(frozen=True)
class Sweep:
    """The suite `sweep`, of tanh networks in float32."""

    #: Numbers of units.
    hidden: tuple[int, ...] = (32, 64, 128)
    #: Spectral radii.
    radii: tuple[float, ...] = (0.5, 0.7, 0.9, 1.0, 1.1, 1.3, 1.6, 2.0)
    #: Draws of the weights for each radius.
    seeds: int = 4
    #: Sequence lengths, in steps.
    lengths: tuple[int, ...] = (10, 20, 50, 100, 200, 500, 1000)
    #: Number of lengths, evenly spaced up to the longest, of the second grid; 0 leaves it out.
    many_lengths: int = 100
    #: Sequences in a batch.
    batch: int = 16
    #: Rounds in which the candidates take turns.
    rounds: int = 3

    def __post_init__(self) -> None:
        checks.not_empty(self, "hidden", "radii", "lengths")
        checks.positive(self, "radii")
        checks.at_least(self, hidden=1, lengths=1, seeds=1, batch=1, rounds=1, many_lengths=0)


@dataclasses.dataclass(frozen=True)
class Memory:
    """The suite `memory`."""

    #: Cells whose gradient is measured.
    cells: tuple[str, ...] = ("tanh", "lstm")
    #: Length of the sequence, in steps.
    length: int = 100_000

    def __post_init__(self) -> None:
        checks.not_empty(self, "cells")
        checks.known(self, "cells", "cell", CELLS, own=factory_by_name)
        checks.at_least(self, length=1)


@dataclasses.dataclass(frozen=True)
class Stream:
    """The suite `stream`."""

    #: Rounds of single steps.
    rounds: int = 3

    def __post_init__(self) -> None:
        checks.at_least(self, rounds=1)


@dataclasses.dataclass(frozen=True)
class Translation:
    """The suite `translation`."""

    #: Strategies of ours.
    model_strategies: tuple[str, ...] = ("hoisted",)
    #: Pairs of sentences in a batch.
    pairs: int = 64
    #: Symbols of the longest sentences.
    steps: int = 16
    #: Hidden units in each direction, and features of symbols and readouts.
    hidden: int = 256
    #: Symbols of each language.
    vocabulary: int = 6000

    def __post_init__(self) -> None:
        checks.not_empty(self, "model_strategies")
        checks.known(self, "model_strategies", "strategy", STRATEGIES)
        checks.at_least(self, pairs=1, steps=2, hidden=1, vocabulary=8)


@dataclasses.dataclass(frozen=True)
class Characters:
    """The suite `characters`: the model of `char_lm --preset=large`, without dropout."""

    #: Strategies of ours; those that do not run here are left out.
    reader_strategies: tuple[str, ...] = tuple(STRATEGIES)
    #: LSTM layers.
    depth: int = 2
    #: Hidden units of each.
    hidden: int = 384
    #: Rows of the text that are read side by side.
    text_rows: int = 64
    #: Steps of a window.
    window: int = 64
    #: Characters that are told apart.
    alphabet: int = 65
    #: Updates of a call.
    updates: int = 10

    def __post_init__(self) -> None:
        checks.not_empty(self, "reader_strategies")
        checks.known(self, "reader_strategies", "strategy", STRATEGIES)
        checks.at_least(self, depth=1, hidden=1, text_rows=1, window=1, alphabet=2, updates=1)


@dataclasses.dataclass(frozen=True)
class Targets:
    """The suite `targets`: what was aimed at, and whether it is reached on this machine."""

    #: Which aims; none for all that this device can measure.
    aims: tuple[str, ...] = ()
    #: Of the layers of the aims, those to measure; none for all.
    only_layers: tuple[str, ...] = ()
    #: Shapes, BxTxDxH, in the place of those of the aims; none for their own.
    only_shapes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        checks.known(self, "aims", "aim", AIMS)
        for layer in self.only_layers:
            parse_layer(layer, 1)
        for shape in self.only_shapes:
            parse_shape("only_shapes", shape)


@dataclasses.dataclass(frozen=True)
class Machines:
    """The suite `machines`: results that were measured elsewhere, side by side."""

    #: Work directories of the benchmark, or their files results.json.
    results: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Config:
    """What is timed."""

    #: Which suites to run: layers, cells, scaling, auto, sweep, memory, stream, translation,
    #: characters, targets, machines.
    suites: tuple[str, ...] = ("sweep", "memory", "stream")
    #: How buffers are allocated, for all candidates alike: default, or hugepages (glibc keeps them,
    #: in large pages; the command then starts itself again).
    allocator: str = "default"
    candidates: Candidates = Candidates()
    layers: Layers = Layers()
    cells: Cells = Cells()
    scaling: Scaling = Scaling()
    auto: Auto = Auto()
    sweep: Sweep = Sweep()
    memory: Memory = Memory()
    stream: Stream = Stream()
    translation: Translation = Translation()
    characters: Characters = Characters()
    targets: Targets = Targets()
    machines: Machines = Machines()
    #: How a GPU or TPU multiplies float32: in float32, or fast, in the shorter type it prefers.
    precision: str = "float32"

    def __post_init__(self) -> None:
        checks.one_of(self, "precision", PRECISIONS)
        checks.not_empty(self, "suites")
        checks.known(self, "suites", "suite", SUITES)
        checks.known(self, "allocator", "allocator", TUNABLES)
        if "machines" in self.suites and not self.machines.results:
            raise UsageError(
                "suites=machines: reads what was measured before; name work directories of the "
                "benchmark, or their files results.json, by --config.results=A,B"
            )


PRESETS = {
    "tiny": Config(
        suites=tuple(suite for suite in SUITES if suite != "machines"),
        candidates=Candidates(strategies=("autodiff", "hoisted"), turns=3, seconds=0.05),
        layers=Layers(layers=("tanh",), shapes=("2x4x3x5",), dtypes=("float32",)),
        cells=Cells(cells=("tanh",), shape="2x4x3x5"),
        scaling=Scaling(layer="tanh", axes=("T",), base="2x4x3x5", points=2),
        auto=Auto(cells=("tanh",), rows=(2,), hidden=(5,), length=4),
        sweep=Sweep(hidden=(4,), radii=(0.9,), seeds=1, lengths=(2, 4), many_lengths=0, batch=2),
        memory=Memory(cells=("tanh",), length=100),
        stream=Stream(rounds=1),
        translation=Translation(pairs=3, steps=4, hidden=5, vocabulary=9),
        characters=Characters(
            reader_strategies=("hoisted",), hidden=5, text_rows=3, window=4, alphabet=6, updates=2
        ),
        targets=Targets(only_layers=("tanh",), only_shapes=("2x4x3x5",)),
    ),
    "quick": Config(
        suites=("layers",),
        candidates=Candidates(turns=9, seconds=0.4),
        layers=Layers(
            layers=("lstm",),
            shapes=("32x128x128x128",),
            dtypes=("float32",),
            passes=("forward", "gradient"),
        ),
    ),
    "layers": Config(
        suites=("layers",),
        candidates=Candidates(
            strategies=("autodiff", "hoisted", "stepwise", "split", "auto"),
            seconds=0.8,
        ),
        layers=Layers(layers=("tanh", "gru", "lstm", "lstm:bi", "lstm:3"), dtypes=("float32",)),
    ),
    "targets": Config(
        suites=("targets",),
        candidates=Candidates(turns=15, seconds=0.8, queued=8),
    ),
}
