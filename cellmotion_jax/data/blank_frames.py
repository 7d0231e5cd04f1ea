"""Frames without information: black, white, saturated, of camera noise alone, or far out of focus.

A frame is measured by itself (`measure_frame`) and judged against some frames of the same movie
(`usual_frames`, `why_blank`); no threshold is in grey levels. The judgement of a frame depends on this frame
and on the samples alone, so that it is the same in whatever order frames are read.
"""

from __future__ import annotations

import dataclasses
import enum
import math
import os
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
from jaxtyping import Float32, Num

from cellmotion_jax.data.movie import Movie
from cellmotion_jax.files import write_csv

BLANK_FRAMES = "blank_frames.csv"
"""Name of the table of frames without information in a folder of results."""
SAMPLES = 16
"""Frames of a movie that are read to learn what is usual in it, spread evenly from the first to the last."""
SIDES = (1, 2, 4, 8, 16, 32)
"""Sides in pixels of the blocks that are compared, one per scale."""
NOISE_MARGIN = 1.5
"""Factor on the largest contrast that white noise is expected to have: about 1.2 is what the removal of
single pixels adds to it, the rest is for the chance of a larger one."""
PATTERN = 2.0
"""Up to this multiple of that bound, what stands out may be the pattern of the camera (columns, amplifier),
if its contrast is faint."""
FAINT = 0.125
"""Share of the usual contrast below which contrast is faint."""
BLUR = 5.0
"""Factor by which fine contrast falls more than coarse contrast where focus is lost. Dim light, which lowers
both alike, is no reason to leave a frame out."""
FINE = SIDES.index(4)
"""First scale at which focus is judged."""
NAMED = 5
"""Frames that a message names."""
SATURATED = 0.5
"""Share of pixels at the highest value above which a frame is saturated, unless that is usual."""


class Blank(enum.Enum):
    """Why a frame has no information."""

    CONSTANT = "all pixels have the same value"
    SATURATED = "more than half of the pixels are saturated"
    NOISE = "nothing stands out of the camera noise"
    DEFOCUSED = "it is far out of focus"


class BlankFrame(NamedTuple):
    """A frame without information."""

    frame: int
    """Number of the frame, from 0."""
    name: str
    """Name of the frame, as in `data.movie.Movie.frame_names`."""
    reason: Blank
    """Why it has none."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class FrameMeasures:
    """What is measured in a frame.

    Attributes:
        saturated: Share of pixels that have the highest value of the frame; 1 for a constant frame.
        noise: Standard deviation of the noise of a pixel, in grey levels, with that of the rounding of whole
            numbers.
        contrast: Largest contrast of neighbouring blocks at each scale, in grey levels; as many scales as the
            frame has room for.
        bound: Largest contrast that white noise of this frame would have in units of ``noise / side``, with
            the side of a block: a frame of nothing else stays below it.
    """

    saturated: float
    noise: float
    contrast: tuple[float, ...]
    bound: float

    @property
    def above_noise(self) -> float:
        """Largest contrast in blocks of 2 pixels or more, in multiples of the largest of white noise.

        It is infinite for a frame that is too small to tell.
        """
        scales = zip(SIDES[1:], self.contrast[1:])
        largest = max((side * contrast for side, contrast in scales), default=math.inf)
        return _over(largest, self.noise * self.bound)


@dataclasses.dataclass(frozen=True, kw_only=True)
class UsualFrames:
    """Medians over the sampled frames that have information.

    Attributes:
        saturated: Share of pixels at the highest value.
        contrast: Largest contrast at each scale, in grey levels.
        noise: Largest contrast of white noise in blocks of one pixel.
    """

    saturated: float
    contrast: tuple[float, ...]
    noise: float

    @property
    def first_clear_scale(self) -> int:
        """First scale from blocks of 4 pixels on at which a faint contrast still stands out of the noise."""
        clear = (
            scale
            for scale, (side, contrast) in enumerate(zip(SIDES, self.contrast))
            if scale >= FINE and FAINT * contrast * side >= self.noise
        )
        return next(clear, len(SIDES))


FrameTest: TypeAlias = Callable[[Num[np.ndarray, "y x *channel"]], Blank | None]
"""Function of a frame that returns why it has no information, None where it has."""


def measure_frame(image: Num[np.ndarray, "y x *channel"]) -> FrameMeasures:
    r"""Measures noise and contrast of a frame.

    Single pixels that are above or below all of their eight neighbours are set to the nearest of these, so
    that hot pixels count neither as noise nor as structure. Of the rest,

    .. math:: \sigma^2 = \operatorname{mean} \tfrac14 (I_{00} - I_{01} - I_{10} + I_{11})^2, \qquad
        c_k = \max \tfrac{1}{\sqrt 6} |B_{-1} - 2 B_0 + B_1|

    over all disjoint squares of 2 x 2 pixels, and over all rows and columns of three neighbouring means B of
    blocks of :math:`2^k \times 2^k` pixels. Smooth gradients of light count in neither. White noise has
    :math:`c_k` of a few :math:`\sigma / 2^k` at every scale; cells, however few, have more at the scale of
    their size. Of colours the mean is taken.

    Args:
        image: Finite pixels in any unit.

    Returns:
        The measures.
    """
    grey = image if image.ndim == 2 else image.mean(axis=-1)
    lowest, highest = float(grey.min()), float(grey.max())
    # From 0 to 1: float32 is enough for any unit, and an offset costs no digits.
    unit = highest - lowest or 1.0
    blocks = _without_single_pixels(((grey - lowest) / unit).astype(np.float32))
    top, bottom = (_cut_even(blocks)[row::2] for row in (0, 1))
    mixed = top[:, ::2] - top[:, 1::2] - bottom[:, ::2] + bottom[:, 1::2]
    noise = unit * float(np.sqrt(np.mean(np.square(mixed)))) / 2 if mixed.size else 0.0
    contrast = []
    for _ in SIDES:
        if min(blocks.shape) < 3:
            break
        contrast.append(unit * max(_largest_difference(blocks), _largest_difference(blocks.T)))
        blocks = _halved(blocks)
    return FrameMeasures(
        saturated=float(np.mean(grey == highest)),
        noise=math.hypot(noise, 0.0 if image.dtype.kind == "f" else math.sqrt(1 / 12)),
        contrast=tuple(contrast),
        bound=NOISE_MARGIN * math.sqrt(2 * math.log(2 * grey.size)),
    )


def usual_frames(samples: Sequence[FrameMeasures]) -> UsualFrames | None:
    """What is usual in a movie.

    Args:
        samples: Measures of some of its frames.

    Returns:
        Medians over those in which something stands out of the noise; None if there are none.
    """
    good = [frame for frame in samples if frame.above_noise > 1]
    if not good:
        return None
    return UsualFrames(
        saturated=float(np.median([frame.saturated for frame in good])),
        contrast=tuple(np.median([frame.contrast for frame in good], axis=0).tolist()),
        noise=float(np.median([frame.noise * frame.bound for frame in good])),
    )


def why_blank(frame: FrameMeasures, usual: UsualFrames | None) -> Blank | None:
    """Judges a frame.

    Without information is a frame that is constant; of which more than half of the pixels have the highest
    value, where this is not usual; in which nothing stands out of the camera noise, or only what looks like
    the pattern of the camera (up to twice the bound of the noise, and less than an eighth of the usual
    contrast); or whose fine contrast is less than an eighth of the usual one and has fallen five times more
    than the coarse one. Fine are blocks of 4 pixels, or larger ones where noise would hide that an eighth is
    left; coarse are those that are at least four times as large.

    Args:
        frame: Measures of the frame.
        usual: What is usual in the movie; None if in none of its samples anything stands out of the noise: a
            frame of noise is then as usual as any other, and only a constant one is without information.

    Returns:
        The reason, or None.
    """
    if frame.saturated == 1:
        return Blank.CONSTANT
    if usual is None:
        return None
    if frame.saturated > SATURATED and usual.saturated < SATURATED / 2:
        return Blank.SATURATED
    if frame.above_noise <= 1:
        return Blank.NOISE
    shares = [_over(*pair) for pair in zip(frame.contrast, usual.contrast)]
    if frame.above_noise <= PATTERN and max(shares[FINE:], default=1.0) < FAINT:
        return Blank.NOISE
    first = usual.first_clear_scale
    if len(shares) < first + 3:
        return None
    fine, coarse = shares[first], max(shares[first + 2 :])
    return Blank.DEFOCUSED if fine < FAINT and fine * BLUR < coarse else None


def frame_test(movie: Movie) -> FrameTest:
    """The test of the frames of a movie.

    Args:
        movie: The movie, of which up to 16 frames are read now; all of a shorter one.

    Returns:
        The test. A frame with pixels that are NaN or infinite is not judged; whoever uses it refuses it.

    Raises:
        InputError: If one of these frames cannot be read.
    """
    numbers = np.unique(np.linspace(0, len(movie) - 1, min(SAMPLES, len(movie))).round().astype(int))
    samples = (movie[int(number)] for number in numbers)
    usual = usual_frames([measure_frame(image) for image in samples if np.isfinite(image).all()])

    def test(image: Num[np.ndarray, "y x *channel"]) -> Blank | None:
        return why_blank(measure_frame(image), usual) if np.isfinite(image).all() else None

    return test


def every_frame(image: Num[np.ndarray, "y x *channel"]) -> None:
    """The test that finds information in every frame, for those who want none to be left out."""


def write_blank_frames(path: str | os.PathLike[str], frames: Sequence[BlankFrame]) -> None:
    """Writes a table of the frames without information: ``frame`` (from 0), ``name`` and ``reason``.

    Args:
        path: The table; it is not written if there are none.
        frames: The frames.
    """
    if frames:
        write_csv(path, BlankFrame._fields, ((frame, name, reason.value) for frame, name, reason in frames))


def describe_blank_frames(frames: Sequence[BlankFrame]) -> str:
    """One sentence for the user on the frames without information; empty if there are none.

    >>> describe_blank_frames([BlankFrame(3, "t003.tif", Blank.NOISE)])
    '1 frame has no information and was left out: t003.tif (nothing stands out of the camera noise).'
    """
    if not frames:
        return ""
    count = "1 frame has" if len(frames) == 1 else f"{len(frames)} frames have"
    named = ", ".join(f"{frame.name} ({frame.reason.value})" for frame in frames[:NAMED])
    more = f", and {len(frames) - NAMED} more" if len(frames) > NAMED else ""
    return f"{count} no information and {'was' if len(frames) == 1 else 'were'} left out: {named}{more}."


def all_blank(movie: Movie, reason: Blank) -> str:
    """The message for a movie in which no frame has information.

    Args:
        movie: The movie.
        reason: Why its first frame has none.
    """
    return (
        f"{movie.path}: none of {len(movie)} frames has information; in {movie.frame_names[0]}, "
        f"{reason.value}. If you see cells there, give --no-skip-blank."
    )


def _without_single_pixels(image: Float32[np.ndarray, "y x"]) -> Float32[np.ndarray, "y x"]:
    """Clips every pixel to the range of its eight neighbours."""
    if min(image.shape) < 2:
        return image
    padded = np.pad(image, 1, mode="reflect")
    clipped = image
    for extreme, limit in ((np.minimum, np.maximum), (np.maximum, np.minimum)):
        above, below = padded[:-2], padded[2:]
        outer = extreme(above, below)
        of_outer = extreme(extreme(outer[:, :-2], outer[:, 1:-1]), outer[:, 2:])
        beside = extreme(padded[1:-1, :-2], padded[1:-1, 2:])
        clipped = limit(clipped, extreme(of_outer, beside))
    return clipped


def _cut_even(image: Float32[np.ndarray, "y x"]) -> Float32[np.ndarray, "even_y even_x"]:
    rows, columns = (side // 2 * 2 for side in image.shape)
    return image[:rows, :columns]


def _halved(image: Float32[np.ndarray, "y x"]) -> Float32[np.ndarray, "half_y half_x"]:
    """Means of disjoint squares of 2 x 2 pixels."""
    even = _cut_even(image)
    rows = even[::2] + even[1::2]
    return (rows[:, ::2] + rows[:, 1::2]) / 4


def _largest_difference(blocks: Float32[np.ndarray, "row block"]) -> float:
    """Largest second difference down the rows, in standard deviations of that of white noise."""
    return float(np.abs(blocks[2:] - 2 * blocks[1:-1] + blocks[:-2]).max()) / math.sqrt(6)


def _over(value: float, reference: float) -> float:
    """A ratio; infinite where something is compared with nothing, 0 where there is nothing at all."""
    return value / reference if reference else math.inf if value else 0.0
