"""Intensity normalisation of images of any number type, 8 and 16 bits among them; the results are floats."""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from cellmotion_jax.ops.arguments import Number, to_floats
from cellmotion_jax.ops.host_arguments import one_integer


def standardize(
    images: Number[ArrayLike, "*batch y x channel"] | Sequence,
) -> Float[Array, "*batch y x channel"]:
    """Shifts and scales every image to mean 0 and standard deviation 1 over its pixels and channels.

    Args:
        images: Images in any unit.

    Returns:
        Standardised images. A constant image becomes 0 everywhere, with zero gradient.
    """
    images, axes = to_floats("images", images, "... y x channel"), (-3, -2, -1)
    centred = images - jnp.mean(images, axis=axes, keepdims=True)
    variance = jnp.mean(jnp.square(centred), axis=axes, keepdims=True)
    varies = variance > 0
    return jnp.where(varies, centred / jnp.sqrt(jnp.where(varies, variance, 1.0)), 0.0)


def compress(
    images: Number[ArrayLike, "*batch y x channel"] | Sequence,
) -> Float[Array, "*batch y x channel"]:
    r"""Intensities relative to the background, compressed so that bright cells do not dominate dim ones.

    .. math:: c = \operatorname{arsinh} \frac{I - m}{s}, \qquad m = \operatorname{median}(I), \quad
        s^2 = \operatorname{mean} (I - m)^2

    with median and mean over the pixels of each image and channel. Near the background it is linear, and the
    logarithm far above and below it. It does not change when an image is shifted or multiplied.

    Args:
        images: Intensities in any unit.

    Returns:
        Compressed images. A constant image becomes 0 everywhere, with zero gradient.

    >>> compressed = compress(jnp.array([3.0, 3.0, 3.0, 7.0]).reshape(1, 4, 1))
    >>> [f"{value:.3f}" for value in compressed.ravel()]
    ['0.000', '0.000', '0.000', '1.444']
    """
    images, axes = to_floats("images", images, "... y x channel"), (-3, -2)
    above = images - jnp.median(images, axis=axes, keepdims=True)
    power = jnp.mean(jnp.square(above), axis=axes, keepdims=True)
    varies = power > 0
    return jnp.where(varies, jnp.arcsinh(above / jnp.sqrt(jnp.where(varies, power, 1.0))), 0.0)


def local_contrast(
    images: Number[ArrayLike, "*batch y x channel"] | Sequence,
    *,
    window: int,
    offset: Number[ArrayLike, ""] = 0.0,
) -> Float[Array, "*batch y x channel"]:
    r"""Intensities over their median, minus their mean in the square around each pixel: DeepCell's input.

    .. math:: c = f - \operatorname{mean}_w f, \quad f = \frac{I - o}{\operatorname{median}(I - o)}

    with the median of each image and channel, and the mean over :math:`w \times w` pixels. Beyond the border
    images are continued by their mirror image, the first pixel repeated, as in the authors' code
    (``process_image``, SciPy's ``reflect``).

    The unit of the result is the background of the image, so that the offset matters. It cancels in the
    difference, but not in the median: a constant that a file format adds to every pixel reduces the contrast
    of cells in proportion to its size. The frames of Fluo-N2DL-HeLa have 230 to 4,100 grey levels above
    32,768, as signed numbers that were stored as unsigned ones. Without ``offset=32768`` their median is a
    hundred times too large, contrasts stay below 0.1, and DeepCell's nuclear networks find no cell at all.

    Sums are taken within the window, not along whole rows: float32 loses no digits in large images.

    Args:
        images: Intensities in any unit.
        window: Side of the square in pixels, odd; the receptive field of DeepCell's networks, 31 or 61.
        offset: Intensity of the dark image, one number.

    Returns:
        Local contrast. An image whose median is not above the offset becomes 0 everywhere.

    Raises:
        ValueError: If ``window`` is not odd and positive.

    References:
        Van Valen et al., Deep Learning Automates the Quantitative Analysis of Individual Cells in Live-Cell
        Imaging Experiments, PLoS Computational Biology 12(11), 2016.

    >>> local_contrast(jnp.array([2.0, 2.0, 8.0, 2.0]).reshape(1, 4, 1), window=3).ravel().tolist()
    [0.0, -1.0, 2.0, -1.0]
    """
    window = one_integer("window", window)
    if window < 1 or window % 2 == 0:
        raise ValueError(f"window must be odd and positive, got {window}")
    # As floats: a dark level taken from unsigned numbers would make bright pixels of those below it.
    lit = to_floats("images", images, "... y x channel") - to_floats("offset", offset, "")
    median = jnp.median(lit, axis=(-3, -2), keepdims=True)
    positive = median > 0
    relative = jnp.where(positive, lit / jnp.where(positive, median, 1.0), 0.0)
    mean = relative
    for axis in (-3, -2):
        mean = _window_sums(mean, window, axis=axis) / window
    return relative - mean


def _window_sums(values: Array, window: int, *, axis: int) -> Array:
    """Sums over a window of odd size around each entry of an axis, whose ends are mirrored.

    Sums of 1, 2, 4, ... entries are made of each other; those in the binary digits of the window lie side by
    side in it.
    """
    axis += values.ndim
    size = values.shape[axis]
    widths = [(window // 2,) * 2 if i == axis else (0, 0) for i in range(values.ndim)]
    sums, taken, total = jnp.pad(values, widths, mode="symmetric"), 0, jnp.zeros_like(values)
    for digit in range(window.bit_length()):
        width = 1 << digit
        if window & width:
            total = total + jax.lax.slice_in_dim(sums, taken, taken + size, axis=axis)
            taken += width
        end = sums.shape[axis] - width
        if end > 0:
            first, second = (jax.lax.slice_in_dim(sums, at, at + end, axis=axis) for at in (0, width))
            sums = first + second
    return total
