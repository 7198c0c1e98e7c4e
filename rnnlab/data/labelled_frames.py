"""Videos with a label for each frame, by the names that flags use."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import numpy as np

from rnnlab.arrays import Float, Int
from rnnlab.data.made_motion import made_motion
from rnnlab.data.motion import features, mirrored
from rnnlab.data.motion_files import Motion
from rnnlab.data.sentences import Splits
from rnnlab.data.source import MADE, Folders, found
from rnnlab.errors import UsageError
from rnnlab.run import checks

GESTURES = "gesture_phase"
#: The phases of a gesture, which are the labels.
PHASES = ("rest", "preparation", "stroke", "hold", "retraction")
#: Videos of gesture_phase whose users train, and those of the user who tests.
SEEN, UNSEEN = ("a1", "a2", "a3", "b1", "b3"), ("c1", "c3")
#: Videos that are made to train on, to validate on and to test with, and their frames.
COUNTS, FRAMES = (6, 2, 2), 240


class Video(NamedTuple):
    """A video with its labels.

    Attributes:
        name: of the video.
        seconds: when each frame was taken.
        features: what a network reads of each frame (`motion.features`).
        mirrored: the same of the video in a mirror.
        labels: of each frame, an index into `PHASES`.
    """

    name: str
    seconds: Float[np.ndarray, "T"]
    features: Float[np.ndarray, "T features"]
    mirrored: Float[np.ndarray, "T features"]
    labels: Int[np.ndarray, "T"]


@dataclasses.dataclass(frozen=True)
class FrameSource(Folders):
    """Which videos are labelled."""

    #: gesture_phase (people who tell stories), or made (for quick runs).
    data: str = MADE
    #: Of gesture_phase: the video of those of users a and b that validates; the others train, and
    #: user c tests. It is a1, a2, a3, b1 or b3.
    validation: str = "a3"

    def __post_init__(self) -> None:
        """Checks both."""
        checks.one_of(self, "data", (GESTURES, MADE))
        checks.one_of(self, "validation", SEEN)


def read_frames(source: FrameSource) -> Splits[list[Video]]:
    """The splits of a data set.

    Raises:
        UsageError: `manual_dir` is not a folder.
        RunError: it can be neither found nor downloaded, or is damaged.
    """
    if source.data == MADE:
        made = [video(f"made {seed}", made_motion(FRAMES, seed)) for seed in range(sum(COUNTS))]
        first, second = COUNTS[0], COUNTS[0] + COUNTS[1]
        return Splits(made[:first], made[first:second], made[second:])
    builder = found("rnnlab.data.gesture_phase", "GesturePhaseFrames")
    load = found("rnnlab.data.row_builder", "load_rows")
    rows = load(builder, source.data_dir or None, source.manual_dir or None, "everything")
    videos = {row["video"]: _of_row(row) for row in rows}
    train = [videos[name] for name in SEEN if name != source.validation]
    return Splits(train, [videos[source.validation]], [videos[name] for name in UNSEEN])


def video(name: str, motion: Motion) -> Video:
    """A video with what a network reads of it.

    Raises:
        UsageError: frames have no phase, or one that is not in `PHASES`.
    """
    strange = [phase for phase in motion.phases if phase not in PHASES]
    if strange or len(motion.phases) != len(motion.joints):
        what = f"phase={strange[0]!r}" if strange else "frames without a phase"
        raise UsageError(f"{name}: {what}; must be {', '.join(PHASES)}")
    labels = np.array([PHASES.index(phase) for phase in motion.phases], np.int32)
    return Video(name, motion.seconds, features(motion), features(mirrored(motion)), labels)


def _of_row(row: dict) -> Video:
    motion = Motion(np.array(row["seconds"]), np.array(row["joints"]), row["phases"])
    return video(row["video"], motion)
