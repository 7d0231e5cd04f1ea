"""Diameter of the cells of a movie, estimated by a network that was trained on cells of one size."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import tqdm
from jaxtyping import Num

from cellmotion_jax.data.movie import Movie
from cellmotion_jax.data.resizing import resize_image, resized_shape
from cellmotion_jax.errors import InputError
from cellmotion_jax.inference.segmenter import Segmenter

SCALES = tuple(2.0 ** (step / 2) for step in range(-6, 5))
"""Scales that are tried: cells of 7 to 220 pixels where those of the training had 28."""
SEEN = 384
"""Rows and columns that the network sees at each scale, from the middle of the frame."""
DOUBT = 2.0
"""Cells of score 0 that are added: the score of a few cells counts less than that of many."""


class _Trial(NamedTuple):
    """What a network finds at one scale."""

    certainty: float
    """Sum of the scores over the number of cells and `DOUBT`."""
    diameter: float
    """Median equivalent diameter of the cells in pixels of the frame."""


def estimate_cell_diameter(
    segmenter: Segmenter,
    movie: Movie | Sequence[Num[np.ndarray, "y x *channel"]],
    *,
    scales: Sequence[float] = SCALES,
) -> float:
    """Estimates the diameter of the cells of a movie.

    The network looks at the middle of a frame at several scales. Where cells have the size of the training
    cells its scores are highest; the diameter is that of the cells that it finds at that scale. The middle
    frame is taken, or if it finds no cell there the first or the last.

    Args:
        segmenter: A model that outlines cells and knows the size of its training cells.
        movie: Frames.
        scales: Scales that are tried.

    Returns:
        Median equivalent diameter in pixels of the movie.

    Raises:
        InputError: If no cell is found at any scale.
    """
    frames = dict.fromkeys([len(movie) // 2, 0, len(movie) - 1])
    for frame in frames:
        image = movie[frame]
        image = image if image.ndim == 3 else image[..., None]
        bar = tqdm.tqdm(scales, desc="size of the cells", unit="scale", leave=False, disable=None)
        trials = list(_trials(segmenter, image, bar))
        best = max(trials, default=_Trial(0.0, 0.0))
        if best.certainty > 0:
            return best.diameter
    raise InputError(
        "no cell was found at any scale, so that their size is not known; give it as cell-diameter, or a "
        "model for cells like these."
    )


def _trials(
    segmenter: Segmenter, image: Num[np.ndarray, "y x channel"], scales: Iterable[float]
) -> Iterator[_Trial]:
    smallest = 2 * (segmenter.cell_diameter or 1.0)
    for scale in scales:
        rows, columns = (_middle(side, int(SEEN / scale)) for side in image.shape[:2])
        part = image[rows, columns]
        size = resized_shape(part.shape, scale=scale)
        if min(size) < smallest:
            continue  # Hardly a cell would be seen whole.
        # Mirrored to one size at every scale, for which one program is compiled.
        missing = [(0, max(0, SEEN - side)) for side in size]
        seen = np.pad(resize_image(part, size), [*missing, (0, 0)], mode="symmetric")
        found = next(iter(segmenter.segment([seen])))
        if found.labels is None:
            raise InputError("the model only detects cells; give one that outlines, or the cell-diameter.")
        areas = np.bincount(found.labels[: size[0], : size[1]].ravel(), minlength=len(found.points) + 1)[1:]
        there = areas > 0
        if there.any():
            certainty = float(found.scores[there].sum() / (np.count_nonzero(there) + DOUBT))
            yield _Trial(certainty, float(np.median(2 * np.sqrt(areas[there] / np.pi))) / scale)


def _middle(side: int, most: int) -> slice:
    length = min(side, max(most, 1))
    first = (side - length) // 2
    return slice(first, first + length)
