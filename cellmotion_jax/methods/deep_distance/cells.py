"""Detection and segmentation of the cells of an image of any size with a trained DeepDistance network."""

from __future__ import annotations

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int32, Num
from skimage.segmentation import expand_labels

from cellmotion_jax.data.downsampling import downsample_image, image_points, upsample_labels
from cellmotion_jax.errors import InputError
from cellmotion_jax.inference.tiling import DEFAULT_TILING, Tiling, check_image, predict_tiled
from cellmotion_jax.methods.deep_distance.detection import Detections, detect_cells
from cellmotion_jax.methods.deep_distance.model_file import DeepDistanceModel
from cellmotion_jax.models.deep_distance import DeepDistance, DistanceMaps
from cellmotion_jax.morphology.majority import majority_filter
from cellmotion_jax.morphology.marker_growth import Grow, flood_markers, widen_markers
from cellmotion_jax.ops.intensity import standardize

# Section 4.7 gives its sizes for cells about this wide.
PAPER_CELL_DIAMETER = 60.0
PAPER_SMALLEST_MARKER = 50
# Shares of a typical cell: the width of the majority filter's window, and the smallest area.
MAJORITY_WIDTH = 0.2
SMALLEST_CELL = 0.1


class Cells(NamedTuple):
    """The cells of one image."""

    points: Float[np.ndarray, "cell 2"]
    """Positions (y, x) in pixels of the image, the most certain cell first."""
    values: Float[np.ndarray, " cell"]
    """Height of the peak of each cell."""
    labels: Int32[np.ndarray, "y x"] | None
    """Label i + 1 on the pixels of cell i; a cell without pixels was too small or lost them to others. None
    if cells were not segmented."""
    maps: DistanceMaps
    """Predicted maps, ``[y x]`` on the downsampled grid."""


def find_cells(
    model: DeepDistanceModel,
    image: Num[np.ndarray, "..."],
    *,
    segment: bool,
    tiling: Tiling = DEFAULT_TILING,
    grow: Grow = flood_markers,
) -> Cells:
    """Detects the cells of an image and, optionally, segments them.

    Positions are those of :func:`image_points`; the label image is repeated pixel by pixel, and its last row
    and column repeated further where the image's size is no multiple of the blocks.

    Args:
        model: The network.
        image: Image ``[y x channel]`` in any unit.
        segment: Also segment the cells.
        tiling: Tiles in downsampled pixels.
        grow: Function that grows cells from their markers, see :func:`segment_cells`.

    Returns:
        The cells, on the grid of the image.

    Raises:
        ValueError: If the image is not of shape ``[y x channel]``.
        InputError: As :func:`predict_maps`, or if a network without outer distance and classification is
            asked to segment.
    """
    if segment and not model.can_segment:
        tasks = ", ".join(task.value for task in model.network.tasks)
        raise InputError(f"outlines need a network that has learned outer and classification, not {tasks}.")
    maps = predict_maps(model, image, tiling=tiling)
    found = detect_cells(maps, settings=model.detection, area_threshold=model.area_threshold)
    labels = None
    if segment:
        labels = upsample_labels(
            segment_cells(model, maps, found, grow=grow), model.downsample, image.shape[:2]
        )
    return Cells(image_points(found.points, model.downsample), found.values, labels, maps)


def predict_maps(
    model: DeepDistanceModel, image: Num[np.ndarray, "..."], *, tiling: Tiling = DEFAULT_TILING
) -> DistanceMaps:
    """The network's maps of a whole image, which is downsampled, standardised and cut into tiles.

    Args:
        model: The network.
        image: Image ``[y x channel]`` in any unit.
        tiling: Tiles in downsampled pixels.

    Returns:
        Maps ``[y x]`` on the downsampled grid, NumPy; None for tasks that the network does not have.

    Raises:
        ValueError: If the image is not of shape ``[y x channel]``.
        InputError: If its number of channels differs from that of the training images, it is smaller than a
            block, or has pixels that are NaN or infinite.
    """
    check_image(image)
    if image.shape[-1] != model.channels:
        raise InputError(
            f"the image has {image.shape[-1]} channels, but the network was trained on images of "
            f"{model.channels}; give images of the same kind."
        )
    if min(image.shape[:2]) < model.downsample:
        raise InputError(
            f"the image has {image.shape[0]} x {image.shape[1]} pixels; the network sees the means of "
            f"{model.downsample} x {model.downsample} and needs one of them at least."
        )
    predict = functools.partial(_tile_maps, jax.device_put(model.variables), network=model.network)
    seen = np.asarray(standardize(jnp.asarray(downsample_image(image, model.downsample))))
    return predict_tiled(predict, seen, tiling=tiling, multiple=model.network.multiple)


def segment_cells(
    model: DeepDistanceModel, maps: DistanceMaps, detections: Detections, *, grow: Grow = flood_markers
) -> Int32[np.ndarray, "y x"]:
    """Label image of the detected cells (Section 4.7), on the downsampled grid.

    Four things differ from the paper. The smallest marker, 50 pixels for cells 60 pixels wide, is scaled to
    the cells that the network was trained on. Markers grow by :func:`flood_markers`, which completes cells;
    what is then smaller than a tenth of a typical cell is dropped. Cells are widened by the boundary width
    that the classification target had removed, and only then smoothed, by a majority filter of a fifth of a
    cell: the paper's 25 pixels, for cells of 60, removed a rim of round cells.

    Args:
        model: The network, for its sizes.
        maps: Predicted maps, ``outer`` and ``classification`` among them.
        detections: Detections on these maps.
        grow: Function that grows the widened markers.

    Returns:
        Label i + 1 on the pixels of detection i.

    Raises:
        ValueError: If there is no outer or classification map.
    """
    if maps.outer is None or maps.classification is None:
        raise ValueError("maps need outer and classification for outlines")
    scale = model.cell_diameter / PAPER_CELL_DIAMETER
    foreground = np.asarray(maps.classification) > 0.5
    outer = np.asarray(maps.outer)
    smallest = max(1, round(PAPER_SMALLEST_MARKER * scale**2))
    grown = grow(widen_markers(detections.markers, outer, smallest=smallest), outer, foreground)
    eroded = max(0.0, model.cell_diameter - 2 * model.boundary_width)
    areas = np.bincount(grown[foreground], minlength=grown.max() + 1)
    large = areas >= SMALLEST_CELL * np.pi / 4 * eroded**2
    kept = np.where(large[grown], grown, 0)
    widened = expand_labels(kept, model.boundary_width)  # type: ignore[arg-type]  # Fractions are fine.
    window = 1 + 2 * round(max(0.0, MAJORITY_WIDTH * model.cell_diameter - 1) / 2)
    return majority_filter(widened, size=window).astype(np.int32)


@functools.partial(jax.jit, static_argnames="network")
def _tile_maps(variables, tiles, *, network: DeepDistance) -> DistanceMaps:
    return network.apply(variables, tiles, train=False).maps  # type: ignore[union-attr]
