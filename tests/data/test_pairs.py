"""Pairs of sentences: Multi30k and Tatoeba on files made here, own files, and the made ones."""

import dataclasses
import gzip
import hashlib
import io
import zipfile
from pathlib import Path

import pytest

from rnnlab.data import pairs
from rnnlab.data.made_pairs import made_pairs
from rnnlab.data.pairs import PairSource, read_pairs
from rnnlab.errors import RunError, UsageError

pytest.importorskip("tensorflow_datasets")

from rnnlab.data import builder
from rnnlab.data.builder import Member
from rnnlab.data.multi30k import Multi30kLines
from rnnlab.data.tatoeba import TatoebaLines

SHARED = Path(__file__).parents[2] / "../shared/data"
TSV = "".join(
    f"{english}\t{spanish} {number}\n"
    for number in range(40)
    for english, spanish in ((f"Go {number}.", "Ve"), (f"GO {number}. ", "Vaya"))
)


def register(monkeypatch, cls, contents):
    """Registers contents by URL as if they were what upstream serves."""
    infos = {
        url: dataclasses.replace(
            info, size=len(contents[url]), checksum=hashlib.sha256(contents[url]).hexdigest()
        )
        for url, info in cls.url_infos.items()
    }
    monkeypatch.setattr(cls, "url_infos", infos)


@pytest.fixture
def captions(tmp_path, monkeypatch):
    """A folder with two sentences for each split and language."""
    contents = {
        url: gzip.compress(f" {what} 1 \n{what} zwölf\n".encode(), mtime=0)
        for what, url in Multi30kLines.URLS.items()
    }
    folder = tmp_path / "multi30k"
    folder.mkdir()
    for url, raw in contents.items():
        (folder / builder.file_name(url)).write_bytes(raw)
    register(monkeypatch, Multi30kLines, contents)
    return folder


@pytest.fixture
def phrases(tmp_path, monkeypatch):
    """A folder with the archive of Tatoeba, and one with what the archive holds."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as files:
        files.writestr("spa-eng/_about.txt", "about")
        files.writestr("spa-eng/spa.txt", TSV)
    folders = tmp_path / "archive", tmp_path / "plain"
    for folder in folders:
        folder.mkdir()
    (folders[0] / "spa-eng.zip").write_bytes(archive.getvalue())
    (folders[1] / "spa.txt.gz").write_bytes(gzip.compress(TSV.encode()))
    register(monkeypatch, TatoebaLines, {TatoebaLines.URLS["pairs"]: archive.getvalue()})
    member = Member("spa.txt", hashlib.sha256(TSV.encode()).hexdigest())
    monkeypatch.setattr(TatoebaLines, "MEMBERS", {"pairs": member})
    return folders


def test_multi30k_in_each_direction(tmp_path, captions, offline):
    source = PairSource(str(tmp_path / "data"), str(captions), "multi30k")
    splits = read_pairs(source)
    assert list(splits) == list(pairs.MULTI30K)
    assert splits["train"].source == ["train.de 1", "train.de zwölf"]
    assert splits["test"].target == ["test_2016_flickr.en 1", "test_2016_flickr.en zwölf"]
    french = dataclasses.replace(source, source_language="en", target_language="fr")
    assert read_pairs(french)["validation"].source[0] == "val.en 1"
    assert read_pairs(french)["test_2017_mscoco"].target[0] == "test_2017_mscoco.fr 1"
    assert offline == []


def test_files_of_multi30k_that_do_not_correspond(tmp_path, captions, monkeypatch):
    path = captions / "val.fr.gz"
    path.write_bytes(gzip.compress(b"a\n"))
    contents = {
        url: (captions / builder.file_name(url)).read_bytes() for url in Multi30kLines.URLS.values()
    }
    register(monkeypatch, Multi30kLines, contents)
    with pytest.raises(RunError, match=r"multi30k: cannot prepare .*'de': 2, 'en': 2, 'fr': 1"):
        read_pairs(PairSource(str(tmp_path / "data"), str(captions), "multi30k"))


@pytest.mark.parametrize("place", [0, 1])
def test_tatoeba_is_cut_by_the_english_side(tmp_path, phrases, offline, place):
    source = PairSource(str(tmp_path / "data"), str(phrases[place]), "tatoeba", "es", "en")
    splits = read_pairs(source)
    assert [len(each.source) for each in splits.values()] == [72, 4, 4]
    english = [{line.casefold() for line in each.target} for each in splits.values()]
    assert not english[0] & english[1] and not english[0] & english[2]
    assert not english[1] & english[2] and len(set.union(*english)) == 40
    for spanish, line in zip(*splits["test"], strict=True):
        assert spanish.split()[1] == line.strip(".").split()[1]
    assert offline == []


def test_a_file_of_tatoeba_of_another_content(tmp_path, phrases):
    (phrases[1] / "spa.txt.gz").write_bytes(gzip.compress(b"Go.\tVe.\n"))
    with pytest.raises(RunError, match=r"tatoeba: spa\.txt is not the one of sha256"):
        read_pairs(PairSource(str(tmp_path / "data"), str(phrases[1]), "tatoeba", "es", "en"))


def test_tatoeba_without_network_and_file(tmp_path, offline):
    with pytest.raises(RunError, match=r"tatoeba: cannot reach .* found no spa-eng\.zip"):
        read_pairs(PairSource(str(tmp_path), "", "tatoeba", "es", "en"))
    assert len(offline) == 1


@pytest.fixture
def files(tmp_path):
    """Makes the source of two files with given contents."""

    def make(source, target):
        paths = tmp_path / "lines.de", tmp_path / "lines.en"
        for path, contents in zip(paths, (source, target), strict=True):
            path.write_bytes(contents)
        return PairSource(pairs="files", source_file=str(paths[0]), target_file=str(paths[1]))

    return make


def test_files_of_ones_own(files):
    source = "".join(f"satz {index // 2}\r\n" for index in range(60)).encode()
    target = "\n".join(f"sentence {index // 2}" for index in range(60)).encode()
    splits = read_pairs(files(b"\xef\xbb\xbf" + source, target))
    assert [len(each.source) for each in splits.values()] == [56, 2, 2]
    for each in splits.values():
        assert [line.split()[1] for line in each.source] == [
            line.split()[1] for line in each.target
        ]


@pytest.mark.parametrize(
    ("source", "target", "message"),
    [
        (b"a\nb\nc\n", b"a\nb\n", r"lines\.de has 3 lines and target_file=.*lines\.en has 2"),
        (b"a\nb\n", b"a\nb\n", "has 2 different lines, too few"),
        (b"a\nb\nc\n", b"a\nb\n\xff\n", r"target_file .*not UTF-8 at byte 4 \(0xff\)"),
        (b"", b"a\n", "source_file .* is empty"),
    ],
)
def test_files_that_are_no_pairs(files, source, target, message):
    with pytest.raises(UsageError, match=message):
        read_pairs(files(source, target))


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (PairSource(pairs="europarl"), "choose from multi30k, tatoeba, made, files"),
        (PairSource(pairs="tatoeba"), "source_language=de: tatoeba has es, en"),
        (PairSource(target_language="de"), "target_language=de: is the source_language too"),
        (PairSource(source_file="a"), "source_file: is read with --config.pairs=files only"),
        (PairSource(pairs="files", source_file="/nowhere/a"), "no such file; give a text file's"),
        (PairSource(pairs="files"), "source_file: is empty; pairs=files needs"),
    ],
)
def test_sources_that_there_are_not(source, message):
    with pytest.raises(UsageError, match=message):
        read_pairs(source)


def test_made_pairs_differ_and_stay_the_same():
    splits = read_pairs(PairSource())
    assert [len(each.source) for each in splits.values()] == [720, 40, 40]
    german = [line for each in splits.values() for line in each.source]
    assert len(set(german)) == 800
    assert pairs.fingerprint(splits) == pairs.fingerprint(read_pairs(PairSource()))
    known = dict(zip(*made_pairs(960), strict=True))
    assert known["Oft sucht Anna den roten Ball."] == "Anna often seeks the red ball."
    assert known["Am Abend malt ein Kind jeden alten Baum."] == (
        "In the evening a child paints every old tree."
    )


@pytest.mark.skipif(not any((SHARED / "multi30k").glob("*.gz")), reason="no Multi30k here")
def test_the_real_multi30k(tmp_path, offline):
    splits = read_pairs(PairSource(str(tmp_path), str(SHARED / "multi30k"), "multi30k"))
    assert [len(each.source) for each in splits.values()] == [29_000, 1_014, 1_000, 1_000, 461]
    assert splits["train"].source[0] == (
        "Zwei junge weiße Männer sind im Freien in der Nähe vieler Büsche."
    )
    assert splits["test"].target[0] == "A man in an orange hat starring at something."
    assert offline == []


@pytest.mark.skipif(not any((SHARED / "tatoeba_spa_eng").glob("*.gz")), reason="no Tatoeba here")
def test_the_real_tatoeba(tmp_path, offline):
    folder = str(SHARED / "tatoeba_spa_eng")
    splits = read_pairs(PairSource(str(tmp_path), folder, "tatoeba", "es", "en"))
    assert sum(len(each.source) for each in splits.values()) == 118_964
    assert not {*splits["train"].target} & {*splits["test"].target}
    assert offline == []
