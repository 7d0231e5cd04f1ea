"""Maxima of a map: regional maxima, h-maxima, and one point for each.

:func:`h_maxima` finds the peaks of a map and :func:`peak_centroids` makes points of them. All functions take
one map ``[y, x]`` of any number type (whole numbers become float32), run compiled on the device and are
mapped over a batch by ``jax.vmap``. Two pixels are neighbours if they share an edge (``connectivity=4``) or
also if they share a corner (8).
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jax.typing import ArrayLike
from jaxtyping import Array, Bool, Float, Int

from cellmotion_jax.ops.arguments import Mask, Number, to_floats, to_mask
from cellmotion_jax.ops.host_arguments import one_integer
from cellmotion_jax.ops.numerics import check_same_shape
from cellmotion_jax.ops.ordering import from_ordered_integers, to_ordered_integers
from cellmotion_jax.ops.reconstruction import check_map, reconstruct


def regional_maxima(image: Number[ArrayLike, "..."] | Sequence, *, connectivity: int) -> Bool[Array, "y x"]:
    """Pixels of plateaus that no neighbouring pixel exceeds.

    A plateau is a connected set of pixels of one value that cannot be extended; it is a regional maximum if
    all pixels beside it are lower (Soille 2003, chapter 6). It counts as a whole or not at all. Nothing
    lies beyond the border, so that a plateau there can be a maximum, and a constant image is one maximum.
    ``skimage.morphology.local_maxima`` agrees in everything but this: it finds none in a constant image.
    A map without any cell can be constant, so check the values of peaks as well as their positions.

    Values are compared to the bit, with +0 equal to -0. Pixels of NaN or minus infinity lie outside: they
    are no maximum and do not keep their neighbours from being one. The gradient is zero.

    Args:
        image: Map ``[y, x]``, compared as it is.
        connectivity: 4 or 8, the number of neighbours of a pixel.

    Returns:
        True on every pixel of a regional maximum.

    Raises:
        ValueError: If ``image`` is not of shape ``[y, x]`` or holds no pixel, or for another connectivity.

    References:
        Soille, *Morphological Image Analysis*, 2nd edition (2003).

    >>> regional_maxima(jnp.array([[3.0, 3.0, 4.0, 1.0, 2.0, 2.0]]), connectivity=4).tolist()
    [[False, False, True, False, True, True]]
    """
    image = to_floats("image", image)
    check_map(image, "image", connectivity=connectivity)
    levels = to_ordered_integers(lax.stop_gradient(image))
    # Every pixel just below its value: only what stands beside a higher one, or is level with such a pixel,
    # is filled up again.
    filled = reconstruct(levels - 1, levels, connectivity=connectivity)
    return (filled < levels) & (image > -jnp.inf)


def h_maxima(
    image: Number[ArrayLike, "..."] | Sequence, h: Number[ArrayLike, ""], *, connectivity: int
) -> Bool[Array, "y x"]:
    r"""Pixels of the peaks that are higher than their surroundings by more than ``h``: one plateau per peak.

    .. math:: \operatorname{RMAX}\big(R_f(f - h)\big)

    the regional maxima of the reconstruction of the lowered map :math:`f - h` under the map :math:`f`
    (the extended maxima of Soille 2003, chapter 6). The reconstruction cuts every peak off at :math:`h`
    below its top, and fills what is shallower. A plateau holds the pixels of a peak down to that cut, a few
    pixels around the top, whose centroid is a place between pixels. A peak is kept if every way from it to a
    higher one goes down by more than :math:`h`; of peaks that are as high as each other and joined above the
    cut, one plateau is made. The highest peak is always kept: if ``h`` reaches the range of the map, the
    whole map is one plateau.

    ``skimage.morphology.h_maxima`` (0.26) answers another question on the same map. It differs in four ways:

    - It marks where :math:`f - R \ge h`: the tops alone, and also a peak that stands out by ``h`` exactly.
    - Of two equally high tops that are joined above the cut it marks both; the plateau here holds both.
      Counting its components therefore counts one cell twice wherever a map is saturated.
    - On floats it lowers the map by :math:`h + \varepsilon |f|`, where :math:`\varepsilon` is
      :math:`2 \cdot 10^{-6}` for float32 and :math:`2 \cdot 10^{-15}` for float64, and so marks every pixel
      within :math:`\varepsilon |f|` of the top that it is joined with, other tops among them. At values near
      1 this is a pixel now and then; on a map with a large offset, such as raw intensities, it is whole
      hilltops.
    - It finds nothing if ``h`` exceeds the range of the map, and refuses ``h = 0``.

    On whole numbers with ``h`` halfway between two of them and below the range of the map its marks are the
    tops of these plateaus, pixel by pixel.

    The subtraction rounds, in float32 for half precision; nothing else does. A peak that stands out by ``h``
    but for a rounding error may fall on either side. NaN and minus infinity lie outside the map, as in
    :func:`regional_maxima`. The gradient is zero.

    Args:
        image: Map ``[y, x]`` of finite values or NaN.
        h: Height in units of the map, finite. With 0 or less these are the regional maxima.
        connectivity: 4 or 8, the number of neighbours of a pixel.

    Returns:
        True on the plateau of every peak.

    Raises:
        ValueError: If ``image`` is not of shape ``[y, x]`` or holds no pixel, or for another connectivity.

    References:
        Soille, *Morphological Image Analysis*, 2nd edition (2003).

    >>> image = jnp.array([[1.0, 5.0, 4.0, 4.5, 0.0, 2.0, 1.5]])
    >>> h_maxima(image, 1.0, connectivity=4).tolist()
    [[False, True, True, True, False, True, True]]
    """
    image, h = to_floats("image", image), to_floats("h", h, "")
    check_map(image, "image", connectivity=connectivity)
    image = lax.stop_gradient(image.astype(jnp.promote_types(image.dtype, jnp.float32)))
    lowered = image - h.astype(image.dtype)
    return regional_maxima(reconstruct(lowered, image, connectivity=connectivity), connectivity=connectivity)


def label_components(where: Mask[ArrayLike, "..."] | Sequence, *, connectivity: int) -> Int[Array, "y x"]:
    """Labels connected components: 0 is background, the label of a component is given by its first pixel.

    The label is 1 + the index of the component's first pixel in reading order, in the flattened map. Labels
    are thus unique, ascend in reading order and do not depend on other components, but are not consecutive.

    Args:
        where: The pixels ``[y, x]`` to be labelled.
        connectivity: 4 or 8, the number of neighbours of a pixel.

    Returns:
        Labels, int32.

    Raises:
        ValueError: If ``where`` is not of shape ``[y, x]`` or holds no pixel, or for another connectivity.

    >>> label_components(jnp.array([[True, True, False, True]]), connectivity=4).tolist()
    [[1, 1, 0, 4]]
    """
    where = to_mask("where", where)
    check_map(where, "where", connectivity=connectivity)
    # The first pixel has the largest countdown, and a reconstruction carries the largest through.
    countdown = where.size - jnp.arange(where.size, dtype=jnp.int32).reshape(where.shape)
    marker = jnp.where(where, countdown, 0)
    largest = reconstruct(marker, jnp.where(where, where.size, 0), connectivity=connectivity)
    return jnp.where(where, 1 + where.size - largest, 0)


class Peaks(NamedTuple):
    """Points in a fixed number of slots, the highest first; slots beyond the last peak hold zeros."""

    points: Float[Array, "peak 2"]
    """Centroid ``(y, x)`` of every plateau, in pixels, pixel centres at whole numbers."""
    values: Float[Array, " peak"]
    """The largest value of the map on the plateau."""
    valid: Bool[Array, " peak"]
    """Which slots hold a peak."""
    found: Int[Array, ""]
    """Peaks in the map; if this exceeds the number of slots, the lowest peaks are missing."""


def peak_centroids(
    image: Number[ArrayLike, "..."] | Sequence,
    maxima: Mask[ArrayLike, "..."] | Sequence,
    *,
    connectivity: int,
    max_peaks: int,
) -> Peaks:
    """One point for every plateau of a mask of maxima: its centroid and its largest value.

    Peaks are ordered by value, the highest first, and where values are equal by the place of the plateau's
    first pixel in reading order. If there are more than ``max_peaks``, the lowest are left out and ``count``
    tells. A plateau that holds nothing but NaN or minus infinity is no peak. A floor for the height of peaks
    is applied to the result: ``valid & (values > floor)``.

    The centroid is that of the plateau's pixels, all of the same weight, and may lie beside a plateau that is
    not convex. It is exact to the rounding of float32 as long as the plateau's area times its extent is below
    2^24 pixels. The gradient is zero.

    Args:
        image: Map ``[y, x]``.
        maxima: Mask of its maxima ``[y, x]``, from :func:`h_maxima` or :func:`regional_maxima`.
        connectivity: 4 or 8: with 8, pixels that touch at a corner are one plateau. The same as for the
            maxima, or else their plateaus are cut or joined.
        max_peaks: Slots of the result.

    Returns:
        Peaks, in float32 (float64 if the map is).

    Raises:
        ValueError: If the shapes differ, are not ``[y, x]`` or hold no pixel, for another connectivity, or if
            ``max_peaks`` is below 1.

    >>> image = jnp.array([[5.0, 5.0, 0.0, 7.0]])
    >>> peaks = peak_centroids(image, regional_maxima(image, connectivity=4), connectivity=4, max_peaks=2)
    >>> peaks.points.tolist(), peaks.values.tolist()
    ([[0.0, 3.0], [0.0, 0.5]], [7.0, 5.0])
    """
    image, maxima = to_floats("image", image), to_mask("maxima", maxima)
    max_peaks = one_integer("max_peaks", max_peaks)
    check_same_shape(image=image, maxima=maxima)
    check_map(image, "image", connectivity=connectivity)
    if max_peaks < 1:
        raise ValueError(f"max_peaks must be at least 1, got {max_peaks}")
    slots = min(max_peaks, image.size)

    # Which pixel stands for the plateau of every pixel: its first. Off the plateaus there is none.
    labels = label_components(maxima, connectivity=connectivity).ravel()
    first_of = jnp.where(labels > 0, labels - 1, image.size)
    levels = to_ordered_integers(lax.stop_gradient(image)).ravel()
    outside = to_ordered_integers(jnp.full_like(image, -jnp.inf)).ravel()
    tops = from_ordered_integers(outside.at[first_of].max(levels, mode="drop"))
    # Of equal values the first are taken first.
    values, first = lax.top_k(tops, slots)
    valid = values > -jnp.inf

    slot_at = jnp.full(image.size, slots).at[first].set(jnp.where(valid, jnp.arange(slots), slots))
    slot = slot_at.at[first_of].get(mode="fill", fill_value=slots)
    # Offsets from the first pixel are small whole numbers, which float32 adds up without rounding.
    y, x = jnp.divmod(jnp.arange(image.size, dtype=jnp.int32), image.shape[1])
    first_y, first_x = jnp.divmod(first_of, image.shape[1])
    terms = jnp.stack([y - first_y, x - first_x, jnp.ones_like(y)], axis=1).astype(values.dtype)
    sums = jax.ops.segment_sum(terms, slot, slots + 1)[:slots]
    corners = jnp.stack(jnp.divmod(first, image.shape[1]), axis=1)
    points = corners + sums[:, :2] / jnp.maximum(1, sums[:, 2:])

    empty = max_peaks - slots
    return Peaks(
        points=jnp.pad(jnp.where(valid[:, None], points, 0), ((0, empty), (0, 0))),
        values=jnp.pad(jnp.where(valid, values, 0), (0, empty)),
        valid=jnp.pad(valid, (0, empty)),
        found=jnp.sum(tops > -jnp.inf),
    )
