"""What a method that finds cells offers, so that one program can apply any of them to a movie."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple, Protocol, TypeVar, runtime_checkable

import numpy as np
import scipy.ndimage
from jaxtyping import Float, Int32, Num

from cellmotion_jax.errors import InputError
from cellmotion_jax.ops.labels import areas_and_centroids, number_cells

Self = TypeVar("Self", bound="Segmenter")


class FrameCells(NamedTuple):
    """The cells of one frame."""

    labels: Int32[np.ndarray, "y x"] | None
    """Label i + 1 on the pixels of cell i, 0 for background; None if the network finds places only. A cell
    may be without pixels."""
    points: Float[np.ndarray, "cell 2"]
    """Places (y, x) in pixels; pixel centres are whole numbers."""
    scores: Float[np.ndarray, " cell"]
    """How sure the method is of each cell; each method says of what kind."""


@runtime_checkable
class Segmenter(Protocol):
    """A trained model that finds the cells of a movie frame by frame; a frozen dataclass."""

    @property
    def channels(self) -> int:
        """Of the frames: 1 for grey, 3 for red, green and blue."""
        ...

    @property
    def cell_diameter(self) -> float | None:
        """Of the cells that it was trained on, in pixels of their images; None if the model does not say."""
        ...

    @property
    def frames_before(self) -> int:
        """Number of frames before a frame that are needed for it; 0 if frames do not depend on each other."""
        ...

    @property
    def stricter(self) -> str:
        """The setting that is to be raised where too many cells are found."""
        ...

    @property
    def settings(self) -> Any:
        """What can be set without training again; a frozen dataclass, at first as the model was trained."""
        ...

    def with_settings(self: Self, settings: Any) -> Self:
        """The same model with other settings.

        Raises:
            InputError: If a setting is out of range.
        """
        ...

    def segment(self, frames: Iterable[Num[np.ndarray, "y x channel"]]) -> Iterator[FrameCells]:
        """Finds the cells of every frame.

        Args:
            frames: In order, of one size. Before each result exactly one of them is taken.

        Yields:
            The cells of each frame.

        Raises:
            InputError: If a frame cannot be used.
        """
        ...


def describe_needs(segmenter: Segmenter) -> str:
    """What a model needs to see, in one sentence for its user.

    Args:
        segmenter: The model.

    Returns:
        Colours, size of cells and frames before.
    """
    colours = {1: "grey frames", 3: "RGB frames"}.get(
        segmenter.channels, f"frames of {segmenter.channels} channels"
    )
    diameter, before = segmenter.cell_diameter, segmenter.frames_before
    trained = "" if diameter is None else f"; it was trained on cells about {diameter:.0f} pixels across"
    memory = f" and sees up to {before} frames before each" if before else ""
    return f"This model takes {colours}{memory}{trained}."


def cells_of_labels(labels: Int32[np.ndarray, "y x"], probability: Float[np.ndarray, "y x"]) -> FrameCells:
    """Cells that are known by their pixels: their centroids, and as scores their mean probabilities.

    Args:
        labels: Labels 1, 2, ... without gaps, 0 for background.
        probability: Of every pixel, to be of a cell.

    Returns:
        The cells.

    >>> cells = cells_of_labels(np.array([[1, 1, 0, 2]], np.int32), np.array([[1.0, 0.5, 0.2, 0.6]]))
    >>> cells.points.tolist(), cells.scores.tolist()
    ([[0.0, 0.5], [0.0, 3.0]], [0.75, 0.6])
    """
    points = areas_and_centroids(number_cells(labels)).centroid
    scores = scipy.ndimage.mean(probability, labels, np.arange(1, len(points) + 1))
    return FrameCells(labels, points, np.asarray(scores, float).reshape(-1))


def check_diameter(diameter: float) -> float:
    """Refuses what is no diameter of a cell.

    Args:
        diameter: As the user gives it.

    Returns:
        The same.

    Raises:
        InputError: If it is not a positive number.
    """
    if not (math.isfinite(diameter) and diameter > 0):
        raise InputError(f"cell-diameter is {diameter}; it is a positive number of pixels.")
    return diameter
