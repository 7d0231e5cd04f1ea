"""Axes of an image file, and which of its planes are the frames of a movie."""

from __future__ import annotations

import math
import pathlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from cellmotion_jax.errors import InputError

LETTERS = "TCZYXS"
"""Axes that may be named: time, channel, slice, row, column, and the interleaved samples of a pixel."""
MOST_PLANES = 2**22
"""Planes of a file that are read."""
_UNDECLARED = "IQ"
_COLOURS = ("red", "green", "blue")
_MOST_NAMED = 8


class AxesChoice(NamedTuple):
    """What the user says of the axes of a file."""

    axes: str | None = None
    """A letter for each axis, in the order of the file; None believes the file."""
    channel: str | None = None
    """Number from 0, or name, of the channel to read; None where there is one."""


class Frames(NamedTuple):
    """Which planes of a file are the frames of a movie."""

    planes: tuple[int, ...]
    """Number of the plane of every frame. Planes are counted from 0 in the order of the file, with its axes
    before Y and X in row-major order."""
    shape: tuple[int, int]
    """Size (y, x)."""
    samples: int
    """Interleaved samples of every pixel in the file; 1 where there is no axis S."""
    sample: int | None
    """The sample that is read; None for all of them, or the only one."""


def find_frames(
    path: pathlib.Path,
    axes: str,
    shape: Sequence[int],
    *,
    choice: AxesChoice | None,
    names: Sequence[str] = (),
    colour: bool = False,
) -> Frames:
    """Finds the frames of a movie in an array of images.

    The rules: a single undeclared axis is time. Slices are never taken for time unless the user says so. Of
    several channels one must be chosen. Axes of length 1 do not count.

    Args:
        path: The file, for messages.
        axes: What the file says of its axes: letters of which ``YX``, or ``YXS``, are the last; I and Q are
            undeclared.
        shape: Their lengths.
        choice: What the user says; None where there are no such options, and a file with several channels is
            refused.
        names: Names of the channels, as far as they are known.
        colour: Frames are red, green and blue.

    Returns:
        The planes; with ``sample`` None and several samples in a file of colours in which no channel was
        chosen.

    Raises:
        InputError: If the axes are not those of a movie of single planes; it says which option would help.
    """
    size = " x ".join(map(str, shape))
    letters = _as_told(path, axes, size, choice)
    found = _Axes(path, letters, size, choice is not None)
    if not letters.rstrip("S").endswith("YX") or len(letters) - len(letters.rstrip("S")) > 1:
        raise InputError(found.unknown())
    samples = shape[-1] if letters.endswith("S") else 1
    height, width = shape[letters.index("YX")], shape[letters.index("YX") + 1]
    leading = letters[: letters.index("YX")]
    lengths = tuple(shape[: len(leading)])
    if len(leading) == 1 and leading in _UNDECLARED:
        leading = "T"
    if colour and samples != 3:
        raise InputError(
            f"{path} holds no images of red, green and blue (axes {axes}, {size}); save it as RGB with "
            "interleaved colours."
        )
    long = {letter: length for letter, length in zip(leading, lengths) if length > 1}
    others = [letter for letter, length in zip(leading, lengths) if length > 1 and letter not in "TCS"]
    if "Z" in long:
        raise InputError(found.of_slices())
    if others or sum(letter in "CS" for letter in long) > 1:
        raise InputError(found.unknown())
    of_planes = next((letter for letter in long if letter in "CS"), None)
    if of_planes is not None and samples > 1:
        raise InputError(found.unknown() if colour else found.of_channels_and_colours())
    number = 0
    sample = None
    if of_planes is not None:
        number = found.channel(long[of_planes], choice, names)
    elif samples > 1 and not colour:
        # Three or four samples may be grey that was saved as colours, which the pixels tell.
        if choice is None or (choice.channel is None and samples not in (3, 4)):
            raise InputError(found.of_channels(samples, _COLOURS if samples in (3, 4) else names))
        sample = None if choice.channel is None else found.channel(samples, choice, _COLOURS)
    elif choice is not None and choice.channel is not None and not colour:
        found.channel(1, choice, names)
    if math.prod(lengths) > MOST_PLANES:
        raise InputError(f"{path} declares {math.prod(lengths):,} planes; up to {MOST_PLANES:,} are read.")
    planes = np.arange(math.prod(lengths)).reshape(lengths)
    at = tuple(slice(None) if letter == "T" else number if letter == of_planes else 0 for letter in leading)
    return Frames(tuple(planes[at].ravel().tolist()), (height, width), samples, sample)


def _as_told(path: pathlib.Path, axes: str, size: str, choice: AxesChoice | None) -> str:
    """The axes of the user, where there are any, checked against those of the file."""
    if choice is None or choice.axes is None:
        return axes
    told = choice.axes.upper()
    if not told or len(set(told)) < len(told) or not set(told) <= set(LETTERS):
        raise InputError(
            f"axes is {choice.axes!r}; it is one of the letters {', '.join(LETTERS)} for each axis of the "
            "file, for example TYX or TCYX."
        )
    if len(told) != len(axes):
        raise InputError(
            f"axes is {choice.axes}, but {path} has {len(axes)} axes of more than one element ({axes}, "
            f"{size}); give a letter for each."
        )
    plane = told.rstrip("S")
    # Of images one pixel wide, tifffile may call another axis Y; the last axes are rows and columns.
    if not plane.endswith("YX") or not set(axes[len(plane) - 2 : len(plane)]) <= set("YX" + _UNDECLARED):
        raise InputError(
            f"axes is {choice.axes}, but the rows and columns of {path} are where {axes} has YX; name them "
            "Y and X."
        )
    if told.endswith("S") and not axes.endswith("S"):
        raise InputError(f"axes is {choice.axes}, but {path} has no interleaved samples ({axes}).")
    return told


class _Axes(NamedTuple):
    """The axes of a file, for messages."""

    path: pathlib.Path
    letters: str
    size: str
    has_options: bool

    def __str__(self) -> str:
        return f"axes {self.letters}, {self.size}"

    def of_slices(self) -> str:
        begin = f"{self.path} is a 3-D stack ({self}); movies are two-dimensional: project or pick a slice"
        if "T" in self.letters:
            return f"{begin}."
        if not self.has_options:
            return f"{begin}, and if the slices are time points, save them as frames."
        return f"{begin}, or, if the slices are time points, give --axes {self.letters.replace('Z', 'T')}."

    def unknown(self) -> str:
        begin = f"{self.path} has the axes {self.letters} ({self.size}); a movie has the axes TYX"
        if not self.has_options:
            return f"{begin}."
        example = "TCZ"[: len(self.letters) - 2] + "YX" if len(self.letters) <= 5 else "TCYX"
        return f"{begin}: say what they are, for example --axes {example}."

    def of_channels_and_colours(self) -> str:
        return f"{self.path} has channels and colours ({self}); save one grey channel."

    def of_channels(self, number: int, names: Sequence[str]) -> str:
        begin = f"{self.path} has colours or channels ({self}); "
        short = ""
        if "T" not in self.letters and self.letters[0] in "CS":
            cure = (
                f"give --axes T{self.letters[1:]}" if self.has_options else "save each as a file of its own"
            )
            short = f", or, if these are the frames of a short movie, {cure}"
        if not self.has_options:
            return f"{begin}save one grey channel{short}."
        return f"{begin}choose one by --channel: {_listed(number, names)}{short}."

    def channel(self, number: int, choice: AxesChoice | None, names: Sequence[str]) -> int:
        """Number of the channel that is chosen."""
        if choice is None or choice.channel is None:
            raise InputError(self.of_channels(number, names))
        told = choice.channel.strip()
        if told.isascii() and told.isdecimal() and len(told) < 10 and int(told) < number:
            return int(told)
        alike = [at for at, name in enumerate(names[:number]) if name.strip().lower() == told.lower()]
        if len(alike) == 1:
            return alike[0]
        if number == 1:
            raise InputError(f"channel is {choice.channel}, but {self.path} has one channel; leave it out.")
        raise InputError(
            f"channel is {choice.channel}, but {self.path} has the channels {_listed(number, names)}."
        )


def _listed(number: int, names: Sequence[str]) -> str:
    """The channels for a message: 0 (DAPI), 1 (GFP)."""
    if not any(names) or number > _MOST_NAMED:
        return "0 or 1" if number == 2 else f"0 to {number - 1}"
    shown = (f"{at} ({name[:40]})" if name else str(at) for at, name in enumerate(names[:number]))
    return ", ".join(shown)
