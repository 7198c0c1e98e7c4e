"""The experiment `forecasting`: a run, its model on text files, its resumption, bad input."""

import json
import random
from pathlib import Path
from unittest import mock

import jax
import numpy as np
import pytest

import rnnlab
from experiments import forecasting
from experiments.forecasting import measure
from rnnlab.data.series_file import read_series
from rnnlab.errors import UsageError
from rnnlab.run import launch
from rnnlab.run.compare import Finished
from rnnlab.run.workdir import open_workdir
from rnnlab.systems import Lorenz, trajectory
from rnnlab.trained.forecaster import Request, SeriesModel
from rnnlab.trained.request import read_request
from rnnlab.training import devices
from rnnlab.training.forecasting import Forecaster, forecasts, starts_of
from rnnlab.training.forecasting_settings import ForecastNetwork
from rnnlab.training.series import read
from tests import quick
from tests.experiments.kills import killed
from tests.experiments.presets import run_tiny
from tests.experiments.runs import assert_same, copy, evaluations, state_of, summary_of
from tests.experiments.settings import changed

ROOT = Path(__file__).parents[2]
SMALL = {
    "cell": "tanh",
    "hidden": 8,
    "samples": 600,
    "steps": 40,
    "evaluate_every": 20,
    "checkpoint_every": 15,
    "dispatch": 10,
    "units": 20,
    "trials": 2,
    "starts": 4,
    "before": 20,
    "ahead": 60,
    "long": 150,
    "ensemble": 4,
}
WRITTEN = ("metrics.jsonl", "results.nc", "model.json")


def run(folder, **changes):
    config = changed(forecasting.PRESETS["tiny"], **(SMALL | changes))
    cheap = mock.patch.object(devices, "COMPILER_OPTIONS", quick.known_options())
    with cheap, open_workdir(folder, "forecasting", config) as workdir:
        workdir.end(forecasting.run(config, workdir))


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A finished run."""
    folder = tmp_path_factory.mktemp("whole") / "w"
    run(folder)
    return folder


@pytest.fixture(scope="module")
def model():
    """A network as it was drawn, which repeats the last observation."""
    network = ForecastNetwork(cell="tanh", hidden=3)
    cell = network.forecaster(2)
    params = cell.init(jax.random.key(0), 3, np.float32)
    mean, scale = np.array([10.0, -5.0]), np.array([2.0, 0.5])
    return SeriesModel(Forecaster(cell, params), ("x", "y"), mean, scale, 5, 8.0, network, {}, 0)


def write(path, count=40, header="x,y", seed=0):
    values = np.random.default_rng(seed).normal((10, -5), (2, 0.5), size=(count, 2))
    np.savetxt(path, values, delimiter=",", header=header, comments="")
    return values


# --- a model on text files ---


def test_a_line_is_a_file_whose_forecast_is_written_beside_it(model, tmp_path):
    values = write(tmp_path / "a b.csv")
    (answer,) = model.predict([str(tmp_path / "a b.csv")])
    assert answer["answer"] == str(tmp_path / "a b-forecast.csv")
    assert (answer["observed"], answer["steps"], answer["names"]) == (40, 32, ["x", "y"])
    np.testing.assert_allclose(answer["forecast"], np.tile(values[-1], (32, 1)), rtol=1e-5)
    low, high = np.array(answer["low"]), np.array(answer["high"])
    assert (low < high).all() and (high - low)[-1].sum() > 2 * (high - low)[0].sum()
    names, table = read_series(answer["answer"])
    assert names == ("step", "x", "x_low", "x_high", "y", "y_low", "y_high")
    np.testing.assert_allclose(table[:, 1], np.array(answer["forecast"])[:, 0], rtol=1e-6)
    np.testing.assert_array_equal(table[:, 0], np.arange(1, 33))


@pytest.mark.slow
def test_a_line_of_json_asks_for_more(model, tmp_path):
    write(tmp_path / "a.csv")
    asked = {"series": str(tmp_path / "a.csv"), "steps": 3, "members": 8, "seed": 4}
    asked["output"] = str(tmp_path / "o.csv")
    first, second = model.predict([json.dumps(asked)] * 2)
    assert first == second and first["answer"] == asked["output"] and len(first["low"]) == 3
    assert model.predict([]) == []


def test_columns_in_another_order_beside_others_and_none_with_names(model, tmp_path):
    values = write(tmp_path / "a.csv")
    lines = ["time,y,note,x", *(f"{n},{y},no,{x}" for n, (x, y) in enumerate(values))]
    (tmp_path / "b.csv").write_text("\ufeff" + "\r\n".join(lines))
    np.savetxt(tmp_path / "c.csv", values)
    want, *found = model.predict([str(tmp_path / f"{name}.csv") for name in "abc"])
    for one in found:
        np.testing.assert_allclose(one["high"], want["high"], rtol=1e-6)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x,y\n" + "1,2\n" * 14, "has 14 steps; the warm-up of 5 and 10 more to know the errors"),
        ("x,y\n" + "1,2\n2,2\n" * 20, "y is constant, which the network has never seen"),
        ("x,z\n1,2\n", "has no column 'y', only x, z"),
        ("1,2,3\n" * 20, "has 3 columns and no header; needed are 2, x, y"),
        ("x,y\n1,2\n1,nan\n", "line 3: 'nan' is no finite number"),
        ("x,y\n1,2\n1\n", "line 3: has 1 columns, not 2"),
        ("", "holds no rows"),
    ],
)
def test_files_that_cannot_be_forecast(model, tmp_path, text, message):
    write(tmp_path / "good.csv")
    (tmp_path / "bad.csv").write_text(text)
    with pytest.raises(UsageError) as caught:
        model.predict([str(tmp_path / "good.csv"), str(tmp_path / "bad.csv")])
    told = str(caught.value)
    assert told.startswith(f"{tmp_path / 'bad.csv'}: ") and message in told and "\n" not in told
    assert not list(tmp_path.glob("*forecast*"))  # nothing is written before all are read


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (" ", "line: is empty"),
        ("{oops", "line: begins with { and is no JSON"),
        ("{}", "needs the text file of a series"),
        ('{"serie": "x"}', "line: has 'serie'; known are series, steps, members"),
        ('{"series": 3}', "series=3: must be a text"),
        ('{"series": "x", "steps": 1.5}', "steps=1.5: must be an integer"),
        ('{"series": "x", "steps": -1}', "steps=-1: must be within 0 .. 100000"),
        ('{"series": "x", "members": 1}', "members=1: must be within 2 .. 10000"),
        ('{"series": "x", "output": "x"}', "output=x: is the file that is read"),
    ],
)
def test_lines_that_ask_wrongly(line, message):
    with pytest.raises(UsageError) as caught:
        read_request(Request, line, "series")
    assert str(caught.value).startswith(message)


def test_arrays_that_cannot_be_forecast(model):
    for wrong in (np.zeros((30, 3)), np.zeros(30)):
        with pytest.raises(UsageError, match=r"has the shape \[steps, 2\], and this \["):
            model.forecast(wrong, 3)
    with pytest.raises(UsageError, match="not finite"):
        model.forecast(np.full((30, 2), np.inf), 3)
    with pytest.raises(UsageError, match="members=10000: of 90,000 steps at most 277 can be kept"):
        model.forecast(np.zeros((30, 2)), 90_000, members=10_000)


# --- a run, and its model ---


@pytest.mark.slow
def test_everything_is_there(whole):
    rows, summary = evaluations(whole), summary_of(whole)
    assert [row["step"] for row in rows] == [0, 20, 40]
    best = min(rows, key=lambda row: row["not valid"])
    assert summary["best step"] == best["step"]
    assert summary["validation valid time"] == best["valid"]
    for name in ("network", "echo-state network", "linear autoregression", "persistence"):
        assert summary[f"valid time of {name}"] >= 0
    assert (whole / "report.html").read_text().count("data:image/png") == 3
    assert state_of(whole) == "done"


@pytest.mark.slow
def test_the_same_command_changes_nothing(whole, tmp_path):
    folder = copy(whole, tmp_path / "w")
    with mock.patch.object(measure, "summarise", side_effect=AssertionError):
        run(folder)
    assert_same(whole, folder, WRITTEN)


@pytest.mark.slow
def test_the_model_forecasts_as_the_test_did(whole, tmp_path):
    """Of a file with the observations before the first start, in their own units."""
    model = rnnlab.load(whole)
    series = read(changed(forecasting.PRESETS["tiny"], samples=600).source)
    (start,) = starts_of(series.test, 1, 20, 60)
    observed = series.test[: start + 40] * series.scale + series.mean
    np.savetxt(tmp_path / "a.csv", observed, delimiter=",", header="x,y,z", comments="")
    asked = {"series": str(tmp_path / "a.csv"), "steps": 30}
    (answer,) = model.predict([json.dumps(asked)])
    want = forecasts(model.forecaster, series.test, np.array([start + 40]), 20, 30)[:, 0]
    np.testing.assert_allclose(
        answer["forecast"], want * series.scale + series.mean, rtol=1e-3, atol=1e-3
    )


@pytest.mark.slow
def test_the_rest_of_the_lines_is_answered(whole, tmp_path, capsys):
    observed = trajectory(Lorenz(), 60, seed=9)[:, 0]
    good, bad = tmp_path / "good.csv", tmp_path / "bad.csv"
    np.savetxt(good, observed, delimiter=",", header="x,y,z", comments="")
    bad.write_text("x,y\n1,2\n")
    file = tmp_path / "lines.txt"
    file.write_text(f"{bad}\n{good}\n\n")
    asked = ["run.py", "--experiment=forecasting", f"--workdir={whole}"]
    folder = ROOT / "experiments"
    assert launch.main([*asked, "--mode=predict", f"--input={file}", "--scores"], folder) == 1
    out, err = capsys.readouterr()
    answers = [json.loads(line) for line in out.splitlines()]
    assert "error" in answers[0] and answers[1]["observed"] == 60 and "error" in answers[2]
    assert "has no column 'z', only x, y" in err and "2 of 3 lines" in err
    assert launch.main([*asked, "--mode=predict", f"--input={good}"], folder) == 0
    assert capsys.readouterr().out == answers[1]["answer"] + "\n"
    picture = tmp_path / "shown.png"
    show = [*asked, "--mode=show", f"--input={good}", f"--output={picture}"]
    assert launch.main(show, folder) == 0 and picture.stat().st_size > 1000


@pytest.mark.slow
def test_a_file_of_ones_own(tmp_path):
    """A recorded series: its own columns, no published exponent, one variable."""
    wave = np.sin(np.arange(900) / 5) + 0.1 * np.random.default_rng(0).normal(size=900)
    np.savetxt(tmp_path / "wave.csv", wave, header="wave", comments="")
    run(tmp_path / "w", series=str(tmp_path / "wave.csv"), lyapunov_steps=10.0)
    assert "as published" not in summary_of(tmp_path / "w")
    assert rnnlab.load(tmp_path / "w").names == ("wave",)


@pytest.mark.slow
def test_runs_side_by_side(tmp_path, capsys):
    """The longest valid ones first."""
    runs = [
        Finished(tmp_path / cell, {"cell": cell, "seed": 0}, {"valid time of network": valid})
        for cell, valid in (("tanh", 3.0), ("gru", 5.0), ("lstm", 4.0))
    ]
    forecasting.compare(runs, tmp_path)
    out = capsys.readouterr().out
    assert out.index("gru") < out.index("lstm") < out.index("tanh")
    assert "data:image/png" in (tmp_path / "comparison.html").read_text()


# --- settings ---


@pytest.mark.slow
def test_the_preset_tiny(tmp_path):
    assert {"report.html", "forecast.png", "model.json"} <= run_tiny(forecasting, tmp_path)
    summary = summary_of(tmp_path)
    names = ("network", "linear autoregression", "persistence")
    valid = [summary[f"valid time of {name}"] for name in names]
    assert valid == sorted(valid, reverse=True) and valid[0] > 0.7


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"series": "no-such-file.csv", "columns": ("x", "x")}, "columns="),
        ({"columns": ("x",)}, r"columns=\('x',\): only a file has columns"),
        ({"samples": 3}, "samples=3"),
        ({"length": 0}, "length=0"),
        ({"lead": 100}, "lead=100: must be below length=100"),
        ({"force_every": -1}, "force_every=-1"),
        ({"noise": -0.1}, "noise=-0.1"),
        ({"threshold": 0.0}, "threshold=0.0"),
        ({"starts": 1}, "starts=1"),
        ({"trials": 0}, "trials=0"),
        ({"lags": 0}, "lags=0"),
        ({"lyapunov_steps": 0.0}, "lyapunov_steps=0.0"),
        ({"cell": "none"}, "cell='none'"),
    ],
)
def test_bad_values_are_named_as_the_flags_are(changes, message):
    with pytest.raises(UsageError, match=f"^{message}") as error:
        changed(forecasting.Config(), **changes)
    assert "\n" not in str(error.value)


# --- interruptions ---


@pytest.mark.cpu
@pytest.mark.slow
def test_killed_at_a_random_moment(whole, tmp_path):
    """Resumed, it ends with the same bytes; twice killed, too."""
    folder = tmp_path / "w"
    assert any([killed(run, folder, number=1, delay=random.random() * 0.5) for _ in range(2)])
    run(folder)
    assert_same(whole, folder, WRITTEN)
