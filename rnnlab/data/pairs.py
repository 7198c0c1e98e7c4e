"""Pairs of sentences to train a translator on: by name, or from two files of one's own."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from rnnlab.data.made_pairs import made_pairs
from rnnlab.data.source import MADE, Folders
from rnnlab.data.text import SPLITS, read_text, split_lines
from rnnlab.errors import RunError, UsageError
from rnnlab.run.workdir import Workdir

#: Languages of each parallel text.
LANGUAGES = {"multi30k": ("de", "en", "fr"), "tatoeba": ("es", "en"), MADE: ("de", "en")}
#: What `pairs` is where the text is in files of one's own.
FILES = "files"
#: Of Multi30k: the split of the data set behind each name; `test` is that of 2016.
MULTI30K = {
    "train": "train",
    "validation": "val",
    "test": "test_2016_flickr",
    "test_2017_flickr": "test_2017_flickr",
    "test_2017_mscoco": "test_2017_mscoco",
}
#: What a work directory keeps of the pairs: their fingerprint.
RECORD = "pairs.json"
#: Pairs that are made.
MADE_PAIRS = 800
#: Share of the sentences that validate, and that test, where a text has no splits of its own.
HELD_OUT = 0.05


@dataclasses.dataclass(frozen=True)
class PairSource(Folders):
    """Where pairs of sentences come from, and which language is translated into which."""

    #: multi30k, tatoeba, made (a small text for quick runs) or files (source_file, target_file).
    pairs: str = MADE
    #: Language that is read: de, en or fr of multi30k, es or en of tatoeba, de or en of made.
    source_language: str = "de"
    #: Language that is written.
    target_language: str = "en"
    #: A text file with one sentence a line, for pairs=files.
    source_file: str = ""
    #: A text file with the translation of each line of source_file.
    target_file: str = ""


class Pairs(NamedTuple):
    """Sentences and their translations.

    Attributes:
        source: the sentences that are read.
        target: what each is in the other language.
    """

    source: list[str]
    target: list[str]


def read_pairs(source: PairSource) -> dict[str, Pairs]:
    """The pairs of each split: `train`, `validation` and `test`, and further tests of Multi30k.

    Files of one's own are cut at random by a fixed seed, 90 % to train, 5 % to validate and 5 % to
    test, with all translations of a sentence in the same split. Lines end as in `split_lines`.

    Raises:
        UsageError: a text or language that there is not, files that are missing, are not UTF-8,
            have different numbers of lines, or are too short.
        RunError: the data set can be neither found nor downloaded, or is damaged.
    """
    if source.pairs == FILES:
        return _of_files(source)
    known = LANGUAGES.get(source.pairs)
    if known is None:
        names = ", ".join((*LANGUAGES, FILES))
        raise UsageError(f"pairs={source.pairs}: there is no such text; choose from {names}")
    for field in ("source_file", "target_file"):
        if getattr(source, field):
            raise UsageError(f"{field}: is read with --config.pairs={FILES} only")
    for field in ("source_language", "target_language"):
        language = getattr(source, field)
        if language not in known:
            raise UsageError(
                f"{field}={language}: {source.pairs} has {', '.join(known)}; choose one of them"
            )
    if source.source_language == source.target_language:
        raise UsageError(f"target_language={source.target_language}: is the source_language too")
    splits = _made() if source.pairs == MADE else _named(source)
    return {
        split: Pairs(lines[source.source_language], lines[source.target_language])
        for split, lines in splits.items()
    }


def fingerprint(splits: Mapping[str, Pairs]) -> str:
    """The sha256 of all pairs."""
    whole = json.dumps({split: list(pairs) for split, pairs in splits.items()}, sort_keys=True)
    return hashlib.sha256(whole.encode()).hexdigest()


def claim(workdir: Workdir, splits: Mapping[str, Pairs], name: str) -> None:
    """Records the pairs in a new work directory, or checks that an old one was trained on them.

    Args:
        workdir: of the run.
        splits: the pairs.
        name: what messages call them.

    Raises:
        UsageError: the work directory belongs to other pairs.
        RunError: its record is damaged.
    """
    here = {"sha256": fingerprint(splits)}
    path = workdir.path(RECORD)
    if not path.exists():
        workdir.write(RECORD, json.dumps(here) + "\n")
        return
    try:
        there = {"sha256": json.loads(path.read_text(encoding="utf-8"))["sha256"]}
    except (ValueError, LookupError, TypeError) as error:
        raise RunError(f"{path}: is damaged; delete the folder {workdir.root}") from error
    if here != there:
        raise UsageError(
            f"pairs={name}: the sentences have changed since training began; choose another work "
            "directory with --workdir=PATH"
        )


def cut_by(keys: Sequence[str], seed: int = 0) -> dict[str, list[int]]:
    """The places of each split, ascending; places with the same key are in the same split.

    5 % of the different keys validate and as many test, but one at least.
    """
    different = sorted(set(keys))
    order = np.random.default_rng(seed).permutation(len(different))
    held_out = max(1, int(HELD_OUT * len(different)))
    split_of = dict.fromkeys(different, "train")
    for name, start in (("validation", 0), ("test", held_out)):
        for index in order[start : start + held_out]:
            split_of[different[index]] = name
    places: dict[str, list[int]] = {split: [] for split in SPLITS}
    for place, key in enumerate(keys):
        places[split_of[key]].append(place)
    return places


def _of_files(source: PairSource) -> dict[str, Pairs]:
    lines = {}
    for field in ("source_file", "target_file"):
        path = getattr(source, field)
        if not path:
            raise UsageError(f"{field}: is empty; pairs={FILES} needs source_file and target_file")
        text = read_text(Path(os.path.expanduser(path)), field)
        lines[field] = [line.strip() for line in split_lines(text)]
    sources, targets = lines.values()
    if len(sources) != len(targets):
        raise UsageError(
            f"source_file={source.source_file} has {len(sources)} lines and target_file="
            f"{source.target_file} has {len(targets)}; line i of one must translate line i of the "
            "other"
        )
    places = cut_by(sources)
    if not places["train"]:
        raise UsageError(
            f"source_file={source.source_file}: has {len(set(sources))} different lines, too few "
            "to train, validate and test on; give 3 at least"
        )
    return {
        split: Pairs([sources[place] for place in kept], [targets[place] for place in kept])
        for split, kept in places.items()
    }


def _made() -> dict[str, dict[str, list[str]]]:
    german, english = made_pairs(MADE_PAIRS)
    places = cut_by(german)
    return {
        split: {"de": [german[place] for place in kept], "en": [english[place] for place in kept]}
        for split, kept in places.items()
    }


def _named(source: PairSource) -> dict[str, dict[str, list[str]]]:
    folders = source.data_dir or None, source.manual_dir or None
    try:  # TFDS costs half a second and may be absent
        from rnnlab.data.parallel import load_lines

        if source.pairs == "tatoeba":
            from rnnlab.data.tatoeba import TatoebaLines

            return {split: load_lines(TatoebaLines, *folders, split) for split in SPLITS}
        from rnnlab.data.multi30k import Multi30kLines
    except ModuleNotFoundError as error:
        raise RunError(
            f"pairs={source.pairs}: the package {error.name} is missing; install "
            "tensorflow-datasets and importlib_resources"
        ) from error
    return {name: load_lines(Multi30kLines, *folders, split) for name, split in MULTI30K.items()}
