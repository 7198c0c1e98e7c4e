"""What foresees chords without a network: how often each key sounds, by itself and after itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from rnnlab.arrays import Float
from rnnlab.data.piano_roll import Roll

#: `-log p` of each frame of some rolls but the first.
Nats = Callable[[Sequence[Roll]], list[Float[np.ndarray, "T"]]]


def frequent(train: Sequence[Roll]) -> Nats:
    """Each key as often as in training, in every frame."""
    keys = np.concatenate([roll[1:] for roll in train])
    p = _share(keys.sum(axis=0), len(keys))
    return lambda rolls: [_nats(roll[1:], np.broadcast_to(p, roll[1:].shape)) for roll in rolls]


def persistent(train: Sequence[Roll]) -> Nats:
    """Each key as often as in training after a frame in which it sounds, or does not."""
    before = np.concatenate([roll[:-1] for roll in train]).astype(bool)
    keys = np.concatenate([roll[1:] for roll in train]).astype(bool)
    on = _share((keys & before).sum(axis=0), before.sum(axis=0))
    off = _share((keys & ~before).sum(axis=0), (~before).sum(axis=0))
    return lambda rolls: [_nats(roll[1:], np.where(roll[:-1], on, off)) for roll in rolls]


def _share(sounding: np.ndarray, every: np.ndarray | int) -> np.ndarray:
    """Shares with one more of each kind, so that nothing is impossible."""
    return (sounding + 1) / (np.asarray(every) + 2)


def _nats(keys: Roll, p: np.ndarray) -> np.ndarray:
    return -np.log(np.where(keys, p, 1 - p)).sum(axis=1)


BASELINES: dict[str, Callable[[Sequence[Roll]], Nats]] = {
    "how often each key sounds": frequent,
    "the same, after the frame before": persistent,
}
