"""`rnn_vs_transformer` on a text that it makes: rows, trainings, resumption, the kept model."""

import json
import random
from pathlib import Path
from typing import Any
from unittest import mock

import jax
import numpy as np
import pytest

import rnnlab
from experiments import rnn_vs_transformer
from experiments.rnn_vs_transformer import clocks, measure, tables
from experiments.rnn_vs_transformer.networks import contenders
from rnnlab.errors import RunError, UsageError
from rnnlab.run.workdir import open_workdir
from rnnlab.training import devices
from rnnlab.training.sizing import count_parameters
from tests import quick
from tests.experiments.kills import killed
from tests.experiments.presets import run_tiny
from tests.experiments.runs import assert_same, copy, evaluations, state_of, summary_of
from tests.experiments.settings import changed

TINY = rnn_vs_transformer.PRESETS["tiny"]
SMALL: dict[str, Any] = {
    "cells": ("tanh",),
    "strategy": "autodiff",
    "parameters": 1500,
    "layers": 1,
    "span": 6,
    "batch": 12,
    "length": 8,
    "steps": 20,
    "warmup": 2,
    "dispatch": 10,
    "evaluate_every": 10,
    "checkpoint_every": 10,
    "lengths": (4, 8, 16),
    "positions": (4, 8, 16),
    "generated": 2,
}
WRITTEN = ("metrics.jsonl", "tanh/metrics.jsonl", "model.json", "timing.json")


def run(folder, **changes):
    config = changed(TINY, **(SMALL | changes))
    cheap = mock.patch.object(devices, "COMPILER_OPTIONS", quick.known_options())
    with cheap, open_workdir(folder, "rnn_vs_transformer", config) as workdir:
        workdir.end(rnn_vs_transformer.run(config, workdir))


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A finished run."""
    folder = tmp_path_factory.mktemp("whole") / "w"
    run(folder)
    return folder


@pytest.fixture(scope="module")
def rows():
    """Rows as if times and bytes were exact powers of sizes."""
    powers = {"transformer": (1.0, 1.0), "gru": (0.25, 0.0)}
    return [
        {
            "what": what,
            "size": size,
            "network": name,
            "seconds": 1e-3 * size**time,
            "symbols/s": 1e5 / size**time,
            "from": 1e-3 * size**time,
            "to": 1e-3 * size**time,
            "bytes": 1024 * size**space,
            "others (cores)": None,
        }
        for what in (clocks.UPDATE, clocks.WINDOW, clocks.SYMBOL)
        for size in (16, 64, 256)
        for name, (time, space) in powers.items()
    ]


# --- what is measured ---


@pytest.mark.slow
def test_everything_is_there(whole):
    summary = summary_of(whole)
    networks = summary["networks"]
    assert list(networks) == ["transformer", "tanh"] and state_of(whole) == "done"
    times = [numbers["same time"]["seconds"] for numbers in networks.values()]
    dispatch = 10 * max(numbers["seconds of an update"] for numbers in networks.values())
    assert max(times) - min(times) <= dispatch
    assert min(numbers["same time"]["updates"] for numbers in networks.values()) == 20
    assert all(numbers["same updates"]["updates"] == 20 for numbers in networks.values())
    held = networks["transformer"]["bytes kept against the position"]
    assert held["exponent"] == pytest.approx(1, abs=0.01)
    assert networks["tanh"]["bytes kept against the position"]["exponent"] == 0
    page = (whole / "report.html").read_text()
    assert page.count("data:image/png") == 2 and "parallel over time" in page
    assert [row["step"] for row in evaluations(whole)] == [0, 10, 20]


def test_exponents_of_exact_powers(rows):
    fit = measure.exponent(rows, "gru", "time of a symbol against its position")
    assert (fit["exponent"], fit["low"], fit["high"]) == pytest.approx((0.25, 0.25, 0.25))
    assert (fit["from size"], fit["to size"]) == (16, 256)


def test_claims_stand_beside_numbers(rows):
    fits = {
        name: {what: measure.exponent(rows, name, what) for what in measure.EXPONENTS}
        for name in ("transformer", "gru")
    }
    table = tables.claims({"networks": fits}, rows)
    assert [row["gru"] for row in table] == ["-0.25", "0.00", "0.25", "0.00", "50%", "4000", "1"]
    assert [row["transformer"] for row in table][:5] == ["-1.00", "1.00", "1.00", "1.00", "6%"]


def test_an_exponent_has_its_interval():
    assert (
        tables.exponent_text({"exponent": 0.5, "low": -0.001, "high": 1.0}) == "0.50 (0.00 … 1.00)"
    )


def test_as_much_time_is_whole_dispatches():
    config = changed(TINY, **SMALL)
    assert measure.updates_within(config, 1.0) == 20
    assert measure.updates_within(config, 1.49) == 20
    assert measure.updates_within(config, 1.5) == 30
    assert measure.updates_within(config, 3.0) == 60
    assert measure.updates_within(config, 1e6) == 160


@pytest.mark.slow
def test_networks_have_as_many_parameters():
    """Of the default: within 5 % of each other, and none above."""
    config = rnn_vs_transformer.Config()
    counts = [count_parameters(one.model.init) for one in contenders(config, 65)]
    assert len(counts) == 3 and max(counts) <= 350_000 and min(counts) > 0.95 * 350_000


@pytest.mark.slow
@pytest.mark.parametrize("what", [clocks.WINDOW, clocks.SYMBOL])
def test_what_is_timed_does_what_it_says(what):
    """A generated symbol is the likeliest after a full cache; an update lowers the loss."""
    config = changed(TINY, **SMALL)
    for one in contenders(config, 7):
        params = quick.jit(one.model.init)(jax.random.key(0))
        codes = np.arange(400, dtype=np.int32) % 7
        make = {clocks.WINDOW: clocks._window, clocks.SYMBOL: clocks._symbol}[what]
        program, count, held = make(config, one, params, 8, codes)
        if what == clocks.SYMBOL:
            assert count == 2 and program.result.shape == (1,)
            assert held == sum(a.nbytes for a in jax.tree.leaves(one.reaching(8).initial_state(1)))
        else:
            state, metrics = program.result
            assert count == 1 and int(state.step) == 1 and np.isfinite(metrics["loss"])


# --- resumption ---


@pytest.mark.slow
def test_the_same_command_changes_nothing(whole, tmp_path, capsys):
    folder = copy(whole, tmp_path / "w")
    run(folder)
    assert_same(whole, folder, WRITTEN)
    assert "parallel over time" in capsys.readouterr().out


@pytest.mark.slow
def test_rows_that_are_there_are_not_measured_again(whole, tmp_path):
    """The others are; and what was trained goes on from there."""
    folder = tmp_path / "w"
    copy(whole, folder)
    rows = json.loads((folder / "timing.json").read_text())
    kept = rows[:5]
    (folder / "timing.json").write_text(json.dumps(kept[:4]))
    for name in ("summary.json", "report.html"):
        (folder / name).unlink()
    run(folder)
    again = json.loads((folder / "timing.json").read_text())
    assert again[:4] == kept[:4] and again[4] != kept[4]
    assert [(r["what"], r["size"]) for r in again] == [(r["what"], r["size"]) for r in rows]
    assert state_of(folder) == "done"


@pytest.mark.cpu
@pytest.mark.slow
def test_killed_at_a_random_moment(whole, tmp_path):
    """With the rows of the other run, for times are never the same twice."""
    folder = tmp_path / "w"
    folder.mkdir()
    killed(start, folder, str(whole), number=random.choice((2, 3, 5)), delay=random.random() / 5)
    start(folder, whole)
    (folder / "timing.json").write_bytes((whole / "timing.json").read_bytes())
    assert_same(whole, folder, WRITTEN)


def start(folder, whole):
    """Runs with the rows of another run."""
    rows = json.loads((Path(whole) / "timing.json").read_text())
    with mock.patch.object(clocks, "_read", lambda workdir: rows):
        run(folder)


@pytest.mark.slow
def test_damaged_rows(whole, tmp_path):
    folder = copy(whole, tmp_path / "w")
    (folder / "timing.json").write_text("[{}]")
    with pytest.raises(RunError, match=r"timing\.json: is damaged; delete it"):
        run(folder)


# --- using the transformer ---


@pytest.mark.slow
def test_the_kept_model_is_the_transformer(whole):
    model = rnnlab.load(whole)
    assert model.network.heads == 2 and model.network.span == 6
    text = model.generate("the ", 30, seed=1)
    assert text.startswith("the ") and len(text) == 34
    assert model.generate("the ", 30, seed=1) == text
    (first, second) = model.predict(["the dog", "a much longer line than the span has room for"])
    assert first["symbols"] == 8 and np.isfinite(second["nats"])
    log_p = model("the dog")
    np.testing.assert_allclose(np.exp(log_p).sum(axis=1), 1, rtol=1e-5)
    with pytest.raises(UsageError, match="which the model does not know"):
        model.generate("€", 3)


# --- bad input ---


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"cells": ("lstn",)}, "cells='lstn'.*did you mean 'lstm'"),
        ({"cells": ()}, "cells="),
        ({"cells": ("gru", "gru")}, "cells="),
        ({"strategy": "x"}, "strategy='x'"),
        ({"heads": 3, "features": 16}, "features=16: heads=3 must divide it into even parts"),
        ({"span": 0}, "span=0"),
        ({"lengths": (4, 8, 7)}, "lengths=.*: 7 does not divide the 96 symbols of an update"),
        ({"lengths": (4, 8)}, "lengths=.*: a slope needs at least 3 sizes"),
        ({"positions": (4, 8)}, "positions=.*: a slope needs at least 3 sizes"),
        ({"positions": (0, 4, 8)}, "positions="),
        ({"rounds": 2}, "rounds=2"),
        ({"transformer_rate": -1.0}, "transformer_rate=-1.0"),
        ({"length": 0}, "length=0"),
        ({"warmup": 20}, "warmup=20"),
        ({"seed": -1}, "seed=-1"),
    ],
)
def test_bad_values_are_named_as_the_flags_are(changes, message):
    with pytest.raises(UsageError, match=f"^{message}") as error:
        changed(TINY, **(SMALL | changes))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"parameters": 50}, r"^parameters=50: the smallest network has \d+ already"),
        ({"corpus": "/nowhere.txt"}, r"^corpus=/nowhere.txt: no such file"),
    ],
)
def test_what_cannot_run(tmp_path, changes, message):
    with pytest.raises(UsageError, match=message):
        run(tmp_path / "w", **changes)


@pytest.mark.slow
def test_the_tiny_preset(tmp_path):
    made = run_tiny(rnn_vs_transformer, tmp_path)
    assert {"slopes.png", "curves.png", "report.html", "timing.json", "model.json"} <= made
    networks = summary_of(tmp_path)["networks"]
    assert all(numbers["same updates"]["validation"] < 2.2 for numbers in networks.values())
