"""Choice of the score from which a box is a cell, on annotated frames that the training has not seen."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import tqdm

from cellmotion_jax.data.annotated import AnnotatedImage
from cellmotion_jax.methods.celltrack_rcnn.detection import RCNNSettings, find_cells
from cellmotion_jax.methods.celltrack_rcnn.model_file import RCNNModel
from cellmotion_jax.methods.celltrack_rcnn.pairs import evenly_spread, read_markers
from cellmotion_jax.metrics import FrameMatches, aogm_score, match_frame, node_errors

SCORES = (0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
MOST_FRAMES = 20
"""Frames that are looked at, evenly spread over all."""


def choose_score(model: RCNNModel, images: Sequence[AnnotatedImage], *, settings: RCNNSettings) -> float:
    """The score with the highest DET of the Cell Tracking Challenge on annotated frames.

    How sure a network is depends on the cells and on the length of its training: in one movie the best score
    is 0.05, since rests of cells at the edge are hard to find, in another 0.5, since there is debris.

    Args:
        model: The network.
        images: Frames with markers, those of the validation.
        settings: How cells are found; a score in it is taken as it is.

    Returns:
        The score; of several that are equally good the middle one. Without a cell in the frames, that of the
        model.
    """
    if settings.score is not None:
        return settings.score
    sensitive = dataclasses.replace(settings, score=SCORES[0])
    chosen = [images[i] for i in evenly_spread(len(images), most=MOST_FRAMES)]
    matches: dict[float, list[FrameMatches]] = {score: [] for score in SCORES}
    for image in tqdm.tqdm(chosen, desc="score of a cell", unit="frame", disable=None, leave=False):
        markers = read_markers(image)
        found = find_cells(model, image.image().mean(axis=-1), settings=sensitive)
        numbers = np.arange(1, len(found.scores) + 1)
        for score, of_score in matches.items():
            kept = np.concatenate([[0], np.where(found.scores > score, numbers, 0)])
            of_score.append(match_frame(markers, kept[found.labels], margin=image.margin))
    errors = [node_errors(of_score) for of_score in matches.values()]
    if not errors[0].reference:
        return model.score
    det = np.array([aogm_score(error) for error in errors])
    best = np.flatnonzero(det >= det.max() - 1e-9)
    return SCORES[best[len(best) // 2]]
