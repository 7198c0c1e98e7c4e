"""A sound as a picture: the frequencies that there are at each time, and what it is heard as."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from rnnlab import plots
from rnnlab.arrays import Float
from rnnlab.nn.mel import LogMel, hertz_to_mel, mel_to_hertz

#: Frequencies that are marked, in Hz.
MARKED = (100, 250, 500, 1000, 2000, 4000)


def plot(
    front: LogMel,
    frames: Float[np.ndarray, "T bands"],
    times: Float[np.ndarray, "steps+1"],
    probabilities: Float[np.ndarray, "steps K"],
    names: Sequence[str],
    title: str,
) -> Figure:
    """The log-mel frames of a sound, and below them the probability of each word at each time.

    Args:
        front: what made the frames.
        frames: of the sound.
        times: at which the steps of the network begin and the last one ends, in seconds.
        probabilities: of each word after each step.
        names: of the words.
        title: of the picture.
    """
    figure, axes = plots.subplots(2, 1, width=8, height=4.6, sharex=True)
    above, below = axes[:, 0]
    corners = front.corners()
    edges = np.concatenate([corners[:1], (corners[1:-2] + corners[2:-1]) / 2, corners[-1:]])
    seconds = (np.arange(len(frames) + 1) * front.hop + front.window / 2 - front.hop / 2) / (
        front.rate
    )
    shown = above.pcolormesh(seconds, edges, frames.T, cmap="magma", rasterized=True)
    above.set_yscale("function", functions=(hertz_to_mel, mel_to_hertz))
    ticks = [hertz for hertz in MARKED if front.lowest <= hertz <= front.highest]
    above.set_yticks(ticks, [str(hertz) for hertz in ticks])
    above.set_yticks([], minor=True)
    above.set(ylabel="frequency (Hz)", title=title)
    figure.colorbar(shown, ax=above, label="log energy (nats)")
    image = below.pcolormesh(
        times, np.arange(len(names) + 1), probabilities.T, cmap="Blues", vmin=0, vmax=1
    )
    below.set_yticks(np.arange(len(names)) + 0.5, names)
    below.set(xlabel="time (s)", ylabel="heard as")
    figure.colorbar(image, ax=below, label="probability")
    return figure
