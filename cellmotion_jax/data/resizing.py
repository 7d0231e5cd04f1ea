"""Resizing of frames and label images by any factor."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32, Num, Shaped
from skimage.transform import resize


def resized_shape(shape: tuple[int, ...], *, scale: float) -> tuple[int, int]:
    """Rows and columns of an image at another scale, one each at least.

    >>> resized_shape((100, 50), scale=0.5)
    (50, 25)
    """
    return max(1, round(shape[0] * scale)), max(1, round(shape[1] * scale))


def resize_image(
    image: Num[np.ndarray, "y x *channel"], size: tuple[int, int]
) -> Float32[np.ndarray, "new_y new_x *channel"]:
    """Resizes an image by linear interpolation; one that shrinks is smoothed first.

    Args:
        image: Intensities in any unit.
        size: Rows and columns of the result.

    Returns:
        The image, in the same unit.
    """
    if size == image.shape[:2]:
        return image.astype(np.float32)
    shrinks = size[0] < image.shape[0] or size[1] < image.shape[1]
    resized = resize(
        image, size, order=1, mode="edge", anti_aliasing=shrinks, preserve_range=True, clip=False
    )
    return np.asarray(resized, np.float32)


def resize_labels(
    labels: Shaped[np.ndarray, "y x"], size: tuple[int, int]
) -> Shaped[np.ndarray, "new_y new_x"]:
    """Resizes a label image or a mask: every pixel takes the value of the pixel in which its centre lies.

    >>> resize_labels(np.array([[1, 2, 3, 4]]), (2, 2)).tolist()
    [[2, 4], [2, 4]]
    """
    rows, columns = (
        ((np.arange(new) + 0.5) * old / new).astype(np.int64) for new, old in zip(size, labels.shape)
    )
    return labels[rows[:, None], columns]
