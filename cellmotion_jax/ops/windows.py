"""Windows around points of an image, all of one size, cut out without padding the image."""

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Integer, Shaped

from cellmotion_jax.ops.arguments import Number, to_floats, to_integers, to_numbers
from cellmotion_jax.ops.host_arguments import one_integer


def gather_windows(
    image: Shaped[ArrayLike, "y x channel"] | Sequence,
    centres: Integer[ArrayLike, "cell 2"] | Sequence,
    *,
    size: int,
    stride: int = 1,
) -> Shaped[Array, "cell size size channel"]:
    """Windows around whole pixels; beyond the border the nearest pixel of the image is repeated.

    Entry ``size // 2`` of each axis is the centre. The image itself is never copied: padding it costs more
    than all its windows.

    Args:
        image: One frame, or its feature maps; whole numbers stay whole numbers.
        centres: Pixels (y, x), whole numbers, inside or outside the image.
        size: Side of the window in samples.
        stride: Pixels between samples.

    Returns:
        One window per centre.
    """
    image, centres = to_numbers("image", image, "y x channel"), to_integers("centres", centres, "cell 2")
    size, stride = one_integer("size", size), one_integer("stride", stride)
    offsets = (np.arange(size) - size // 2) * stride
    rows = jnp.clip(centres[:, :1] + offsets[None], 0, image.shape[0] - 1)
    columns = jnp.clip(centres[:, 1:] + offsets[None], 0, image.shape[1] - 1)
    return image.at[rows[:, :, None], columns[:, None, :]].get(mode="promise_in_bounds")


def sample_windows(
    image: Number[ArrayLike, "y x channel"] | Sequence,
    centres: Number[ArrayLike, "cell 2"] | Sequence,
    steps: Number[ArrayLike, " cell"] | Sequence,
    *,
    size: int,
) -> Float[Array, "cell size size channel"]:
    """Windows around any points, interpolated linearly, each with its own distance between samples.

    With whole centres and steps of 1 it equals `gather_windows`.

    Args:
        image: One frame, or its feature maps.
        centres: Points (y, x).
        steps: Pixels between the samples of each window.
        size: Side of the window in samples.

    Returns:
        One window per centre; the gradient flows to the image, the centres and the steps.
    """
    image, centres = to_floats("image", image, "y x channel"), to_floats("centres", centres, "cell 2")
    steps, size = to_floats("steps", steps, "cell"), one_integer("size", size)
    offsets = (np.arange(size) - size // 2).astype(np.float32)
    sides = []
    for axis in range(2):
        last = image.shape[axis] - 1
        place = jnp.clip(centres[:, axis, None] + steps[:, None] * offsets[None], 0.0, last)
        low = jnp.clip(jnp.floor(place), 0, max(last - 1, 0)).astype(jnp.int32)
        sides.append((low, jnp.minimum(low + 1, last), place - low))
    (top, bottom, down), (left, right, across) = sides

    def corner(rows: Array, columns: Array) -> Array:
        return image.at[rows[:, :, None], columns[:, None, :]].get(mode="promise_in_bounds")

    across, down = across[:, None, :, None], down[:, :, None, None]
    above = corner(top, left) * (1 - across) + corner(top, right) * across
    below = corner(bottom, left) * (1 - across) + corner(bottom, right) * across
    return above * (1 - down) + below * down
