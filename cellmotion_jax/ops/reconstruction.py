r"""Greyscale reconstruction by dilation, exact, in sweeps across the image instead of steps of one pixel.

Every algorithm here starts at the marker, only ever raises a pixel to what a neighbour and the mask allow,
and stops when no neighbour allows more. Such a map is the reconstruction, whatever the order of the steps,
so that the sweeps differ in speed and never in a bit of the result.

A step along a line is :math:`f_i(v) = \min(m_i, \max(v, r_i))`, a clamp, and the steps along a whole line
are clamps one after another, which is again a clamp. Hence one sweep carries a level as far as the line
goes, where a dilation carries it by one pixel.
"""

import functools
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
from jax import lax
from jax.typing import ArrayLike
from jaxtyping import Array, Bool, Integer, Real

from cellmotion_jax.ops.arguments import Number, to_numbers
from cellmotion_jax.ops.host_arguments import one_integer
from cellmotion_jax.ops.numerics import check_same_shape
from cellmotion_jax.ops.ordering import from_ordered_integers, to_ordered_integers


def reconstruct(
    marker: Number[ArrayLike, "..."] | Sequence,
    mask: Number[ArrayLike, "..."] | Sequence,
    *,
    connectivity: int,
) -> Real[Array, "y x"]:
    r"""Morphological reconstruction by dilation of a marker under a mask.

    .. math:: R(p) = \max_{q,\ \mathrm{path}\ q \to p} \min\big(g(q), \min_{s \in \mathrm{path}} f(s)\big)

    with the marker :math:`g` and the mask :math:`f`: dilations of the marker, each cut off at the mask,
    until nothing changes (Vincent 1993; Soille 2003, chapter 6). Equal to
    ``skimage.morphology.reconstruction`` to the bit, but for the cases named below.

    The result is found by sweeps over the image, forth and back along rows and columns, until no pixel
    can rise: on a CPU row after row (:func:`reconstruct_by_sweeps`), elsewhere all lines at once
    (:func:`reconstruct_by_scans`). The rounds grow with the turns of the most winding path, not with its
    length: one or two on maps of cells, one for each turn of a spiral. On two cores a map of 1024 x 1024
    takes an eighteenth of the time of scikit-image. A dilation per step takes 3 times as long as the sweeps
    with 400 cells in the map and 27 times as long with 10, where levels have further to go
    (``benchmarks/peaks.py``). Use ``jax.vmap`` for a batch, which takes as many rounds as its slowest map.

    A marker above the mask counts as the mask, where scikit-image raises an error. NaN counts as minus
    infinity: nothing passes such a pixel, and it comes back as minus infinity. Beyond the border there is
    nothing. The gradient is zero.

    Args:
        marker: Levels ``[y, x]`` to start from.
        mask: Levels ``[y, x]`` that no pixel exceeds; promoted to one type with the marker.
        connectivity: 4 or 8, the number of neighbours of a pixel.

    Returns:
        The reconstruction, in the common type of marker and mask. All values of it are values of them.

    Raises:
        ValueError: If the shapes differ, are not ``[y, x]`` or hold no pixel, or for another connectivity.

    References:
        Vincent, "Morphological grayscale reconstruction in image analysis", IEEE Trans. Image Processing
        2 (1993). Soille, *Morphological Image Analysis*, 2nd edition (2003).

    >>> mask = jnp.array([[1.0, 5.0, 2.0, 7.0]])
    >>> reconstruct(jnp.array([[0.0, 4.0, 0.0, 0.0]]), mask, connectivity=4).tolist()
    [[1.0, 4.0, 2.0, 2.0]]
    """
    marker, mask = to_numbers("marker", marker), to_numbers("mask", mask)
    connectivity = one_integer("connectivity", connectivity)
    check_same_shape(marker=marker, mask=mask)
    check_map(mask, "mask", connectivity=connectivity)
    dtype = jnp.promote_types(marker.dtype, mask.dtype)
    marker, mask = lax.stop_gradient((marker.astype(dtype), mask.astype(dtype)))
    if jnp.issubdtype(dtype, jnp.integer):
        return _reconstruct_levels(marker, mask, connectivity=connectivity)
    marker, mask = to_ordered_integers(marker), to_ordered_integers(mask)
    levels = _reconstruct_levels(marker, mask, connectivity=connectivity)
    return from_ordered_integers(levels).astype(dtype)


def check_map(image: Real[Array, "..."] | Bool[Array, "..."], name: str, *, connectivity: int) -> None:
    """Raises ValueError at trace time for an array that is not a map, or a number of neighbours not 4 or 8.

    Args:
        image: Map ``[y, x]`` with at least one pixel.
        name: Name of the array in error messages.
        connectivity: 4 or 8.

    Raises:
        ValueError: If the array is not such a map, or the connectivity is neither 4 nor 8.
    """
    if image.ndim != 2 or not image.size:
        raise ValueError(
            f"{name} must be a map [y, x] with at least one pixel, got shape {image.shape}; "
            "use jax.vmap for a batch"
        )
    if connectivity not in (4, 8):
        raise ValueError(f"connectivity must be 4 or 8 neighbours, got {connectivity}")


@functools.partial(jax.jit, static_argnames="connectivity")
def _reconstruct_levels(marker: Array, mask: Array, *, connectivity: int) -> Array:
    def by_sweeps(marker: Array, mask: Array) -> Array:
        return reconstruct_by_sweeps(marker, mask, connectivity=connectivity)

    def by_scans(marker: Array, mask: Array) -> Array:
        return reconstruct_by_scans(marker, mask, connectivity=connectivity)

    return lax.platform_dependent(marker, mask, cpu=by_sweeps, default=by_scans)


def reconstruct_by_sweeps(
    marker: Integer[Array, "y x"], mask: Integer[Array, "y x"], *, connectivity: int
) -> Integer[Array, "y x"]:
    """Reconstruction row after row: down, up, and the same on the transposed map.

    A row takes what comes from its two or three neighbours in the row before, so that levels also travel
    along slanted paths in one sweep. 1024 steps of 1024 pixels each suit a CPU (1 ms) and no accelerator.

    Args:
        marker: Levels to start from.
        mask: Levels that no pixel exceeds.
        connectivity: 4 or 8.

    Returns:
        The reconstruction.
    """
    transposed_mask = mask.T

    def round_of_sweeps(levels: Array) -> tuple[Array, Array]:
        levels = _sweep_down_and_up(levels, mask, connectivity)
        transposed = _sweep_down_and_up(levels.T, transposed_mask, connectivity)
        # Asked of the transposed map, which lies in memory; asked of its transpose, XLA would move every
        # pixel once for each of its neighbours, and the round would take twice as long.
        return transposed.T, _is_settled(transposed, transposed_mask, connectivity)

    return _until_settled(round_of_sweeps, marker, mask, connectivity)


def _sweep_down_and_up(levels: Array, mask: Array, connectivity: int) -> Array:
    def step(before: Array, row: tuple[Array, Array]) -> tuple[Array, Array]:
        levels, mask = row
        arriving = _widen(before, axis=0) if connectivity == 8 else before
        levels = jnp.minimum(mask, jnp.maximum(levels, arriving))
        return levels, levels

    nothing = jnp.full(levels.shape[1:], _lowest(levels))
    _, levels = lax.scan(step, nothing, (levels, mask))
    _, levels = lax.scan(step, nothing, (levels, mask), reverse=True)
    return levels


def reconstruct_by_scans(
    marker: Integer[Array, "y x"], mask: Integer[Array, "y x"], *, connectivity: int
) -> Integer[Array, "y x"]:
    """Reconstruction by associative scans along all columns, rows and diagonals.

    A scan takes a number of parallel steps that grows with the logarithm of the size, which suits an
    accelerator; on a CPU it costs 20 to 30 times what :func:`reconstruct_by_sweeps` does.

    Args:
        marker: Levels to start from.
        mask: Levels that no pixel exceeds.
        connectivity: 4 or 8; with 8 the scans follow the diagonals as well.

    Returns:
        The reconstruction.
    """
    width = mask.shape[1]
    mirrored_mask = jnp.fliplr(mask)

    def round_of_scans(levels: Array) -> tuple[Array, Array]:
        levels = _scan_down_and_up(levels, mask)
        levels = _scan_down_and_up(levels.T, mask.T).T
        if connectivity == 8:
            levels = _unskew(_scan_down_and_up(_skew(levels), _skew(mask)), width)
            mirrored = _skew(jnp.fliplr(levels))
            levels = jnp.fliplr(_unskew(_scan_down_and_up(mirrored, _skew(mirrored_mask)), width))
        return levels, _is_settled(levels, mask, connectivity)

    return _until_settled(round_of_scans, marker, mask, connectivity)


def _scan_down_and_up(levels: Array, mask: Array) -> Array:
    def follow(first: tuple[Array, Array], then: tuple[Array, Array]) -> tuple[Array, Array]:
        """Composition of two clamps, each given by its smallest and its largest value."""
        least, greatest = then
        return (
            jnp.minimum(greatest, jnp.maximum(least, first[0])),
            jnp.minimum(greatest, jnp.maximum(least, first[1])),
        )

    levels, _ = lax.associative_scan(follow, (levels, mask), axis=0)
    levels, _ = lax.associative_scan(follow, (levels, mask), axis=0, reverse=True)
    return levels


def _skew(levels: Array) -> Array:
    """Moves row y by y places to the right, so that diagonals become columns."""
    height, width = levels.shape
    padded = jnp.pad(levels, ((0, 0), (0, height)), constant_values=_lowest(levels))
    # Rows that are shorter by one pixel than what is laid out in them slip by one pixel each.
    return padded.reshape(-1)[:-height].reshape(height, width + height - 1)


def _unskew(levels: Array, width: int) -> Array:
    height = levels.shape[0]
    return jnp.pad(levels.reshape(-1), (0, height)).reshape(height, width + height)[:, :width]


def _until_settled(
    play_round: Callable[[Array], tuple[Array, Array]], marker: Array, mask: Array, connectivity: int
) -> Array:
    # A dilation is all that a map without plateaus needs for its regional maxima.
    start = _dilate(jnp.minimum(marker, mask), mask, connectivity)
    state = (start, _is_settled(start, mask, connectivity))
    levels, _ = lax.while_loop(lambda state: ~state[1], lambda state: play_round(state[0]), state)
    return levels


def _is_settled(levels: Array, mask: Array, connectivity: int) -> Array:
    """Whether one dilation changes nothing, which is much cheaper to test than a full round."""
    return jnp.all(_dilate(levels, mask, connectivity) == levels)


def _dilate(levels: Array, mask: Array, connectivity: int) -> Array:
    above_and_below = _widen(levels, axis=0)
    beside = above_and_below if connectivity == 8 else levels
    return jnp.minimum(mask, jnp.maximum(above_and_below, _widen(beside, axis=1)))


def _widen(levels: Array, *, axis: int) -> Array:
    """The largest of every pixel and its two neighbours along an axis."""
    size = levels.shape[axis]
    ends = [(1, 1) if i == axis else (0, 0) for i in range(levels.ndim)]
    padded = jnp.pad(levels, ends, constant_values=_lowest(levels))
    before = lax.slice_in_dim(padded, 0, size, axis=axis)
    after = lax.slice_in_dim(padded, 2, size + 2, axis=axis)
    return jnp.maximum(levels, jnp.maximum(before, after))


def _lowest(levels: Array) -> Array:
    return jnp.array(jnp.iinfo(levels.dtype).min, levels.dtype)
