"""Word vectors in use: neighbours and analogies by hand, lines and files."""

import numpy as np
import pytest

from rnnlab.data.word_vectors import read_vectors
from rnnlab.data.words import WordVocabulary
from rnnlab.errors import UsageError
from rnnlab.trained.vectors import WordVectors

WORDS = ("man", "woman", "king", "queen", "Tea", "nothing")
VECTORS = np.array(
    [[1, 0, 0], [0, 1, 0], [1, 0, 2], [0, 1, 2], [0, -1, 0.5], [0, 0, 0]], np.float32
)


@pytest.fixture
def vectors():
    return WordVectors(WordVocabulary(WORDS), VECTORS)


def test_neighbours_by_the_cosine(vectors):
    near = vectors.nearest("king", 2)
    assert [word for word, _ in near] == ["queen", "man"]
    assert near[0][1] == pytest.approx(4 / 5)
    assert vectors.similarity("man", "king") == pytest.approx(1 / np.sqrt(5))
    assert len(vectors.nearest("man", 100)) == 5  # all words but itself
    np.testing.assert_array_equal(vectors("queen"), VECTORS[3])


def test_the_words_of_an_analogy_are_no_answers(vectors):
    answers = [word for word, _ in vectors.analogy("man", "woman", "king")]
    assert answers[0] == "queen" and not {"man", "woman", "king"} & set(answers)


def test_a_word_in_another_case(vectors):
    assert "KING" in vectors and vectors.code("KING") == 2
    assert "tea" not in vectors  # what the text did not have in lower case
    with pytest.raises(UsageError, match=r"word='tea': is not among the 6 words"):
        vectors.code("tea")


def test_a_line_is_a_word_or_an_analogy(vectors):
    one, none, three = vectors.predict(["king", "", " man  woman king "])
    assert one["line"] == "king" and one["answer"].startswith("queen man")
    assert [word for word, _ in one["neighbours"]] == one["answer"].split()
    assert none == {"line": "", "answer": "", "neighbours": []}
    assert three["answer"].split()[0] == "queen"
    assert vectors.predict([]) == []
    with pytest.raises(UsageError, match=r"line='king queen': has 2 words"):
        vectors.predict(["king queen"])
    with pytest.raises(UsageError, match="word='🙂'"):
        vectors.predict(["🙂"])


def test_the_text_file_is_read_again(vectors, tmp_path):
    path = tmp_path / "vectors.txt"
    path.write_text(vectors.text(), encoding="utf-8")
    assert vectors.text().startswith("6 3\nman 1 0 0\n")
    table = read_vectors(path)
    assert table.words == WORDS and table.duplicates == 0
    np.testing.assert_array_equal(table.vectors, VECTORS)
