"""Fragments of labels: pixels that carry the label of a cell and lie apart from it."""

from __future__ import annotations

import numpy as np
from jaxtyping import Integer
from skimage.measure import label as connected_regions

FRAGMENT = 0.1
"""Share of the largest region of a label below which another region is a fragment."""


def without_fragments(
    labels: Integer[np.ndarray, "y x"], *, share: float = FRAGMENT
) -> Integer[np.ndarray, "y x"]:
    """A label image without the small regions that lie apart from the largest one of the same label.

    Regions are connected by sides and corners. Parts of similar size, such as the halves of a cell that a
    thin line divides, all stay; only what is smaller than a share of the largest is set to the background. A
    stray pixel thus moves neither the box nor the centroid of its cell.

    Args:
        labels: Label image, 0 for background.
        share: Share of the area of the largest region of the label; 0 removes nothing.

    Returns:
        The image; the same one if there is no fragment. Every label keeps its largest region.

    >>> without_fragments(np.array([[0, 0, 0, 0, 5], [5, 5, 5, 0, 0], [5, 5, 5, 5, 5], [5, 5, 5, 0, 0],
    ...                             [5, 5, 5, 0, 7]]))[[0, 4]].tolist()
    [[0, 0, 0, 0, 0], [5, 5, 5, 0, 7]]
    """
    regions = np.asarray(connected_regions(labels, background=0, connectivity=2))
    area = np.bincount(regions.ravel())
    owner = np.zeros(len(area), labels.dtype)
    owner[regions.ravel()] = labels.ravel()
    area[0] = 0
    names, cell = np.unique(owner, return_inverse=True)
    if len(names) == len(area):
        return labels
    largest = np.zeros(len(names), area.dtype)
    np.maximum.at(largest, cell, area)
    fragment = area < share * largest[cell]
    return np.where(fragment[regions], 0, labels).astype(labels.dtype) if fragment.any() else labels
