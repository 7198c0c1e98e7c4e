"""Results on disk come back as they were, never half written, and damage is noticed."""

import dataclasses
import json
from typing import cast

import h5py
import numpy as np
import pandas as pd
import pytest
import xarray as xr

from rnnlab.errors import RunError
from rnnlab.run import results
from rnnlab.run.workdir import open_workdir


@pytest.fixture
def dataset():
    rng = np.random.default_rng(0)
    return xr.Dataset(
        {
            "growth": (("cell", "step"), rng.normal(size=(2, 500)), {"units": "decades"}),
            "lost": (("cell", "step"), np.full((2, 500), -np.inf)),
            "count": ("cell", np.array([3, 4])),
            "converged": ("cell", np.array([True, False])),
            "total": ((), 7.5),
            "nothing": ("none", np.zeros(0)),
        },
        coords={"cell": ["tanh", "lstm_η"], "step": np.arange(500)},
        attrs={"title": "growth ‖∂h_T/∂h_0‖"},
    )


def test_round_trip(tmp_path, dataset):
    path = results.save_dataset(dataset, tmp_path / "r.nc")
    again = results.load_dataset(path)
    xr.testing.assert_identical(again, dataset)
    assert again.growth.dtype == np.float64 and again.converged.dtype == bool
    assert [entry.name for entry in tmp_path.iterdir()] == ["r.nc"]


def test_longer_strings_beside_those_that_were_read_are_whole(tmp_path):
    short = xr.Dataset({"unit": ("task", ["a step"])}, coords={"task": ["copy"]})
    long = xr.Dataset({"unit": ("task", ["a character"])}, coords={"task": ["shakespeare"]})
    parts = [
        results.load_dataset(results.save_dataset(part, tmp_path / f"{name}.nc"))
        for name, part in {"short": short, "long": long}.items()
    ]
    whole = xr.concat(parts, dim="task")
    again = results.load_dataset(results.save_dataset(whole, tmp_path / "whole.nc"))
    xr.testing.assert_identical(again, whole)


def test_equal_data_give_equal_bytes(tmp_path, dataset):
    first = results.save_dataset(dataset, tmp_path / "1.nc").read_bytes()
    assert results.save_dataset(dataset.copy(deep=True), tmp_path / "2.nc").read_bytes() == first


def test_missing_is_not_damaged(tmp_path):
    with pytest.raises(FileNotFoundError):
        results.load_dataset(tmp_path / "absent.nc")


@pytest.mark.parametrize("damage", ["empty", "text", "cut", "flipped"])
def test_damage_is_named_in_one_line(tmp_path, dataset, damage):
    path = results.save_dataset(dataset, tmp_path / "r.nc")
    contents = bytearray(path.read_bytes())
    if damage == "flipped":  # one bit in the middle of the compressed numbers of `growth`
        with h5py.File(path) as file:
            chunk = cast(h5py.Dataset, file["growth"]).id.get_chunk_info(0)
        contents[chunk.byte_offset + chunk.size // 2] ^= 1
    path.write_bytes(
        {"empty": b"", "text": b"no netCDF", "cut": contents[: len(contents) // 2]}.get(
            damage, bytes(contents)
        )
    )
    with pytest.raises(RunError, match=r"r\.nc: is damaged .*delete it") as error:
        results.load_dataset(path)
    assert "\n" not in str(error.value)


@dataclasses.dataclass(frozen=True)
class Config:
    size: int = 2


class Jobs(dict):
    """Jobs a, b, c, which count their calls; c fails at its first call."""

    def __init__(self):
        self.calls = []
        super().__init__({name: lambda name=name: self.measure(name) for name in "abc"})

    def measure(self, name):
        self.calls.append(name)
        if self.calls.count("c") == 1 and name == "c":
            raise KeyboardInterrupt
        return xr.Dataset({"value": ("x", np.full(3, float(ord(name))))})


def combine(partial_results: dict[str, xr.Dataset]) -> xr.Dataset:
    return xr.Dataset({name: part.value for name, part in partial_results.items()})


def measure(tmp_path, jobs):
    with open_workdir(tmp_path / "w", "test", Config()) as workdir:
        return results.measured(workdir, "test", jobs, combine)


def test_a_stopped_run_continues_and_a_finished_one_is_read(tmp_path):
    jobs = Jobs()
    with pytest.raises(KeyboardInterrupt):
        measure(tmp_path, jobs)
    data = measure(tmp_path, jobs)
    assert jobs.calls == ["a", "b", "c", "c"]
    assert data["b"].to_numpy().tolist() == [98.0] * 3
    assert not (tmp_path / "w" / "partial").exists()
    (tmp_path / "w" / "partial").mkdir()  # as a kill may leave it
    (tmp_path / "w" / "partial" / "a.nc").write_text("x")
    xr.testing.assert_identical(measure(tmp_path, jobs), data)
    assert len(jobs.calls) == 4 and not (tmp_path / "w" / "partial").exists()


def test_a_damaged_part_is_named(tmp_path):
    jobs = Jobs()
    with pytest.raises(KeyboardInterrupt):
        measure(tmp_path, jobs)
    (tmp_path / "w" / "partial" / "a.nc").write_bytes(b"damaged")
    with pytest.raises(RunError, match=r"partial/a\.nc: is damaged"):
        measure(tmp_path, jobs)


def test_a_data_set_becomes_a_table(tmp_path):
    data = xr.Dataset(
        {
            "growth": (("cell", "step"), [[0.5, 1.0, 1.5], [2.0, 2.5, 3.0]]),
            "count": ("cell", [3, 4]),
            "total": ((), 7.5),
        },
        coords={"cell": ["tanh", "lstm"]},
    )
    frame = results.to_dataframe(data)
    assert list(frame.columns) == ["cell", "step", "growth", "count", "total"]
    assert frame.iloc[4].tolist() == ["lstm", 1, 2.5, 4, 7.5] and len(frame) == 6
    path = results.save_dataset(data, tmp_path / results.FILE)
    for source in (path, str(path), tmp_path):
        pd.testing.assert_frame_equal(results.to_dataframe(source), frame)
    assert results.to_dataframe(data[["total"]]).to_dict("records") == [{"total": 7.5}]
    assert results.to_dataframe(xr.Dataset()).empty


def test_variables_of_other_dimensions_get_rows_of_their_own():
    data = xr.Dataset(
        {"growth": (("cell", "step"), np.ones((2, 30))), "density": ("bin", np.zeros(50))},
        coords={"cell": ["tanh", "lstm"]},
    )
    frame = results.to_dataframe(data)
    assert len(frame) == 2 * 30 + 50
    assert frame.growth.notna().sum() == 60 and frame.density.notna().sum() == 50


def test_metrics_of_one_network(tmp_path):
    rows = [
        {"step": 10, "train": {"loss": 0.5, "norm": None}},
        {"step": 10, "evaluation": {"validation": 0.75}},
    ]
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    frame = results.metrics(tmp_path)
    assert list(frame.columns) == ["step", "group", "loss", "norm", "validation"]
    assert frame.loss.tolist()[0] == 0.5 and frame.norm.isna().all()
    assert frame[frame.group == "evaluation"].validation.tolist() == [0.75]


def test_metrics_of_populations_in_folders(tmp_path):
    for name in ("adding", "copy"):
        (tmp_path / "partial" / name).mkdir(parents=True)
        row = {"step": 5, "train": {"loss": [0.5, None], "rate": 0.1}}
        (tmp_path / "partial" / name / "metrics.jsonl").write_text(json.dumps(row) + "\n")
    frame = results.metrics(tmp_path)
    assert list(frame.columns) == ["training", "step", "group", "member", "loss", "rate"]
    assert frame.training.tolist() == ["partial/adding"] * 2 + ["partial/copy"] * 2
    assert frame.member.tolist() == [0, 1, 0, 1] and frame.rate.tolist() == [0.1] * 4
    assert frame.loss.isna().tolist() == [False, True, False, True]


def test_absent_and_damaged_metrics_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"holds no metrics\.jsonl"):
        results.metrics(tmp_path)
    (tmp_path / "metrics.jsonl").write_text('{"step": 1, "train": {}}\n{"st\n')
    with pytest.raises(RunError, match="line 2 is damaged"):
        results.metrics(tmp_path)


def test_half_a_row_at_the_end_is_being_written(tmp_path):
    (tmp_path / "metrics.jsonl").write_text('{"step": 1, "train": {"loss": 0.5}}\n{"st')
    assert results.metrics(tmp_path).step.tolist() == [1]


def test_metrics_say_when_they_were_written(tmp_path):
    rows = [{"step": step, "train": {"loss": [0.5, 0.25]}} for step in (1, 2, 3)]
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    clock = [
        {"step": 1, "group": "train", "seconds": 1.5, "time": "2026-01-01T00:00:00.000+00:00"},
        {"step": 9, "group": "other", "seconds": 3.5, "time": "2026-01-01T00:00:02.000+00:00"},
    ]
    (tmp_path / "clock.jsonl").write_text("".join(json.dumps(row) + "\n" for row in clock))
    frame = results.metrics(tmp_path)
    assert list(frame.columns) == ["step", "group", "seconds", "time", "member", "loss"]
    assert (
        frame.seconds.tolist()[:2] == [1.5, 1.5] and frame.seconds.isna().tolist()[2:] == [True] * 4
    )
    assert frame.time[0] == pd.Timestamp("2026-01-01", tz="UTC")
