"""Tools for correlation in the Fourier domain: tapers, targets, peaks and changes of resolution.

A response is a map over circular shifts: entry ``[0, 0]`` is the zero shift, and shifts of half the size or
more stand for negative ones, as in `numpy.fft.fftfreq`.
"""

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Complex, Float, Int, Integer, Num

from cellmotion_jax.ops.arguments import Number, to_complex, to_floats, to_integers
from cellmotion_jax.ops.host_arguments import image_shape, one_integer


def hann_window(shape: tuple[int, int]) -> Float[np.ndarray, "y x"]:
    r"""Separable Hann taper, :math:`\sin^2(\pi (i + 1/2) / n)` along each axis.

    The samples lie at half steps, so that no row or column is exactly 0 and the taper is symmetric for even
    and odd sizes. They are a constant of the program: XLA would fuse the sines into every use.

    Args:
        shape: Size (y, x) in pixels.

    Returns:
        Values in (0, 1].
    """
    sizes = image_shape("shape", shape)
    down, across = (np.sin(np.pi * (np.arange(size) + 0.5) / size) ** 2 for size in sizes)
    return np.outer(down, across).astype(np.float32)


def signed_shifts(size: int) -> Float[np.ndarray, " size"]:
    """The shift that each index of an axis stands for: 0, 1, ..., -2, -1.

    Args:
        size: Number of entries.

    Returns:
        Signed whole numbers; the middle of an even number of entries counts as negative.

    >>> signed_shifts(4).tolist()
    [0.0, 1.0, -2.0, -1.0]
    """
    size = one_integer("size", size)
    return np.fft.fftfreq(size, 1 / size).astype(np.float32)


def gaussian_target(
    centres: Number[ArrayLike, "*batch 2"] | Sequence,
    *,
    shape: tuple[int, int],
    sigma: Number[ArrayLike, ""],
) -> Float[Array, "*batch y x"]:
    r"""Target response of a filter: a Gaussian of height 1 around a shift, wrapped at the borders.

    .. math:: y(m, n) = \exp(-\frac{(m - c_y)^2 + (n - c_x)^2}{2 \sigma^2})

    (Jackson-Smith 2016, Section 4.1, where the centre is the zero shift.) The centre may lie between pixels,
    so that a filter whose window is centred on a whole pixel learns the exact place of its cell.

    Args:
        centres: Shifts (y, x) in pixels, smaller than half the size.
        shape: Size (y, x) of the response.
        sigma: Standard deviation in pixels.

    Returns:
        Values in (0, 1].
    """
    down, across = _gaussian_sides(centres, shape, sigma)
    return down[..., :, None] * across[..., None, :]


def gaussian_target_spectrum(
    centres: Number[ArrayLike, "*batch 2"] | Sequence,
    *,
    shape: tuple[int, int],
    sigma: Number[ArrayLike, ""],
) -> Complex[Array, "*batch y frequency"]:
    """`jnp.fft.rfft2` of `gaussian_target`, computed cheaply as a product of two one-dimensional transforms.

    Args:
        centres: Shifts (y, x) in pixels, smaller than half the size.
        shape: Size (y, x) of the response.
        sigma: Standard deviation in pixels.

    Returns:
        Half spectra.
    """
    down, across = _gaussian_sides(centres, shape, sigma)
    return jnp.fft.fft(down)[..., :, None] * jnp.fft.rfft(across)[..., None, :]


def _gaussian_sides(
    centres: Number[ArrayLike, "*batch 2"] | Sequence, shape: tuple[int, int], sigma: Number[ArrayLike, ""]
) -> list[Array]:
    """Profiles of the Gaussian along y and x."""
    centres, sigma = to_floats("centres", centres, "... 2"), to_floats("sigma", sigma, "")
    sides = []
    for axis, size in enumerate(image_shape("shape", shape)):
        shifts = signed_shifts(size).reshape(*[1] * (centres.ndim - 1), size)
        distance = shifts - centres[..., axis, None]
        wrapped = distance - size * jnp.round(distance / size)
        sides.append(jnp.exp(-0.5 * jnp.square(wrapped / sigma)))
    return sides


def peak_shifts(
    responses: Number[ArrayLike, "cell y x"] | Sequence,
) -> tuple[Float[Array, "cell 2"], Float[Array, " cell"]]:
    """Position of the maximum of each response, to a fraction of a pixel, and the value of its highest pixel.

    The fraction is that of the parabola through the highest pixel and its two neighbours (around the
    border) along each axis, at most half a pixel. The gradient flows through the fraction and the height;
    which pixel is the highest is piecewise constant. Of equal pixels the first counts, so that a constant
    response has its peak at the zero shift.

    Args:
        responses: Maps over circular shifts.

    Returns:
        Shifts (y, x) in pixels, and heights.
    """
    responses = to_floats("responses", responses, "cell y x")
    index = first_maximum(responses)
    return refine_shifts(responses, index), jnp.max(responses, axis=(1, 2))


def first_maximum(maps: Number[ArrayLike, "cell y x"] | Sequence) -> Int[Array, " cell"]:
    """Flat index of the highest entry of each map; of equal entries, the first; 0 for a map of NaN.

    Two plain reductions: XLA compares pairs of value and index ten times more slowly on a CPU.

    Args:
        maps: Real values.

    Returns:
        One index per map.
    """
    maps = to_floats("maps", maps, "cell y x")
    flat = maps.reshape(maps.shape[0], -1)
    size = flat.shape[1]
    highest = jnp.max(flat, axis=1, keepdims=True)
    index = jnp.min(jnp.where(flat == highest, np.arange(size, dtype=np.int32), size), axis=1)
    return jnp.where(index < size, index, 0)


def refine_shifts(
    responses: Number[ArrayLike, "cell y x"] | Sequence, index: Integer[ArrayLike, " cell"] | Sequence
) -> Float[Array, "cell 2"]:
    """Signed shifts of given entries, each moved to the top of the parabola through it and its neighbours.

    Args:
        responses: Maps over circular shifts.
        index: One flat index for each.

    Returns:
        Shifts (y, x) in pixels.
    """
    responses, index = to_floats("responses", responses, "cell y x"), to_integers("index", index, "cell")
    cells, height, width = responses.shape
    cell = jnp.arange(cells)
    y, x = index // width, index % width
    here = responses[cell, y, x]
    fractions = [
        _parabola_top(responses[cell, (y - 1) % height, x], here, responses[cell, (y + 1) % height, x]),
        _parabola_top(responses[cell, y, (x - 1) % width], here, responses[cell, y, (x + 1) % width]),
    ]
    whole = (jnp.asarray(signed_shifts(height))[y], jnp.asarray(signed_shifts(width))[x])
    return jnp.stack([shift + fraction for shift, fraction in zip(whole, fractions)], axis=-1)


def _parabola_top(before: Array, here: Array, after: Array) -> Array:
    """Position of the maximum of the parabola through three neighbours, relative to the middle one."""
    curvature = before - 2 * here + after
    curved = curvature < 0
    top = 0.5 * (before - after) / jnp.where(curved, curvature, 1.0)
    return jnp.where(curved, jnp.clip(top, -0.5, 0.5), 0.0)


def half_spectrum_weights(width: int) -> Float[np.ndarray, " frequency"]:
    """How often each column of a half spectrum occurs in the whole one, for sums over all frequencies.

    >>> half_spectrum_weights(4).tolist(), half_spectrum_weights(5).tolist()
    ([1.0, 2.0, 1.0], [1.0, 2.0, 2.0])

    Args:
        width: Size of the map along x.

    Returns:
        1 for the columns that are their own mirror images, 2 for the others.
    """
    width = one_integer("width", width)
    weights = np.full(width // 2 + 1, 2.0, np.float32)
    weights[0] = 1.0
    if width % 2 == 0:
        weights[-1] = 1.0
    return weights


def pad_spectrum(
    spectrum: Num[ArrayLike, "*batch y frequency"] | Sequence,
    *,
    shape: tuple[int, int],
    fine_shape: tuple[int, int],
) -> Complex[Array, "*batch fine_y fine_frequency"]:
    """The spectrum of the same map on a grid of more points: band-limited interpolation.

    Zeros are appended: the finer map passes through the coarse values and has no frequency that they have
    not. An even size has a frequency of its own sign, the middle one; it is halved between both signs, as a
    real band-limited map needs.

    Args:
        spectrum: `jnp.fft.rfft2` of the coarse map.
        shape: Size (y, x) of the coarse map.
        fine_shape: Size (y, x) of the finer one; each at least that of the coarse map.

    Returns:
        `jnp.fft.rfft2` of the finer map.

    Raises:
        ValueError: If the fine grid is smaller than the coarse one.
    """
    spectrum = to_complex("spectrum", spectrum, "... y frequency")
    height, width = image_shape("shape", shape)
    fine_height, fine_width = image_shape("fine_shape", fine_shape)
    if fine_height < height or fine_width < width:
        raise ValueError(f"fine_shape {fine_shape} must be at least shape {shape}")
    if fine_height > height:
        half = height // 2
        if height % 2 == 0:
            middle = 0.5 * spectrum[..., half : half + 1, :]
            rows = [spectrum[..., :half, :], middle, middle, spectrum[..., half + 1 :, :]]
        else:
            rows = [spectrum[..., : half + 1, :], spectrum[..., half + 1 :, :]]
        gap = fine_height - sum(row.shape[-2] for row in rows)
        zeros = jnp.zeros((*spectrum.shape[:-2], gap, spectrum.shape[-1]), spectrum.dtype)
        spectrum = jnp.concatenate([*rows[: len(rows) // 2], zeros, *rows[len(rows) // 2 :]], axis=-2)
    if fine_width > width and width % 2 == 0:
        spectrum = spectrum.at[..., -1].multiply(0.5)
    missing = fine_width // 2 + 1 - spectrum.shape[-1]
    spectrum = jnp.pad(spectrum, [(0, 0)] * (spectrum.ndim - 1) + [(0, missing)])
    return spectrum * (fine_height * fine_width / (height * width))
