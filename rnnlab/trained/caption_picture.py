"""What a network looks at while it writes about a picture."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from rnnlab import plots
from rnnlab.arrays import Float, UInt8

#: Panels of a row, and inches of one whose picture is as high as it is wide.
COLUMNS, ROOM = 8, 1.2
#: How the end of a sentence is written.
END = "</s>"


def plot(
    pixels: UInt8[np.ndarray, "height width C"],
    words: Sequence[str],
    weights: Float[np.ndarray, "T+1 h w"] | None,
    boxes: Sequence[tuple[int, float, float, float]] = (),
) -> Figure:
    """The picture, and once more for each word with what was attended to brightened.

    Args:
        pixels: as the network sees it.
        words: of the sentence.
        weights: of the attention; None draws the picture alone.
        boxes: word, row, column and side in pixels of squares that are drawn around what the words
            name.
    """
    panels = [" ".join(words)] if weights is None else ["", *words, END]
    aspect = pixels.shape[1] / pixels.shape[0]
    columns = min(max(1, int(COLUMNS / max(aspect / 1.5, 1))), len(panels))
    rows = -(-len(panels) // columns)
    width = max(ROOM * columns * max(aspect, 1), 3.0)
    figure, axes = plots.subplots(
        rows, columns, width=width, height=rows * (width / columns / aspect + 0.3)
    )
    for ax in axes.flat[len(panels) :]:
        ax.axis("off")
    for place, (ax, word) in enumerate(zip(axes.flat, panels, strict=False)):
        show_pixels(ax, pixels)
        ax.set_title(word, fontsize=9, parse_math=False)
        if weights is None or not place:
            continue
        spread = weights[place - 1] / max(weights[place - 1].max(), 1e-9)
        extent = (-0.5, pixels.shape[1] - 0.5, pixels.shape[0] - 0.5, -0.5)
        ax.imshow(spread, cmap="Reds", alpha=0.65 * spread, extent=extent, interpolation="nearest")
        for at, top, left, side in boxes:
            if at == place - 1:
                frame = (left - 0.5, top - 0.5), side, side
                ax.add_patch(Rectangle(*frame, fill=False, color=plots.COLORS[0], lw=1.2))
    return figure


def show_pixels(ax: Axes, pixels: UInt8[np.ndarray, "height width C"]) -> None:
    """A picture as the network sees it in a thin frame; gray ones as ink on paper."""
    ax.set(xticks=[], yticks=[])
    for spine in ax.spines.values():
        spine.set(visible=True, color="#bbbbbb", lw=0.6)
    if pixels.shape[-1] == 1:
        ax.imshow(pixels[..., 0], cmap="gray_r", vmin=0, vmax=255, interpolation="nearest")
    else:
        ax.imshow(pixels, interpolation="nearest")
