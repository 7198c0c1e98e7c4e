"""Videos as CSV files, what is read of them, random windows, and the gesture phases themselves."""

import gzip
import json
import pathlib

import numpy as np
import pytest

from rnnlab.data.frame_windows import frame_windows
from rnnlab.data.labelled_frames import (
    GESTURES,
    PHASES,
    FrameSource,
    read_frames,
    video,
)
from rnnlab.data.made_motion import made_motion
from rnnlab.data.motion import FEATURES, POSITIONS, features, mirrored
from rnnlab.data.motion_files import COLUMNS, JOINTS, Motion, parse_motion, read_motion
from rnnlab.errors import UsageError
from tests.data.test_sets import SHARED

FOLDER = SHARED / "gesture_phase"
shared = pytest.mark.skipif(not FOLDER.exists(), reason="the data are not here")


def csv(motion, stamps=None, delimiter=",", phases=True):
    """A file of a video, as a Kinect writes it."""
    stamps = 1000 * motion.seconds if stamps is None else stamps
    names = [*COLUMNS, "timestamp", *(["phase"] if phases else [])]
    lines = [delimiter.join(names)]
    for joints, stamp, phase in zip(motion.joints, stamps, motion.phases, strict=True):
        more = [phase] if phases else []
        lines.append(delimiter.join([*map(repr, joints.ravel().tolist()), f"{stamp:.0f}", *more]))
    return "\n".join(lines) + "\n"


@pytest.fixture(scope="module")
def motion():
    return made_motion(20, 0)


# --- files ---


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_a_file_read_again(motion, delimiter):
    text = "\ufeff" + csv(motion, delimiter=delimiter).replace("\n", "\r\n")
    found = parse_motion(text, "x.csv")
    np.testing.assert_array_equal(found.joints, motion.joints)
    np.testing.assert_allclose(found.seconds, motion.seconds, atol=1e-3)
    assert found.phases == motion.phases
    assert parse_motion(csv(motion, phases=False), "x.csv").phases == []


def test_columns_in_another_order_and_others_beside_them(motion):
    rows = [line.split(",") for line in csv(motion).splitlines()]
    text = "\n".join(",".join(["7", *reversed(row)]) for row in rows).replace("7,phase", "n,phase")
    np.testing.assert_array_equal(parse_motion(text, "x").joints, motion.joints)


def test_timestamps_of_a_kinect_turn_over_at_minutes(motion):
    """57:59.980, 58:00.010 and 58:00.050 are 30 and 40 ms apart; an hour follows 59."""
    three = Motion(motion.seconds[:3], motion.joints[:3], motion.phases[:3])
    found = parse_motion(csv(three, np.array([5759980, 5800010, 5800050])), "x")
    np.testing.assert_allclose(found.seconds, [0, 0.03, 0.07], atol=1e-9)
    found = parse_motion(csv(three, np.array([5959990, 20, 50])), "x")
    np.testing.assert_allclose(found.seconds, [0, 0.03, 0.06], atol=1e-9)
    found = parse_motion(csv(three, np.array([59000, 61000, 101000])), "x")  # milliseconds
    np.testing.assert_allclose(found.seconds, [0, 2, 42], atol=1e-9)


def _with(field, column="rwz", line=3):
    rows = [row.split(",") for row in csv(made_motion(5, 0)).splitlines()]
    rows[line - 1][rows[0].index(column)] = field
    return "\n".join(map(",".join, rows))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "x.csv: is empty"),
        ("hello\nworld\n", "x.csv: its first line names no joints, but 'hello'"),
        (",".join([*COLUMNS, "timestamp"]), "x.csv: has 0 frames"),
        (csv(made_motion(3, 0)).replace("rhx", "righthandx"), "x.csv: has no column rhx"),
        (csv(made_motion(3, 0)).replace("rh", "r_h"), "x.csv: has no column rhx and 2 more"),
        (csv(made_motion(3, 0), delimiter="|"), "x.csv: its first line names no joints"),
        (_with("nan"), "x.csv: line 3: rwz='nan' is no number"),
        (_with(""), "x.csv: line 3: rwz='' is no number"),
        (_with("inf"), "x.csv: line 3: rwz='inf' is no number"),
        (_with("1,5"), "x.csv: line 3 has 21 fields, and the header 20"),
        (_with("0", "timestamp", 4), "x.csv: line 4: timestamp does not increase"),
    ],
)
def test_files_that_are_no_such_csv(text, message):
    with pytest.raises(UsageError) as caught:
        parse_motion(text, "x.csv")
    assert str(caught.value).startswith(message) and "\n" not in str(caught.value)


def test_files_that_cannot_be_opened(tmp_path, motion):
    packed = tmp_path / "x.csv.gz"
    packed.write_bytes(gzip.compress(csv(motion).encode()))
    assert len(read_motion(packed).joints) == 20
    (tmp_path / "cut.gz").write_bytes(packed.read_bytes()[:200])
    (tmp_path / "latin.csv").write_bytes(b"\xff\xfe\x00")
    wrong = {"cut.gz": "is damaged", "latin.csv": "no text in UTF-8", "none.csv": "No such file"}
    for name, message in wrong.items():
        with pytest.raises(UsageError, match=message):
            read_motion(tmp_path / name)
    with pytest.raises(UsageError, match="null byte"):
        read_motion("a\0b.csv")


# --- features ---


def test_features_by_the_equations(motion):
    found, joints = features(motion), motion.joints
    assert found.shape == (20, FEATURES) and found.dtype == np.float32
    moving = [JOINTS.index(name) for name in ("lh", "rh", "lw", "rw")]
    at = []
    for frame in joints:
        head, spine = frame[JOINTS.index("h")], frame[JOINTS.index("s")]
        size = np.hypot(*(head - spine)[:2])
        at.append([(frame[j] - spine) / [size, -size, 1] for j in moving])
    for t in range(20):
        back = max(t - 3, 0)
        passed = motion.seconds[t] - motion.seconds[back] or 1
        speed = (np.array(at[t]) - at[back]) / passed
        apart = np.linalg.norm(at[t][0] - at[t][1])
        expected = [*np.ravel(at[t]), *speed.ravel(), *np.linalg.norm(speed, axis=1), apart]
        np.testing.assert_allclose(found[t], expected, rtol=1e-5, atol=1e-5)


def test_features_know_nothing_of_what_follows_nor_of_place_and_size(motion):
    half = Motion(motion.seconds[:9], motion.joints[:9], motion.phases[:9])
    np.testing.assert_array_equal(features(half), features(motion)[:9])
    moved = motion._replace(joints=motion.joints * [0.1, 0.1, 1] + [3, -2, 1])
    np.testing.assert_allclose(features(moved), features(motion), rtol=1e-4, atol=1e-4)
    point = motion._replace(joints=np.zeros_like(motion.joints))
    assert (features(point) == 0).all()  # a body without size


def test_a_mirror_swaps_the_sides(motion):
    seen, swapped = features(motion), features(mirrored(motion))
    a, b = (x[:, :POSITIONS].reshape(-1, 4, 3) for x in (seen, swapped))
    np.testing.assert_allclose(b, a[:, [1, 0, 3, 2]] * [-1, 1, 1], rtol=1e-6)
    np.testing.assert_array_equal(features(mirrored(mirrored(motion))), seen)


# --- windows ---


def test_windows_are_parts_of_videos():
    videos = [video(str(s), made_motion(n, s)) for s, n in enumerate((30, 50, 8))]
    data = frame_windows(videos, 64, 10, 3, mirror=True)
    batch = data[5]
    frames, labels = batch.values
    starts = set()
    for row in range(64):
        length = batch.lengths[0][row]
        assert length == batch.lengths[1][row]
        here = frames[row, :length]
        found = [
            (v.name, start, seen is v.features)
            for v in videos
            for seen in (v.features, v.mirrored)
            for start in range(max(len(v.labels) - 9, 1))
            if np.array_equal(seen[start : start + 10], here)
            and np.array_equal(v.labels[start : start + 10], labels[row, :length])
        ]
        assert len(found) == 1
        starts |= set(found)
    assert {name for name, _, _ in starts} == {"0", "1", "2"}
    assert {straight for _, _, straight in starts} == {True, False}
    again = frame_windows(videos, 64, 10, 3, mirror=True)[5]
    np.testing.assert_array_equal(again.values[0], frames)
    plain = frame_windows(videos, 64, 10, 3)[5].values[0]
    assert not np.array_equal(plain, frames)


# --- data sets ---


def test_made_videos():
    splits = read_frames(FrameSource())
    assert [len(split) for split in splits] == [6, 2, 2]
    assert set(np.concatenate([v.labels for v in splits.test]).tolist()) == set(range(5))
    with pytest.raises(UsageError, match="v: phase='jump'; must be rest, preparation"):
        video("v", made_motion(3, 0)._replace(phases=["rest", "jump", "rest"]))
    with pytest.raises(UsageError, match="v: frames without a phase"):
        video("v", made_motion(3, 0)._replace(phases=[]))


@shared
@pytest.mark.slow
def test_the_gesture_phases(tmp_path):
    """Splits by users, and phases that are those of the files of velocities from frame 4 on."""
    splits = read_frames(FrameSource(str(tmp_path), str(FOLDER), GESTURES, "b1"))
    names = [[one.name for one in split] for split in splits]
    assert names == [["a1", "a2", "a3", "b3"], ["b1"], ["c1", "c3"]]
    frames = {one.name: one for split in splits for one in split}
    assert sum(len(one.labels) for one in frames.values()) == 9901
    initials = {"rest": "D", "preparation": "P", "stroke": "S", "hold": "H", "retraction": "R"}
    for name, one in frames.items():
        text = gzip.decompress((FOLDER / f"{name}_va3.csv.gz").read_bytes()).decode("utf-8-sig")
        letters = [line.split(",")[-1] for line in text.splitlines()[1:]]
        assert [initials[PHASES[label]] for label in one.labels[4:]] == letters
        assert np.isfinite(one.features).all() and np.diff(one.seconds).max() < 1
    sizes = [np.ptp(one.features[:, :POSITIONS], axis=0).max() for one in frames.values()]
    assert max(sizes) < 3 * min(sizes)  # b3 is written in a tenth of the units of the others
    (row, *_) = (tmp_path / "gesture_phase_frames").iterdir()
    assert pathlib.Path(row).is_dir() and json.loads(json.dumps(names))
