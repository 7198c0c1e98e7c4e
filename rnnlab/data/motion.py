"""What a network reads of the joints of a person: where hands and wrists are, and how fast.

Everything is known at its frame, without those to come.
"""

from __future__ import annotations

import numpy as np

from rnnlab.arrays import Float
from rnnlab.data.motion_files import JOINTS, Motion

#: The joints that gestures move; each moves with its twin of the other side.
MOVING = ("lh", "rh", "lw", "rw")
#: Frames over which a velocity is taken.
BACK = 3
#: The distance of head and spine below which a body has no size, in the units of the file.
LEAST = 1e-6
#: Numbers of a frame: positions first, then velocities, speeds, and the distance of the hands.
POSITIONS = 3 * len(MOVING)
FEATURES = 2 * POSITIONS + len(MOVING) + 1


def features(motion: Motion) -> Float[np.ndarray, "T features"]:
    """The numbers of each frame, float32 `[T, 29]`.

    - Positions `p` of hands and wrists from the spine: x to the side and y upwards in lengths of
      the body, from spine to head, so that neither the place of the camera nor the units of the
      file matter (those of one published video are a tenth of the others'); z, the depth, in the
      units of the file, which are the same in all.
    - Velocities `(p_t - p_{t-3}) / (s_t - s_{t-3})` by the seconds `s`, for cameras drop frames;
      at the start from the first frame on.
    - The norms of these velocities, and the distance of the hands.
    """
    at = dict(zip(JOINTS, motion.joints.swapaxes(0, 1), strict=True))
    size = np.linalg.norm((at["h"] - at["s"])[:, :2], axis=1, keepdims=True)
    size = np.where(size > LEAST, size, 1.0)
    unit = np.concatenate([size, -size, np.ones_like(size)], axis=1)  # a camera's y points down
    p = np.stack([(at[joint] - at["s"]) / unit for joint in MOVING], axis=1)
    back = np.maximum(np.arange(len(p)) - BACK, 0)
    passed = motion.seconds - motion.seconds[back]
    velocity = (p - p[back]) / np.where(passed > 0, passed, 1.0)[:, None, None]
    apart = np.linalg.norm(p[:, 0] - p[:, 1], axis=1, keepdims=True)
    speed = np.linalg.norm(velocity, axis=2)
    flat = (len(p), POSITIONS)
    parts = [p.reshape(flat), velocity.reshape(flat), speed, apart]
    return np.concatenate(parts, axis=1).astype(np.float32)


def mirrored(motion: Motion) -> Motion:
    """As in a mirror: left is right."""
    order = [JOINTS.index({"l": "r", "r": "l"}[j[0]] + j[1:] if len(j) > 1 else j) for j in JOINTS]
    joints = motion.joints[:, order].copy()
    joints[:, :, 0] *= -1
    return motion._replace(joints=joints)
