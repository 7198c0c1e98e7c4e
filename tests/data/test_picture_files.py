"""Pictures in files: modes, sizes, letterboxes, digits on any paper, broken files."""

import numpy as np
import pytest
from PIL import Image

from rnnlab.data import picture_files
from rnnlab.data.picture_files import digit_of, letterboxed, read_picture
from rnnlab.errors import UsageError

GRAY = np.random.default_rng(0).integers(0, 256, (5, 7), np.uint8)


def saved(folder, image, name="a.png", **settings):
    image.save(folder / name, **settings)
    return folder / name


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16", "I", "CMYK"])
def test_every_mode_shows_the_same(tmp_path, mode):
    gray = np.where(GRAY > 127, 255, 0).astype(np.uint8) if mode == "1" else GRAY
    if mode in ("I;16", "I"):
        wide = (gray.astype(np.uint16) * 257).astype(np.uint16 if mode == "I;16" else np.int32)
        path = saved(tmp_path, Image.fromarray(wide), "a.tif")
    else:
        path = saved(tmp_path, Image.fromarray(gray).convert(mode), "a.tif")
    found = read_picture(path)
    assert found.dtype == np.uint8 and found.shape == (5, 7, 3)
    np.testing.assert_array_equal(found, np.repeat(gray[..., None], 3, axis=-1))


def test_what_is_transparent_contrasts_and_a_photograph_is_upright(tmp_path):
    clear = np.zeros((2, 3, 4), np.uint8)
    clear[0, 0] = (10, 20, 30, 255)
    found = read_picture(saved(tmp_path, Image.fromarray(clear)))
    assert found[0, 0].tolist() == [10, 20, 30] and (found[1] == 255).all()
    light = np.zeros((2, 3, 4), np.uint8)
    light[0, 0] = (250, 255, 250, 255)  # chalk, which nobody would see on white
    found = read_picture(saved(tmp_path, Image.fromarray(light)))
    assert found[0, 0].tolist() == [250, 255, 250] and (found[1] == 0).all()
    turned = Image.Exif()
    turned[0x112] = 6  # a quarter turn
    path = saved(tmp_path, Image.fromarray(GRAY), "b.png", exif=turned)
    np.testing.assert_array_equal(read_picture(path)[..., 0], np.rot90(GRAY, -1))


def test_a_letterbox_keeps_proportions_and_the_colour_of_the_border():
    picture = np.full((10, 40, 3), (200, 10, 60), np.uint8)
    picture[2:8, 10:30] = 0
    boxed = letterboxed(picture, 20, 20)
    assert boxed.shape == (20, 20, 3)
    dark = np.argwhere((boxed == 0).all(axis=-1))
    assert dark.min(0).tolist() == [8, 5] and dark.max(0).tolist() == [10, 14]
    outside = np.ones((20, 20), bool)
    outside[7:13] = False
    assert (boxed[outside] == (200, 10, 60)).all()
    assert letterboxed(picture, 10, 40) is picture


@pytest.mark.parametrize(("paper", "ink"), [(255, 0), (0, 255), (230, 40)])
def test_a_digit_fills_the_middle_whatever_its_paper(paper, ink):
    picture = np.full((300, 200, 3), paper, np.uint8)
    picture[20:120, 30:60] = ink  # a bar of 100 by 30 pixels, in a corner
    digit = digit_of(picture, 28)
    rows, columns = np.nonzero(digit > 128)
    assert digit.shape == (28, 28) and digit.max() == 255
    assert (np.ptp(rows) + 1, np.ptp(columns) + 1) == (20, 6)
    assert abs(rows.mean() - 13.5) <= 0.5 and abs(columns.mean() - 13.5) <= 0.5


def test_a_digit_of_the_right_size_stays_as_it_is():
    pixels = np.zeros((28, 28), np.uint8)
    pixels[5:20, 9:12] = np.arange(111, 156).reshape(15, 3) + 100
    picture = np.repeat(pixels[..., None], 3, axis=-1)
    np.testing.assert_array_equal(digit_of(picture, 28), pixels)
    np.testing.assert_array_equal(digit_of(255 - picture, 28), pixels)
    with pytest.raises(UsageError, match="is of one colour"):
        digit_of(np.full((28, 28, 3), 99, np.uint8), 28)


def test_broken_files(tmp_path, monkeypatch):
    noise = np.random.default_rng(0).integers(0, 256, (99, 99, 3), np.uint8)
    path = saved(tmp_path, Image.fromarray(noise))
    cut = tmp_path / "cut.png"
    cut.write_bytes(path.read_bytes()[:9000])
    (tmp_path / "text.png").write_text("no picture")
    (tmp_path / "empty.png").write_bytes(b"")
    for name, words in {
        str(cut): "is damaged",
        str(tmp_path / "text.png"): "is not a picture of a known format",
        str(tmp_path / "empty.png"): "is not a picture",
        str(tmp_path / "none.png"): "No such file",
        str(tmp_path): "Is a directory",
        "  ": "an empty line",
        "a\0b": "null byte|is damaged",
    }.items():
        with pytest.raises(UsageError, match=words) as error:
            read_picture(name)
        assert "\n" not in str(error.value)
    monkeypatch.setattr(picture_files, "MOST", 99 * 98)
    with pytest.raises(UsageError, match="has 99 by 99 pixels; at most 9,702 are read"):
        read_picture(path)
