"""Scenes of digits: where they stand, what is said of them, the same for the same seed."""

import itertools

import numpy as np
import pytest

from rnnlab.data import captions, scenes
from rnnlab.data.captions import CaptionSource, coded_batch, mixed, read_captions, words_of
from rnnlab.data.images import Images
from rnnlab.data.scenes import Glyphs, cut_out, draw_scenes, sentence
from rnnlab.data.tokens import END_CODE, START_CODE
from rnnlab.errors import UsageError

#: Glyph n is a square all of whose pixels are n + 1, which tells it apart on a scene.
GLYPHS = Glyphs(
    np.repeat(np.arange(1, 11, dtype=np.uint8), 36).reshape(10, 6, 6), np.arange(10, dtype=np.int32)
)


@pytest.fixture(scope="module")
def drawn():
    return draw_scenes(GLYPHS, 20, 600, np.random.default_rng(0))


def said(boxes):
    """The sentence by the definition: rows are digits that overlap in height, from the left."""
    rows = []
    for top, left, label in sorted(boxes):
        if rows and top - rows[-1][0][0] < 6:
            rows[-1].append((top, left, label))
        else:
            rows.append([(top, left, label)])
    named = [
        " left of ".join(
            f"{'an' if label == 8 else 'a'} {scenes.NAMES[label]}"
            for _, _, label in sorted(row, key=lambda box: box[1])
        )
        for row in rows
    ]
    return " above ".join(named)


def test_the_sentence_is_of_what_can_be_seen(drawn):
    """Boxes are found in the pixels; there, digits lie apart and are whole."""
    for pixels, layout, labels, corners in zip(*drawn, strict=True):
        count = int((labels >= 0).sum())
        boxes = []
        for label, (top, left) in zip(labels[:count], corners[:count], strict=True):
            assert (pixels[top : top + 6, left : left + 6] == label + 1).all()
            boxes.append((int(top), int(left), int(label)))
        assert (pixels > 0).sum() == 36 * count
        for (top, left, _), (other, beside, _) in itertools.combinations(boxes, 2):
            assert abs(top - other) >= 6 or abs(left - beside) >= 6
        assert sentence(layout, labels) == said(boxes)


def test_every_number_of_digits_and_every_place_is_drawn(drawn):
    counts = np.bincount((drawn.labels >= 0).sum(axis=1), minlength=5)
    assert counts[0] == 0 and counts[1:].min() > 100
    assert set(drawn.layouts) == set(range(len(scenes.LAYOUTS)))
    there = drawn.labels >= 0
    assert np.bincount(drawn.labels[there]).min() > 80
    for axis in (0, 1):
        assert set(drawn.corners[there][:, axis]) == set(range(15))


def test_a_batch_is_a_function_of_seed_and_number():
    data = captions.CaptionData(
        GLYPHS, *(captions.captioned(draw_scenes(GLYPHS, 20, 3, np.random.default_rng(1))),) * 2, 20
    )
    one, again, other = data.batches(5, 7), data.batches(5, 7), data.batches(5, 8)
    first, third = one[0], one[2]
    alone = data.batches(5, 7, alone=1)
    assert (alone[0].lengths == 4).all() and (alone[1].lengths != 4).any()
    np.testing.assert_array_equal(alone[1].pixels, one[1].pixels)
    for a, b in zip(third, again[2], strict=True):
        np.testing.assert_array_equal(a, b)
    assert not np.array_equal(first.pixels, third.pixels)
    assert not np.array_equal(first.pixels, other[0].pixels)
    assert first.pixels.shape == (5, 20, 20, 1) and first.sentences.shape == (5, 15)
    for codes, length in zip(first.sentences, first.lengths, strict=True):
        assert codes[0] == START_CODE and codes[length - 1] == END_CODE and not codes[length:].any()
    words = data.vocabulary.decode(first.sentences[0])
    assert set(words) <= set(scenes.WORDS)


def test_ink_is_cut_out_and_put_into_the_middle():
    pixels = np.zeros((2, 12, 12), np.uint8)
    pixels[0, 1:6, 7:10] = 9
    pixels[1, 11, 0] = 3
    found = cut_out(Images(pixels, [4, 5]), 6)
    assert found.ink.shape == (2, 6, 6) and found.labels.tolist() == [4, 5]
    assert [ink.sum() for ink in found.ink] == [9 * 15, 3]
    rows, columns = np.nonzero(found.ink[0])
    assert (rows.min(), rows.max()) == (1, 5) and (columns.min(), columns.max()) == (2, 4)
    with pytest.raises(UsageError, match="side=4: the ink of a digit is larger"):
        cut_out(Images(pixels, [4, 5]), 4)
    with pytest.raises(UsageError, match="size=11: must be at least 12"):
        draw_scenes(GLYPHS, 11, 1, np.random.default_rng(0))


def test_boxes_of_nlvr_change_places():
    image = np.zeros((50, 200, 3), np.uint8)
    for number, box in enumerate(captions.BOXES, 1):
        image[:, box] = number
    found = mixed(image, [2, 0, 1])
    assert [int(found[0, box.start, 0]) for box in captions.BOXES] == [2, 3, 1]
    np.testing.assert_array_equal(found[:, 50:75], image[:, 50:75])
    assert words_of("There's a blue Square, at 2.") == [
        "there",
        "s",
        "a",
        "blue",
        "square",
        "at",
        "2",
    ]
    batch = coded_batch(np.zeros((2, 1, 1, 1), np.uint8), [np.array([7, 8]), np.array([], int)])
    assert batch.sentences.tolist() == [[2, 7, 8, 3], [2, 3, 0, 0]]
    assert batch.lengths.tolist() == [4, 2]


@pytest.mark.slow
def test_drawings_of_nlvr(tmp_path):
    pytest.importorskip("tensorflow_datasets")
    import pathlib

    folder = pathlib.Path(__file__).parents[3] / "shared/data/nlvr"
    if not folder.is_dir():
        pytest.skip(f"{folder} is missing")
    source = CaptionSource(str(tmp_path), str(folder), captions="nlvr")
    data = read_captions(source)
    assert [len(p.sentences) for p in (data.train, data.validation, data.test)] == [587, 547, 556]
    assert data.shape == captions.SHAPES["nlvr"]
    assert data.train.sentences[0] == "There is 1 tower with at least 2 yellow blocks"
    # Bars between the boxes are gray, and there is yellow, blue and black ink.
    gray = data.test.pixels[:, :, 55:70].reshape(-1, 3)
    assert (gray == gray[0]).all()


def test_files_that_cannot_be_downloaded_are_named(tmp_path):
    pytest.importorskip("tensorflow_datasets")
    from rnnlab.errors import RunError

    with pytest.raises(RunError, match=r"nlvr: found no images\.tar\.gz .* is packed as") as error:
        read_captions(CaptionSource(str(tmp_path), captions="nlvr"))
    assert "\n" not in str(error.value)
