"""Small videos of gestures that are made, for quick runs: both hands leave a lap and come back.

A hold and a rest both keep still, and a preparation and a retraction move alike: what happened
before tells them apart, or where the hands are.
"""

from __future__ import annotations

import numpy as np

from rnnlab.data.motion_files import JOINTS, Motion

#: Where the hands lie, from the spine: to the side, and down.
LAP = np.array([0.8, -0.4])


def made_motion(frames: int, seed: int) -> Motion:
    """A video of that many frames, 30 a second, in which one hand or both tell something."""
    rng = np.random.default_rng(seed)
    path, phases = _gestures(frames, rng)
    share = rng.uniform(0.3, 1, 2)
    joints = np.zeros((frames, len(JOINTS), 3))
    joints[:, JOINTS.index("h"), 1] = -2.5
    for side, (hand, wrist) in enumerate((("lh", "lw"), ("rh", "rw"))):
        sign = 2 * side - 1
        lap = LAP * [sign, -1] + rng.normal(0, 0.1, 2)
        moved = lap + share[side] * path * [sign, 1]
        joints[:, JOINTS.index(hand), :2] = moved
        joints[:, JOINTS.index(wrist), :2] = 0.9 * moved
    joints += rng.normal(0, 0.01, joints.shape) + rng.normal(0, 1, 3)
    seconds = np.cumsum(rng.uniform(0.025, 0.04, frames))
    return Motion(seconds - seconds[0], joints, phases)


def _gestures(frames: int, rng: np.random.Generator) -> tuple[np.ndarray, list[str]]:
    """The path of a hand from its lap, `[T, 2]`, and the phase of each frame."""
    path, phases = [np.zeros((0, 2))], []
    while len(phases) < frames:
        top = np.array([rng.uniform(-0.4, 0.4), rng.uniform(-2.5, -1.5)])
        end = top + rng.normal(0, 0.6, 2)
        turns = [(np.zeros(2), np.zeros(2), "rest"), (np.zeros(2), top, "preparation")]
        turns += [(top, end, "stroke")]
        turns += [(end, end, "hold")] if rng.random() < 0.5 else []
        for start, stop, phase in [*turns, (end, np.zeros(2), "retraction")]:
            count = int(rng.integers(8, 16))
            along = (1 - np.cos(np.pi * np.linspace(0, 1, count)))[:, None] / 2
            part = start + along * (stop - start)
            if phase == "stroke":  # strokes swing, which no other phase does
                part = part + 0.4 * np.sin(np.linspace(0, 4 * np.pi, count))[:, None]
            path.append(part)
            phases += [phase] * count
    return np.concatenate(path)[:frames], phases[:frames]
