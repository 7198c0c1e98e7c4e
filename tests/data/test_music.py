"""Chorales: those of Bach, on files made here and the real ones where they are near; made ones."""

import dataclasses
import gzip
import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from rnnlab.data.made_chorales import made_chorales
from rnnlab.data.music import JSB, MusicSource, read_music
from rnnlab.data.piano_roll import pitches
from rnnlab.errors import RunError, UsageError

pytest.importorskip("tensorflow_datasets")

from rnnlab.data.jsb_chorales import JsbChoralesQuarter

SHARED = Path(__file__).parents[2] / "../shared/data/jsb_chorales"
NAME = "jsb-chorales-quarter.json"
CHORALES = {"test": [[[60, 64], []]], "train": [[[21]], [[108, 60], [60]]], "valid": [[[50]]]}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with chorales of our own, packed, as if they were what upstream serves."""
    raw = json.dumps(CHORALES).encode()
    (url,) = JsbChoralesQuarter.URLS.values()
    info = JsbChoralesQuarter.registered(url)
    info = dataclasses.replace(info, size=len(raw), checksum=hashlib.sha256(raw).hexdigest())
    monkeypatch.setattr(JsbChoralesQuarter, "url_infos", {url: info})
    path = tmp_path / "files"
    path.mkdir()
    (path / f"{NAME}.gz").write_bytes(gzip.compress(raw))
    return path


def test_chorales_of_a_folder_and_then_without(folder, tmp_path, offline):
    source = MusicSource(data=JSB, data_dir=str(tmp_path / "data"), manual_dir=str(folder))
    for again in (source, dataclasses.replace(source, manual_dir="")):
        splits = read_music(again)
        assert [[pitches(one) for one in split] for split in splits] == [
            [[[21]], [[60, 108], [60]]],
            CHORALES["valid"],
            CHORALES["test"],
        ]
    assert offline == []


def test_without_a_file_and_without_a_network(tmp_path, offline):
    with pytest.raises(RunError, match=rf"jsb_chorales: cannot reach .* found no {NAME}"):
        read_music(MusicSource(data=JSB, data_dir=str(tmp_path)))
    with pytest.raises(UsageError, match=f"it must hold {NAME}"):
        read_music(MusicSource(data=JSB, data_dir=str(tmp_path), manual_dir=str(tmp_path / "no")))


@pytest.mark.skipif(not SHARED.exists(), reason="no chorales here")
def test_the_real_chorales(tmp_path, offline):
    splits = read_music(MusicSource(data=JSB, data_dir=str(tmp_path), manual_dir=str(SHARED)))
    assert [len(split) for split in splits] == [229, 76, 77]
    assert [sum(map(len, split)) for split in splits] == [13_807, 4_602, 4_725]
    assert pitches(splits.test[0])[:2] == [[72, 76, 79, 84], [72, 76, 79, 84]]
    assert offline == []


def test_made_chorales_have_four_voices_and_end_at_home():
    chorales = made_chorales(30, 0)
    for chorale in chorales:
        frames = pitches(chorale)
        assert set(map(len, frames)) == {4}
        assert frames[-1] == frames[-2]
        bass, *above = frames[-1]
        assert {(pitch - bass) % 12 for pitch in above} == {0, 4, 7}
    assert len({len(chorale) for chorale in chorales}) > 5
    np.testing.assert_array_equal(made_chorales(1, 4)[0], made_chorales(3, 4)[0])
    assert not np.array_equal(made_chorales(1, 4)[0], made_chorales(1, 5)[0])
