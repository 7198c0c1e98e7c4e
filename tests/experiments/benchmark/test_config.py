"""Settings of the benchmark that do not fit are refused."""

from __future__ import annotations

import re

import pytest

from experiments.benchmark import config
from experiments.benchmark.config import AXES
from experiments.benchmark.suites.scaling import SIZES
from rnnlab.errors import UsageError


@pytest.mark.parametrize(
    ("section", "field", "value", "message"),
    [
        (config.Layers, "layers", ("lstm:x",), "layers='lstm:x': must be written CELL"),
        (config.Layers, "layers", ("lstn",), "cell='lstn': unknown, did you mean 'lstm'"),
        (config.Layers, "layers", (), "layers=(): must have at least one entry"),
        (config.Layers, "shapes", ("32x128",), "shapes='32x128': must be written BxTxDxH"),
        (config.Layers, "dtypes", ("float16",), "dtypes='float16': unknown, choose among float32"),
        (config.Cells, "cells", ("elman",), "cells='elman': unknown"),
        (config.Cells, "shape", "0x1x1x1", "shape='0x1x1x1'"),
        (config.Scaling, "base", "0x1x1x1", "base='0x1x1x1'"),
        (config.Scaling, "axes", ("D",), "axes='D': unknown, choose among T, H, B, depth"),
        (config.Scaling, "layer", "lstm:bi", "layer='lstm:bi': cannot be stacked"),
        (config.Auto, "hidden", (0,), "hidden=(0,): must all be positive"),
        (config.Sweep, "radii", (-1.0,), "radii=(-1.0,): must all be positive"),
        (config.Sweep, "seeds", 0, "seeds=0: must be positive"),
        (config.Sweep, "many_lengths", -1, "many_lengths=-1: must not be negative"),
        (config.Memory, "length", 0, "length=0: must be positive"),
        (config.Candidates, "strategies", ("fast",), "strategies='fast': unknown"),
        (config.Candidates, "seconds", 0.0, "seconds=0.0: must be positive"),
        (config.Config, "suites", ("layer",), "suites='layer': unknown, choose among layers"),
        (config.Config, "allocator", "jemalloc", "allocator='jemalloc': unknown, choose among"),
    ],
)
def test_settings_that_do_not_fit_are_refused(section, field, value, message):
    with pytest.raises(UsageError, match=re.escape(message)):
        section(**{field: value})


def test_every_axis_is_a_size_or_the_depth():
    assert {*SIZES, "depth"} == set(AXES)
