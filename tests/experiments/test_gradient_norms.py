"""The flagship: its numbers against closed forms, its resumption, its inputs, its messages."""

import itertools
import json
import math

import numpy as np
import pytest

from experiments import gradient_norms
from experiments.gradient_norms import comparison, pictures
from experiments.gradient_norms.measure import measure
from experiments.gradient_norms.tables import table_of_cells, table_of_radii
from rnnlab import plots
from rnnlab.errors import UsageError
from rnnlab.gradients import theory
from rnnlab.run import results
from rnnlab.run.workdir import open_workdir
from rnnlab.sweep import grid_chunks
from tests.experiments import presets

SMALL = {
    "cells": ("linear", "tanh", "gru"),
    "radii": (1.6, 0.25, 1.0),
    "lengths": (100, 8),
    "hidden": 6,
    "batch": 2,
    "seeds": 3,
}


def run(folder, **changes):
    return measured(folder, step=gradient_norms.run, **changes)


def measured(folder, step=measure, **changes):
    """Without pictures, which take seconds."""
    config = gradient_norms.Config(**(SMALL | changes))
    with open_workdir(folder, "gradient_norms", config) as workdir:
        step(config, workdir)
    return results.load_dataset(folder / "results.nc")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("finished") / "w"
    return folder, run(folder)


@pytest.mark.slow
def test_linear_orthogonal_networks_grow_as_the_power_of_the_radius(finished):
    _, data = finished
    data = data.sel(cell="linear").squeeze(drop=True)
    assert data.spectral_radius.sel(gate="h").values == pytest.approx(
        np.repeat([[1.6], [0.25], [1.0]], 3, axis=1)
    )
    exact = data.length * np.log10(data.radius)
    off = data.log10_grad_state - exact
    assert float(abs(off).max()) < 1e-11  # every seed: the readouts are unit vectors
    assert float(data.log10_grad_state.min()) == pytest.approx(100 * math.log10(0.25))


def test_everything_is_there(finished):
    folder, _ = finished
    made = {path.name for path in folder.iterdir()}
    assert made >= {"results.nc", "phase_diagram.png", "growth.png", "weight_gradients.png"}
    page = (folder / "report.html").read_text()
    assert page.count("data:image/png") == 3
    assert "Measured standard deviation of the input" in page and "distribution over seeds" in page


@pytest.mark.slow
def test_the_tiny_preset_draws_the_whole_report(tmp_path):
    made = presets.run_tiny(gradient_norms, tmp_path / "w")
    assert made >= {"report.html", "phase_diagram.png", "growth.png", "weight_gradients.png"}


def test_a_run_continues_with_the_same_bits(tmp_path):
    def once():
        data = measured(tmp_path / "w", cells=("tanh",), memory_mib=1, lengths=(400,), batch=4)
        return data, (tmp_path / "w" / "results.nc").read_bytes()

    before, contents = once()
    chunks = sorted((tmp_path / "w" / "grid_chunks").glob("*.npz"))
    assert len(chunks) > 1
    chunks[0].unlink()
    kept = chunks[1].stat().st_mtime_ns
    (tmp_path / "w" / "results.nc").unlink()
    after, contents_after = once()
    assert before.identical(after)
    assert contents == contents_after
    assert chunks[0].exists() and chunks[1].stat().st_mtime_ns == kept


def test_a_run_is_extended_by_seeds_radii_and_values(finished, tmp_path, monkeypatch):
    folder, before = finished
    measured_points = []
    measure_chunk = grid_chunks.measure
    monkeypatch.setattr(
        grid_chunks,
        "measure",
        lambda *given: measured_points.extend(given[1].points) or measure_chunk(*given),
    )
    data = measured(
        tmp_path / "w", cells=("tanh",), radii=(0.25, 0.5, 1.0, 1.6), seeds=4, extends=str(folder)
    )
    assert len(measured_points) == 4 * 4 - 3 * 3
    old = {"cell": ["tanh"], "radius": [0.25, 1.0, 1.6], "seed": [0, 1, 2]}
    for name in ("log10_grad_state", "log10_grad_wh"):
        np.testing.assert_array_equal(data[name].sel(old), before[name].sel(old))
    config = json.loads((tmp_path / "w" / "config.json").read_text())["config"]
    assert config["extends"] == str(folder)
    with pytest.raises(UsageError, match=r"^extends=.*of another kind \(lengths is \[8, 100\]"):
        measured(tmp_path / "other", lengths=(8,), extends=str(folder))


@pytest.mark.slow
def test_a_hyperparameter_is_varied_over_the_cells_that_have_it(tmp_path):
    data = measured(
        tmp_path / "w",
        cells=("tanh", "lstm"),
        radii=(0.5, 1.0),
        lengths=(20,),
        hyperparameter="forget_bias",
        values=(0.0, 2.0),
    )
    tanh, low, high = comparison.each_cell(data)
    assert (tanh.name, low.name, high.name) == (
        *("tanh RNN", "LSTM, forget bias = 0", "LSTM, forget bias = 2"),
    )
    assert tanh.activation == "tanh" and low.activation is None
    assert (high.state > low.state).all()
    assert table_of_radii(high)[0]["cell"] == "lstm, forget_bias=2"


def test_a_corpus_is_read(tmp_path):
    corpus = tmp_path / "corpus.txt"
    corpus.write_text("to be, or not to be, that is the question: " * 10)
    data = measured(
        tmp_path / "w", cells=("tanh",), lengths=(20,), inputs=str(corpus), input_scale=3.0
    )
    assert float(data.input_std.min()) > 0.3
    # Input takes the units to slopes below 1, away from the linear network's gradient.
    assert bool((data.log10_grad_state < data.length * np.log10(data.radius)).all())


@pytest.mark.slow
def test_a_gradient_that_is_exactly_zero_is_shown(tmp_path, capsys):
    # Without input a ReLU network stays at 0, where its derivative is 0.
    data = run(tmp_path / "w", cells=("relu",), lengths=(20,), radii=(1.0,), inputs="zeros")
    assert np.isneginf(data.log10_grad_state).all()
    assert "-inf" in capsys.readouterr().out


def test_theories_are_drawn_only_where_they_apply(finished):
    linear, tanh, gru = comparison.each_cell(finished[1])
    radius = np.array([0.25, 0.9, 1.6])
    np.testing.assert_allclose(tanh.radius, [0.25, 1.0, 1.6])
    assert set(gru.theories(radius)) == {comparison.RADIUS}
    assert linear.bound_is_radius and tanh.bound_is_radius and not gru.bound_is_radius
    rates = tanh.theories(radius)
    mean_field = theory.mean_field_exponent(tanh.radius, tanh.input_std) / math.log(10)
    np.testing.assert_allclose(rates[comparison.MEAN_FIELD][[0, 2]], mean_field[[0, 2]])
    np.testing.assert_allclose(linear.theories(radius)[comparison.MEAN_FIELD], np.log10(radius))


def test_mean_field_is_drawn_where_it_holds(finished):
    data = finished[1].sel(cell=["tanh"])
    for changed, applies in (
        ({}, True),
        ({"init": ["gaussian"]}, True),
        ({"init": ["identity"]}, False),
        ({"init": ["sparse"]}, False),  # one that the theory does not know
        ({"inputs": ["corpus.txt"]}, False),
    ):
        (tanh,) = comparison.each_cell(data.assign_coords(changed))
        assert tanh.mean_field_applies == applies
        assert (comparison.MEAN_FIELD in tanh.theories(tanh.radius)) == applies
        assert ("no mean field" in pictures.remark(tanh)) == (not applies)


def test_bound_holds_for_gaussian_matrices(tmp_path):
    data = measured(
        tmp_path / "w", cells=("sigmoid",), lengths=(20,), init="gaussian", scale="gain"
    )
    (sigmoid,) = comparison.each_cell(data)
    sigma_max = data.sigma_max.max("gate")
    assert bool((data.log10_grad_state <= data.length * np.log10(sigma_max / 4) + 1e-9).all())
    assert comparison.BOUND in sigmoid.theories(sigmoid.radius)
    np.testing.assert_allclose(sigmoid.gain, [0.25, 1.0, 1.6])


def test_counts_what_float32_cannot_hold(finished):
    (row, *_) = table_of_cells(list(comparison.each_cell(finished[1])))
    # Linear: 100 log10(0.25) = -60 and 100 log10(1.6) = 20 at three seeds; the square of 1e20 is
    # out of range, 1e20 is not.
    counts = ("points", "gradient 0", "norm 0", "norm inf", "gradient inf")
    assert [row[name] for name in counts] == [18, 3, 3, 3, 0]
    assert float(row["growth 0 at ρ"]) == pytest.approx(1.0, abs=1e-3)


def made_up(*names, radii=(0.5, 1.0, 1.5), lengths=(10, 100), rate=0.1):
    """Cells as if they had been measured: the gradient grows at a rate of its own."""
    radius, lengths = np.array(radii), np.array(lengths)
    state = np.repeat((rate * np.log10(radius)[:, None] * lengths)[None], 2, axis=0)
    return [
        comparison.Measured(
            cell=name, name=name, radius=radius, sigma_max=radius, gain=radius, input_std=0.1,
            lengths=lengths, state=state, weights=state, activation=None, mean_field_applies=False,
        )
        for name in names
    ]  # fmt: skip


def test_titles_and_remarks_do_not_collide():
    with plots.style():
        figure = pictures.plot_phase_diagrams(made_up("minimal", "lstm_peephole", "gru"))
        figure.canvas.draw()
    for ax in figure.axes[:3]:
        texts = [ax.title, ax._left_title, ax._right_title, *ax.texts]
        boxes = [text.get_window_extent() for text in texts if text.get_text()]
        heads = [box for box in boxes if box.y0 >= ax.bbox.y1]
        assert len(heads) == 2
        assert not any(a.overlaps(b) for a, b in itertools.combinations(heads, 2))


def test_the_legend_of_phase_diagrams_names_what_is_drawn():
    def entries(*given, **settings):
        with plots.style():
            figure = pictures.plot_phase_diagrams(made_up(*given, **settings))
        return [text.get_text() for legend in figure.legends for text in legend.get_texts()]

    assert entries("gru") == ["T log10 ρ", "measured"]
    assert entries("gru", radii=(0.5, 0.9)) == ["T log10 ρ"]  # what is measured crosses no level
    assert entries("gru", rate=3.0, radii=(0.3, 2.0))[0].startswith("below the smallest float32")
    assert entries("gru", radii=(0.9,)) == []


@pytest.mark.parametrize("plot", [pictures.plot_growth, pictures.plot_weight_gradients])
def test_a_single_radius_and_length_is_visible(plot):
    with plots.style():
        figure = plot(made_up("gru", radii=(0.9,), lengths=(50,)))
    for ax in figure.axes:
        dots = [line for line in ax.lines if line.get_marker() == "o"]
        assert dots and all(np.isfinite(line.get_ydata()).all() for line in dots)
    assert [text.get_text() for text in figure.axes[0].get_xticklabels()] == ["50"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"cells": ("tahn",)}, "cells='tahn'.*did you mean 'tanh'"),
        ({"cells": ()}, r"cells=\(\)"),
        ({"cells": ("additive",)}, "cells=additive: has no recurrent matrix"),
        ({"radii": ()}, r"radii=\(\)"),
        ({"radii": (0.5, -1.0)}, "radii=-1.0: must be a positive"),
        ({"radii": (math.nan,)}, "radii=nan"),
        ({"radii": (-1.0,), "scale": "gain"}, "radii=-1.0"),
        ({"scale": "size"}, "scale='size'"),
        ({"lengths": (0,)}, "lengths=0"),
        ({"hidden": 0}, "hidden=0"),
        ({"batch": 0}, "batch=0"),
        ({"seeds": -1}, "seeds=-1"),
        ({"init": "orthogonl"}, "init='orthogonl'"),
        ({"inputs": "gausian"}, "inputs=gausian: no such file; .* gaussian, zeros"),
        ({"input_scale": -0.1}, "input_scale=-0.1"),
        ({"dtype": "float16"}, "dtype='float16'"),
        ({"memory_mib": 0}, "memory_mib=0"),
        ({"hyperparameter": "forget_bias"}, r"values=\(\): are those of a hyperparameter"),
        ({"values": (1.0,)}, r"values=\(1.0,\): are those of a hyperparameter"),
        ({"hyperparameter": "bias", "values": (1.0,)}, "hyperparameter='bias': none of the cells"),
        (
            {"cells": ("lstm",), "hyperparameter": "forget_bias", "values": (1.0, 1.0)},
            r"values=\(1.0, 1.0\): 1.0 occurs twice",
        ),
        ({"extends": "nowhere"}, "extends=nowhere: holds no run of gradient_norms"),
        ({"manual_dir": "data"}, "manual_dir=data: is not used with inputs=gaussian"),
        ({"data_dir": "data", "inputs": "zeros"}, "data_dir=data: is not used with inputs=zeros"),
    ],
)
def test_bad_values_are_named_as_the_flags_are(changes, message):
    with pytest.raises(UsageError, match=f"^{message}") as error:
        gradient_norms.Config(**(SMALL | changes))
    assert "\n" not in str(error.value)


def test_a_text_shorter_than_the_longest_length(tmp_path):
    corpus = tmp_path / "short.txt"
    corpus.write_text("too short")
    with pytest.raises(UsageError, match=r"^lengths=100: .* shorter lengths?$"):
        measured(tmp_path / "w", inputs=str(corpus))
    assert json.loads((tmp_path / "w" / "status.json").read_text())["state"] == "failed"


# --- what the numbers depend on ---

CELL = """
import dataclasses
from rnnlab import cells

@dataclasses.dataclass(frozen=True)
class Leaky(cells.Elman):
    leak: float = 0.5
"""


@pytest.mark.slow
def test_old_numbers_of_a_cell_that_was_changed_are_refused(tmp_path, monkeypatch):
    (tmp_path / "leaky_cells.py").write_text(CELL)
    monkeypatch.chdir(tmp_path)
    small = {"cells": ("leaky_cells:Leaky",), "lengths": (5,), "radii": (0.9,), "seeds": 1}
    before = measured(tmp_path / "w", **small)
    assert measured(tmp_path / "w", **small).identical(before)
    (tmp_path / "leaky_cells.py").write_text(CELL.replace("0.5", "0.6"))
    with pytest.raises(UsageError, match=r"^--workdir=.*the module leaky_cells has changed since"):
        measured(tmp_path / "w", **small)
    measured(tmp_path / "v", **small)
    (tmp_path / "v" / "results.nc").unlink()  # in the middle of a run, too
    (tmp_path / "leaky_cells.py").write_text(CELL)
    with pytest.raises(UsageError, match=r"^--workdir=.*the module leaky_cells has changed since"):
        measured(tmp_path / "v", **small)


def test_old_numbers_of_a_text_that_was_changed_are_refused(tmp_path):
    corpus = tmp_path / "text.txt"
    corpus.write_text("to be or not to be " * 20)
    small = {"cells": ("tanh",), "lengths": (5,), "radii": (0.9,), "seeds": 1}
    measured(tmp_path / "w", inputs=str(corpus), **small)
    corpus.write_text("to be and not to be " * 20)
    with pytest.raises(UsageError, match=r"^--workdir=.*: inputs=.*text\.txt has changed since"):
        measured(tmp_path / "w", inputs=str(corpus), **small)
