"""Affine warps of images with bilinear interpolation, inside a compiled step.

Points are ``(y, x)`` in pixels, y down, pixel centres at whole numbers; angles are counter-clockwise as a
person sees the image. A matrix maps where a pixel of the output *goes to look* in the input, so it is the
inverse of what happens to the content; the builders below take the latter and return the former.
"""

from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Int, Integer

from cellmotion_jax.ops.arguments import Mask, Number, to_floats, to_integers, to_mask
from cellmotion_jax.ops.host_arguments import image_shape


def affine_warp(
    image: Number[ArrayLike, "..."] | Sequence,
    matrix: Number[ArrayLike, "..."] | Sequence,
    *,
    fill: Number[ArrayLike, ""] = 0.0,
    output_shape: tuple[int, int] | None = None,
) -> Float[Array, "y_out x_out channel"]:
    r"""Resamples an image bilinearly at the positions given by a matrix.

    .. math:: \mathrm{output}(p) = \mathrm{image}(A p + b), \qquad \mathrm{matrix} = [A \mid b]

    with :math:`p = (y, x)`. A place between pixels takes the weighted mean of its four neighbours, and
    every neighbour outside the image counts as ``fill``: the border fades into the fill over one pixel
    (``mode="grid-constant"`` of ``scipy.ndimage.affine_transform(order=1)``; its ``mode="constant"``
    agrees inside the image and jumps at the border, where rounding would then decide).

    The identity matrix returns the image to the bit. The gradient for the image is the transposed
    interpolation (a scatter, much slower than the way there on a CPU; a training step does not need it).
    The gradient for the matrix is that of the bilinear surface, from the right at its creases and 0
    where the place lies more than one pixel outside. Coordinates are float32 at least, so that images of
    half precision are still sampled in the right place.

    Four masked reads of the flattened image are the fastest exact form on XLA:CPU (``benchmarks/warp.py``:
    32 images of 128 x 128 on two cores in 1.5 ms, half the time of
    ``jax.scipy.ndimage.map_coordinates``; reads from a padded image took 2 to 3 ms, gathers of 2 x 2
    blocks 4 to 6). Use ``jax.vmap`` for a batch.

    Args:
        image: Pixels ``[y, x, channel]``, finite.
        matrix: Maps output points to input points, shape ``(2, 3)``, rows y and x.
        fill: Value outside the image.
        output_shape: ``(y, x)`` size of the output; by default that of the image.

    Returns:
        The resampled image, in the type of the image; in float32 for whole numbers.

    Raises:
        ValueError: If ``image`` has no three axes or ``matrix`` is not of shape (2, 3).

    >>> pixels = jnp.arange(3.0).reshape(1, 3, 1)
    >>> affine_warp(pixels, jnp.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.5]])).ravel().tolist()
    [0.5, 1.5, 1.0]
    """
    image, matrix, fill = to_floats("image", image), to_floats("matrix", matrix), to_floats("fill", fill, "")
    if image.ndim != 3 or matrix.shape != (2, 3):
        raise ValueError(
            "image must have the axes [y, x, channel] and matrix the shape (2, 3): "
            f"image has shape {image.shape}, matrix has shape {matrix.shape}"
        )
    height, width, channels = image.shape
    rows, columns = image_shape("output_shape", (height, width) if output_shape is None else output_shape)
    matrix = matrix.astype(jnp.promote_types(matrix.dtype, jnp.float32))
    y_out = jnp.arange(rows, dtype=matrix.dtype)[:, None]
    x_out = jnp.arange(columns, dtype=matrix.dtype)[None, :]
    y = matrix[0, 0] * y_out + matrix[0, 1] * x_out + matrix[0, 2]
    x = matrix[1, 0] * y_out + matrix[1, 1] * x_out + matrix[1, 2]
    # All places further out look the same; clipping them keeps the whole numbers below from overflowing.
    y, x = jnp.clip(y, -1, height), jnp.clip(x, -1, width)
    top, left = jnp.floor(y), jnp.floor(x)
    down, right = (y - top)[..., None], (x - left)[..., None]
    i, j = top.astype(jnp.int32), left.astype(jnp.int32)

    pixels = image.reshape(-1, channels)

    def read(i: Array, j: Array) -> Array:
        inside = (i >= 0) & (i < height) & (j >= 0) & (j < width)
        index = jnp.clip(i, 0, height - 1) * width + jnp.clip(j, 0, width - 1)
        return jnp.where(inside[..., None], pixels.at[index].get(mode="promise_in_bounds"), fill)

    above = (1 - right) * read(i, j) + right * read(i, j + 1)
    below = (1 - right) * read(i + 1, j) + right * read(i + 1, j + 1)
    return ((1 - down) * above + down * below).astype(image.dtype)


def similarity_matrix(
    *,
    rotation: Number[ArrayLike, ""] = 0.0,
    scale: Number[ArrayLike, ""] = 1.0,
    shift: Number[ArrayLike, "2"] | Sequence = (0.0, 0.0),
    mirror_horizontal: Mask[ArrayLike, ""] = False,
    mirror_vertical: Mask[ArrayLike, ""] = False,
    shape: tuple[int, int],
) -> Float[Array, "2 3"]:
    r"""The matrix for :func:`affine_warp` that mirrors, rotates, scales and shifts the content of an image.

    The content at :math:`q` goes to

    .. math:: p = c + t + s\,R\,M\,(q - c)

    with the image centre :math:`c`, the shift :math:`t`, the scale :math:`s`, the counter-clockwise
    rotation :math:`R` and the mirroring :math:`M`, which comes first. A heading in the image follows in
    the same order: pi - a for a horizontal mirror, -a for a vertical one, then a + rotation
    (``ops.angles``). The returned matrix is the inverse map, from output to input.

    Args:
        rotation: Radians, counter-clockwise as a person sees the image.
        scale: Larger than 0; above 1 the content grows.
        shift: ``(dy, dx)`` in pixels, y down.
        mirror_horizontal: Swap left and right.
        mirror_vertical: Swap top and bottom.
        shape: ``(y, x)`` size of the image.

    Returns:
        Matrix of shape (2, 3), rows y and x, differentiable in rotation, scale and shift.
    """
    rotation, scale = to_floats("rotation", rotation, ""), to_floats("scale", scale, "")
    mirror_vertical = to_mask("mirror_vertical", mirror_vertical, "")
    mirror_horizontal = to_mask("mirror_horizontal", mirror_horizontal, "")
    cos, sin = jnp.cos(rotation), jnp.sin(rotation)
    # y points down, so a counter-clockwise turn takes (dy, dx) to (cos dy - sin dx, sin dy + cos dx).
    # Its inverse is its transpose, and mirroring is its own inverse.
    flip = jnp.stack([jnp.where(mirror_vertical, -1.0, 1.0), jnp.where(mirror_horizontal, -1.0, 1.0)])
    turn_back = jnp.stack([jnp.stack([cos, sin]), jnp.stack([-sin, cos])])
    linear = flip[:, None] * turn_back / scale
    centre = (jnp.array(image_shape("shape", shape), linear.dtype) - 1) / 2
    # No matrix product: accelerators may round it to bfloat16, whole pixels in an image of this size.
    offset = centre - jnp.sum(linear * (centre + to_floats("shift", shift, "2"))[None, :], axis=1)
    return jnp.concatenate([linear, offset[:, None]], axis=1)


def rotation_matrix(angle: Number[ArrayLike, ""], shape: tuple[int, int]) -> Float[Array, "2 3"]:
    """The matrix for :func:`affine_warp` that rotates the content of an image about its centre.

    Args:
        angle: Radians, counter-clockwise as a person sees the image.
        shape: ``(y, x)`` size of the image.

    Returns:
        Matrix of shape (2, 3), rows y and x.
    """
    return similarity_matrix(rotation=to_floats("angle", angle, ""), shape=shape)


def rotate(
    image: Number[ArrayLike, "y x channel"] | Sequence,
    angle: Number[ArrayLike, ""],
    *,
    fill: Number[ArrayLike, ""],
) -> Float[Array, "y x channel"]:
    """The image with its content rotated about the centre; headings increase by the angle.

    A quarter turn of a square image equals ``numpy.rot90`` up to rounding.

    Args:
        image: Pixels.
        angle: Radians, counter-clockwise as a person sees the image.
        fill: Value of pixels from outside the image, for example the mean of the image.

    Returns:
        An image of the same size.

    >>> rotate(jnp.array([[[1.0], [2.0]], [[3.0], [4.0]]]), jnp.pi / 2, fill=0.0)[..., 0].round().tolist()
    [[2.0, 4.0], [1.0, 3.0]]
    """
    image = to_floats("image", image, "y x channel")
    return affine_warp(image, rotation_matrix(angle, (image.shape[0], image.shape[1])), fill=fill)


def turn_square(key: Array, maps: Mapping[str, Array], *, turns: bool) -> dict[str, Array]:
    """Square maps [y, x, ...] under a random symmetry of the square, if turns are on."""
    turned, mirrored, flipped = jax.random.bernoulli(key, shape=(3,)) & turns

    def moved(tile: Array) -> Array:
        # A transposition and two mirrors reach all eight positions of a square.
        tile = jnp.where(turned, tile.swapaxes(0, 1), tile)
        tile = jnp.where(mirrored, tile[:, ::-1], tile)
        return jnp.where(flipped, tile[::-1], tile)

    return {name: moved(tile) for name, tile in maps.items()}


def warp_labels(
    labels: Integer[ArrayLike, "..."] | Sequence,
    matrix: Number[ArrayLike, "..."] | Sequence,
    *,
    fill: int,
    output_shape: tuple[int, int],
) -> Int[Array, "y_out x_out *channel"]:
    """Resamples a label image: every pixel takes the label of the pixel nearest to its position.

    Args:
        labels: Label image [y, x], or several as channels [y, x, channel].
        matrix: As for `affine_warp`.
        fill: Label of pixels from outside of the image.
        output_shape: ``(y, x)`` size of the output.

    Returns:
        The resampled labels.

    Raises:
        ValueError: If ``labels`` has not two or three axes or ``matrix`` is not of shape (2, 3).

    >>> warp_labels([[1, 2, 3]], [[1, 0, 0], [0, 1, 1]], fill=9, output_shape=(1, 3)).tolist()
    [[2, 3, 9]]
    """
    labels, matrix = to_integers("labels", labels), to_floats("matrix", matrix)
    if labels.ndim not in (2, 3) or matrix.shape != (2, 3):
        raise ValueError(
            "labels must have the axes [y, x] or [y, x, channel] and matrix the shape (2, 3): "
            f"labels has shape {labels.shape}, matrix has shape {matrix.shape}"
        )
    rows, columns = image_shape("output_shape", output_shape)
    matrix = matrix.astype(jnp.promote_types(matrix.dtype, jnp.float32))
    y_out = jnp.arange(rows, dtype=matrix.dtype)[:, None]
    x_out = jnp.arange(columns, dtype=matrix.dtype)[None, :]
    y, x = (jnp.round(of_y * y_out + of_x * x_out + start).astype(jnp.int32) for of_y, of_x, start in matrix)
    height, width = labels.shape[:2]
    inside = (y >= 0) & (y < height) & (x >= 0) & (x < width)
    found = labels[jnp.clip(y, 0, height - 1), jnp.clip(x, 0, width - 1)]
    return jnp.where(inside.reshape(inside.shape + (1,) * (labels.ndim - 2)), found, fill)
