"""Videos of a person as CSV files: where six joints are in each frame, as a Kinect saw them.

A file has a header with the names of the columns in any order: `lhx`, `lhy`, `lhz` and so on of the
joints `lh` and `rh` (hands), `h` (head), `s` (spine), `lw` and `rw` (wrists), then `timestamp` and,
where frames are labelled, `phase`. What else there is is left out.
"""

from __future__ import annotations

import csv
import gzip
import os
import pathlib
import zlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from rnnlab.arrays import Float
from rnnlab.errors import UsageError
from rnnlab.run.files import expanded

#: The joints in the order of `Motion.joints`, by the beginnings of their columns.
JOINTS = ("lh", "rh", "h", "s", "lw", "rw")
COLUMNS = tuple(joint + axis for joint in JOINTS for axis in "xyz")
TIMESTAMP, PHASE = "timestamp", "phase"
#: How the names of files of videos end.
ENDINGS = (".csv", ".gz")
#: Frames of a file, at most: 9 hours of 30 frames a second.
FRAMES = 1_000_000
#: What may stand between the columns of a line.
DELIMITERS = ",;\t"


class Motion(NamedTuple):
    """The frames of a video, in the order of time.

    Attributes:
        seconds: when each was taken, from the first one on.
        joints: positions x, y, z of each of `JOINTS`, in the units of the file.
        phases: the label of each frame as it was written; none where the file has no labels.
    """

    seconds: Float[np.ndarray, "T"]
    joints: Float[np.ndarray, "T joints axes"]
    phases: list[str]


def read_motion(name: str | os.PathLike[str]) -> Motion:
    """The frames of a CSV file, which may be packed as `NAME.gz`.

    Raises:
        UsageError: no such file, or one that is no such CSV; the error names the line.
    """
    path = expanded(name, "file")
    try:
        raw = path.read_bytes()
        text = (gzip.decompress(raw) if path.suffix.lower() == ".gz" else raw).decode()
    except UnicodeDecodeError as error:
        raise UsageError(f"{name}: is no text in UTF-8") from error
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise UsageError(f"{name}: cannot be unpacked; it is damaged") from error
    except OSError as error:
        raise UsageError(f"{name}: {error.strerror or error}") from error
    except ValueError as error:  # a name that no file can have
        raise UsageError(f"{name!r}: {error}") from error
    return parse_motion(text, str(pathlib.PurePath(name)))


def parse_motion(text: str, name: str) -> Motion:
    """The frames of a CSV file, given what it holds.

    Args:
        text: of the file; a byte order mark is left out, and columns may be separated by commas,
            semicolons or tabs.
        name: what errors call the file.

    Raises:
        UsageError: a column is missing, a field is no finite number, or there are no frames.
    """
    lines = text.removeprefix("\ufeff").splitlines()
    if not lines or not lines[0].strip():
        raise UsageError(f"{name}: is empty; its first line must name the columns")
    delimiter = max(DELIMITERS, key=lines[0].count)
    header = [field.strip().lower() for field in lines[0].split(delimiter)]
    missing = [column for column in (*COLUMNS, TIMESTAMP) if column not in header]
    if missing:
        raise UsageError(f"{name}: {_missing(missing, lines[0])}")
    wanted = [header.index(column) for column in (*COLUMNS, TIMESTAMP)]
    label = header.index(PHASE) if PHASE in header else None
    numbers, phases, places = [], [], []
    for place, row in enumerate(csv.reader(lines[1:], delimiter=delimiter), 2):
        if not any(map(str.strip, row)):
            continue
        if len(row) != len(header):
            raise UsageError(
                f"{name}: line {place} has {len(row)} fields, and the header {len(header)}"
            )
        numbers.append([_number(row[column], name, place, header[column]) for column in wanted])
        phases += [] if label is None else [row[label].strip()]
        places.append(place)
    if not 1 <= len(numbers) <= FRAMES:
        raise UsageError(f"{name}: has {len(numbers)} frames; it must have 1 .. {FRAMES:,}")
    table = np.array(numbers)
    seconds = _seconds(table[:, -1])
    late = np.flatnonzero(np.diff(seconds) <= 0)
    if len(late):
        raise UsageError(f"{name}: line {places[late[0] + 1]}: {TIMESTAMP} does not increase")
    return Motion(seconds, table[:, :-1].reshape(-1, len(JOINTS), 3), phases)


def _missing(columns: Sequence[str], header: str) -> str:
    if len(columns) == len(COLUMNS) + 1:
        return f"its first line names no joints, but {header.strip()[:40]!r}"
    more = f" and {len(columns) - 1} more" if len(columns) > 1 else ""
    return f"has no column {columns[0]}{more}"


def _number(field: str, name: str, place: int, column: str) -> float:
    try:
        value = float(field)
    except ValueError:
        value = np.nan
    if not np.isfinite(value) or abs(value) > 1e12:
        raise UsageError(f"{name}: line {place}: {column}={field.strip()[:20]!r} is no number")
    return value


def _seconds(stamps: Float[np.ndarray, "T"]) -> Float[np.ndarray, "T"]:
    """Seconds from the first frame, of timestamps.

    A Kinect's are minutes, two digits of seconds and three of milliseconds, in one number:
    5759999 is followed by 5800000. Where the seconds of some were 60 or more, all are milliseconds.
    """
    minutes, rest = np.divmod(stamps, 100_000)
    if (rest < 60_000).all():
        hours = np.cumsum(np.diff(minutes, prepend=minutes[:1]) < -30)  # 59 is followed by 0
        stamps = 3_600_000 * hours + 60_000 * minutes + rest
    return (stamps - stamps[0]) / 1000
