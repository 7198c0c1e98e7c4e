"""Pictures in files of any format, mode and size, as the pixels that a network reads."""

from __future__ import annotations

import os
import pathlib
import warnings
from typing import IO, Any

import numpy as np

from rnnlab.arrays import Float, UInt8
from rnnlab.errors import UsageError
from rnnlab.run import reading

#: Endings of the names of files that hold pictures.
ENDINGS = (".png", ".jpg", ".jpeg", ".gif", ".bmp", ".tif", ".tiff", ".webp", ".ppm", ".pgm")
#: Pixels of a picture at most, which bounds the memory.
MOST = 50_000_000
#: Of the lightness 0 .. 255: differences from the paper that are no ink.
FAINT = 24.0

Picture = UInt8[np.ndarray, "height width 3"]


def read_picture(name: str | os.PathLike[str]) -> Picture:
    """The colours of a picture, upright.

    Where it is transparent, there is white; or black if what can be seen is light, which would
    vanish on white. Of an animation it is the first picture.

    Args:
        name: of the file.

    Raises:
        UsageError: there is no such file, it is no picture or a damaged one, or is too large.
    """
    if not str(name).strip():
        raise UsageError("an empty line is not the name of a picture")
    return picture_of(pathlib.Path(os.path.expanduser(name)), str(name))


def picture_of(file: pathlib.Path | IO[bytes], name: str) -> Picture:
    """As `read_picture`, of a path or an open file; `name` is what errors call it."""
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of strange metadata, and of many pixels
            with Image.open(file) as image:
                size = image.size
                if size[0] * size[1] <= MOST:
                    return _colours(ImageOps.exif_transpose(image))
    except UnidentifiedImageError as error:
        raise UsageError(f"{name}: is not a picture of a known format, such as PNG") from error
    except Image.DecompressionBombError as error:
        raise UsageError(f"{name}: has more than {MOST:,} pixels; make it smaller") from error
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError, PermissionError) as error:
        raise UsageError(f"{name}: {error.strerror}") from error
    except (OSError, ValueError, SyntaxError, EOFError) as error:  # what decoders raise
        raise UsageError(f"{name}: is damaged ({reading.first_line(error)})") from error
    raise UsageError(
        f"{name}: has {size[0]} by {size[1]} pixels; at most {MOST:,} are read, make it smaller"
    )


def _colours(image: Any) -> Picture:
    """Any mode as red, green and blue."""
    from PIL import Image

    if image.mode.startswith(("I", "F")):  # 16 and 32 bits for each pixel
        values = np.nan_to_num(np.asarray(image, np.float64))
        values = values / 257 if values.max(initial=0) > 255 else values
        gray = np.clip(np.rint(values), 0, 255).astype(np.uint8)
        return np.repeat(gray[..., None], 3, axis=-1)
    if "A" in image.mode or "a" in image.mode or "transparency" in image.info:
        image = image.convert("RGBA")
        paper = Image.new("RGBA", image.size, _paper(np.asarray(image)))
        image = Image.alpha_composite(paper, image)
    return np.asarray(image.convert("RGB"))


def _paper(pixels: UInt8[np.ndarray, "height width 4"]) -> str:
    """The colour below a transparent picture on which what it shows can be seen."""
    seen = lightness(pixels[..., :3])[pixels[..., 3] > 127]
    return "black" if seen.min(initial=255) > 255 - FAINT and seen.size else "white"


def lightness(picture: Picture) -> Float[np.ndarray, "height width"]:
    """How light each pixel is, 0 .. 255, by the weights of ITU-R BT.601."""
    return picture.astype(np.float64) @ np.array([0.299, 0.587, 0.114])


def letterboxed(picture: Picture, height: int, width: int) -> Picture:
    """A picture of another size: scaled as a whole, in the middle of the colour of its border."""
    from PIL import Image

    if picture.shape[:2] == (height, width):
        return picture
    scale = min(height / picture.shape[0], width / picture.shape[1])
    high, wide = (
        max(1, min(most, round(scale * n)))
        for n, most in zip(picture.shape[:2], (height, width), strict=True)
    )
    small = _resized(Image.fromarray(picture), high, wide)
    room = np.empty((height, width, 3), np.uint8)
    room[:] = border(picture)
    top, left = (height - high) // 2, (width - wide) // 2
    room[top : top + high, left : left + wide] = small
    return room


def _resized(image: Any, height: int, width: int) -> np.ndarray:
    """The means of the pixels that each new one covers; what grows is interpolated."""
    from PIL import Image

    shrinks = height <= image.height and width <= image.width
    method = Image.Resampling.BOX if shrinks else Image.Resampling.BILINEAR
    return np.asarray(image.resize((width, height), method))


def border(picture: UInt8[np.ndarray, "height width ..."]) -> np.ndarray:
    """The colour of the border: the median of its pixels."""
    edges = [picture[0], picture[-1], picture[:, 0], picture[:, -1]]
    return np.rint(np.median(np.concatenate(edges), axis=0)).astype(np.uint8)


def ink_of(picture: Picture) -> Float[np.ndarray, "height width"]:
    """How much ink is on each pixel, 0 .. 255: the difference in lightness from the border.

    So dark ink on light paper, and light ink on dark paper, are the same. The darkest is 255.
    """
    light = lightness(picture)
    edges = np.concatenate([light[0], light[-1], light[:, 0], light[:, -1]])
    ink = np.abs(light - np.median(edges))
    most = ink.max()
    return np.zeros_like(ink) if most < FAINT else ink * (255 / most)


def digit_of(picture: Picture, side: int, share: float = 20 / 28) -> UInt8[np.ndarray, "side side"]:
    """The one digit that a picture shows, as the digits of MNIST are.

    A picture of `side` by `side` pixels stays as it is, but for paper that is light. Of any other,
    what has ink is scaled so that it fits a share of the side, and its centre of mass is moved to
    the middle (Y. LeCun et al., "Gradient-based learning applied to document recognition", 1998).

    Args:
        picture: its colours.
        side: pixels of a side of the result.
        share: of a side that the digit takes.

    Raises:
        UsageError: there is no ink at all.
    """
    from PIL import Image

    ink = ink_of(picture)
    if not ink.any():
        raise UsageError("is of one colour, it shows no digit")
    if ink.shape == (side, side):
        return np.rint(ink).astype(np.uint8)
    rows, columns = np.nonzero(ink > 64)
    ink = ink[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    scale = max(1, round(share * side)) / max(ink.shape)
    high, wide = (max(1, round(scale * n)) for n in ink.shape)
    # Strokes that are scaled down keep the weight of their middle, as a pen's do.
    small = _resized(Image.fromarray(ink.astype(np.float32)), high, wide).astype(np.float64)
    small = small * (255 / max(small.max(), 1))
    total = max(small.sum(), 1e-9)
    middle = (small.sum(1) @ np.arange(high), small.sum(0) @ np.arange(wide)) / total
    room = np.zeros((side, side))
    top, left = (
        int(np.clip(round((side - 1) / 2 - at), 0, side - n))
        for at, n in zip(middle, (high, wide), strict=True)
    )
    room[top : top + high, left : left + wide] = small
    return np.rint(room).astype(np.uint8)
