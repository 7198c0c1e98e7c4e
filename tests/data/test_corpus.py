"""Corpora of characters and words: splits, vocabularies, their record in a work directory."""

import dataclasses
import os
import threading

import pytest

from rnnlab.data import split_text
from rnnlab.data.corpus import SENTENCES, known_words, read_characters, read_words
from rnnlab.data.made_text import made_lines, made_text
from rnnlab.data.source import Source
from rnnlab.data.spelling import spelled_words
from rnnlab.errors import RunError, UsageError
from rnnlab.run.workdir import open_workdir


@dataclasses.dataclass(frozen=True)
class Config:
    seed: int = 0


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("\n".join(f"w{n} a b" for n in range(50)), encoding="utf-8")
    return path


def test_the_made_text_has_what_cells_can_follow():
    text = made_text(200, seed=3)
    assert text == made_text(200, seed=3) != made_text(200, seed=4)
    assert max(map(len, text.splitlines())) <= 60 and text.count('"') > 50
    assert {"anna", "river", "asked"} <= set(spelled_words(text))
    assert len(split_text(made_text(SENTENCES))["validation"]) > 1000


def test_the_made_text_has_a_sentence_a_line():
    text = made_lines(50)
    lines = text.splitlines()
    assert len(lines) == 50 and all(line.endswith(" .") for line in lines)
    assert text == made_lines(50) and '" I ' in text and '"I' not in text


def test_a_text_is_cut_between_characters(path):
    corpus = read_characters(Source(corpus=str(path)))
    assert "".join(map("".join, corpus.symbols.values())) == path.read_text()
    assert corpus.vocabulary.symbols == "\n 0123456789abw"
    assert corpus.vocabulary.write(corpus.codes("test")) == corpus.symbols["test"]


def test_a_text_is_cut_between_words(path):
    corpus = read_words(Source(corpus=str(path)), 10_000)
    sizes = [len(corpus.symbols[split]) for split in ("train", "validation", "test")]
    assert sizes == [180, 10, 10]
    joined = [word for words in corpus.symbols.values() for word in words]
    assert joined == [*path.read_text().replace("\n", " <eos> ").split(), "<eos>"]
    assert corpus.vocabulary.symbols == ("<eos>", "a", "b", "<unk>")


def test_the_primer_is_the_end_of_the_training_split_in_whole_lines(path):
    characters = read_characters(Source(corpus=str(path)))
    train = "".join(characters.symbols["train"])
    assert characters.primer.endswith("\n") and characters.primer in train[-200:]
    words = read_words(Source(corpus=str(path)), 10_000)
    assert words.primer == "a b\n" + "<unk> a b\n" * 8
    path.write_text("abc" * 50)
    assert len(read_characters(Source(corpus=str(path))).primer) == 135


def test_what_stands_for_words_that_training_lacks():
    def known(train, rest, most=99):
        words = {"train": train.split(), "validation": rest.split(), "test": []}
        return known_words(words, most).words

    assert known("a a b c c c", "b") == ("c", "a", "b")
    assert known("a a b c c c", "d") == ("c", "a", "<unk>")
    assert known("a a c c c", "d") == ("c", "a", "<unk>")
    assert known("a a b <unk> <unk> <unk>", "d") == ("<unk>", "a", "b")
    assert known("a b", "d") == ("<unk>",)
    assert known("a a b c c c d d", "b", most=3) == ("c", "a", "<unk>")


def claim(folder, corpus):
    with open_workdir(folder, "toy", Config()) as workdir:
        corpus.claim(workdir, "NAME")


def test_a_work_directory_belongs_to_one_corpus(tmp_path, path):
    corpus = read_characters(Source(corpus=str(path)))
    folder = tmp_path / "w"
    for _ in range(2):
        claim(folder, corpus)
    with pytest.raises(UsageError, match=r"^corpus=NAME: the text has changed since"):
        claim(folder, corpus._replace(fingerprint="0"))
    words = read_words(Source(corpus=str(path)), 10_000)
    with pytest.raises(UsageError, match=r"its 4 words are not the 15 of the checkpoint \(they"):
        claim(folder, words)
    (folder / "corpus.json").write_text("{")
    with pytest.raises(RunError, match=r"corpus\.json: is damaged") as error:
        claim(folder, corpus)
    assert "\n" not in str(error.value)


def test_the_fingerprint_is_of_the_text(path):
    def fingerprint(text):
        path.write_text(text)
        return read_characters(Source(corpus=str(path))).fingerprint

    text = path.read_text()
    assert fingerprint(text) == fingerprint(text) != fingerprint(text[::-1])


def test_too_little_text(path):
    path.write_text("to be")
    with pytest.raises(UsageError, match=r"^corpus=.*: has 5 characters, too few"):
        read_characters(Source(corpus=str(path)))
    with pytest.raises(UsageError, match=r"^corpus=.*: has 3 words, ends of lines among them"):
        read_words(Source(corpus=str(path)), 10)


@pytest.mark.parametrize("read", [read_characters, lambda source: read_words(source, 99)])
def test_a_corpus_may_come_from_a_pipe_and_be_read_again(path, read):
    want = read(Source(corpus=str(path)))
    end, start = os.pipe()
    writer = threading.Thread(target=lambda: (os.write(start, path.read_bytes()), os.close(start)))
    writer.start()
    for _ in range(2):
        assert read(Source(corpus=f"/dev/fd/{end}")) == want
    writer.join()
    os.close(end)


def test_a_path_begins_at_home_and_a_device_is_no_text(path, monkeypatch):
    monkeypatch.setenv("HOME", str(path.parent))
    assert read_characters(Source(corpus="~/text.txt")) == read_characters(Source(corpus=str(path)))
    with pytest.raises(UsageError, match=r"^corpus=~nobody/text\.txt: .*no such file"):
        read_characters(Source(corpus="~nobody/text.txt"))
    with pytest.raises(UsageError, match=r"^corpus=/dev/zero: is a device"):
        read_characters(Source(corpus="/dev/zero"))
