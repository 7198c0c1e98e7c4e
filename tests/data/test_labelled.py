"""Texts with a label and words with labels: formats, splits, repair; the real sets where near."""

import collections
import dataclasses
import gzip
import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnnlab.data import made_sentences
from rnnlab.data.classification import ClassificationSource, folded, read_classification
from rnnlab.data.conll import check_iob2, read_columns, read_universal
from rnnlab.data.sentences import Labelled, stratified_parts
from rnnlab.data.source import found
from rnnlab.data.tagging import TaggingSource, read_tagging
from rnnlab.data.tokenise import tokenise
from rnnlab.errors import RunError, UsageError

pytest.importorskip("tensorflow_datasets")

from rnnlab.data import builder, covid_senti, sst2
from rnnlab.data.covid_senti import CovidSentiText
from rnnlab.data.english_web_treebank import EnglishWebTreebankText
from rnnlab.data.movie_reviews import MovieReviewsText
from rnnlab.data.sst2 import Sst2Text
from rnnlab.data.wikiann import WikiAnnEnText
from rnnlab.data.wnut17 import Wnut17Text

SHARED = Path(__file__).parents[2] / "../shared/data"
SETS = (
    CovidSentiText,
    Sst2Text,
    MovieReviewsText,
    EnglishWebTreebankText,
    WikiAnnEnText,
    Wnut17Text,
)


def near(name):
    return pytest.mark.skipif(
        not any((SHARED / name).glob("*.gz")), reason=f"no {name} beside the project"
    )


def prepare(folder, monkeypatch, cls, contents):
    """A folder with files of our own, registered as if they were what upstream serves."""
    folder.mkdir()
    infos = {}
    for what, url in cls.URLS.items():
        raw = contents[what].encode()
        (folder / f"{builder.file_name(url)}.gz").write_bytes(gzip.compress(raw))
        info = cls.url_infos[url]
        checksum = hashlib.sha256(raw).hexdigest()
        infos[url] = dataclasses.replace(info, size=len(raw), checksum=checksum)
    monkeypatch.setattr(cls, "url_infos", infos)
    return {"data_dir": str(folder.parent / "data"), "manual_dir": str(folder)}


# --- columns ---

COLUMNS = "en:New\tB-LOC\r\nen:York\tI-LOC\r\n \t \nen:a\tO\nen:\u0085\tO\n\n\nen:b\tB-PER"


def test_columns_are_words_and_labels():
    assert list(read_columns(COLUMNS, "en:")) == [
        (["New", "York"], ["B-LOC", "I-LOC"]),
        (["a", "\u0085"], ["O", "O"]),
        (["b"], ["B-PER"]),
    ]
    assert list(read_columns("")) == list(read_columns("\n \n")) == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a\tO\nb I-PER\n", "line 2: 'b I-PER' is not word<TAB>label"),
        ("a\tO\tx\n", "line 1: .* is not word<TAB>label"),
        ("a\tO\nb\tI-PER\n", "line 2: I-PER follows O, which is not IOB2"),
        ("a\tB-PER\n\nb\tI-PER\n", "line 3: I-PER follows O"),
        ("a\tB-LOC\nb\tI-PER\n", "line 2: I-PER follows B-LOC"),
        ("a\tS-LOC\n", "line 1: 'S-LOC' is not O, B-TYPE or I-TYPE"),
        ("a\tB-\n", "line 1: 'B-' is not"),
    ],
)
def test_columns_that_are_damaged(text, message):
    with pytest.raises(ValueError, match=message):
        list(read_columns(text))


def test_labels_that_are_iob2():
    check_iob2(["O", "B-a", "I-a", "I-a", "B-a", "B-b", "I-b", "O"])
    check_iob2([])


UNIVERSAL = """# sent_id = 1
1-2\tDon't\t_\t_\t_\t_\t_\t_\t_\t_
1\tDo\tdo\tAUX\tVBP\t_\t0\troot\t0:root\t_
2\tn't\tnot\tPART\tRB\t_\t1\tadvmod\t1:advmod\t_
2.1\tgo\tgo\tVERB\tVB\t_\t_\t_\t1:dep\t_

1\tgood bye\tx\tINTJ\tUH\t_\t0\troot\t0:root\t_

"""


def test_universal_dependencies_have_syntactic_words():
    assert list(read_universal(UNIVERSAL)) == [
        (["Do", "n't"], ["AUX", "PART"]),
        (["good bye"], ["INTJ"]),
    ]
    with pytest.raises(ValueError, match="a word has no part of speech"):
        list(read_universal("1\ta\ta\t_\t_\t_\t0\troot\t_\t_\n\n"))
    with pytest.raises(ValueError):
        list(read_universal("x\ta\ta\tNOUN\t_\t_\t0\troot\t_\t_\n\n"))


# --- splits ---


def test_every_part_has_the_same_share_of_each_label_and_no_text_twice():
    random = np.random.default_rng(0)
    labels = random.choice(3, 1000, p=[0.7, 0.2, 0.1]).tolist()
    keys = [f"{key}" for key in random.integers(0, 700, 1000)]
    labels = [dict(zip(reversed(keys), reversed(labels), strict=True))[key] for key in keys]
    parts = stratified_parts(keys, labels, 10)
    places = collections.defaultdict(set)
    for key, part in zip(keys, parts, strict=True):
        places[key].add(part)
    assert all(len(found) == 1 for found in places.values())
    counts = np.bincount(parts * 3 + labels, minlength=30).reshape(10, 3)
    assert np.all(np.ptp(counts, axis=0) <= max(map(keys.count, keys)))
    assert np.array_equal(parts, stratified_parts(keys, labels, 10))


def test_folds_test_every_text_once():
    data = Labelled(
        [f"text {n}" for n in range(100)], np.arange(100, dtype=np.int32) % 2, ("a", "b")
    )
    tested = []
    for fold in range(10):
        splits = folded(data, fold)
        assert [len(split.texts) for split in splits] == [80, 10, 10]
        assert all(np.mean(split.labels) == 0.5 for split in splits)
        assert not set(splits.test.texts) & {*splits.train.texts, *splits.validation.texts}
        for text, label in zip(splits.test.texts, splits.test.labels, strict=True):
            assert label == int(text.split()[1]) % 2
        tested += splits.test.texts
    assert sorted(tested) == sorted(data.texts)


def test_tweets_are_repaired_and_split(tmp_path, monkeypatch, offline):
    texts = {
        "neg": [f'bad {n} “so”\n, "bad" 🦠' for n in range(40)],
        "neu": [f"@user{n} the very same, https://t.co/{n}" for n in range(10)]
        + [f"plain {n} naïve" for n in range(90)],
        "pos": [f"good {n}" for n in range(20)],
    }
    rows = [(text, label) for label, several in texts.items() for text in several]
    broken = ['"{}",{}\n'.format(t.replace('"', '""'), label) for t, label in rows]
    broken = [row.encode().decode("mac_roman") for row in broken]
    files = {part: "tweet,label\n" + "".join(broken[i::3]) for i, part in enumerate("ABC")}
    source = prepare(tmp_path / "files", monkeypatch, CovidSentiText, files)
    splits = read_classification(ClassificationSource(data="covidsenti", **source))
    assert splits.train.names == ("negative", "neutral", "positive")
    named = {
        (text, split.names[label][:3])
        for split in splits
        for text, label in zip(split.texts, split.labels, strict=True)
    }
    assert named == {(text, label) for text, label in rows}
    assert [np.bincount(split.labels).tolist() for split in splits[1:]] == [[4, 10, 2]] * 2
    same = [sum("very same" in text for text in split.texts) for split in splits]
    assert sorted(same) == [0, 0, 10]
    again = ClassificationSource(data="covidsenti", data_dir=source["data_dir"])
    assert read_classification(again).test.texts == splits.test.texts and offline == []


def test_what_makes_tweets_the_same():
    assert covid_senti.key("RT @a: It’s  HERE!! https://t.co/x") == covid_senti.key("rt it s here")
    with pytest.raises(ValueError, match="header"):
        list(covid_senti.read_csv("text,label\n"))
    with pytest.raises(ValueError, match="label 'ok'"):
        list(covid_senti.read_csv("tweet,label\na,ok\n"))
    with pytest.raises(ValueError):
        list(covid_senti.read_csv("tweet,label\n字,neu\n"))  # no Mac Roman


def test_sentences_of_reviews(tmp_path, monkeypatch, offline):
    files = {"train": "a\tb\t1\nbad \t0\n", "validation": "c\t0\n", "test": "d\t1\r\n"}
    source = prepare(tmp_path / "sst2", monkeypatch, Sst2Text, files)
    train, validation, test = read_classification(ClassificationSource(data="sst2", **source))
    assert train.texts == ["a\tb", "bad "] and train.labels.tolist() == [1, 0]
    assert (validation.texts, test.texts) == (["c"], ["d"]) and test.labels.dtype == np.int32
    for line in ("no label\n", "a\t2\n", "\n\t\n"):
        with pytest.raises(ValueError, match=r"is not sentence<TAB>label"):
            list(sst2.read_tsv(line))


def test_snippets_of_reviews(tmp_path, monkeypatch, offline):
    lines = {
        name: "".join(f"{name} {n} \n" for n in range(50)) for name in ("negative", "positive")
    }
    source = prepare(tmp_path / "reviews", monkeypatch, MovieReviewsText, lines)
    tests = []
    for fold in (0, 7):
        splits = read_classification(ClassificationSource(data="reviews", fold=fold, **source))
        assert [len(split.texts) for split in splits] == [80, 10, 10]
        for split in splits:
            names = [split.names[label] for label in split.labels]
            assert [text.split()[0] for text in split.texts] == names
        tests.append(splits.test.texts)
    assert not set(tests[0]) & set(tests[1])


def test_words_with_labels(tmp_path, monkeypatch, offline):
    files = dict.fromkeys(("train", "validation", "test"), COLUMNS)
    source = prepare(tmp_path / "wikiann", monkeypatch, WikiAnnEnText, files)
    splits = read_tagging(TaggingSource(data="wikiann", **source))
    assert splits.test.sentences == [["New", "York"], ["a", "\u0085"], ["b"]]
    assert splits.train.labels == [["B-LOC", "I-LOC"], ["O", "O"], ["B-PER"]]
    files["test"] = "en:a\tI-LOC\n"
    source = prepare(tmp_path / "damaged", monkeypatch, Wnut17Text, files)
    with pytest.raises(RunError, match=r"^wnut17: cannot prepare .*not IOB2") as error:
        read_tagging(TaggingSource(data="wnut17", **source))
    assert "\n" not in str(error.value)


def test_names_and_folds_that_do_not_exist():
    for make, message in (
        (lambda: ClassificationSource(data="sst"), "data=sst: must be covidsenti or"),
        (
            lambda: ClassificationSource(data="reviews", fold=10),
            r"fold=10: must be within 0 \.\. 9",
        ),
        (lambda: ClassificationSource(data="sst2", fold=1), "fold=1: only with data=reviews"),
        (lambda: TaggingSource(data="conll"), "data=conll: must be ewt or wikiann or"),
    ):
        with pytest.raises(UsageError, match=f"^{message}"):
            make()


def test_a_missing_package_is_named(monkeypatch):
    with pytest.raises(RunError, match="the package no_such_package is missing"):
        found("no_such_package", "x")


def test_made_sentences_need_order():
    labelled = made_sentences.made_labelled(500, 0)
    assert np.bincount(labelled.labels).min() > 100
    for text, label in zip(labelled.texts, labelled.labels, strict=True):
        words = text.split()
        sign = (words[-1] in made_sentences.GOOD) - (words[-1] in made_sentences.BAD)
        assert label == 1 + sign * (-1 if "not" in words else 1)
    tagged = made_sentences.made_tagged(500, 0)
    kinds = collections.defaultdict(set)
    for words, labels in zip(tagged.sentences, tagged.labels, strict=True):
        check_iob2(labels)
        for word, label in zip(words, labels, strict=True):
            kinds[word].add(label[2:])
    assert kinds["Paris"] == {"PER", "LOC"} and kinds["Hill"] == {"PER", "ORG"}
    assert made_sentences.made_tagged(500, 0) == tagged


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("It’s NOT good; don't go!!", "it's not good ; don't go !!"),
        ("RT @who: 1,000 cases #Covid_19 …", "rt <user> : <number> cases # covid_19 …"),
        ("see https://t.co/aB-c, www.x.org", "see <link> <link>"),
        ("does n't it 's ok :-) <3 wow......", "does n't it 's ok :-) <3 wow ..."),
        ("🙏🏼字é naïve co-op", "🙏 🏼 字é naïve co - op"),
        (" \t\u2028 ", ""),
        ("", ""),
    ],
)
def test_tokens(text, tokens):
    assert tokenise(text) == tokens.split()


# --- the real ones ---


def test_each_set_registers_its_own_files_and_has_a_citation(tmp_path):
    for cls in SETS:
        infos: Any = cls.url_infos
        assert set(infos) == set(cls.URLS.values())
        info = cls(data_dir=tmp_path).info
        assert "year=" in info.citation and info.redistribution_info.license
        assert info.homepage.startswith("http")


def sizes(splits):
    return [len(split[0]) for split in splits]


@near("sst2")
def test_the_real_sst2(tmp_path, offline):
    source = ClassificationSource(str(tmp_path), str(SHARED / "sst2"), data="sst2")
    splits = read_classification(source)
    assert sizes(splits) == [6_920, 872, 1_821]
    assert splits.test.labels.sum() == 909


@pytest.mark.slow
@near("rt_polarity")
def test_the_real_movie_reviews(tmp_path, offline):
    source = ClassificationSource(str(tmp_path), str(SHARED / "rt_polarity"), data="reviews")
    splits = read_classification(source)
    assert sum(sizes(splits)) == 2 * 5_331
    assert sum(int(split.labels.sum()) for split in splits) == 5_331


@pytest.mark.slow
@near("covidsenti")
def test_the_real_covidsenti(tmp_path, offline):
    source = ClassificationSource(str(tmp_path), str(SHARED / "covidsenti"), data="covidsenti")
    splits = read_classification(source)
    counts = [np.bincount(split.labels) for split in splits]
    assert np.sum(counts, axis=0).tolist() == [16_335, 67_385, 6_280]
    shares = [count / count.sum() for count in counts]
    np.testing.assert_allclose(shares[1:], [shares[0]] * 2, atol=1e-3)
    assert max(abs(size - 9_000) for size in sizes(splits)[1:]) < 10
    keys = [{covid_senti.key(text) for text in split.texts} for split in splits]
    assert not keys[0] & keys[1] and not keys[0] & keys[2] and not keys[1] & keys[2]
    assert any("’" in text for text in splits.test.texts)
    assert not any("\u201a\u00c4" in text for split in splits for text in split.texts)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "folder", "sentences"),
    [
        pytest.param("wnut17", "wnut17", [3_394, 1_009, 1_287], marks=near("wnut17")),
        pytest.param("wikiann", "wikiann_en", [20_000, 10_000, 10_000], marks=near("wikiann_en")),
        pytest.param("ewt", "ud_english_ewt", [12_543, 2_001, 2_077], marks=near("ud_english_ewt")),
    ],
)
def test_the_real_tagging_sets(tmp_path, offline, name, folder, sentences):
    splits = read_tagging(TaggingSource(str(tmp_path), str(SHARED / folder), data=name))
    assert sizes(splits) == sentences
    if name == "wnut17":
        assert sum(map(len, splits.train.sentences)) == 62_730
    known = {label for labels in splits.train.labels for label in labels}
    assert len(known) == {"wnut17": 13, "wikiann": 7, "ewt": 17}[name]
    if name == "ewt":  # the words are the lines whose first column is a number
        (path,) = (SHARED / folder).glob("*test*.gz")
        lines = gzip.decompress(path.read_bytes()).decode().split("\n")
        forms = [line.split("\t")[1] for line in lines if line.partition("\t")[0].isdecimal()]
        assert [word for sentence in splits.test.sentences for word in sentence] == forms


def test_rows_are_kept_as_json(tmp_path, monkeypatch, offline):
    """A line separator within a text does not end a row."""
    files = {"train": "a\u2028b\u0085c\t1\n", "validation": "c\t0\n", "test": "d\t1\n"}
    source = prepare(tmp_path / "sst2", monkeypatch, Sst2Text, files)
    train, _, _ = read_classification(ClassificationSource(data="sst2", **source))
    assert train.texts == ["a\u2028b\u0085c"]
    assert json.dumps(train.texts[0])
