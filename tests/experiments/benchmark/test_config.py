"""Settings of the benchmark that do not fit are refused."""

from __future__ import annotations

import re

import pytest

from experiments.benchmark import config
from experiments.benchmark.config import AXES
from experiments.benchmark.suites.scaling import SIZES
from rnnlab.errors import UsageError
from rnnlab.run.command_line import CommandLine
from rnnlab.run.registry import Settings


@pytest.mark.parametrize(
    ("section", "field", "value", "message"),
    [
        (config.Layers, "layers", ("lstm:x",), "layers='lstm:x': must be written CELL"),
        (config.Layers, "layers", ("lstn",), "cell='lstn': unknown, did you mean 'lstm'"),
        (config.Layers, "layers", (), "layers=(): must be at least one value"),
        (config.Layers, "shapes", ("32x128",), "shapes='32x128': must be written BxTxDxH"),
        (config.Layers, "dtypes", ("float16",), "dtypes=float16: no such dtype"),
        (config.Cells, "cells", ("elman",), "cells=elman: no such cell"),
        (config.Cells, "shape", "0x1x1x1", "shape='0x1x1x1'"),
        (config.Scaling, "base", "0x1x1x1", "base='0x1x1x1'"),
        (config.Scaling, "axes", ("D",), "axes=D: no such axis; known: T, H, B, depth"),
        (config.Scaling, "layer", "lstm:bi", "layer='lstm:bi': cannot be stacked"),
        (config.Auto, "hidden", (0,), "hidden=(0,): must be at least 1"),
        (config.Sweep, "radii", (-1.0,), "radii=(-1.0,): must be positive and finite"),
        (config.Sweep, "seeds", 0, "seeds=0: must be at least 1"),
        (config.Sweep, "many_lengths", -1, "many_lengths=-1: must be at least 0"),
        (config.Memory, "length", 0, "length=0: must be at least 1"),
        (config.Candidates, "strategies", ("fast",), "strategies=fast: no such strategy"),
        (
            config.Candidates,
            "peers",
            ("pytorch",),
            "peers=pytorch: no such peer; did you",
        ),
        (config.Candidates, "peers", ("none", "torch"), "peers=none: no such peer"),
        (config.Layers, "passes", ("back",), "passes=back: no such pass; "),
        (config.Candidates, "seconds", 0.0, "seconds=0.0: must be positive"),
        (config.Config, "suites", ("layer",), "suites=layer: no such suite; did you mean layers"),
        (config.Config, "allocator", "jemalloc", "allocator=jemalloc: no such allocator"),
    ],
)
def test_settings_that_do_not_fit_are_refused(section, field, value, message):
    with pytest.raises(UsageError, match=re.escape(message)):
        section(**{field: value})


def configured(*arguments: str) -> config.Config:
    """What a command line asks for."""
    line = CommandLine(["run.py", "--experiment=benchmark", *arguments])
    return line.config(Settings("benchmark", config.Config, config.PRESETS))


def test_short_names_of_fields_are_enough():
    asked = configured(
        "--config.suites=layers",
        "--config.dtypes=float32",
        "--config.layers=tanh,lstm:bi",
        "--config.strategies=hoisted,auto",
        "--config.seconds=0.8",
        "--config.turns=11",
        "--config.allocator=hugepages",
    )
    assert asked == config.Config(
        suites=("layers",),
        allocator="hugepages",
        candidates=config.Candidates(strategies=("hoisted", "auto"), turns=11, seconds=0.8),
        layers=config.Layers(layers=("tanh", "lstm:bi"), dtypes=("float32",)),
    )


def test_the_preset_of_the_layers_is_the_command_of_their_table():
    assert configured("--preset=layers") == configured(
        "--config.suites=layers",
        "--config.dtypes=float32",
        "--config.layers=tanh,gru,lstm,lstm:bi,lstm:3",
        "--config.strategies=autodiff,hoisted,stepwise,split,auto",
        "--config.seconds=0.8",
    )


@pytest.mark.parametrize(
    ("written", "peers"), [("none", ("none",)), ("", ()), ("torch,nnx", ("torch", "nnx"))]
)
def test_one_shape_without_all_peers_is_one_line(written, peers):
    asked = configured("--preset=quick", "--config.shapes=8x20x4x16", f"--config.peers={written}")
    assert asked.candidates.peers == peers
    assert asked.suites == ("layers",) and asked.layers.shapes == ("8x20x4x16",)


def test_a_name_that_several_suites_have_is_written_in_full():
    message = "may mean cells.cells or auto.cells or memory.cells"
    with pytest.raises(UsageError, match=message):
        configured("--config.cells=lstm")
    assert configured("--config.cells.cells=lstm").cells.cells == ("lstm",)


def test_every_axis_is_a_size_or_the_depth():
    assert {*SIZES, "depth"} == set(AXES)
