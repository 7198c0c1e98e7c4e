"""Pieces and words: what they are on lines by hand, and back to the line."""

import json

import pytest

from rnnlab.data.units import Pieces, Words, read_units
from rnnlab.errors import UsageError

LINES = ["the dog sees the cat", "Der Hund läuft.", "the  cat (z.B.) sleeps"] * 4
STRANGE = ("", " two  spaces ", "Hund\tläuft", "日本 😀 the cat", "<unk> </s>", "the dogs")


@pytest.fixture(scope="module")
def pieces():
    return Pieces.of(LINES, 40)


@pytest.mark.parametrize("line", [*LINES[:3], *STRANGE])
def test_pieces_keep_every_character(pieces, line):
    assert pieces.decode(pieces.encode(line)) == line


def test_pieces_join_what_is_frequent(pieces):
    assert pieces.encode("the cat") == ["\u2581the", "\u2581cat"]
    assert pieces.encode("日本") == ["\u2581", "日本"]  # unknown characters in a row are one token


def test_the_same_lines_give_the_same_pieces(pieces):
    assert Pieces.of(LINES, 40) == pieces != Pieces.of(LINES, 35)
    assert Pieces.of(LINES, 4000).encode("Hund")  # fewer pieces than that in so short a text


def test_too_few_pieces():
    with pytest.raises(UsageError, match="pieces=10: must be at least 25, since the text has 23"):
        Pieces.of(LINES, 10)
    assert Pieces.of(LINES, 25)
    with pytest.raises(UsageError, match="no character"):
        Pieces.of(["", " "], 10)


def test_words_of_a_line_and_back():
    words = Words("de")
    line = 'Ein Hund (braun) läuft, z.B. schnell; "gut" & schön.'
    cut = words.encode(line)
    assert cut[:6] == ["Ein", "Hund", "(", "braun", ")", "läuft"] and cut[-2:] == ["schön", "."]
    assert "z.B." in cut and "&" in cut
    assert words.decode(cut) == line
    assert words.encode("  ") == [] and words.decode([]) == ""
    assert Words("en").decode(Words("en").encode("The dog's ball isn't red.")) == (
        "The dog's ball isn't red."
    )


def test_units_are_json(pieces):
    for units in (pieces, Words("fr")):
        assert read_units(json.loads(json.dumps(units.record()))) == units
    with pytest.raises(ValueError, match="'letters'"):
        read_units({"kind": "letters"})
    for model in ("%%%", "AAAA"):  # no base 64, and no model of pieces
        with pytest.raises(ValueError):
            read_units({"kind": "pieces", "model": model})


def test_pieces_read_what_has_no_encoding_as_an_unknown_character(pieces):
    assert pieces.encode("a\udc80b") == pieces.encode("a\ufffdb")
