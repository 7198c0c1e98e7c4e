import subprocess
import sys
from typing import Any

import matplotlib
import matplotlib.image
import numpy as np
import pytest

from rnnlab import plots
from rnnlab.errors import UsageError
from rnnlab.statistics import wilson_interval

X = np.array([0.5, 1.0, 1.5])
Y = np.array([10.0, 100.0])
Z = np.array([[-2.0, 0.0, 1.0], [-60.0, 0.0, 20.0]])
LABELS: dict[str, Any] = {"xlabel": "ρ", "ylabel": "T", "zlabel": "log10"}


@pytest.fixture(autouse=True)
def in_style():
    with plots.style():
        yield


def draw(**kwargs):
    figure, axes = plots.subplots()
    mesh = plots.phase_diagram(axes[0, 0], X, Y, Z, **LABELS, **kwargs)
    figure.canvas.draw()
    return axes[0, 0], mesh


def test_style_ends_with_its_block():
    inside = matplotlib.rcParams["font.size"], matplotlib.rcParams["savefig.dpi"]
    with matplotlib.rc_context({"font.size": 3.0}):
        with plots.style():
            assert (matplotlib.rcParams["font.size"], matplotlib.rcParams["savefig.dpi"]) == inside
        assert matplotlib.rcParams["font.size"] == 3.0


def test_importing_leaves_backend_and_settings_alone():
    code = (
        "import matplotlib as m, sys;"
        # Reading `backend` would choose one.
        "read = lambda: {name: m.rcParams[name] for name in m.rcParams if name != 'backend'};"
        "before = read(); import rnnlab.plots; assert read() == before;"
        "assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    ("scale", "values", "labels"),
    [
        ({"value": "log"}, (0.5, 3.0), {"1", "2", "3", "0.6"}),
        ({"value": "log"}, (1, 1000), {"1", "10", "100", "1000"}),
        ({"value": "log", "base": 2}, (1, 64), {"1", "2", "16", "64"}),
        ({"value": "symlog"}, (-100, 100), {"−100", "0", "100"}),
        ({"value": "symlog", "linthresh": 1e-6}, (-1, 1), {r"$\mathdefault{10^{-4}}$"}),
        ({"value": "log"}, (1e-9, 1), {"$\\mathdefault{10^{-8}}$", "$\\mathdefault{10^{0}}$"}),
    ],
)
def test_numbers_on_logarithmic_axes_are_written_in_full_where_they_are_short(
    tmp_path, scale, values, labels
):
    figure, axes = plots.subplots()
    axes[0, 0].plot(values, values)
    axes[0, 0].set_yscale(**scale)
    plots.save(figure, tmp_path / "a.png")
    major, minor = (axes[0, 0].yaxis.get_ticklabels(minor=minor) for minor in (False, True))
    written = {label.get_text() for label in (*major, *minor)}
    assert labels <= written, written


def test_a_saved_picture_has_its_size_and_the_same_bytes_each_time(tmp_path):
    files = []
    for name in ("a.png", "b.png"):
        figure, axes = plots.subplots(1, 2, width=4, height=2)
        assert axes.shape == (1, 2)
        axes[0, 1].plot([1, 2])
        files.append(plots.save(figure, tmp_path / name))
    assert matplotlib.image.imread(files[0]).shape[:2] == (400, 800)
    assert files[0].read_bytes() == files[1].read_bytes()


@pytest.mark.parametrize(
    ("name", "start"), [("a.pdf", b"%PDF"), ("a.SVG", b"<?xml"), ("a.png", b"\x89PNG")]
)
def test_the_ending_says_what_is_written(name, start, tmp_path):
    contents = []
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        figure, axes = plots.subplots(width=3)
        axes[0, 0].plot([1, 2], label="λ")
        plots.phase_diagram(axes[0, 0], X, Y, Z, **LABELS)
        contents.append(plots.save(figure, tmp_path / folder / name).read_bytes())
    assert contents[0].startswith(start)
    assert contents[0] == contents[1]


def test_another_ending_is_refused(tmp_path):
    figure, _ = plots.subplots()
    for name in ("a.jpeg", "a"):
        with pytest.raises(UsageError, match=rf"path='.*{name}': pictures are written as png, pdf"):
            plots.save(figure, tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_pictures_in_other_formats_too(tmp_path):
    figure, _ = plots.subplots(width=2)
    with plots.also_as("pdf", "png"):
        assert plots.save(figure, tmp_path / "a.png") == tmp_path / "a.png"
    plots.save(figure, tmp_path / "b.png")
    assert {path.name for path in tmp_path.iterdir()} == {"a.png", "a.pdf", "b.png"}
    with pytest.raises(UsageError, match="formats='eps': pictures are"), plots.also_as("eps"):
        pass


def test_rounding_errors_are_not_blown_up(tmp_path):
    figure, axes = plots.subplots(1, 2)
    axes[0, 0].plot([1, 2, 3], [-0.3, -0.3 + 3e-16, -0.3 - 1e-16])
    axes[0, 1].plot([1, 2], [-0.3, -0.3001])
    plots.save(figure, tmp_path / "a.png")
    np.testing.assert_allclose(axes[0, 0].get_ylim(), (-0.35, -0.25))
    assert np.ptp(axes[0, 1].get_ylim()) < 2e-4


def test_a_single_position_is_a_dot_with_a_bar():
    _, axes = plots.subplots()
    line = plots.quantile_band(axes[0, 0], [5.0], np.array([[1.0], [2.0], [3.0]]), "LSTM")
    assert line.get_marker() == "o"
    np.testing.assert_array_equal(axes[0, 0].collections[-1].get_segments()[0][:, 1], [1.5, 2.5])
    samples = np.array([[1.0, np.nan, 3.0, 4.0], [1.0, np.nan, 3.0, 4.0]])
    plots.quantile_band(axes[0, 0], np.arange(4.0), samples, "GRU")
    np.testing.assert_array_equal(axes[0, 0].lines[-1].get_xdata(), [0.0])  # between gaps


def test_the_legend_names_what_is_drawn_and_nothing_else():
    ax, _ = draw(floor=-1000.0, floor_label="lost")
    plots.contour_lines(ax, X, Y, Z, (500,), label="theory")
    assert ax.get_legend_handles_labels()[1] == []


def test_ticks_stand_at_what_was_measured_as_far_as_there_is_room():
    _, axes = plots.subplots()
    ax = axes[0, 0]
    ax.set(xscale="log", xlim=(1, 2000))
    plots.ticks_at(ax.xaxis, [10, 11, 20, 50, 1000])
    assert [text.get_text() for text in ax.get_xticklabels()] == ["10", "20", "50", "1000"]
    assert not len(ax.xaxis.get_minorticklocs())


def test_colours_are_symmetric_about_zero():
    _, mesh = draw()
    assert (mesh.norm.vmin, mesh.norm.vmax) == (-60, 60)
    assert mesh.norm(np.zeros(1)) == 0.5
    _, mesh = draw(limit=10, linear=1.0)
    assert mesh.norm(np.zeros(1)) == 0.5
    # Linear to 1 and logarithmic beyond: each decade takes as much as the next.
    steps = np.diff(mesh.norm(10 ** np.array([0.25, 0.5, 0.75])))
    np.testing.assert_allclose(steps[0], steps[1], rtol=1e-12)


def test_cells_meet_halfway_on_the_scale_of_the_axis():
    ax, _ = draw(yscale="log")
    np.testing.assert_allclose(ax.get_xlim(), (0.25, 1.75))
    np.testing.assert_allclose(ax.get_ylim(), (10**0.5, 10**2.5))


def test_contours_stand_where_the_values_are():
    _, axes = plots.subplots()
    x, y = np.linspace(0, 1, 5), np.linspace(0, 1, 4)
    plots.contour_lines(axes[0, 0], x, y, x + 0 * y[:, None], (-5, 0.3, 7), label="theory")
    (lines,) = axes[0, 0].collections
    (path,) = lines.get_paths()
    np.testing.assert_allclose(path.vertices[:, 0], 0.3, atol=1e-12)
    assert [text.get_text() for text in axes[0, 0].texts] == ["0.3"]
    assert axes[0, 0].get_legend_handles_labels()[1] == ["theory"]


def test_the_floor_is_hatched_exactly_below():
    ax, _ = draw(floor=-38.0, floor_label="lost")
    (patch,) = ax.patches
    assert patch.get_hatch() and patch.get_xy() == (0.25, 55.0)
    assert ax.get_legend_handles_labels()[1] == ["lost"]


@pytest.mark.parametrize("shape", [(1, 3), (2, 1), (1, 1)])
def test_one_row_or_column_is_a_map_too(shape):
    figure, axes = plots.subplots()
    z = np.full(shape, -np.inf)
    y, x = Y[: shape[0]], X[: shape[1]]
    plots.phase_diagram(axes[0, 0], x, y, z, **LABELS, contours=(0,), floor=-38, yscale="log")
    figure.canvas.draw()


def test_wrong_shapes_are_refused():
    _, axes = plots.subplots()
    with pytest.raises(UsageError, match=r"z \(3, 2\): must be \[Y, X\]"):
        plots.phase_diagram(axes[0, 0], X, Y, Z.T, **LABELS)
    with pytest.raises(UsageError, match="increase"):
        plots.contour_lines(axes[0, 0], X[::-1], Y, Z, (0,))
    with pytest.raises(UsageError, match="samples"):
        plots.quantile_band(axes[0, 0], X, Z.T, "a")


def test_a_band_shows_median_and_quartiles():
    _, axes = plots.subplots()
    samples = np.arange(5.0)[:, None] * np.array([1.0, 2.0, 3.0])
    line = plots.quantile_band(axes[0, 0], X, samples, "LSTM")
    np.testing.assert_array_equal(line.get_ydata(), [2.0, 4.0, 6.0])
    (band,) = axes[0, 0].collections
    heights = band.get_paths()[0].vertices[:, 1]
    assert (heights.min(), heights.max()) == (1.0, 9.0)


def test_a_band_of_the_finite_seeds():
    _, axes = plots.subplots()
    samples = np.array([[1.0, np.nan, np.nan], [3.0, 5.0, np.nan]])
    line = plots.quantile_band(axes[0, 0], X, samples, "LSTM", finite_only=True)
    np.testing.assert_array_equal(line.get_xdata(), X[:2])
    np.testing.assert_array_equal(line.get_ydata(), [2.0, 5.0])
    plots.quantile_band(axes[0, 0], X, np.full((2, 3), np.nan), "GRU", finite_only=True)


def test_success_rates_have_wilsons_interval():
    _, axes = plots.subplots()
    solved_at = np.array([[1.0, 2.0], [np.nan, 3.0], [np.nan, np.nan]])
    plots.success_rates(axes[0, 0], X, solved_at, label="LSTM")
    (bars,) = axes[0, 0].containers
    line, _, (segments,) = bars
    np.testing.assert_array_equal(line.get_ydata(), [1.0, 0.5, 0.0])
    for segment, count in zip(segments.get_segments(), (2, 1, 0), strict=True):
        np.testing.assert_allclose(segment[:, 1], wilson_interval(count, 2), atol=1e-12)


def test_the_legend_below_has_rows_of_a_few_entries():
    figure, axes = plots.subplots()
    for shade in plots.shades(8):
        axes[0, 0].plot([0, 1], color=shade, label=str(shade))
    plots.legend_below(figure, axes[0, 0])
    (legend,) = figure.legends
    assert len(legend.get_texts()) == len(set(plots.shades(8))) == 8


def test_28_lines_differ():
    _, axes = plots.subplots()
    lines = [axes[0, 0].plot([0, 1])[0] for _ in range(28)]
    assert len({(line.get_color(), line.get_linestyle()) for line in lines}) == 28
