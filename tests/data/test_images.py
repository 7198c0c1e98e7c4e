"""Images of digits: the orders in which pixels are read, the made ones, the splits of MNIST."""

import numpy as np
import pytest

from rnnlab.data import images
from rnnlab.data.source import ImageSource


def test_orders_are_those_of_numpy():
    pixels = np.random.default_rng(0).integers(0, 256, (3, 4, 4), np.uint8)
    places = np.random.RandomState(92916).permutation(16)
    rows, flat, mixed = (np.asarray(images.sequences(pixels, order)) for order in images.ORDERS)
    assert rows.shape == (4, 3, 4) and flat.shape == mixed.shape == (16, 3, 1)
    for image in range(3):
        scaled = pixels[image] / 255
        np.testing.assert_allclose(rows[:, image], scaled, rtol=1e-6)
        for step in range(16):
            assert flat[step, image, 0] == rows[step // 4, image, step % 4]
            place = places[step]
            assert mixed[step, image, 0] == rows[place // 4, image, place % 4]


def test_the_permutation():
    places = images.permutation(784)
    assert sorted(places) == list(range(784))
    assert places[:6].tolist() == [319, 576, 323, 107, 355, 716]
    assert not np.array_equal(places, np.arange(784))


def test_made_images_are_digits():
    drawn = images.made_images(1000, 3)
    again, other = (images.made_images(1000, seed) for seed in (3, 4))
    assert drawn.pixels.shape == (1000, 8, 8) and drawn.pixels.dtype == np.uint8
    assert np.array_equal(drawn.pixels, again.pixels)
    assert not np.array_equal(drawn.pixels, other.pixels)
    assert set(drawn.labels) == set(range(10))
    # All segments of an eight cover 4 + 4 + 4 + 2 · 4 of the 7 by 4, a one its right-hand column.
    ink = (drawn.pixels > 100).sum(axis=(1, 2))
    assert set(ink[drawn.labels == 8]) == {20} and set(ink[drawn.labels == 1]) == {7}
    # There are two places in height and five in width.
    assert len({image.tobytes() for image in drawn.pixels[drawn.labels == 1] > 100}) == 10


def test_splits_of_mnist(monkeypatch):
    pytest.importorskip("tensorflow_datasets")
    from rnnlab.data import mnist

    arrays = {
        "train": (np.arange(12 * 4, dtype=np.uint8).reshape(12, 2, 2), np.arange(12)),
        "test": (np.zeros((3, 2, 2), np.uint8), np.zeros(3, int)),
    }
    monkeypatch.setattr(mnist, "load_images", lambda data_dir, manual_dir, split: arrays[split])
    monkeypatch.setitem(images.COUNTS, "mnist", (9, 3, 3))
    train, validation, test = images.read_images(ImageSource(images="mnist"))
    assert train.labels.tolist() == list(range(9)) and validation.labels.tolist() == [9, 10, 11]
    assert np.array_equal(validation.pixels, arrays["train"][0][9:]) and len(test.labels) == 3
