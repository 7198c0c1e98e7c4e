"""Penn Treebank and MNIST, on files made here; the real ones where they are near."""

import dataclasses
import gzip
import hashlib
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnnlab.data import load_text
from rnnlab.errors import RunError, UsageError

pytest.importorskip("tensorflow_datasets")

from rnnlab.data import builder, mnist
from rnnlab.data.mnist import MnistIdx
from rnnlab.data.multi30k import Multi30kLines
from rnnlab.data.penn_treebank import PennTreebankText
from rnnlab.data.tatoeba import TatoebaLines

SHARED = Path(__file__).parents[2] / "../shared/data"
LINES = {"train": " a b <unk> \n c \n", "validation": " a \n", "test": " N b \n"}
NAMES = ["ptb.train.txt", "ptb.valid.txt", "ptb.test.txt"]


def register(monkeypatch, builder_cls, contents):
    """Registers contents by URL as if they were what upstream serves."""
    infos = {
        url: dataclasses.replace(
            info, size=len(contents[url]), checksum=hashlib.sha256(contents[url]).hexdigest()
        )
        for url, info in builder_cls.url_infos.items()
    }
    monkeypatch.setattr(builder_cls, "url_infos", infos)


@pytest.fixture
def ptb(tmp_path, monkeypatch):
    """A folder with a Penn Treebank of our own."""
    folder = tmp_path / "ptb"
    folder.mkdir()
    urls = PennTreebankText.URLS
    contents = {urls[split]: text.encode() for split, text in LINES.items()}
    for url, raw in contents.items():
        (folder / builder.file_name(url)).write_bytes(raw)
    register(monkeypatch, PennTreebankText, contents)
    return folder


def idx(array):
    """An array as an IDX file, written by the format's description."""
    header = bytes([0, 0, 8, array.ndim]) + b"".join(struct.pack(">I", n) for n in array.shape)
    return gzip.compress(header + array.tobytes(), mtime=0)


@pytest.fixture
def digits(tmp_path, monkeypatch):
    """A folder with 12 and 5 random images, and the arrays."""
    rng = np.random.default_rng(0)
    arrays, contents = {}, {}
    for split, count in (("train", 12), ("test", 5)):
        arrays[split] = (
            rng.integers(0, 256, (count, 28, 28), np.uint8),
            rng.integers(0, 10, count, np.uint8),
        )
        for what, array in zip(("images", "labels"), arrays[split], strict=True):
            contents[MnistIdx.URLS[f"{split}_{what}"]] = idx(array)
    folder = tmp_path / "mnist"
    folder.mkdir()
    for url, raw in contents.items():
        (folder / builder.file_name(url)).write_bytes(raw)
    register(monkeypatch, MnistIdx, contents)
    return folder, arrays


def test_penn_treebank_from_a_folder_and_then_without(tmp_path, ptb, offline):
    for split, text in LINES.items():
        assert load_text("penn_treebank", tmp_path / "data", ptb, split) == text
        assert load_text("penn_treebank", tmp_path / "data", split=split) == text
    assert offline == []


def test_packed_and_plain_files_in_one_folder(tmp_path, ptb, offline):
    for name in NAMES[:2]:
        (ptb / f"{name}.gz").write_bytes(gzip.compress((ptb / name).read_bytes()))
        (ptb / name).unlink()
    for split, text in LINES.items():
        assert load_text("penn_treebank", tmp_path / "data", ptb, split) == text
    assert offline == [] and sorted(path.name for path in ptb.iterdir()) == sorted(
        [f"{NAMES[0]}.gz", f"{NAMES[1]}.gz", NAMES[2]]
    )


def test_a_packed_file_of_another_content(tmp_path, ptb, offline):
    (ptb / NAMES[1]).unlink()
    (ptb / f"{NAMES[1]}.gz").write_bytes(gzip.compress(b"something else"))
    with pytest.raises(RunError, match=r"k: ptb\.valid\.txt is not .* sha256") as caught:
        load_text("penn_treebank", tmp_path / "data", ptb)
    assert "\n" not in str(caught.value) and NAMES[0] not in str(caught.value)
    assert not list(tmp_path.glob("data/**/*.array_record*"))


def test_a_packed_file_that_is_damaged(tmp_path, ptb, offline):
    whole = gzip.compress((ptb / NAMES[0]).read_bytes())
    (ptb / NAMES[0]).unlink()
    (ptb / f"{NAMES[0]}.gz").write_bytes(whole[:-9])
    with pytest.raises(RunError, match=r"ptb\.train\.txt\.gz: cannot be unpacked"):
        load_text("penn_treebank", tmp_path / "data", ptb)


def test_one_missing_file_is_named_at_once(tmp_path, ptb, offline):
    (ptb / NAMES[2]).unlink()
    with pytest.raises(RunError, match=r"found no ptb\.test\.txt .*--config\.manual_dir=FOLDER"):
        load_text("penn_treebank", tmp_path / "data", ptb)
    assert len(offline) == 1


def test_a_folder_that_does_not_exist_names_all_files(tmp_path, offline):
    with pytest.raises(UsageError, match=r"ptb\.train\.txt and ptb\.valid\.txt and ptb\.test"):
        load_text("penn_treebank", tmp_path, tmp_path / "nowhere")


def test_mnist_keeps_the_order(tmp_path, digits, offline, monkeypatch):
    folder, arrays = digits
    monkeypatch.setattr(MnistIdx, "RECORD", 5)
    for split, (images, labels) in arrays.items():
        got_images, got_labels = mnist.load_images(tmp_path / "data", folder, split)
        np.testing.assert_array_equal(got_images, images)
        np.testing.assert_array_equal(got_labels, labels)
        assert got_images.dtype == np.uint8 and got_labels.dtype == np.int32
    assert offline == []


def test_mnist_without_network_and_file(tmp_path, offline):
    with pytest.raises(RunError, match=r"mnist: cannot reach .*train-images-idx3-ubyte\.gz"):
        mnist.load_images(tmp_path, None, "train")
    assert len(offline) == 1


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (struct.pack(">II", 0x801, 2) + b"ab", "magic number 0x801 in an IDX file of images"),
        (struct.pack(">4I", 0x803, 2, 28, 28) + b"ab", "reshape"),
    ],
)
def test_idx_files_that_are_not_images(raw, message):
    with pytest.raises(ValueError, match=message):
        mnist.read_idx(raw, "images")


def test_each_builder_registers_its_own_files_and_has_a_citation(tmp_path):
    for cls, count in (
        *((PennTreebankText, 3), (MnistIdx, 4), (Multi30kLines, 15), (TatoebaLines, 1)),
    ):
        infos: Any = cls.url_infos
        assert set(infos) == set(cls.URLS.values()) and len(infos) == count
        info = cls(data_dir=tmp_path).info
        assert info.citation.count("year=") >= 1 and info.redistribution_info.license
        assert info.homepage.startswith("http")


@pytest.mark.skipif(not any((SHARED / "ptb").glob("*.gz")), reason="no Penn Treebank here")
def test_the_real_penn_treebank(tmp_path, offline):
    from rnnlab.data import WordVocabulary, split_words

    words = {
        split: split_words(load_text("penn_treebank", tmp_path, SHARED / "ptb", split))
        for split in LINES
    }
    assert [len(words[split]) for split in LINES] == [929_589, 73_760, 82_430]
    vocabulary = WordVocabulary.of(words["train"])
    assert vocabulary.size == 10_000 and vocabulary.words[0] == "the"
    codes = vocabulary.encode(words["test"])
    assert vocabulary.decode(codes) == words["test"]  # every word of the test set is in train
    assert offline == []


@pytest.mark.skipif(not any((SHARED / "mnist").glob("*.gz")), reason="no MNIST here")
def test_the_real_mnist(tmp_path, offline):
    images, labels = mnist.load_images(tmp_path, SHARED / "mnist", "test")
    assert images.shape == (10_000, 28, 28)
    assert labels[:10].tolist() == [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]
    images, labels = mnist.load_images(tmp_path, None, "train")
    assert images.shape == (60_000, 28, 28) and labels[:5].tolist() == [5, 0, 4, 1, 9]
    assert np.bincount(labels).tolist()[:3] == [5923, 6742, 5958]
    assert offline == []
