"""Movies without the drift of the microscope: Gómez-de-Mariscal et al. 2021, Appendix A.

movie = drift_corrected(open_movie("experiment.tif"))
write_drift("drift.csv", movie)
"""

from __future__ import annotations

import csv
import dataclasses
import enum
import os
from typing import NamedTuple, SupportsIndex

import numpy as np
from jaxtyping import Bool, Float, Float64, Num
from scipy import ndimage
from tqdm import tqdm

from cellmotion_jax.data.movie import Movie
from cellmotion_jax.data.registration import first_reference, place_frame
from cellmotion_jax.data.stackreg import affine_aligner
from cellmotion_jax.errors import InputError
from cellmotion_jax.files import written_beside

LONGEST_GAP = 5
"""So many frames in a row may be blank or blurred; more are a movie that cannot be followed."""
COLUMNS = ("frame", "dy", "dx", "yy", "yx", "y0", "xy", "xx", "x0", "correlation", "measured")
_LINEAR = np.s_[:, :2]


class Correction(enum.Enum):
    """What is taken back of a drift, and how."""

    WHOLE_PIXELS = "whole-pixels"
    """Translation, rounded to pixels: frames are cut out and no grey value changes."""
    SUBPIXEL = "subpixel"
    """Translation, by cubic interpolation."""
    AFFINE = "affine"
    """Translation, rotation, scale and shear by StackReg, by cubic interpolation; the paper's."""


class Drift(NamedTuple):
    """How the field of a movie moved."""

    matrices: Float64[np.ndarray, "frame 2 3"]
    """From points (y, x, 1) of the first frame to where their content is in each; whole pixels are not
    rounded here."""
    correlation: Float64[np.ndarray, " frame"]
    """Between the fine structure of each frame and the mean of those before, from 0 to 1; 1 for the first."""
    measured: Bool[np.ndarray, " frame"]
    """False for a frame that does not match those before, which is given the place of its predecessor."""


@dataclasses.dataclass(frozen=True, eq=False)
class CorrectedMovie(Movie):
    """The field that is in all frames of a movie, standing still; frames are corrected as they are read.

    A `Movie` in all respects. Frames have the type of the raw movie; where they are interpolated, integers
    are rounded and clipped to the range of the type. The pixel size is that of the first frame.

    Attributes:
        raw: The movie as it is on the disk.
        drift: How it moved.
        matrices: From points (y, x, 1) of corrected frames to points (y, x) of the raw ones: the drift as it
            is taken back, from the corner of the common field on.
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
        """Where points (y, x) of a corrected frame are in the raw one.

        Args:
            frame: Number of the frame.
            points: In pixels, pixel centres at whole numbers.

        Returns:
            Points (y, x) of the raw frame.
        """
        matrix = self.matrices[frame]
        return points @ matrix[_LINEAR].T + matrix[:, 2]


def drift_corrected(movie: Movie, *, correction: Correction = Correction.WHOLE_PIXELS) -> CorrectedMovie:
    """Measures the drift of a movie and takes it back when frames are read.

    The whole movie is read once, frame by frame, to place each frame on a mean of those before it
    (:func:`registration.place_frame`). What is left is the field common to all frames, in the grid of the
    first; under an affine map the largest rectangle between the inmost corners.

    The authors use StackReg, affine, between neighbouring frames. Deviations: translation is the default,
    since a stage moves and does not shear; the cells are kept from deciding; the reference does not walk off.

    Rounding to whole pixels is the default. Half a pixel of interpolation leaves 68 % of the finest structure
    of PhC-C2DH-U373 (median absolute Laplacian; linear interpolation leaves 38 %), in some frames and not in
    others, which a network that compares frames sees. Lengths within a frame do not depend on it at all;
    positions are off by at most half a pixel, a step between frames by 0.4 (root mean square).

    Frames that do not match those before, because they are blank or out of focus, keep the place of their
    predecessor, up to five in a row.

    Args:
        movie: Frames of one field.
        correction: What is taken back.

    Returns:
        A movie to be used in the place of the raw one. A single frame is left as it is.

    Raises:
        InputError: If more than five frames in a row, or more than half of all, do not match those before
            (no static background, or a jump by more than a quarter of the field), no field is common to all
            frames, a frame has pixels that are NaN or infinite, or pystackreg is needed and absent.

    References:
        Gómez-de-Mariscal, Jayatilaka, Çiçek, Brox, Wirtz, Muñoz-Barrutia, *Search for temporal cell
        segmentation robustness in phase-contrast microscopy videos* (2021), Appendix A.
    """
    drift = measure_drift(movie, affine=correction is Correction.AFFINE)
    matrices = drift.matrices.copy()
    if correction is Correction.WHOLE_PIXELS:
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
        raw=movie,
        drift=drift,
        matrices=matrices,
    )


def measure_drift(movie: Movie, *, affine: bool = False) -> Drift:
    """Measures the drift of a movie, one frame in memory at a time.

    Args:
        movie: Frames of one field.
        affine: Affine maps, not translations only.

    Returns:
        Where every frame lies.

    Raises:
        InputError: As :func:`drift_corrected`, but for the common field.
    """
    align = affine_aligner() if affine else None
    reference = first_reference(_read(movie, 0))
    matrices, correlation, measured = [np.eye(2, 3)], [1.0], [True]
    for number in tqdm(range(1, len(movie)), "drift", unit="frame", disable=None, leave=False):
        reference, placement = place_frame(reference, _read(movie, number), align=align)
        matrices.append(placement.matrix)
        correlation.append(placement.correlation)
        measured.append(placement.measured)
        if not any(measured[-LONGEST_GAP - 1 :]):
            raise InputError(_no_match(movie, number - LONGEST_GAP, f"and the next {LONGEST_GAP} frames"))
    if 2 * measured.count(False) > len(movie) - 1:
        raise InputError(_no_match(movie, measured.index(False), "and other frames, more than half,"))
    return Drift(np.stack(matrices), np.array(correlation), np.array(measured))


def write_drift(path: str | os.PathLike[str], movie: CorrectedMovie) -> None:
    """Writes how a movie moved, one row per frame.

    ``frame`` from 0; ``dy``, ``dx``, how far the content of the middle of the first frame has moved since, in
    pixels; ``yy, yx, y0, xy, xx, x0``, which lead from a point of the corrected frame to the raw one,
    ``y_raw = yy y + yx x + y0`` and ``x_raw = xy y + xx x + x0``; ``correlation`` from 0 to 1; ``measured``,
    0 where the frame did not match and has the place of the one before.

    Args:
        path: The file.
        movie: The corrected movie.
    """
    middle = (np.array(movie.raw.shape) - 1) / 2
    moved = movie.drift.matrices @ np.append(middle, 1) - middle
    rows = zip(moved, movie.matrices.reshape(-1, 6), movie.drift.correlation, movie.drift.measured)
    with written_beside(path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(COLUMNS)
        for frame, (shift, matrix, correlation, measured) in enumerate(rows):
            numbers = (f"{value + 0:.7g}" for value in (*shift, *matrix, correlation))
            table.writerow((frame, *numbers, int(measured)))


def _common_field(
    matrices: Float64[np.ndarray, "frame 2 3"], shape: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """First and last pixel (y, x), on the grid of the first frame, of what lies in every frame."""
    bottom, right = shape[0] - 1, shape[1] - 1
    corners = np.array([[0, 0], [0, right], [bottom, 0], [bottom, right]]).T
    offsets = corners - matrices[:, :, 2:]
    y, x = np.moveaxis(np.linalg.solve(matrices[..., :2], offsets), 1, 0)
    # Rounding errors must not cost the outermost pixels.
    first = np.ceil(np.array([y[:, :2].max(), x[:, ::2].max()]) - 1e-6)
    last = np.floor(np.array([y[:, 2:].min(), x[:, 1::2].min()]) + 1e-6)
    return first.astype(int), last.astype(int)


def _read(movie: Movie, number: int) -> Num[np.ndarray, "y x"]:
    image = movie[number]
    if not np.isfinite(image).all():
        raise InputError(f"{movie.path}, {movie.frame_names[number]} has pixels that are NaN or infinite.")
    return image


def _no_match(movie: Movie, number: int, more: str) -> str:
    return (
        f"{movie.path}, {movie.frame_names[number]} {more} do not match the frames before, for want of "
        "a static background or by a jump of more than a quarter of the field; leave drift correction "
        "out, or cut the movie there."
    )
