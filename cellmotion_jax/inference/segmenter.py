"""Interface of all methods that find cells, so that one program can apply any of them to a movie."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple, Protocol, TypeVar, runtime_checkable

import numpy as np
import scipy.ndimage
from jaxtyping import Float, Int32, Num

from cellmotion_jax.data.blank_frames import Blank
from cellmotion_jax.ops.labels import areas_and_centroids, number_cells

Self = TypeVar("Self", bound="Segmenter")


class FrameCells(NamedTuple):
    """The cells of one frame."""

    labels: Int32[np.ndarray, "y x"] | None
    """Label i + 1 on the pixels of cell i, 0 for background; None if the network only detects cells. A cell
    may have no pixels."""
    points: Float[np.ndarray, "cell 2"]
    """Centroids (y, x) of the cells in pixels; pixel centres are whole numbers."""
    scores: Float[np.ndarray, " cell"]
    """Score of each cell, larger is more certain; its definition depends on the method."""
    blank: Blank | None = None
    """Why the frame has no information, and therefore no cells; None where it has been segmented."""


@runtime_checkable
class Segmenter(Protocol):
    """A trained model that finds the cells of a movie frame by frame; a frozen dataclass."""

    @property
    def channels(self) -> int:
        """Number of channels of the frames: 1 for grey, 3 for RGB."""
        ...

    @property
    def cell_diameter(self) -> float | None:
        """Diameter of the cells of the training images, in their pixels; None if it is not stored."""
        ...

    @property
    def frames_before(self) -> int:
        """Number of previous frames that the segmentation of a frame needs; 0 if frames are independent."""
        ...

    @property
    def stricter(self) -> str:
        """Name of the setting to increase if too many cells are found."""
        ...

    @property
    def settings(self) -> Any:
        """Settings that need no new training; a frozen dataclass, at first as in the training."""
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
            frames: Frames in order, all of one size. Exactly one frame is read before each result.

        Yields:
            The cells of each frame.

        Raises:
            InputError: If a frame cannot be used.
        """
        ...


def describe_needs(segmenter: Segmenter) -> str:
    """One sentence for the user on the images that a model needs.

    Args:
        segmenter: The model.

    Returns:
        The sentence: colours, cell size and number of previous frames.
    """
    colours = {1: "grey frames", 3: "RGB frames"}.get(
        segmenter.channels, f"frames of {segmenter.channels} channels"
    )
    diameter, before = segmenter.cell_diameter, segmenter.frames_before
    trained = "" if diameter is None else f"; it was trained on cells about {diameter:.0f} pixels across"
    memory = f" and sees up to {before} frames before each" if before else ""
    return f"This model takes {colours}{memory}{trained}."


def cells_of_labels(labels: Int32[np.ndarray, "y x"], probability: Float[np.ndarray, "y x"]) -> FrameCells:
    """Cells of a label image: their centroids, and their mean probabilities as scores.

    Args:
        labels: Labels 1, 2, ... without gaps, 0 for background.
        probability: Probability of every pixel to belong to a cell.

    Returns:
        The cells.

    >>> cells = cells_of_labels(np.array([[1, 1, 0, 2]], np.int32), np.array([[1.0, 0.5, 0.2, 0.6]]))
    >>> cells.points.tolist(), cells.scores.tolist()
    ([[0.0, 0.5], [0.0, 3.0]], [0.75, 0.6])
    """
    points = areas_and_centroids(number_cells(labels)).centroid
    scores = scipy.ndimage.mean(probability, labels, np.arange(1, len(points) + 1))
    return FrameCells(labels, points, np.asarray(scores, float).reshape(-1))
