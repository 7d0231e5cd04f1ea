"""Writing of animated GIFs, frame by frame, with one fixed palette.

The first entries of every palette are greys, in which images and letters are drawn; the caller defines the
other colours. With a fixed palette no colours have to be searched, and frames compress well.
"""

from __future__ import annotations

import functools
import pathlib
from collections.abc import Iterable

import numpy as np
import PIL.Image
import PIL.ImageDraw
import PIL.ImageFont
from jaxtyping import Float, Shaped, UInt8
from matplotlib import get_data_path
from PIL.GifImagePlugin import getdata

from cellmotion_jax.errors import InputError
from cellmotion_jax.files import written_beside
from cellmotion_jax.report.images import Contrast

GREYS = 48
"""Number of greys; few, so that camera noise does not increase the file size."""
TEXT_HEIGHT = 24
_UNCHANGED = 255
"""Palette index of pixels that do not change from the picture before."""
_FONT_SIZE = 12
_NUMBER_SIZE = 11


def palette_of(colors: Float[np.ndarray, "color 3"]) -> bytes:
    """A palette of greys, from black to white, and of colours from number `GREYS` on.

    Args:
        colors: Red, green and blue from 0 to 1, at most 207.

    Returns:
        What `PIL.Image.Image.putpalette` takes.
    """
    greys = np.repeat(np.linspace(0, 1, GREYS)[:, None], 3, axis=1)
    used = np.concatenate([greys, colors])
    return np.round(255 * np.pad(used, ((0, 256 - len(used)), (0, 0)))).astype(np.uint8).tobytes()


def grey_picture(
    image: Shaped[np.ndarray, "y x"], shape: tuple[int, int], contrast: Contrast
) -> UInt8[np.ndarray, "row column"]:
    """An image in numbers of greys: averaged where it gets smaller, blocks of pixels where it gets larger.

    Args:
        image: Any real type.
        shape: Rows and columns of the picture.
        contrast: Contrast of the movie.

    Returns:
        Numbers of the palette.
    """
    values = PIL.Image.fromarray(image.astype(np.float32))
    resized = values.resize((shape[1], shape[0]), PIL.Image.Resampling.BOX)
    return np.round(contrast.shares(np.asarray(resized)) * (GREYS - 1)).astype(np.uint8)


def write_letters(canvas: PIL.Image.Image, place: tuple[int, int], text: str) -> None:
    """Writes white letters on black with smooth edges, which the greys of the palette allow.

    Args:
        canvas: A picture in numbers of a palette.
        place: Left and top.
        text: One line.
    """
    letters = PIL.Image.new("L", (letters_width(text), TEXT_HEIGHT - 4))
    PIL.ImageDraw.Draw(letters).text((0, 0), text, fill=255, font=_font(_FONT_SIZE))
    greys = np.asarray(letters).astype(np.float32) / 255 * (GREYS - 1)
    canvas.paste(PIL.Image.fromarray(np.round(greys).astype(np.uint8)), place)


def letters_width(text: str) -> int:
    """Width in pixels of a line that `write_letters` writes."""
    return round(_font(_FONT_SIZE).getlength(text)) + 1


def write_number(
    canvas: PIL.Image.Image, middle: tuple[int, int], number: int, *, colors: tuple[int, int]
) -> None:
    """Writes a small number over a picture, with a rim that separates it from what lies below.

    Args:
        canvas: A picture in numbers of a palette.
        middle: Place (x, y) of its middle; what does not fit into the picture is cut off.
        number: Not negative.
        colors: Numbers of the palette for the digits and for their rim.
    """
    digits, rim = _digits(number)
    place = middle[0] - digits.width // 2, middle[1] - digits.height // 2
    for mask, color in ((rim, colors[1]), (digits, colors[0])):
        canvas.paste(color, place, mask)


@functools.lru_cache(maxsize=4096)
def _digits(number: int) -> tuple[PIL.Image.Image, PIL.Image.Image]:
    """Masks of the digits of a number and of their rim; a palette has no colours between."""
    font, text = _font(_NUMBER_SIZE), str(number)
    left, top, right, bottom = (round(side) for side in font.getbbox(text, stroke_width=1))
    masks = []
    for stroke in (0, 1):
        mask = PIL.Image.new("1", (right - left, bottom - top))
        pen = PIL.ImageDraw.Draw(mask)
        pen.fontmode = "1"
        pen.text((-left, -top), text, fill=1, font=font, stroke_width=stroke)
        masks.append(mask)
    return masks[0], masks[1]


@functools.cache
def _font(size: int) -> PIL.ImageFont.FreeTypeFont:
    # Pillow's own letters have no µ.
    return PIL.ImageFont.truetype(f"{get_data_path()}/fonts/ttf/DejaVuSans.ttf", size)


def write_gif(pictures: Iterable[PIL.Image.Image], out: pathlib.Path, *, frames_per_s: float) -> int:
    """Writes pictures one by one; only one and its predecessor are in memory.

    Pixels that do not change need hardly any space in the file.

    Args:
        pictures: All in numbers of one palette and of one size; number 255 is not used.
        out: The file, which ends in ``.gif``.
        frames_per_s: Frames per second, 1 to 50.

    Returns:
        The number of pictures.

    Raises:
        InputError: If there is none, ``out`` does not end in ``.gif`` or the speed is out of its range.
    """
    if out.suffix.lower() != ".gif":
        raise InputError(f"{out} does not end in .gif, the format of animated pictures here.")
    if not 1 <= frames_per_s <= 50:
        raise InputError(f"frames_per_s is {frames_per_s:g}; 1 to 50 are right.")
    ahead = iter(pictures)
    first = next(ahead, None)
    if first is None:
        raise InputError(f"there is no frame to write to {out}; a movie has at least one.")
    duration = round(1000 / frames_per_s)
    count = 1
    with written_beside(out) as partial, partial.open("wb") as file:
        first.save(file, format="GIF", loop=0, optimize=False, duration=duration)
        # Over the byte that ends the file; Pillow's own way to several frames keeps them all in memory.
        file.seek(-1, 2)
        before = np.asarray(first)
        for picture in ahead:
            now = np.asarray(picture)
            changed = PIL.Image.fromarray(np.where(now == before, np.uint8(_UNCHANGED), now))
            file.writelines(getdata(changed, duration=duration, transparency=_UNCHANGED, disposal=1))
            before = now
            count += 1
        file.write(b";")
    return count
