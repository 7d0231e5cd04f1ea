"""How probabilities become cells, read off the cells of the training masks."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from cellmotion_jax.data.annotated import AnnotatedImage
from cellmotion_jax.inference.instances import InstanceSettings, find_instances
from cellmotion_jax.metrics import match_frame, segmentation_score

SMALLEST_SHARE = 0.1
"""What is smaller than this share of a disc of median diameter is no cell, and no hole."""
SPLIT_SHARES = (0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5)
"""Candidates for the depth at which cells are parted, as shares of the radius of a median cell."""
TOLERANCE = 0.002
"""Loss of SEG on the true masks that still counts as none."""
MOST_FRAMES = 40


def fit_instances(images: Sequence[AnnotatedImage], *, diameter: float) -> InstanceSettings:
    """The smallest area of a cell, and of a hole, and the depth at which joined cells are parted.

    The true cells of every frame are merged to one mask and parted again: of the depths that give them back
    best, by SEG, the one in the middle is taken. No network is needed for that. If every depth does worse
    than not parting at all, nothing is parted.

    Args:
        images: Training images, at least one of them with a cell; of many, some that are evenly spread.
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
