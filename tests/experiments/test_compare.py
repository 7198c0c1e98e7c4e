"""Runs of `translation`, `tagging` and `sentiment` side by side, from records made here."""

import dataclasses
import itertools
import json

import numpy as np
import pytest

from experiments import sentiment, tagging, translation
from experiments.translation import adjoints, comparison
from rnnlab.comparison import rows_of
from rnnlab.errors import RunError
from rnnlab.run.compare import find
from rnnlab.run.fields import to_json
from tests.experiments.settings import changed

LENGTHS = ("1 to 8", "9 to 11", "18 or more")


def write(root, experiment, config, summary, **files):
    """A work directory as a finished run leaves it, as far as it is read."""
    root.mkdir(parents=True)
    files |= {
        "config": {"experiment": experiment, "config": to_json(config)},
        "status": {"state": "done"},
        "summary": summary,
    }
    for name, contents in files.items():
        (root / f"{name}.json").write_text(json.dumps(contents))


@pytest.fixture(scope="module")
def translations(tmp_path_factory):
    """Attention with two seeds, and a final state alone, whose adjoint halves at each symbol."""
    folder = tmp_path_factory.mktemp("translations")
    falling = (-1 - np.log10(2) * np.arange(12)).tolist()
    sentences = [64] * 10 + [3, 3]
    for hand_over, seed, score in (("attention", 0, 40), ("attention", 1, 42), ("state", 0, 20)):
        config = changed(translation.PRESETS["tiny"], hand_over=hand_over, seed=seed)
        every = [-1.0 - seed] * 12 if hand_over == "attention" else falling
        write(
            folder / f"{hand_over}{seed}",
            "translation",
            config,
            {
                "test BLEU, beam 2": score,
                "test BLEU, greedy": score - 1.0,
                **{f"BLEU of sources of {name} words": score + 1.0 for name in LENGTHS},
                "signature": "tok:13a",
            },
            adjoints={"all_ways": every, "by_the_end": falling, "sentences": sentences},
        )
    return folder


def finished(folder, name="translation"):
    return find([folder], name).runs


def test_translations_side_by_side(translations, capsys):
    translation.compare(finished(translations), translations)
    out = capsys.readouterr().out
    assert "41.00 (40.00 … 42.00)" in out and "attention" in out and "state" in out
    html = (translations / "comparison.html").read_text()
    assert html.count("<img") == 2 and "attention1" in html and "halved" in html
    assert {"lengths.png", "adjoints.png"} <= {path.name for path in translations.iterdir()}


def test_bleu_by_length_has_a_line_for_each_hand_over(translations):
    figure = comparison.plot_lengths(rows_of(finished(translations)))
    (legend,) = figure.legends
    texts = [text.get_text() for text in legend.get_texts()]
    assert texts == ["attention: 41.0 (40.0 … 42.0, 2 seeds)", "final state as start: 20.0"]
    (ax,) = figure.axes
    assert [text.get_text() for text in ax.get_xticklabels()] == list(LENGTHS)
    heights = [container.lines[0].get_ydata().tolist() for container in ax.containers]
    assert heights == [[42.0] * 3, [21.0] * 3]


def test_adjoints_of_all_networks_are_in_one_picture(translations):
    curves = comparison.curves_of(rows_of(finished(translations)))
    labels = ["attention", "attention, through\nthe final state alone", "final state as start"]
    assert [curve.label for curve in curves] == labels
    assert [curve.values.shape for curve in curves] == [(2, 10), (2, 10), (1, 10)]
    (ax,) = comparison.plot_adjoints(curves).axes
    assert [line.get_linestyle() for line in ax.lines] == ["-", "--", "-"]
    np.testing.assert_allclose(ax.lines[0].get_ydata(), -1.5)
    every, ends, state = comparison.adjoint_rows(curves)
    assert (every["0"], every["20"], every["halved every … symbols"]) == (-1.5, None, None)
    assert ends["halved every … symbols"] == pytest.approx(1)
    assert state["5"] == pytest.approx(-1 - 5 * np.log10(2))


def test_labels_do_not_overlap(translations):
    curves = comparison.curves_of(rows_of(finished(translations)))
    curves = [curve._replace(values=curves[0].values) for curve in curves * 2]
    (ax,) = comparison.plot_adjoints(curves).axes
    ax.figure.canvas.draw()
    boxes = sorted((text.get_window_extent() for text in ax.texts), key=lambda box: box.y0)
    assert all(low.y1 <= high.y0 for low, high in itertools.pairwise(boxes))


def test_runs_without_adjoints_and_damaged_ones(translations, tmp_path):
    config = translation.PRESETS["tiny"]
    write(tmp_path / "a", "translation", config, {"test BLEU, greedy": 3}, adjoints=None)
    translation.compare(finished(tmp_path), tmp_path)
    assert (tmp_path / "comparison.html").read_text().count("<img") == 1
    (tmp_path / "a" / "adjoints.json").write_text("{")
    with pytest.raises(RunError, match=r"adjoints\.json: is damaged"):
        translation.compare(finished(tmp_path), tmp_path)


def test_distances_that_few_sentences_have_are_left_out():
    profiles = adjoints.Profiles([0.0] * 4, [0.0] * 4, [64, 8, 7, 1])
    assert profiles.reach == 2
    assert profiles._replace(sentences=[3, 3, 1, 1]).reach == 2


@pytest.mark.parametrize("data", ["ewt", "wnut17"])
def test_an_ablation_of_taggers(tmp_path, capsys, data):
    base = changed(tagging.PRESETS["wnut17"], data=data)
    entities = {} if data == "ewt" else {"test F1": 0.4, "features: test F1": 0.3}
    for number, changes in enumerate(
        [{}, {"seed": 1}, {"crf": False}, {"bidirectional": False}, {"characters": "none"}]
    ):
        config = changed(base, **changes)
        scores = {name: value - 0.01 * number for name, value in entities.items()}
        summary = {"test accuracy": 0.9 - 0.01 * number, **scores, "parameters": 5}
        write(tmp_path / f"{number}", "tagging", config, summary)
    tagging.compare(finished(tmp_path, "tagging"), tmp_path)
    out = capsys.readouterr().out
    assert all(name in out for name in ("bidirectional", "crf", "characters"))
    assert "0.8950 (0.8900 … 0.9000)" in out
    assert ("features: test F1" in out) == (data == "wnut17")
    assert (tmp_path / "dots.png").exists() and (tmp_path / "comparison.html").exists()


def test_poolings_and_inputs_of_classifiers(tmp_path, capsys):
    base = dataclasses.replace(sentiment.PRESETS["sst2"])
    for number, (pooling, seed) in enumerate([("max", 0), ("max", 1), ("mean", 0)]):
        score = 0.8 + 0.01 * number
        summary = {"test accuracy": score, "test macro F1": score, "baseline test accuracy": 0.81}
        config = changed(base, pooling=pooling, seed=seed)
        write(tmp_path / f"{number}", "sentiment", config, summary)
    sentiment.compare(finished(tmp_path, "sentiment"), tmp_path)
    out = capsys.readouterr().out
    assert out.index("mean") < out.index("max")  # the best first
    assert "0.8050 (0.8000 … 0.8100)" in out
    assert (tmp_path / "dots.png").exists() and (tmp_path / "comparison.html").exists()
