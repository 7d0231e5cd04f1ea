"""Windows around the cells of a label image."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Bool, Integer
from scipy import ndimage

Window = tuple[slice, ...]


def cell_windows(
    number: Integer[np.ndarray, "y x"], *, margin: int
) -> Iterator[tuple[int, Window, Bool[np.ndarray, "height width"]]]:
    """The bounding box of each cell, enlarged by a border; all are found in one pass over the image.

    Args:
        number: Cells counted through as by :func:`~cellmotion_jax.ops.labels.number_cells`.
        margin: Pixels added on every side, as far as the image goes.

    Yields:
        Number of the cell, its window, and where in the window the cell is.
    """
    for index, box in enumerate(ndimage.find_objects(number), start=1):
        window = tuple(slice(max(side.start - margin, 0), side.stop + margin) for side in box)
        yield index, window, number[window] == index
