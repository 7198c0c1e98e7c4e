"""What points are made of: measured radii and input strengths, shared random numbers, texts."""

import dataclasses

import jax
import numpy as np
import pytest

from rnnlab import cells, initializers, sweep
from rnnlab.data import text as corpus
from rnnlab.errors import RunError, UsageError
from rnnlab.sweep import grid_chunks
from rnnlab.sweep.draws import InputTexts, draw, features_in
from rnnlab.sweep.grid import Grid

TEXT = "the quick brown fox jumps over the lazy dog " * 3


class Recorder:
    """Stands in for a compiled program."""

    def __init__(self, record):
        self._record = record

    def __call__(self, *arguments):
        return self._record(*arguments)

    def lower(self, *arguments):
        return self

    def compile(self):
        return self


def networks(grid, monkeypatch):
    """The arrays that the kernel receives, point by point, and the values of their grid_chunk."""
    seen = []

    def record(cell, steps, mesh, norms, points):
        seen.append((cell, jax.tree.map(np.asarray, points)))
        count = len(points.xs)
        return {"state": np.zeros((count, len(steps)))}, np.zeros(count, bool)

    monkeypatch.setattr(grid_chunks, "_measure", Recorder(record))
    (grid_chunk,) = cut(grid)
    values = grid_chunks.measure(grid, grid_chunk, InputTexts())
    points = []
    for cell, (params, factors, xs, input_scale, readout) in seen:
        for place, factor in enumerate(factors):
            wh = params["wh"][place] * np.repeat(factor, cell.hidden)
            scaled = xs[place] * input_scale[place]
            points.append((wh, params["wx"][place], scaled, readout[place]))
    return grid_chunk, points[: len(grid_chunk.points)], values


def cut(grid):
    (program,) = grid.programs()
    return grid_chunks.cut(grid, program, grid.points(), 1e12, InputTexts())


GRID = Grid(
    cells=("lstm",),
    inits=("gaussian",),
    scales=(0.7, 1.3),
    hidden=(6,),
    lengths=(5, 40),
    input_scales=(0.1, 2.0),
    seeds=3,
    batch=4,
)


def test_measured_radius_is_the_one_asked_for(monkeypatch):
    grid_chunk, points, values = networks(GRID, monkeypatch)
    asked = [point.scale for point in grid_chunk.points]
    for (wh, *_), radius, recorded, sigma in zip(
        points, asked, values["spectral_radius"], values["sigma_max"], strict=True
    ):
        for gate in range(4):
            block = wh[:, 6 * gate : 6 * gate + 6]
            assert np.abs(np.linalg.eigvals(block)).max() == pytest.approx(radius, abs=1e-12)
            assert recorded[gate] == pytest.approx(radius, abs=1e-12)
            assert sigma[gate] == pytest.approx(np.linalg.norm(block, 2), rel=1e-12)
            assert sigma[gate] > radius  # a Gaussian matrix is not normal


def test_gain_multiplies_the_matrix_as_drawn(monkeypatch):
    grid = dataclasses.replace(GRID, scale="gain")
    grid_chunk, points, values = networks(grid, monkeypatch)
    for point, (wh, *_) in enumerate(points):
        params = sweep_params(grid_chunk.points[point].seed)
        expected = grid_chunk.points[point].scale * params["wh"]
        np.testing.assert_allclose(wh, expected, rtol=1e-15)
        radius = np.abs(np.linalg.eigvals(wh[:, :6])).max()
        assert values["spectral_radius"][point, 0] == pytest.approx(radius, abs=1e-12)


def sweep_params(seed):
    """Parameters of a seed, from its key by hand."""
    key = jax.random.fold_in(jax.random.key(int(seed)), 0)
    cell = cells.by_name("lstm", 6, wh_init=initializers.by_name("gaussian"))
    return cell.init(key, 6, "float64")


def test_points_of_a_seed_share_their_random_numbers(monkeypatch):
    grid_chunk, points, _ = networks(GRID, monkeypatch)
    seeds = [point.seed for point in grid_chunk.points]
    assert len(points) == 12
    for point, (wh, wx, xs, readout) in zip(grid_chunk.points, points, strict=True):
        first = points[seeds.index(point.seed)]
        ratio = point.scale / GRID.scales[0]
        np.testing.assert_allclose(wh, ratio * first[0], rtol=1e-14)
        np.testing.assert_array_equal(wx, first[1])
        ratio = point.input_scale / GRID.input_scales[0]
        np.testing.assert_allclose(xs, ratio * first[2], rtol=1e-14)
        np.testing.assert_array_equal(readout, first[3])
    assert not np.array_equal(points[0][0], points[-1][0])
    assert not np.array_equal(points[0][2], points[-1][2])


def test_a_seed_gives_the_same_bits_in_any_company():
    program = GRID.programs()[0]
    together = draw(GRID, program, np.array([0, 1, 2]), InputTexts())
    alone = draw(GRID, program, np.array([2]), InputTexts())
    jax.tree.map(lambda a, b: np.testing.assert_array_equal(np.asarray(a)[2:], b), together, alone)
    np.testing.assert_allclose(np.linalg.norm(together.readout, axis=-1), 1, rtol=1e-14)


@pytest.mark.parametrize("inputs", ["gaussian", "zeros", "text"])
def test_input_std_is_that_of_the_projection(inputs, monkeypatch, tmp_path):
    if inputs == "text":
        (tmp_path / "a.txt").write_text(TEXT)
        inputs = str(tmp_path / "a.txt")
    grid = dataclasses.replace(GRID, inputs=(inputs,))
    _, points, values = networks(grid, monkeypatch)
    for (_, wx, xs, _), recorded in zip(points, values["input_std"], strict=True):
        projection = (xs @ wx).reshape(-1, wx.shape[-1])
        direct = np.sqrt(np.mean(projection.var(axis=0)))
        assert recorded == pytest.approx(direct, rel=1e-12, abs=1e-15)


def test_text_is_read_one_hot(tmp_path):
    (tmp_path / "a.txt").write_text(TEXT)
    grid = dataclasses.replace(GRID, inputs=(str(tmp_path / "a.txt"),))
    input_texts = InputTexts()
    draws = draw(grid, grid.programs()[0], np.arange(3), input_texts)
    train = corpus.load_text(tmp_path / "a.txt")
    vocabulary = corpus.Vocabulary.of(train)
    assert features_in(grid, grid.programs()[0], input_texts) == vocabulary.size
    assert draws.xs.shape == (3, 40, 4, vocabulary.size)
    assert np.all(np.sum(np.asarray(draws.xs), axis=-1) == 1)
    read = vocabulary.decode(np.argmax(np.asarray(draws.xs)[1, :, 2], axis=-1))
    assert read in train


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"inputs": ("missing.txt",)}, UsageError, "text 'missing.txt': no such file"),
        ({"inputs": ("a.txt",), "lengths": (500,)}, UsageError, "lengths=500: the training part"),
        ({"inputs": ("a.txt",), "features": 3}, UsageError, "features=3: inputs='a.txt' have as"),
        ({"inits": ("zeros",)}, UsageError, "init='zeros': drew a recurrent matrix of spectral"),
        ({"inputs": ("tiny_shakespeare",)}, RunError, ""),
    ],
)
def test_what_cannot_be_drawn_is_told_before_anything_is_computed(
    settings, error, message, monkeypatch, tmp_path
):
    (tmp_path / "a.txt").write_text(TEXT)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(corpus, "_load_named", no_network)
    monkeypatch.setitem(initializers.INITIALIZERS, "zeros", lambda gain: initializers.Gaussian(0.0))
    # The text comes last: what is wrong with it must not show after hours.
    inputs = ("gaussian", *settings.get("inputs", ()))
    grid = dataclasses.replace(GRID, **settings | {"inputs": inputs})
    with pytest.raises(error) as caught:
        sweep.run(grid, tmp_path / "folder", memory=1.0)
    assert str(caught.value).startswith(message) and "\n" not in str(caught.value)
    assert not list(tmp_path.glob("folder/*.npz"))


def no_network(*_):
    raise RunError("tiny_shakespeare: no network")
