"""Registration of frames by their static background, while the cells on it move."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import scipy.fft
from jaxtyping import Complex, Float32, Float64, Int, Num
from scipy import ndimage
from skimage.filters import window
from skimage.registration import phase_cross_correlation

FINE, COARSE = 1.0, 4.0
"""Standard deviations, in pixels, of the two Gaussians of the band-pass filter for background detail."""
LIMIT = 0.3
"""Detail is clipped at this value, in units of its noise, so that bright and faint structures have equal
weight."""
TAPER = 0.25
"""Share of the field over which frames are tapered towards their borders (Tukey window)."""
NEWEST = 0.1
"""Smallest weight of the newest frame in the reference."""
UPSAMPLING = 50
"""Resolution of translations: 1/50 of a pixel."""
CERTAIN = 8.0
"""Smallest height of an accepted peak, in standard deviations of the correlation; peaks of noise reach 6."""
RELATED = 0.1
"""Smallest accepted correlation; it is 0.35 or more with a static background, 0.05 in a confluent cell
layer."""
LONGEST_JUMP = 0.25
"""Largest displacement as a share of the field; beyond it the circular correlation is ambiguous."""
LARGEST_DISTORTION = 0.05
"""Largest accepted change of the linear part of an affine map: three degrees, or five per cent."""

Matrix = Float64[np.ndarray, "2 3"]
Align = Callable[[Float32[np.ndarray, "y x"], Float32[np.ndarray, "y x"]], Matrix]
"""Function of a reference and a moving image that is aligned up to a few pixels; it returns the matrix that
maps points (y, x, 1) of the reference to points (y, x) of the moving image."""


class Reference(NamedTuple):
    """Reference to which the next frame is registered."""

    mean: Float32[np.ndarray, "y x"]
    """Mean structure of the frames so far, undistorted, at the position of the last of them."""
    seen: int
    """Number of frames in the mean."""
    corner: Int[np.ndarray, " 2"]
    """Position in the first frame of the first pixel of the mean."""
    last: Matrix
    """Placement of the last frame."""


class Placement(NamedTuple):
    """Position of a frame."""

    matrix: Matrix
    """Map from points (y, x, 1) of the first frame to the positions of their content in this frame."""
    correlation: float
    """Correlation with the reference, from 0 to 1."""
    measured: bool
    """False if the frame does not match the reference, and the matrix is that of the frame before."""


def first_reference(frame: Num[np.ndarray, "y x"]) -> Reference:
    """The reference for the second frame of a movie.

    Args:
        frame: The first frame, all finite.

    Returns:
        Its background structure at the origin.
    """
    return Reference(background_structure(frame), 1, np.zeros(2, int), np.eye(2, 3))


def place_frame(
    reference: Reference, frame: Num[np.ndarray, "..."], *, align: Align | None = None
) -> tuple[Reference, Placement]:
    """Registers the next frame of a movie to the mean of those before it.

    The translation is the peak of the cross-correlation
    (:func:`skimage.registration.phase_cross_correlation`) of the background structure of both
    (:func:`background_structure`). The frequencies are not whitened as in phase correlation, because then
    camera noise and cells dominate. Frames of 592 x 752 pixels with 40 simulated cells on a faint static
    background, moved at random by up to 15 pixels; errors of the steps between neighbours in pixels:

    ==================================================  ======  =======
    what is correlated                                  median  largest
    ==================================================  ======  =======
    frames, whitened (the default of scikit-image)      5.2     372
    frames under a Hann window                          1.6     8.8
    difference of Gaussians 1 and 8, cut off at 2       0.67    1.4
    difference of Gaussians 1 and 4, cut off at 0.3     0.11    0.25
    the same, faded where it is strong                  0.03    0.09
    ==================================================  ======  =======

    The reference is the mean of all frames, in which the newest counts a tenth or more. Sums of steps between
    neighbours accumulate errors, 0.23 pixels in 24 of these frames, where this reference is off by at most
    0.07; and the first frame cannot be the reference once the drift has left it. The mean is moved with the
    field of view by whole pixels, so that the drift can become arbitrarily long.

    Args:
        reference: That of the frames so far.
        frame: Grey values of any type, all finite.
        align: Refines the translation to an affine map.

    Returns:
        The reference for the next frame, unchanged if this one does not match, and the placement.

    Raises:
        ValueError: If the frame has another size than those before.
    """
    if frame.shape != reference.mean.shape:
        raise ValueError(f"frame has shape {frame.shape}, but those before it have {reference.mean.shape}")
    structure = background_structure(frame)
    shift, correlation, certain = _translation(reference.mean, structure)
    whole = np.round(shift).astype(int)
    matrix = np.column_stack([np.eye(2), shift])
    if certain and align is not None:
        matrix = align(reference.mean, _moved(structure, -whole)) + np.column_stack([np.zeros((2, 2)), whole])
        certain = bool(np.abs(matrix[:, :2] - np.eye(2)).max() <= LARGEST_DISTORTION)
    if not certain:
        return reference, Placement(reference.last, correlation, False)
    from_first = _after_shift(matrix, -reference.corner)
    seen = reference.seen + 1
    back = _after_shift(matrix, -whole)
    # Every frame is interpolated once, the mean never: the blur of many interpolations would pile up.
    placed = ndimage.affine_transform(structure, back[:, :2], back[:, 2], order=3)  # pyright: ignore[reportArgumentType]
    mean = _moved(reference.mean, whole)
    mean += np.float32(max(NEWEST, 1 / seen)) * (placed - mean)
    following = Reference(mean, seen, reference.corner - whole, from_first)
    return following, Placement(from_first, correlation, True)


def background_structure(frame: Num[np.ndarray, "y x"]) -> Float32[np.ndarray, "y x"]:
    r"""Structure of the static background of a frame, in which the cells are suppressed.

    .. math:: s = \frac{\operatorname{clip}(d / 0.3 n, -1, 1)}{1 + (a / 1.5 q)^4}, \qquad
        d = G_1 I - G_4 I, \quad a^2 = G_4 d^2

    with Gaussians :math:`G` of 1 and 4 pixels. The detail :math:`d` is cut off at 0.3 of its noise :math:`n`
    (1.4826 times the median absolute value), so that bright and faint structures have equal weight; and it is
    reduced where it is stronger, over some pixels, than in the calmest quarter of the frame, of which
    :math:`q` is the upper bound. Cells may thus cover three quarters of the field, but there must be some
    background.

    Args:
        frame: Grey values of any type, all finite.

    Returns:
        Structure from -1 to 1, 0 for a constant frame.
    """
    values = frame.astype(np.float32)
    values -= np.median(values)
    detail = ndimage.gaussian_filter(values, FINE) - ndimage.gaussian_filter(values, COARSE)
    activity = np.sqrt(ndimage.gaussian_filter(np.square(detail), COARSE))
    # What rounding leaves of flat parts is no structure.
    rounding = 1e-5 * float(np.ptp(values))
    if not rounding:
        return np.zeros_like(detail)
    limit = max(LIMIT * 1.4826 * float(np.median(np.abs(detail))), rounding)
    calm = max(1.5 * float(np.quantile(activity, 0.25)), rounding)
    return np.clip(detail / limit, -1, 1) / (1 + np.square(np.square(activity / calm)))


class _Translation(NamedTuple):
    shift: Float64[np.ndarray, " 2"]
    """Translation from the reference to the moving image."""
    correlation: float
    certain: bool


def _translation(reference: Float32[np.ndarray, "y x"], moving: Float32[np.ndarray, "y x"]) -> _Translation:
    spectra = [_spectrum(image) for image in (reference, moving)]
    powers = [np.square(np.abs(spectrum)) for spectrum in spectra]
    norm = math.sqrt(math.prod(float(power.sum(dtype=float)) for power in powers))
    if not norm:
        return _Translation(np.zeros(2), 0.0, False)
    back, error, _ = phase_cross_correlation(
        *spectra,
        space="fourier",
        upsample_factor=UPSAMPLING,
        normalization=None,  # pyright: ignore[reportArgumentType]  # The default is a str.
    )
    shift = -np.asarray(back, float)
    correlation = math.sqrt(max(0.0, 1 - float(error) ** 2))
    # By Parseval's theorem: the peak over the standard deviation of the whole correlation.
    height = correlation * norm / math.sqrt(float((powers[0] * powers[1]).sum(dtype=float)))
    near = bool((np.abs(shift) <= LONGEST_JUMP * np.array(moving.shape)).all())
    return _Translation(shift, correlation, near and height >= CERTAIN and correlation >= RELATED)


def _spectrum(structure: Float32[np.ndarray, "y x"]) -> Complex[np.ndarray, "y x"]:
    taper = window(("tukey", TAPER), structure.shape).astype(np.float32)
    return np.asarray(scipy.fft.fft2((structure - structure.mean()) * taper))


def _after_shift(matrix: Matrix, shift: Int[np.ndarray, " 2"]) -> Matrix:
    """The map that shifts points first and then applies the matrix."""
    return np.column_stack([matrix[:, :2], matrix[:, 2] + matrix[:, :2] @ shift])


def _moved(image: Float32[np.ndarray, "y x"], shift: Int[np.ndarray, " 2"]) -> Float32[np.ndarray, "y x"]:
    """The image with its content moved by whole pixels, filled with 0."""
    moved = np.zeros_like(image)
    sides = list(zip(shift.tolist(), image.shape))
    target = tuple(slice(max(0, by), size + min(0, by)) for by, size in sides)
    source = tuple(slice(max(0, -by), size + min(0, -by)) for by, size in sides)
    moved[target] = image[source]
    return moved
