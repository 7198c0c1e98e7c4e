"""Files of word vectors as they are met in the wild."""

import gzip

import numpy as np
import pytest

from rnnlab.data.word_vectors import pretrained, read_vectors
from rnnlab.errors import RunError, UsageError


@pytest.fixture
def file(tmp_path):
    def write(text, name="vectors.txt"):
        path = tmp_path / name
        data = text if isinstance(text, bytes) else text.encode()
        path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
        return path

    return write


PLAIN = "the 1 2 3\ncat -1 0.5 2e-1\n"
TABLE = [[1, 2, 3], [-1, 0.5, 0.2]]


@pytest.mark.parametrize(
    "text",
    [
        PLAIN,
        "2 3\n" + PLAIN,
        "\ufeff2 3\n" + PLAIN,
        PLAIN.replace("\n", "\r\n"),
        "2 3 \n" + PLAIN.replace("\n", " \n"),
        PLAIN.rstrip("\n") + "\n\n",
    ],
)
def test_header_or_none_line_ends_and_byte_order_mark(file, text):
    table = read_vectors(file(text))
    assert table.words == ("the", "cat") and table.duplicates == 0
    np.testing.assert_allclose(table.vectors, TABLE, rtol=1e-6)
    assert table.vectors.dtype == np.float32


def test_a_packed_file_is_read(file):
    assert read_vectors(file(PLAIN, "vectors.txt.gz")).words == ("the", "cat")


def test_words_may_contain_spaces_numbers_and_odd_white_space(file):
    text = PLAIN + ". . . 4 5 6\nroom 101 7 8 9\na\u00a0b 1 1 1\n\u2028 2 2 2\n"
    table = read_vectors(file(text))
    assert table.words == ("the", "cat", ". . .", "room 101", "a\u00a0b", "\u2028")
    np.testing.assert_array_equal(table.vectors[3], [7, 8, 9])


def test_bytes_that_are_not_utf8_are_no_error(file):
    table = read_vectors(file(PLAIN.encode() + b"\xff\xfe 1 1 1\n"))
    assert table.words[2] == "\ufffd\ufffd"


def test_of_duplicates_the_first_counts(file):
    found = pretrained(file(PLAIN + "cat 9 9 9\ncat 8 8 8\n"), ["cat"])
    np.testing.assert_allclose(found.vectors[0], TABLE[1], rtol=1e-6)
    assert found.duplicates == 2


def test_another_case_is_better_than_none(file):
    path = file("Paris 1 1\nPARIS 2 2\nthe 3 3\nIt 4 4\nit 5 5\nUS 6 6\n")
    found = pretrained(path, ["paris", "The", "IT", "us", "US", "xyz"])
    np.testing.assert_array_equal(found.vectors[:5, 0], [1, 3, 5, 6, 6])
    assert (found.exact, found.other_case, found.missing) == (1, 4, ("xyz",))
    assert found.coverage == pytest.approx(5 / 6)
    assert str(found) == ("vectors for 83.3% of 6 words (1 as written, 4 in another case; 1 drawn)")


def test_what_is_missing_is_drawn_like_the_others_and_special_words_are_not_counted(file):
    rng = np.random.default_rng(0)
    words = [f"w{i}" for i in range(300)]
    numbers = rng.normal(2, 3, size=(300, 4))
    lines = (f"{w} {' '.join(map(str, row))}" for w, row in zip(words, numbers, strict=True))
    path = file("\n".join(lines))
    vocabulary = ["<pad>", *words, *(f"x{i}" for i in range(300))]
    found = pretrained(path, vocabulary, special=["<pad>"])
    assert found.coverage == 0.5 and len(found.missing) == 300
    np.testing.assert_allclose(found.vectors[301:].mean(), 2, atol=0.4)
    np.testing.assert_allclose(found.vectors[301:].std(), 3, rtol=0.1)
    again = pretrained(path, vocabulary, special=["<pad>"])
    np.testing.assert_array_equal(found.vectors, again.vectors)


def test_no_word_in_common_is_a_coverage_of_nothing(file):
    found = pretrained(file(PLAIN), ["x"])
    assert found.coverage == 0 and found.vectors.shape == (1, 3)
    assert pretrained(file(PLAIN), []).vectors.shape == (0, 3)


@pytest.mark.parametrize(
    "text, message",
    [
        ("", "holds no vectors"),
        ("only words here\n", "holds no vectors"),
        ("2 5\n" + PLAIN, "have 3 features; its header says 5"),
        (PLAIN + "dog 1 2\n" * 1, r"have 2 features; they must have 3"),
        (PLAIN * 20 + "dog 1 2\n", "line 41 has 2 numbers, the others have 3"),
        (PLAIN * 20 + "dog 1 2 x\n", "line 41: could not convert"),
        (PLAIN + "dog 1 2 nan\n", "line 3 has a number that is not finite"),
    ],
)
def test_files_that_are_no_vectors_are_refused_by_line(file, text, message):
    with pytest.raises(UsageError, match=message):
        read_vectors(file(text), 3)


def test_another_dimension_is_refused(file):
    with pytest.raises(UsageError, match="have 3 features; they must have 50"):
        pretrained(file(PLAIN), ["the"], 50)


def test_no_such_file_and_a_damaged_one(file, tmp_path):
    with pytest.raises(UsageError, match="no such file"):
        read_vectors(tmp_path / "none.txt")
    path = file("", "cut.txt.gz")
    path.write_bytes(gzip.compress(PLAIN.encode() * 99)[:40])
    with pytest.raises(RunError, match="cannot be read"):
        read_vectors(path)
