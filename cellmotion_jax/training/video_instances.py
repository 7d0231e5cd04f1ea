"""How probabilities become cells, read off the cells of the training masks."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from cellmotion_jax.data.annotated import AnnotatedImage
from cellmotion_jax.inference.instances import InstanceSettings, find_instances
from cellmotion_jax.metrics import match_frame, segmentation_score

SMALLEST_SHARE = 0.1
"""What is smaller than this share of a disc of median diameter is no cell."""
SPLIT_SHARES = (0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5)
"""Candidates for the depth at which cells are parted, as shares of the radius of a median cell."""
TOLERANCE = 0.002
"""Loss of SEG on the true masks that still counts as none."""
MOST_FRAMES = 40


def fit_instances(images: Sequence[AnnotatedImage], *, diameter: float) -> InstanceSettings:
    """The smallest area of a cell, and the depth at which joined cells are parted.

    The true cells of every frame are merged to one mask and parted again: of the depths that give them back
    best, by SEG, the smallest is taken. No network is needed for that. If no depth does better than not
    parting at all, and none does as well, nothing is parted.

    Args:
        images: Training images; of many, some that are evenly spread.
        diameter: Median equivalent diameter of a cell in them, in pixels.

    Returns:
        Settings in pixels of the images.
    """
    settings = InstanceSettings(smallest_area=max(1, round(SMALLEST_SHARE * np.pi / 4 * diameter**2)))
    candidates = [
        *(dataclasses.replace(settings, split_depth=share * diameter / 2) for share in SPLIT_SHARES),
        settings,
    ]
    chosen = images[:: -(-len(images) // MOST_FRAMES)]
    masks = [image.labels() for image in chosen]
    scores = [
        segmentation_score(
            match_frame(labels, find_instances((labels > 0).astype(np.float32), settings=candidate))
            for labels in masks
        ).seg
        for candidate in candidates
    ]
    return next(it for it, score in zip(candidates, scores) if score >= max(scores) - TOLERANCE)
