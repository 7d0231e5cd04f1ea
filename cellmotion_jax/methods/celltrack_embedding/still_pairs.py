"""Training pairs from single images: a cell, and the same cell moved and deformed at random."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from jaxtyping import Bool, Float, Float32, Integer
from scipy import ndimage
from tqdm import tqdm

from cellmotion_jax.data.annotated import AnnotatedImage, ImageSplit, median_cell_diameter
from cellmotion_jax.errors import InputError
from cellmotion_jax.methods.celltrack.grid import grid_frame, grid_shape, grid_zoom, points_to_grid
from cellmotion_jax.methods.celltrack.seeds import seeds_from_labels
from cellmotion_jax.methods.celltrack_embedding.pairs import CellPair, PairSettings, cut_pair

_NODE_SPACING = 14
"""Grid pixels between the nodes of the random displacement, which is interpolated linearly; about the size of
a cell."""
_DISPLACEMENT = 1.6
"""Standard deviation of the displacement of a node along each axis, in grid pixels."""
_ROTATION = 0.15
"""Standard deviation of the angle by which a cell and its surroundings are rotated, in radians."""
_MOTION = 1.5
"""Standard deviation of the motion from the frame before along each axis, in grid pixels."""
_BORDER = 16
"""Border around a window, in grid pixels, from which a warp may take content."""


def still_pairs(
    images: ImageSplit, *, settings: PairSettings, rng: np.random.Generator
) -> Iterator[CellPair]:
    """Pairs from annotated still images; the second window of each is the first, warped.

    The surroundings of a cell are rotated about it by a random angle and displaced by a smooth random field.
    The mask of the cell is warped in the same way, and its centroid is the true position: that of the whole
    cell, whichever part of it moved.

    Args:
        images: Annotated images; cells of the training images are for training, those of the validation
            images are held out.
        settings: Size and number of the pairs.
        rng: Source of all randomness.

    Yields:
        ``train + held_out`` pairs.

    Raises:
        InputError: If neither training nor validation images hold a cell, or an image is damaged.
    """
    zoom = grid_zoom(median_cell_diameter(images.train), wanted=settings.diameter)
    for part, count, held_out in (
        (images.train, settings.train, False),
        (images.validation, settings.held_out, True),
    ):
        with_cells = [image for image in part if image.labels().any()]
        if not with_cells:
            raise InputError(f"None of the {len(part)} images from {part[0].name} on has a cell.")
        ends = np.linspace(0, count, len(with_cells) + 1).astype(int)
        for image, pairs in zip(tqdm(with_cells, desc="pairs", disable=None, leave=False), np.diff(ends)):
            yield from _pairs_of(image, int(pairs), zoom, settings, rng, held_out=held_out)


def _pairs_of(
    image: AnnotatedImage,
    count: int,
    zoom: float,
    settings: PairSettings,
    rng: np.random.Generator,
    *,
    held_out: bool,
) -> Iterator[CellPair]:
    labels = image.labels()
    frame = grid_frame(image.image().mean(axis=-1), zoom)
    cells = seeds_from_labels(labels)
    places = points_to_grid(cells.points, shape=image.shape, zoom=zoom)
    small = _labels_on_grid(labels, zoom)
    drawn = [index for index in range(len(cells)) if (small == cells.ids[index]).any()]
    for index in rng.choice(drawn, count):
        place = places[index]
        yield _warped_pair(frame, small == cells.ids[index], place, settings, rng, held_out=held_out)


def _warped_pair(
    frame: Float32[np.ndarray, "y x"],
    mask: Bool[np.ndarray, "y x"],
    place: Float32[np.ndarray, " 2"],
    settings: PairSettings,
    rng: np.random.Generator,
    *,
    held_out: bool,
) -> CellPair:
    """Warps the surroundings of a cell; the true position is the centroid of the warped mask."""
    side = settings.side + 2 * _BORDER
    corner = np.round(place).astype(int) - side // 2
    y, x = (start + np.arange(side, dtype=np.float64) for start in corner)
    there = _sources(y, x, place, rng)
    warped = ndimage.map_coordinates(frame, there, order=1, mode="nearest")
    before = np.stack(np.meshgrid(y, x, indexing="ij"))
    moved = _centroid(mask, there, before) - _centroid(mask, before, before)
    second = place + moved - corner
    return cut_pair(
        frame,
        warped,
        place,
        second - rng.normal(0, _MOTION, 2),
        second,
        side=settings.side,
        held_out=held_out,
    )


def _sources(
    y: Float[np.ndarray, " y"],
    x: Float[np.ndarray, " x"],
    place: Float[np.ndarray, " 2"],
    rng: np.random.Generator,
) -> Float[np.ndarray, "2 y x"]:
    """Coordinates in the frame from which every pixel of the warped surroundings is taken."""
    nodes = tuple(len(axis) // _NODE_SPACING + 2 for axis in (y, x))
    zoom = (1, _NODE_SPACING, _NODE_SPACING)
    field = np.asarray(ndimage.zoom(rng.normal(0, _DISPLACEMENT, (2, *nodes)), zoom, order=1))
    angle = rng.normal(0, _ROTATION)
    dy, dx = np.meshgrid(y - place[0], x - place[1], indexing="ij")
    turned = np.stack([np.cos(angle) * dy - np.sin(angle) * dx, np.sin(angle) * dy + np.cos(angle) * dx])
    return turned + place[:, None, None] + field[:, : len(y), : len(x)]


def _centroid(
    mask: Bool[np.ndarray, "y x"], there: Float[np.ndarray, "2 v u"], where: Float[np.ndarray, "2 v u"]
) -> Float[np.ndarray, " 2"]:
    """Centroid of a mask sampled at given coordinates; of the mask itself if no pixel is left."""
    weights = ndimage.map_coordinates(mask.astype(np.float32), there, order=1, mode="constant")
    if not weights.any():
        return np.argwhere(mask).mean(axis=0)
    return (weights * where).sum(axis=(1, 2)) / weights.sum()


def _labels_on_grid(labels: Integer[np.ndarray, "y x"], zoom: float) -> Integer[np.ndarray, "grid_y grid_x"]:
    """The label under the centre of every grid pixel."""
    rows, columns = (
        np.minimum((np.arange(size) + 0.5) * (full / size), full - 1).astype(int)
        for size, full in zip(grid_shape((labels.shape[0], labels.shape[1]), zoom), labels.shape)
    )
    return labels[rows[:, None], columns[None, :]]
