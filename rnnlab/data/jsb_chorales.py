"""The chorales of J. S. Bach, a frame for each beat, as a TFDS builder.

Importing this module registers the builder `jsb_chorales_quarter`.
"""

import json
from collections.abc import Iterable
from typing import Any

from rnnlab.data.row_builder import RowBuilder

COMMIT = "9a7f733ddb4ed91f48da64ac7f0f621c34aadd4d"
FOLDER = f"https://raw.githubusercontent.com/czhuang/JSB-Chorales-dataset/{COMMIT}"
#: What the file calls the splits.
SPLITS = {"train": "train", "validation": "valid", "test": "test"}


class JsbChoralesQuarter(RowBuilder):
    """Chorales as the MIDI pitches that sound in each quarter note.

    The splits of Boulanger-Lewandowski et al. (2012): train has 229 chorales, validation 76 and
    test 77, in 13,807, 4,602 and 4,725 frames.
    """

    TITLE = "jsb_chorales"
    URLS = {"chorales": f"{FOLDER}/jsb-chorales-quarter.json"}  # noqa: RUF012
    HOMEPAGE = "https://github.com/czhuang/JSB-Chorales-dataset"
    CITATION = (
        "@inproceedings{boulanger2012modeling, author={Boulanger-Lewandowski, Nicolas and Bengio, "
        "Yoshua and Vincent, Pascal}, title={Modeling temporal dependencies in high-dimensional "
        "sequences: application to polyphonic music generation and transcription}, "
        "booktitle={ICML}, year={2012}}"
    )
    LICENCE = "The repository states none; the music is in the public domain."

    def rows(self, contents: dict[str, str]) -> dict[str, Iterable[Any]]:
        """The chorales of each split."""
        chorales = json.loads(contents["chorales"])
        return {split: chorales[name] for split, name in SPLITS.items()}
