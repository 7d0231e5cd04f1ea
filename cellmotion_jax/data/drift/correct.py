"""Drift-corrected movies (Gómez-de-Mariscal et al. 2021, Appendix A).

movie = drift_corrected(open_movie("experiment.tif"))
write_drift("drift.csv", movie)
"""

from __future__ import annotations

import dataclasses
import enum
import os
from typing import NamedTuple, SupportsIndex

import numpy as np
from jaxtyping import Bool, Float, Float64, Num
from scipy import ndimage
from tqdm import tqdm

from cellmotion_jax.data.drift.registration import Placement, Reference, first_reference, place_frame
from cellmotion_jax.data.drift.stackreg import affine_aligner
from cellmotion_jax.data.movie import Movie, read_finite
from cellmotion_jax.errors import InputError
from cellmotion_jax.files import write_csv

LONGEST_GAP = 5
"""Largest number of consecutive frames that may be blank or blurred; the drift is not known beyond it."""
COLUMNS = ("frame", "dy_px", "dx_px", "yy", "yx", "y0_px", "xy", "xx", "x0_px", "correlation", "measured")
COLUMNS_IN_UM = ("dy_um", "dx_um")
_LINEAR = np.s_[:, :2]


class Correction(enum.Enum):
    """Kind of drift correction."""

    whole_pixels = enum.auto()
    """Translation, rounded to pixels: frames are cut out and no grey value changes."""
    subpixel = enum.auto()
    """Translation, by cubic interpolation."""
    affine = enum.auto()
    """Translation, rotation, scale and shear by StackReg, by cubic interpolation; the paper's."""


class Drift(NamedTuple):
    """Measured drift of a movie."""

    matrices: Float64[np.ndarray, "frame 2 3"]
    """Maps from points (y, x, 1) of the first frame to the positions of their content in each frame; not
    rounded to whole pixels."""
    correlation: Float64[np.ndarray, " frame"]
    """Between the fine structure of each frame and the mean of those before, from 0 to 1; 1 for the first
    that is not constant, 0 for those before it."""
    measured: Bool[np.ndarray, " frame"]
    """False for a frame that does not match those before, which gets the drift of its predecessor, and for
    constant frames at the beginning, which get that of the first frame that is not constant."""


@dataclasses.dataclass(frozen=True, eq=False)
class CorrectedMovie(Movie):
    """Drift-corrected movie, cropped to the field that all frames share; corrected as it is read.

    It is a `Movie`. Frames have the type of the raw movie; where they are interpolated, integers
    are rounded and clipped to the range of the type. The pixel size is that of the first frame.

    Attributes:
        raw: The movie on the disk.
        drift: Its measured drift.
        matrices: Maps from points (y, x, 1) of corrected frames to points (y, x) of the raw ones: the
            correction, with the corner of the common field as origin.
    """

    raw: Movie
    drift: Drift
    matrices: Float64[np.ndarray, "frame 2 3"]

    def __getitem__(self, frame: SupportsIndex) -> Num[np.ndarray, "y x"]:
        matrix, image = self.matrices[frame], self.raw[frame]
        whole = np.round(matrix)
        if (matrix == whole).all() and (whole[_LINEAR] == np.eye(2)).all():
            y, x = whole[:, 2].astype(int)
            return image[y : y + self.shape[0], x : x + self.shape[1]].copy()
        values = ndimage.affine_transform(
            image.astype(float), matrix[_LINEAR], matrix[:, 2], self.shape, order=3, mode="mirror"
        )
        if self.dtype.kind == "f":
            return values.astype(self.dtype)
        limits = np.iinfo(self.dtype)
        return np.clip(np.round(values), limits.min, limits.max).astype(self.dtype)

    def to_raw(self, frame: int, points: Float[np.ndarray, "point 2"]) -> Float64[np.ndarray, "point 2"]:
        """Maps points (y, x) of a corrected frame to the raw one.

        Args:
            frame: Number of the frame.
            points: In pixels, pixel centres at whole numbers.

        Returns:
            Points (y, x) of the raw frame.
        """
        matrix = self.matrices[frame]
        return points @ matrix[_LINEAR].T + matrix[:, 2]


def drift_corrected(movie: Movie, *, correction: Correction = Correction.whole_pixels) -> CorrectedMovie:
    """Measures the drift of a movie and returns the corrected movie; frames are corrected when they are read.

    The whole movie is read once, frame by frame, to register each frame to a mean of those before it
    (:func:`registration.place_frame`). The result is the field common to all frames, on the grid of the
    first; for affine maps, the largest rectangle between the innermost corners.

    The authors use StackReg, affine, between neighbouring frames. Deviations: translation is the default,
    since a stage moves and does not shear; the cells have little influence; the reference does not accumulate
    errors.

    Rounding to whole pixels is the default. Interpolation by half a pixel leaves 68 % of the finest structure
    of PhC-C2DH-U373 (median absolute Laplacian; linear interpolation leaves 38 %), in some frames and not in
    others, which affects a network that compares frames. Lengths within a frame do not depend on it at all;
    positions are off by at most half a pixel, a step between frames by 0.4 (root mean square).

    Frames that do not match those before, because they are blank or out of focus, get the drift of their
    predecessor, up to five in a row. Up to five constant frames may come first; then the others are
    registered to the first that is not constant. A first frame out of focus cannot be distinguished from a
    good one: the movie is refused, and the message names the frame.

    Args:
        movie: Frames of one field.
        correction: Kind of correction.

    Returns:
        The corrected movie, to be used instead of the raw one. A single frame is not changed.

    Raises:
        InputError: If more than five frames in a row, or more than half of those after the first that is not
            constant, do not match those before (no static background, a blurred first frame, or a jump by
            more than a quarter of the field), the first six or all of several frames are constant, no field
            is common to all frames, a frame has pixels that are NaN or infinite, or pystackreg is needed and
            absent.

    References:
        Gómez-de-Mariscal, Jayatilaka, Çiçek, Brox, Wirtz, Muñoz-Barrutia, *Search for temporal cell
        segmentation robustness in phase-contrast microscopy videos* (2021), Appendix A.
    """
    drift = measure_drift(movie, affine=correction is Correction.affine)
    matrices = drift.matrices.copy()
    if correction is Correction.whole_pixels:
        matrices[..., 2] = np.round(matrices[..., 2])
    first, last = _common_field(matrices, movie.shape)
    height, width = (last - first + 1).tolist()
    if height < 1 or width < 1:
        far = np.ptp(drift.matrices[..., 2], axis=0)
        raise InputError(
            f"{movie.path} drifts over {far[0]:.0f} x {far[1]:.0f} pixels (y x), so that no part of its "
            f"field of {movie.shape[0]} x {movie.shape[1]} is in every frame; cut it into shorter movies."
        )
    matrices[..., 2] += matrices[..., :2] @ first
    return CorrectedMovie(
        path=movie.path,
        shape=(height, width),
        dtype=movie.dtype,
        frame_names=movie.frame_names,
        pixel_size_um=movie.pixel_size_um,
        planes=movie.planes,
        frame_interval_s=movie.frame_interval_s,
        raw=movie,
        drift=drift,
        matrices=matrices,
    )


def measure_drift(movie: Movie, *, affine: bool = False) -> Drift:
    """Measures the drift of a movie, one frame in memory at a time.

    Args:
        movie: Frames of one field.
        affine: Measure affine maps instead of translations.

    Returns:
        The drift of every frame.

    Raises:
        InputError: As :func:`drift_corrected`, but for the common field.
    """
    align = affine_aligner() if affine and len(movie) > 1 else None
    reference, placement = _begin(read_finite(movie, 0))
    placements = [placement]
    begun = 0
    for number in tqdm(range(1, len(movie)), "drift", unit="frame", disable=None, leave=False):
        image = read_finite(movie, number)
        if placements[begun].measured:
            reference, placement = place_frame(reference, image, align=align)
        else:
            begun = number
            reference, placement = _begin(image)
        placements.append(placement)
        latest = placements[-LONGEST_GAP - 1 :]
        if number >= LONGEST_GAP and not any(placed.measured for placed in latest):
            raise InputError(_refusal(movie, begun, number - LONGEST_GAP, f"the next {LONGEST_GAP} frames"))
    drift = Drift(*(np.stack(column) for column in zip(*placements)))
    failed = np.flatnonzero(~drift.measured[begun:]) + begun
    if len(movie) > 1 and 2 * len(failed) > len(movie) - 1 - begun:
        raise InputError(_refusal(movie, begun, int(failed[0]), "other frames, more than half,"))
    return drift


def write_drift(path: str | os.PathLike[str], movie: CorrectedMovie) -> None:
    """Writes the drift of a movie as a table, one row per frame.

    ``frame`` from 0; ``dy_px``, ``dx_px``, how far the content of the middle of the first frame has moved
    since; ``yy, yx, y0_px, xy, xx, x0_px``, the map from a point of the corrected frame to the raw one,
    ``y_raw = yy y + yx x + y0_px`` and ``x_raw = xy y + xx x + x0_px``; ``correlation`` from 0 to 1;
    ``measured``, 0 where the frame did not match and has the drift of the one before, or is constant and
    before all others. If the pixel size is known, ``dy_um`` and ``dx_um`` follow.

    Args:
        path: The file.
        movie: The corrected movie.
    """
    middle = (np.array(movie.raw.shape) - 1) / 2
    moved = movie.drift.matrices @ np.append(middle, 1) - middle
    size = movie.pixel_size_um
    frames = zip(moved, movie.matrices.reshape(-1, 6), movie.drift.correlation, movie.drift.measured)
    rows = (
        (
            frame,
            *(f"{value + 0:.7g}" for value in (*shift, *matrix, correlation)),
            int(measured),
            *([] if size is None else (f"{value * size + 0:.7g}" for value in shift)),
        )
        for frame, (shift, matrix, correlation, measured) in enumerate(frames)
    )
    write_csv(path, COLUMNS + (() if size is None else COLUMNS_IN_UM), rows)


def _common_field(
    matrices: Float64[np.ndarray, "frame 2 3"], shape: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """First and last pixel (y, x), on the grid of the first frame, of the field that all frames share."""
    bottom, right = shape[0] - 1, shape[1] - 1
    corners = np.array([[0, 0], [0, right], [bottom, 0], [bottom, right]]).T
    offsets = corners - matrices[:, :, 2:]
    y, x = np.moveaxis(np.linalg.solve(matrices[..., :2], offsets), 1, 0)
    # Rounding errors must not cost the outermost pixels.
    first = np.ceil(np.array([y[:, :2].max(), x[:, ::2].max()]) - 1e-6)
    last = np.floor(np.array([y[:, 2:].min(), x[:, 1::2].min()]) + 1e-6)
    return first.astype(int), last.astype(int)


def _begin(image: Num[np.ndarray, "y x"]) -> tuple[Reference, Placement]:
    """Starts the measurement with a frame, unless it has no structure that others can be compared with."""
    reference = first_reference(image)
    found = bool(reference.mean.any())
    return reference, Placement(np.eye(2, 3), float(found), found)


def _refusal(movie: Movie, begun: int, number: int, more: str) -> str:
    """The message: frames from ``number`` on do not match; ``begun`` is the first that is not constant."""
    if number <= begun:
        return (
            f"{movie.path} is constant from {movie.frame_names[0]} to {movie.frame_names[begun]}, so that no "
            "drift can be measured; leave drift correction out, or begin the movie where there is something "
            "to see."
        )
    where = f"{movie.path}, {movie.frame_names[number]} and {more} do not match"
    causes = "for want of a static background or by a jump of more than a quarter of the field"
    cure = "leave drift correction out, or cut the movie there."
    if number > begun + 1:
        return f"{where} the frames before, {causes}; {cure}"
    first, are = ("the first frame", "is") if number == 1 else (f"the first {number} frames", "are")
    return f"{where} {first}, {causes}, or because {first} {are} blank or out of focus; {cure}"
