"""Corpora, vocabularies and windows, on small texts made here; real Tiny Shakespeare if it is near.

No test opens a connection: `offline` makes every attempt fail, as a machine without a network does.
"""

import hashlib
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rnnlab.data import Vocabulary, load_text, one_hot_windows, split_text
from rnnlab.errors import RunError, UsageError

KEY = jax.random.key(3)
TEXT = "".join("abcdefghij"[i % 10] for i in range(100))
SHAKESPEARE = Path(__file__).parents[2] / "../shared/data/tiny_shakespeare"


@pytest.fixture
def corpus(tmp_path):
    path = tmp_path / "corpus.txt"
    path.write_bytes("Größe ist\r\nrelativ.\n".encode() * 20)
    return path


@pytest.fixture
def builder_cls():
    pytest.importorskip("tensorflow_datasets")
    from rnnlab.data.tiny_shakespeare import TinyShakespeareText

    return TinyShakespeareText


@pytest.fixture
def manual(tmp_path, monkeypatch, builder_cls):
    """A folder with an input.txt of our own, registered as if it were the upstream one."""
    from tensorflow_datasets.core.download.checksums import compute_url_info

    from rnnlab.data import tiny_shakespeare

    folder = tmp_path / "manual"
    folder.mkdir()
    (folder / "input.txt").write_text(TEXT)
    info = {tiny_shakespeare.URL: compute_url_info(folder / "input.txt")}
    monkeypatch.setattr(builder_cls, "url_infos", info)
    return folder


# --- files ---


def test_a_file_is_split_in_order(corpus):
    text = corpus.read_bytes().decode()
    parts = [load_text(corpus, split=split) for split in ("train", "validation", "test")]
    assert "".join(parts) == text
    assert [len(part) for part in parts] == [360, 20, 20]
    assert load_text(str(corpus)) == parts[0]


@pytest.mark.parametrize("n", [0, 1, 7, 40, 1115394])
def test_split_is_that_of_the_stock_builder(n):
    """90 % first, then half of the rest, rounded down: the sizes of TFDS's tiny_shakespeare."""
    sizes = [len(part) for part in split_text("x" * n).values()]
    first = int(n * 0.9)
    assert sizes == [first, int((n - first) * 0.5), n - first - int((n - first) * 0.5)]


def test_byte_order_mark_is_not_text(tmp_path):
    path = tmp_path / "bom.txt"
    path.write_bytes(b"\xef\xbb\xbfabcdefghij")
    assert load_text(path) == "abcdefghi"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"\xef\xbb\xbf", "is empty"),
        (b"a", "split='train': empty"),
        (b"abc\xff def", r"not UTF-8 at byte 3 \(0xff\)"),
    ],
)
def test_bad_files(tmp_path, content, message):
    path = tmp_path / "bad.txt"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=message) as caught:
        load_text(path)
    assert "\n" not in str(caught.value) and str(path) in str(caught.value)


def test_no_such_file_a_folder_and_an_unknown_split(tmp_path, corpus):
    with pytest.raises(UsageError, match=r"nowhere\.txt'.*no such file.*tiny_shakespeare"):
        load_text(tmp_path / "nowhere.txt")
    with pytest.raises(UsageError, match="is a folder"):
        load_text(tmp_path)
    with pytest.raises(UsageError, match=r"text '': no name; give a text file's path"):
        load_text("")
    with pytest.raises(UsageError, match=r"split='valid'.*train, validation, test"):
        load_text(corpus, split="valid")


def test_an_unreadable_file(corpus, monkeypatch):
    def refuse(self):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(RunError, match="cannot be read: Permission denied"):
        load_text(corpus)


# --- vocabulary ---


def test_vocabulary_is_sorted_and_round_trips():
    text = "banana Ä \U0001f600\n"
    vocabulary = Vocabulary.of(text)
    assert vocabulary.characters == "\n abnÄ\U0001f600" and vocabulary.size == 7
    codes = vocabulary.encode(text)
    assert codes.dtype == np.int32
    assert codes.tolist() == [vocabulary.characters.index(character) for character in text]
    assert vocabulary.decode(codes) == text
    assert vocabulary.encode("").shape == (0,) and vocabulary.decode(codes[:0]) == ""
    assert hash(vocabulary) == hash(Vocabulary.of(text[::-1]))


@pytest.mark.parametrize(("text", "at"), [("abz", 2), ("a c", 1), ("\ud800", 0)])
def test_unknown_character(text, at):
    with pytest.raises(UsageError, match=f"position {at} is not among the 3 of the vocabulary"):
        Vocabulary("abc").encode(text)


@pytest.mark.parametrize("codes", [[0, 3], [-1]])
def test_unknown_code(codes):
    with pytest.raises(UsageError, match=r"codes: .* leaves the vocabulary, 0 \.\. 2"):
        Vocabulary("abc").decode(np.array(codes))


@pytest.mark.parametrize("characters", ["", "ba", "aab"])
def test_bad_vocabulary(characters):
    with pytest.raises(UsageError, match="characters="):
        Vocabulary(characters)


# --- windows ---


@pytest.mark.parametrize(
    "dtype", [jnp.float32, jnp.float64, jnp.bfloat16], ids=lambda d: d.__name__
)
def test_windows_are_pieces_of_the_text(dtype):
    vocabulary = Vocabulary.of(TEXT)
    xs = one_hot_windows(TEXT, KEY, 12, 5, vocabulary, dtype)
    assert xs.shape == (12, 5, 10) and xs.dtype == dtype
    wide = np.asarray(xs, np.float64)
    np.testing.assert_array_equal(wide.sum(axis=-1), 1)
    for window in np.moveaxis(wide.argmax(axis=-1), 1, 0):
        assert vocabulary.decode(window) in TEXT


def test_windows_start_everywhere_and_follow_the_key():
    text = "abcdef"
    vocabulary = Vocabulary.of(text)
    xs = np.asarray(one_hot_windows(text, KEY, 3, 400, vocabulary))
    counts = np.bincount(xs[0].argmax(-1), minlength=6)
    assert counts[4:].tolist() == [0, 0]
    assert (np.abs(counts[:4] - 100) < 4 * np.sqrt(75)).all()  # binomial, four possible starts
    np.testing.assert_array_equal(one_hot_windows(text, KEY, 3, 400, vocabulary), xs)
    keys = jax.random.split(KEY, 2)
    mapped = jax.vmap(lambda key: one_hot_windows(text, key, 3, 8, vocabulary))(keys)
    assert not np.array_equal(mapped[0], mapped[1])


def test_a_window_of_the_whole_text():
    vocabulary = Vocabulary.of(TEXT)
    xs = one_hot_windows(TEXT, KEY, 100, 1, vocabulary)
    assert vocabulary.decode(np.asarray(xs)[:, 0].argmax(-1)) == TEXT


def test_bad_windows():
    vocabulary = Vocabulary.of(TEXT)
    with pytest.raises(UsageError, match="length=101: the text has only 100 characters"):
        one_hot_windows(TEXT, KEY, 101, 1, vocabulary)
    with pytest.raises(UsageError, match="length=0"):
        one_hot_windows(TEXT, KEY, 0, 1, vocabulary)
    with pytest.raises(UsageError, match="batch=-1"):
        one_hot_windows(TEXT, KEY, 5, -1, vocabulary)
    with pytest.raises(UsageError, match="dtype=int32"):
        one_hot_windows(TEXT, KEY, 5, 1, vocabulary, jnp.int32)
    with pytest.raises(UsageError, match="position 2"):
        one_hot_windows(TEXT, KEY, 5, 1, Vocabulary("ab"))


# --- Tiny Shakespeare through TFDS ---


def test_importing_the_package_does_not_import_tfds():
    code = "import sys, rnnlab.data; sys.exit('tensorflow_datasets' in sys.modules)"
    root = Path(__file__).parents[2]
    assert subprocess.run([sys.executable, "-B", "-c", code], cwd=root).returncode == 0


def test_without_tfds_the_error_names_the_package(monkeypatch):
    for module in ("tiny_shakespeare", "builder"):
        monkeypatch.delitem(sys.modules, f"rnnlab.data.{module}", raising=False)
        monkeypatch.delattr(f"rnnlab.data.{module}", raising=False)
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    with pytest.raises(RunError, match="package tensorflow_datasets is missing; install"):
        load_text("tiny_shakespeare")


def test_prepares_from_a_folder_and_then_needs_it_no_more(tmp_path, manual, offline):
    parts = {
        split: load_text("tiny_shakespeare", tmp_path / "data", manual, split)
        for split in ("train", "validation", "test")
    }
    assert parts == split_text(TEXT)
    (manual / "input.txt").unlink()
    assert load_text("tiny_shakespeare", tmp_path / "data") == parts["train"]
    assert offline == []


def test_the_registered_file_is_upstream(builder_cls):
    (info,) = builder_cls.url_infos.values()
    assert (info.size, info.filename) == (1115394, "input.txt")
    assert info.checksum == "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed"
    assert builder_cls.name == "tiny_shakespeare_text"


def write_cache(data_dir, content):
    """Puts a file where TFDS keeps the download of the text that `manual` registers."""
    from tensorflow_datasets.core.download import resource

    from rnnlab.data.tiny_shakespeare import URL

    cache = data_dir / "downloads" / "tiny_shakespeare_text"
    cache.mkdir(parents=True)
    name = resource.get_dl_fname(URL, hashlib.sha256(TEXT.encode()).hexdigest())
    (cache / name).write_text(content)
    (cache / f"{name}.INFO").write_text("{}")


def test_prepares_from_the_download_cache(tmp_path, manual, offline):
    write_cache(tmp_path / "data", TEXT)
    assert load_text("tiny_shakespeare", tmp_path / "data") == TEXT[:90]
    assert offline == []


def test_a_damaged_cache_is_noticed(tmp_path, manual, offline):
    write_cache(tmp_path / "data", TEXT[:50])
    with pytest.raises(RunError, match="sha256"):
        load_text("tiny_shakespeare", tmp_path / "data")


def test_another_file_is_refused_before_any_connection(tmp_path, manual, offline):
    (manual / "input.txt").write_text("To be, or not to be")
    with pytest.raises(RunError, match=r"input\.txt is not .* sha256 .*manual_dir") as caught:
        load_text("tiny_shakespeare", tmp_path / "data", manual)
    assert "\n" not in str(caught.value) and offline == []


def test_without_network_and_file_it_fails_at_once(tmp_path, builder_cls, offline):
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(RunError) as caught:
        load_text("tiny_shakespeare", tmp_path / "data", empty)
    message = str(caught.value)
    for part in ("input.txt", str(empty), "--config.manual_dir", "--config.data_dir"):
        assert part in message
    assert "\n" not in message and len(offline) == 1
    assert not (tmp_path / "data").exists()


def test_manual_dir_must_exist(tmp_path, builder_cls, offline):
    with pytest.raises(UsageError, match=r"manual_dir=.*no such folder; it must hold input\.txt"):
        load_text("tiny_shakespeare", tmp_path / "data", tmp_path / "nowhere")
    assert offline == []


def test_a_data_dir_that_cannot_be_written(tmp_path, manual):
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    with pytest.raises(RunError, match=r"cannot prepare.*--config.data_dir"):
        load_text("tiny_shakespeare", blocked, manual)


@pytest.mark.parametrize("victim", ["dataset_info.json", "*-train.array_record-*"])
def test_damaged_prepared_data(tmp_path, manual, victim):
    load_text("tiny_shakespeare", tmp_path / "data", manual)
    (path,) = (tmp_path / "data/tiny_shakespeare_text/1.0.0").glob(victim)
    path.write_bytes(path.read_bytes()[:20])
    with pytest.raises(RunError, match=r"cannot be read .*delete its folder") as caught:
        load_text("tiny_shakespeare", tmp_path / "data", manual)
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(not (SHAKESPEARE / "input.txt").exists(), reason="no Tiny Shakespeare here")
def test_the_real_text(tmp_path, builder_cls, offline):
    text = (SHAKESPEARE / "input.txt").read_text()
    train = load_text("tiny_shakespeare", tmp_path, SHAKESPEARE)
    assert len(train) == 1003854 and text.startswith(train)
    assert load_text("tiny_shakespeare", tmp_path, split="test") == text[-55770:]
    vocabulary = Vocabulary.of(text)
    assert vocabulary.size == 65
    assert one_hot_windows(train, KEY, 20, 4, vocabulary).shape == (20, 4, 65)
    assert offline == []
