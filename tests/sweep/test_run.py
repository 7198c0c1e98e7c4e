"""Whole sweeps: the labelled result, many devices and hosts, `kill -9`, and what can go wrong."""

from __future__ import annotations

import dataclasses
import errno
import io
import json
import os
import pathlib
import socket
import time

import jax
import numpy as np
import pytest
import xarray as xr

from rnnlab import cells, sweep
from rnnlab.errors import RunError, UsageError
from rnnlab.run import results
from rnnlab.sweep import folder, grid, grid_chunks, kernel
from tests import quick
from tests.sweep import small
from tests.sweep.small import CHUNKS, GRID, LITTLE


@pytest.fixture(scope="module")
def expected() -> xr.Dataset:
    return sweep.run(GRID)


@pytest.fixture(scope="module")
def in_chunks() -> xr.Dataset:
    """The same, one point in each grid_chunk."""
    return sweep.run(GRID, memory=LITTLE)


def test_result_is_labelled(expected):
    assert dict(expected.sizes) == {
        "cell": 1, "init": 1, "hidden": 1, "inputs": 1, "input_scale": 2, "radius": 2, "seed": 3,
        "length": 2, "gate": 1,
    }  # fmt: skip
    assert expected.log10_grad_state.dims == tuple(GRID.axes)
    assert expected.spectral_radius.dims == (
        "cell", "init", "hidden", "inputs", "radius", "seed", "gate"
    )  # fmt: skip
    assert expected.input_std.dims == ("cell", "init", "hidden", "inputs", "input_scale", "seed")
    assert json.loads(expected.attrs["settings"])["scales"] == [0.9, 1.2]
    assert expected.attrs["overflowed"] == 0
    assert bool(np.isnan(expected.log10_grad_c).all())  # the simple network has no c
    for name in ("log10_grad_state", "log10_grad_h", "log10_grad_wh", "input_std"):
        assert bool(np.isfinite(expected[name]).all()), name
    np.testing.assert_allclose(expected.spectral_radius.sel(radius=1.2), 1.2, atol=1e-12)
    np.testing.assert_array_equal(expected.log10_grad_state, expected.log10_grad_h)


def test_result_survives_the_disk(expected, tmp_path):
    results.save_dataset(expected, tmp_path / "results.nc")
    xr.testing.assert_identical(results.load_dataset(tmp_path / "results.nc"), expected)


def test_a_point_is_what_the_kernel_measures(expected):
    where = {"radius": 1.2, "seed": 2, "input_scale": 0.5}
    keys = [jax.random.fold_in(jax.random.key(2), i) for i in range(3)]
    cell = cells.by_name("tanh", 4)
    params = cell.init(keys[0], 4, "float64")
    params["wh"] *= 1.2  # drawn orthogonal
    xs = 0.5 * jax.random.normal(keys[1], (6, 2, 4), "float64")
    readout = np.array(jax.random.normal(keys[2], (2, 4), "float64"))
    readout /= np.linalg.norm(readout, axis=-1, keepdims=True)
    norms = quick.jit(lambda p, x, r: sweep.gradient_norms(cell, p, x, r, (3, 6)))(
        params, xs, readout
    )
    for key in ("state", "h", "wh"):
        name, _ = sweep.QUANTITIES[key]
        found = expected[name].sel(where).to_numpy().ravel()
        np.testing.assert_allclose(found, norms[key], atol=1e-12)


def test_gates_of_different_cells_share_one_axis():
    grid = dataclasses.replace(
        GRID, cells=("additive", "mgu"), seeds=1, input_scales=(1.0,), lengths=(3,)
    )
    result = sweep.run(grid)
    assert result.gate.values.tolist() == ["f", "n"]
    radius = result.spectral_radius.sel(radius=0.9, seed=0).squeeze(drop=True)
    assert bool(np.isnan(radius.sel(cell="additive")).all())
    np.testing.assert_allclose(radius.sel(cell="mgu"), 0.9, atol=1e-12)
    assert bool(np.isnan(result.log10_grad_wh.sel(cell="additive")).all())
    np.testing.assert_allclose(result.log10_grad_state.sel(cell="additive"), 0, atol=1e-12)


def test_cut_into_chunks_it_is_the_same(expected, in_chunks):
    xr.testing.assert_allclose(in_chunks, expected, rtol=0, atol=1e-12)


def test_equal_cells_compile_once(monkeypatch):
    traced = []

    def count(cell, *arguments):
        traced.append(cell)
        return kernel.quick_gradient_norms(cell, *arguments)

    monkeypatch.setattr(grid_chunks, "quick_gradient_norms", count)
    grid = dataclasses.replace(
        GRID,
        inits=("orthogonal", "gaussian"),
        hidden=(3,),
        inputs=("gaussian", "zeros"),
        features=2,
        lengths=(2,),
    )
    sweep.run(grid, memory=LITTLE)
    sweep.run(dataclasses.replace(grid, scales=(1.7, 0.3)), memory=LITTLE)
    assert traced == [cells.by_name("tanh", 3)]


@pytest.mark.slow
def test_saturated_networks_are_measured_with_care_and_change_no_others():
    grid = dataclasses.replace(
        GRID, cells=("tanh",), input_scales=(0.1, 60.0), lengths=(5, 60), dtype="float32", seeds=2
    )
    result = sweep.run(grid)
    saturated = result.log10_grad_state.sel(input_scale=60.0, length=60)
    assert np.isfinite(saturated).all() and float(saturated.min()) < -300
    alone = sweep.run(dataclasses.replace(grid, input_scales=(0.1,)))
    xr.testing.assert_equal(result.sel(input_scale=[0.1]), alone)


def test_a_state_that_overflows_leaves_nan_there_and_nothing_else():
    grid = dataclasses.replace(
        GRID, cells=("relu",), scales=(0.9, 3.0), lengths=(5, 300), dtype="float32", seeds=2
    )
    result = sweep.run(grid)
    for name in ("log10_grad_state", "log10_grad_h", "log10_grad_wh"):
        lost = result[name].isnull()
        assert not bool(lost.sel(radius=0.9).any()) and not bool(lost.sel(length=5).any())
        assert bool(lost.sel(radius=3.0, length=300).any())
    assert result.attrs["overflowed"] == int(result.log10_grad_state.isnull().sum())


@pytest.mark.cpu
def test_killed_it_continues_with_the_same_bits(in_chunks, tmp_path):
    slowly = """
from rnnlab.sweep.folder import Folder
import time
store = Folder.store
Folder.store = lambda *arguments: (store(*arguments), time.sleep(1))
sweep.run(GRID, sys.argv[1], memory=LITTLE)
"""
    process = small.start(slowly, tmp_path)
    deadline = time.monotonic() + 100
    while not (done := list(tmp_path.glob("*.npz"))) and time.monotonic() < deadline:
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    process.kill()
    process.communicate()
    before = {file: file.stat().st_mtime_ns for file in tmp_path.glob("*.npz")}
    assert done and 1 <= len(before) < CHUNKS

    again = sweep.run(GRID, tmp_path, memory=LITTLE)
    xr.testing.assert_identical(again, in_chunks)
    assert len(list(tmp_path.glob("*.npz"))) == CHUNKS
    assert all(file.stat().st_mtime_ns == when for file, when in before.items())


@pytest.mark.cpu
def test_eight_devices_give_the_numbers_of_one(expected, tmp_path):
    code = """
assert jax.device_count() == 8
results.save_dataset(sweep.run(GRID), sys.argv[1])
"""
    environment = os.environ | {"XLA_FLAGS": "--xla_force_host_platform_device_count=8"}
    small.finish(small.start(code, tmp_path / "eight.nc", env=environment))
    xr.testing.assert_identical(results.load_dataset(tmp_path / "eight.nc"), expected)


@pytest.mark.cpu
@pytest.mark.slow
def test_two_hosts_share_the_work_and_the_result(in_chunks, tmp_path):
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    code = """
rank, port = int(sys.argv[2]), sys.argv[3]
jax.distributed.initialize(f"localhost:{port}", 2, rank)
from rnnlab.sweep import grid_chunks
mine, measure = [], grid_chunks.measure
grid_chunks.measure = lambda grid, chunk, texts: mine.append(chunk) or measure(grid, chunk, texts)
result = sweep.run(GRID, sys.argv[1] + "/shared", memory=LITTLE)
assert len(mine) == 6, mine
results.save_dataset(result, f"{sys.argv[1]}/host-{rank}.nc")
"""
    hosts = [small.start(code, tmp_path, rank, port) for rank in range(2)]
    for host in hosts:
        small.finish(host)
    for rank in range(2):
        found = results.load_dataset(tmp_path / f"host-{rank}.nc")
        xr.testing.assert_identical(found, in_chunks)


class TestHosts:
    """What one of two hosts does when the other one is late, has failed or is elsewhere."""

    @pytest.fixture(autouse=True)
    def two_hosts(self, monkeypatch):
        monkeypatch.setattr(jax, "process_count", lambda: 2)
        monkeypatch.setattr(folder, "INTERVAL", 0.01)

    def be(self, rank, monkeypatch):
        monkeypatch.setattr(jax, "process_index", lambda: rank)

    def test_without_a_folder(self):
        with pytest.raises(UsageError, match=r"^folder=None: several hosts need a folder"):
            sweep.run(GRID)

    def test_folder_that_is_not_shared(self, tmp_path, monkeypatch):
        self.be(1, monkeypatch)
        monkeypatch.setattr(folder, "PATIENCE", 0.05)
        with pytest.raises(RunError, match="all hosts must share the folder"):
            sweep.run(GRID, tmp_path, memory=LITTLE)

    def test_failure_of_another_host(self, tmp_path, monkeypatch):
        self.be(0, monkeypatch)
        here = folder.Folder(tmp_path, GRID, LITTLE)
        self.be(1, monkeypatch)
        there = folder.Folder(tmp_path, GRID, LITTLE)
        with pytest.raises(OSError), there.telling_hosts():
            raise OSError("the disk is on fire")
        self.be(0, monkeypatch)
        with pytest.raises(
            RunError, match=r"^host-1 has failed \(the disk is on fire\)\. Fix this"
        ):
            here.wait()

    def test_failure_of_an_earlier_run_is_forgotten(self, tmp_path, monkeypatch, in_chunks):
        self.be(1, monkeypatch)
        (tmp_path / "host-0.failed").write_text("mark an old story")
        (tmp_path / "host-1.failed").write_text("mark an old story")
        monkeypatch.setattr(jax, "process_count", lambda: 1)
        monkeypatch.setattr(jax, "process_index", lambda: 0)
        sweep.run(GRID, tmp_path, memory=LITTLE)
        assert not (tmp_path / "host-0.failed").exists()
        monkeypatch.setattr(jax, "process_count", lambda: 2)
        self.be(1, monkeypatch)
        xr.testing.assert_identical(sweep.run(GRID, tmp_path, memory=LITTLE), in_chunks)


@pytest.fixture
def finished(tmp_path) -> pathlib.Path:
    """A folder with all grid chunks of `GRID` in it."""
    sweep.run(GRID, tmp_path)
    return tmp_path


@pytest.mark.parametrize("damage", ["empty", "truncated", "flipped", "text", "of fewer points"])
def test_damaged_chunk(damage, finished):
    (file,) = finished.glob("*.npz")
    data = file.read_bytes()
    bit = data.index(b"\x93NUMPY") + 140
    other = io.BytesIO()
    points = {f"point_{name}": np.zeros(4) for name in grid.Point._fields}
    np.savez(other, key="a program", state=np.zeros((3, 2)), **points)
    damaged = {
        "empty": b"",
        "truncated": data[: len(data) // 2],
        "flipped": data[:bit] + bytes([data[bit] ^ 1]) + data[bit + 1 :],
        "text": b"not an array",
        "of fewer points": other.getvalue(),
    }
    file.write_bytes(damaged[damage])
    with pytest.raises(RunError) as caught:
        sweep.run(GRID, finished)
    assert str(caught.value).startswith(f"{file}: ") and "delete it" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_folder_of_another_kind_of_points(finished):
    other = dataclasses.replace(GRID, lengths=(3, 9), seeds=4)
    with pytest.raises(UsageError) as caught:
        sweep.run(other, finished)
    assert str(caught.value) == (
        f"folder={str(finished)!r}: holds points of another kind (lengths is [3, 6] there "
        "and [3, 9] here); choose another folder"
    )
    with pytest.raises(UsageError, match=r"\(memory is 536870912 there and 1.0 here\)"):
        sweep.run(GRID, finished, memory=LITTLE)


def test_damaged_description_of_the_grid(finished):
    (finished / "grid.json").write_text('{"cells": ["ta')
    with pytest.raises(RunError, match=r"grid\.json: is damaged; delete the folder"):
        sweep.run(GRID, finished)


def test_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match=r"file/below: Not a directory\. Fix this and rerun"):
        sweep.run(GRID, tmp_path / "file" / "below")


def test_full_disk_keeps_what_is_done(tmp_path, monkeypatch, in_chunks):
    real, calls = os.fsync, []

    def full(descriptor):
        calls.append(descriptor)
        if len(calls) > 4:  # the description and three grid chunks
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(
        RunError, match=r"seeds-.*\.npz: No space left on device\. Fix this and rerun"
    ):
        sweep.run(GRID, tmp_path, memory=LITTLE)
    assert len(list(tmp_path.iterdir())) == 4
    monkeypatch.setattr(os, "fsync", real)
    xr.testing.assert_identical(sweep.run(GRID, tmp_path, memory=LITTLE), in_chunks)


@pytest.mark.parametrize("memory", [0, -1.0, float("nan"), float("inf")])
def test_memory_that_is_none(memory):
    with pytest.raises(UsageError, match=f"^memory={memory}: must be a positive number of bytes"):
        sweep.run(GRID, memory=memory)


def test_float64_without_64_bits():
    jax.config.update("jax_enable_x64", False)
    try:
        with pytest.raises(UsageError, match=r"^dtype='float64': JAX computes in 32 bits"):
            sweep.run(GRID)
    finally:
        jax.config.update("jax_enable_x64", True)
