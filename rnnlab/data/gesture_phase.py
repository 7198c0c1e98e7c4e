"""People who tell stories, and the phases of their gestures, as a TFDS builder.

Importing this module registers the builder `gesture_phase_frames`.
"""

from collections.abc import Iterable
from typing import Any

from rnnlab.data.motion_files import parse_motion
from rnnlab.data.row_builder import RowBuilder

COMMIT = "78dd0d6ce1050740faf3252d6af81a9714d1dbe1"
FOLDER = f"https://raw.githubusercontent.com/Fmelle/Gesture-Phase-Segmentation/{COMMIT}/data_files"
#: The videos: a user, and the story that is told.
VIDEOS = ("a1", "a2", "a3", "b1", "b3", "c1", "c3")
#: One frame of b1 is labelled in Portuguese.
TRANSLATED = {"preparação": "preparation"}


class GesturePhaseFrames(RowBuilder):
    """The raw files of seven videos, a row for each: joints and phase of 9,901 frames."""

    TITLE = "gesture_phase"
    URLS = {video: f"{FOLDER}/{video}_raw.csv" for video in VIDEOS}  # noqa: RUF012
    HOMEPAGE = "https://archive.ics.uci.edu/dataset/302/gesture+phase+segmentation"
    CITATION = (
        "@inproceedings{madeo2013gesture, author={Madeo, Renata C. B. and Lima, Clodoaldo A. M. "
        "and Peres, Sarajane M.}, title={Gesture unit segmentation using support vector machines: "
        "segmenting gestures from rest positions}, booktitle={ACM Symposium on Applied Computing}, "
        "year={2013}}"
    )
    LICENCE = "The repository states none; a data set of the UCI Machine Learning Repository."

    def rows(self, contents: dict[str, str]) -> dict[str, Iterable[Any]]:
        """The videos, in one split."""
        return {"everything": [_row(video, contents[video]) for video in VIDEOS]}


def _row(video: str, text: str) -> dict[str, Any]:
    motion = parse_motion(text, f"{video}_raw.csv")
    phases = [TRANSLATED.get(phase.lower(), phase.lower()) for phase in motion.phases]
    return {
        "video": video,
        "seconds": motion.seconds.tolist(),
        "joints": motion.joints.tolist(),
        "phases": phases,
    }
