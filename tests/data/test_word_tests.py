"""Tests of word vectors as files, and texts as lines of frequent words."""

import dataclasses
import hashlib
from pathlib import Path

import numpy as np
import pytest

from experiments.embeddings import Config
from rnnlab.data import word_tests
from rnnlab.data.line_text import read_lines
from rnnlab.data.made_kin import made_kin, made_tests
from rnnlab.data.source import MADE, Folders, Source
from rnnlab.data.word_tests import Question, WordPair, read_word_tests
from rnnlab.errors import RunError, UsageError
from rnnlab.run.workdir import open_workdir

SHARED = Path(__file__).parents[2] / "../shared/data"


def test_pairs_and_questions_as_they_are_written():
    text = "old\tnew\t1.58\r\nCD\tstock\t1.31\n"
    assert word_tests.parse_pairs(text, "x") == [
        WordPair("old", "new", 1.58),
        WordPair("CD", "stock", 1.31),
    ]
    text = ": capital-world\nAthens Greece Oslo Norway\n\n: family\nboy girl he she\n"
    assert word_tests.parse_questions(text, "x") == {
        "capital-world": [Question("Athens", "Greece", "Oslo", "Norway")],
        "family": [Question("boy", "girl", "he", "she")],
    }


@pytest.mark.parametrize("line", ["old new 1.5", "old\tnew\tbig", "old\tnew"])
def test_a_line_that_is_no_pair_is_named(line):
    with pytest.raises(RunError, match=r"simlex999: line 2 is not a word, a word and a number"):
        word_tests.parse_pairs(f"a\tb\t1\n{line}\n", "simlex999")


@pytest.mark.parametrize("text", ["a b c d\n", ": x\na b c\n"])
def test_a_line_that_is_no_question_is_named(text):
    with pytest.raises(RunError, match=r"analogies: line \d is not four words within a section"):
        word_tests.parse_questions(text, "analogies")


def test_files_from_a_folder_and_then_without(tmp_path, monkeypatch, offline):
    pytest.importorskip("tensorflow_datasets")
    from rnnlab.data import builder
    from rnnlab.data.word_test_files import WordTestFiles

    raw = {url: b"old\tnew\t1.5\n" for url in WordTestFiles.URLS.values()}
    raw[WordTestFiles.URLS["analogies"]] = b": s\na b c d\n"
    infos = {
        url: dataclasses.replace(
            info, size=len(raw[url]), checksum=hashlib.sha256(raw[url]).hexdigest()
        )
        for url, info in WordTestFiles.url_infos.items()
    }
    monkeypatch.setattr(WordTestFiles, "url_infos", infos)
    folder = tmp_path / "files"
    folder.mkdir()
    for url, contents in raw.items():
        (folder / builder.file_name(url)).write_bytes(contents)
    for manual in (str(folder), ""):
        tests = read_word_tests(Folders(str(tmp_path / "data"), manual))
        assert tests.similarity["wordsim353"] == [WordPair("old", "new", 1.5)]
        assert tests.analogies == {"s": [Question("a", "b", "c", "d")]}
    assert offline == []


@pytest.mark.skipif(not (SHARED / "word_vectors").is_dir(), reason="no word tests here")
def test_the_real_files(tmp_path, offline):
    tests = read_word_tests(Folders(str(tmp_path), str(SHARED / "word_vectors")))
    sizes = {name: len(pairs) for name, pairs in tests.similarity.items()}
    assert sizes == {
        "simlex999": 999,
        "wordsim353": 353,
        "wordsim353_similarity": 203,
        "wordsim353_relatedness": 252,
    }
    assert sum(map(len, tests.analogies.values())) == 19544 and len(tests.analogies) == 14
    assert offline == []


@pytest.mark.skipif(not (SHARED / "wikitext2").is_dir(), reason="no WikiText-2 here")
def test_the_real_wikitext2(tmp_path, offline):
    from rnnlab.data.text import load_splits

    splits = load_splits("wikitext2", tmp_path, SHARED / "wikitext2")
    assert list(splits) == ["train", "validation", "test"]
    assert len("".join(splits.values()).split()) == 213_886 + 241_211
    assert offline == []


def lines_of(tmp_path, text, least=1, lower=True):
    path = tmp_path / "text.txt"
    path.write_text(text, encoding="utf-8")
    return read_lines(Source(corpus=str(path)), least, lower)


def test_rare_words_and_unk_are_left_out_and_lines_are_kept(tmp_path):
    text = "The cat the <unk> cat\n\ncat rare THE\n" * 20 + "once\n"
    got = lines_of(tmp_path, text, least=2)
    assert got.vocabulary.words == ("cat", "the", "rare")
    assert got.sentences()[:2] == [["the", "cat", "the", "cat"], ["cat", "rare", "the"]]
    assert got.lines[:7].tolist() == [0] * 4 + [2] * 3
    assert len(got.codes) == 140 and got.codes.dtype == got.lines.dtype == np.int32
    assert lines_of(tmp_path, text, 2, lower=False).vocabulary.words == (
        "cat",
        "THE",
        "The",
        "rare",
        "the",
    )


def test_too_few_words_say_what_to_do(tmp_path):
    with pytest.raises(UsageError, match=r"corpus=.*text\.txt: has 0 words .* a smaller least"):
        lines_of(tmp_path, "a b c\n" * 3, least=5)


def test_a_work_directory_belongs_to_one_text(tmp_path):
    one, other = lines_of(tmp_path, "a b c\n" * 30), lines_of(tmp_path, "a b d\n" * 30)
    with open_workdir(tmp_path / "w", "embeddings", Config()) as workdir:
        one.claim(workdir, "one")
        one.claim(workdir, "one")
        with pytest.raises(UsageError, match=r"other: its 3 words are not the 3 of the checkpoint"):
            other.claim(workdir, "other")


def test_the_made_text_has_the_words_of_its_tests():
    text = read_lines(Source(corpus=MADE), 1, True, lambda: made_kin(300))
    tests = made_tests()
    words = {word for pairs in tests.similarity.values() for pair in pairs for word in pair[:2]}
    words |= {word for questions in tests.analogies.values() for one in questions for word in one}
    assert words <= set(text.vocabulary.words)
    assert not set(tests.similarity["simlex999"]) & set(tests.similarity["wordsim353"])
