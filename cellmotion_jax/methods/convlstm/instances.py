"""Conversion of foreground probabilities to the label image of a frame."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Int32
from scipy import ndimage
from skimage.morphology import local_maxima, reconstruction
from skimage.segmentation import watershed

from cellmotion_jax.data.annotated import AnnotatedImage
from cellmotion_jax.errors import InputError
from cellmotion_jax.metrics import match_frame, segmentation_score
from cellmotion_jax.settings import Count, NotNegative, Settings, ShareBelowOne, WholeFromZero

SMALLEST_SHARE = 0.1
"""Smallest area of a cell and of a hole, as a share of the area of a disc with the median diameter."""
SPLIT_SHARES = (0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5)
"""Candidates for the splitting depth, as shares of the radius of a median cell."""
TOLERANCE = 0.002
"""Tolerated loss of SEG on the true masks."""
MOST_FRAMES = 40


@dataclasses.dataclass(frozen=True, kw_only=True)
class InstanceSettings(Settings):
    """Settings of the conversion of foreground probabilities to cells."""

    threshold: ShareBelowOne = 0.5
    """Probability above which a pixel is foreground."""
    smallest_area: Count = 50
    """Smallest area of a cell in pixels, including filled holes; smaller regions become background."""
    largest_hole: WholeFromZero = 100
    """Largest area in pixels of a hole that is filled; 0 fills none."""
    split_depth: NotNegative | None = None
    """Depth, in pixels of the distance to the background, at which touching cells are split: two maxima of
    this distance are two cells if both exceed the neck between them by more than this, e.g. 2. None, or
    0, splits none, and cells that touch are one."""


def find_instances(
    foreground: Float[np.ndarray, "..."], *, settings: InstanceSettings = InstanceSettings()
) -> Int32[np.ndarray, "y x"]:
    """Converts the foreground probability of a frame to a label image of its cells.

    Cells are the connected components of the pixels above the threshold, with 4 neighbours. A component of
    the background, also with 4 neighbours, is a hole if it does not touch the border of the frame; small
    holes are filled. With ``split_depth`` every cell is then split by a watershed of its distance to the
    background, with one part for every maximum that is higher than its surroundings by more than that depth
    (the extended maxima of Soille 2003, chapter 6, with all eight neighbours). The paper has no such step,
    and it may split long cells. Finally, components that are too small are removed. The border of the frame
    is not an outline in the distances: cells continue beyond it.

    Args:
        foreground: Probability [y, x], from 0 to 1.
        settings: Settings of threshold, sizes and splitting.

    Returns:
        Labels 1, 2, ... in the order of the first pixels, row by row; 0 is background.

    Raises:
        ValueError: If ``foreground`` is not of shape [y, x] or holds no pixel.
        InputError: If a value is NaN, or a setting is out of range.

    References:
        Soille, *Morphological Image Analysis*, 2nd edition (2003).

    >>> foreground = np.array([[0.9, 0.1, 0.8], [0.9, 0.1, 0.8]])
    >>> find_instances(foreground, settings=InstanceSettings(smallest_area=2))
    array([[1, 0, 2],
           [1, 0, 2]], dtype=int32)
    """
    if foreground.ndim != 2 or not foreground.size:
        raise ValueError(f"foreground must be an image [y, x], got shape {foreground.shape}")
    if np.isnan(foreground).any():
        raise InputError("foreground holds NaN; probabilities from 0 to 1 are right.")
    cells = _without_holes(foreground > settings.threshold, settings.largest_hole)
    labels = _components(cells)
    if settings.split_depth:
        labels = _split(labels, settings.split_depth)
    return _large(labels, settings.smallest_area)


def _without_holes(cells: Bool[np.ndarray, "y x"], largest: int) -> Bool[np.ndarray, "y x"]:
    holes = _components(~cells)
    small = np.bincount(holes.ravel()) <= largest
    small[0] = False
    for border in (holes[0], holes[-1], holes[:, 0], holes[:, -1]):
        small[border] = False
    return cells | small[holes]


def _split(labels: Int32[np.ndarray, "y x"], depth: float) -> Int32[np.ndarray, "y x"]:
    """Splits every component in its bounding box; labels are unique but not ordered.

    Nearly all the time goes into the reconstruction, which sorts every pixel of a box.
    """
    corners = np.ones((3, 3))
    split, last = np.zeros_like(labels), 0
    for label, box in enumerate(ndimage.find_objects(labels), start=1):
        component = labels[box] == label
        # A ring of background around the box, but not where the box ends because the frame does.
        ring = [(int(side.start > 0), int(side.stop < size)) for side, size in zip(box, labels.shape)]
        inside = tuple(slice(before, before + size) for (before, _), size in zip(ring, component.shape))
        parts = component.astype(np.int32)
        if not component.all() or np.any(ring):
            distance = np.asarray(ndimage.distance_transform_edt(np.pad(component, ring)))[inside]
            # A neck is one pixel deep at least: two tops that stand out from it are deeper by more than this.
            tops = _components(local_maxima(distance) & (distance > depth + 1), corners)
            if tops.max() > 1:
                # The cut-off hills, of which two that are joined above the cut are one;
                # `skimage.morphology.h_maxima` marks both, if they are equally high.
                hills = local_maxima(reconstruction(distance - depth, distance)) & component
                peaks = _components(hills, corners)
                if peaks.max() > 1:
                    parts = watershed(-distance, peaks, mask=component)
        split[box][component] = parts[component] + last
        last += int(parts.max())
    return split


def _components(
    where: Bool[np.ndarray, "y x"], neighbours: Float[np.ndarray, "3 3"] | None = None
) -> Int32[np.ndarray, "y x"]:
    """Labels connected components with 1, 2, ...; the default is 4 neighbours."""
    labels = np.zeros(where.shape, np.int32)
    ndimage.label(where, neighbours, output=labels)
    return labels


def _large(labels: Int32[np.ndarray, "y x"], smallest: int) -> Int32[np.ndarray, "y x"]:
    """Removes labels with fewer pixels and renumbers the others in the order of their first pixels."""
    pixels = labels.ravel()
    areas = np.bincount(pixels)
    first = np.full(len(areas), pixels.size)
    # Of several assignments to one place the last counts: that of the first pixel.
    covered = np.flatnonzero(pixels)[::-1]
    first[pixels[covered]] = covered
    kept = np.flatnonzero((areas >= smallest) & (first < pixels.size))
    number = np.zeros(len(areas), np.int32)
    number[kept[np.argsort(first[kept])]] = np.arange(1, len(kept) + 1)
    return number[labels]


def fit_instances(images: Sequence[AnnotatedImage], *, diameter: float) -> InstanceSettings:
    """Fits the smallest area of a cell and of a hole, and the depth at which touching cells are split.

    The true cells of every frame are merged to one mask and split again: of the depths with the best SEG of
    the reconstructed cells, the middle one is taken. No network is needed. If every depth is worse than no
    splitting, cells are not split.

    Args:
        images: Training images, at least one of them with a cell; if there are many, an evenly spaced subset
            is used.
        diameter: Median equivalent diameter of a cell in them, in pixels.

    Returns:
        Settings in pixels of the images.
    """
    area = max(1, round(SMALLEST_SHARE * np.pi / 4 * diameter**2))
    settings = InstanceSettings(smallest_area=area, largest_hole=area)
    candidates = [
        settings,
        *(dataclasses.replace(settings, split_depth=share * diameter / 2) for share in SPLIT_SHARES),
    ]
    masks = [labels for labels in (image.labels() for image in images) if labels.any()]
    masks = masks[:: -(-len(masks) // MOST_FRAMES)]
    unparted, *parted = [
        segmentation_score(
            match_frame(labels, find_instances((labels > 0).astype(np.float32), settings=candidate))
            for labels in masks
        ).seg
        for candidate in candidates
    ]
    if max(parted) < unparted - TOLERANCE:
        return settings
    best = [it for it, score in zip(candidates[1:], parted) if score >= max(parted) - TOLERANCE]
    return best[len(best) // 2]
