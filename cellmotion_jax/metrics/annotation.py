"""Selection of the cells and points of a result that can be evaluated on a partly annotated image."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float


def known_cells(labels: np.ndarray, annotated: Bool[np.ndarray, "y x"]) -> np.ndarray:
    """The label image without the cells that lie mostly on pixels that are not annotated."""
    size = labels.max(initial=0) + 1
    area = np.bincount(labels.ravel(), minlength=size)
    known = np.bincount(labels[annotated], minlength=size)
    return np.where((2 * known >= area)[labels], labels, 0)


def annotated_points(
    points: Float[np.ndarray, "cell 2"], annotated: Bool[np.ndarray, "y x"]
) -> Float[np.ndarray, "known 2"]:
    """The points that lie on annotated pixels."""
    pixel = np.clip(np.round(points).astype(int), 0, np.array(annotated.shape) - 1)
    return points[annotated[pixel[:, 0], pixel[:, 1]]]
