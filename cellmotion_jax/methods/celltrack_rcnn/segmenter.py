"""A trained CellTrack R-CNN as a `inference.segmenter.Segmenter`; frames are independent."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Iterator

import numpy as np
from jaxtyping import Num

from cellmotion_jax.inference.segmenter import FrameCells
from cellmotion_jax.methods.celltrack_rcnn.detection import RCNNSettings, find_cells
from cellmotion_jax.methods.celltrack_rcnn.model_file import RCNNModel, load_model
from cellmotion_jax.ops.labels import areas_and_centroids
from cellmotion_jax.settings import Positive, check_argument


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class RCNNSegmenter:
    """See `inference.segmenter.Segmenter`. The score of a cell is its probability."""

    model: RCNNModel
    """The network."""
    settings: RCNNSettings
    """How cells are found."""

    @property
    def channels(self) -> int:
        """Grey frames."""
        return 1

    @property
    def cell_diameter(self) -> float:
        """Median equivalent diameter of the cells of the training, in pixels of the images."""
        return self.model.image_diameter

    @property
    def frames_before(self) -> int:
        """Frames are independent."""
        return 0

    @property
    def stricter(self) -> str:
        """The score above which a box is a cell."""
        return "score"

    def with_settings(self, settings: RCNNSettings) -> RCNNSegmenter:
        """The same network with other settings."""
        return dataclasses.replace(self, settings=settings)

    def segment(self, frames: Iterable[Num[np.ndarray, "y x channel"]]) -> Iterator[FrameCells]:
        """Finds the cells of every frame."""
        for frame in frames:
            found = find_cells(self.model, frame[..., 0], settings=self.settings)
            points = areas_and_centroids(found.numbered).centroid
            yield FrameCells(found.labels, points, found.scores.astype(float))


def open_model(path: str | os.PathLike[str], *, cell_diameter: float | None = None) -> RCNNModel:
    """Reads a trained network.

    Args:
        path: The model.safetensors of its training.
        cell_diameter: Diameter of a typical cell of the movie in pixels; frames are enlarged or made smaller
            so that cells have the size of the training. Without it, as in the training.

    Returns:
        The network.

    Raises:
        InputError: If the file holds something else, or the diameter is not positive.
    """
    if cell_diameter is not None:
        check_argument("cell-diameter", cell_diameter, Positive)
    model = load_model(path)
    if cell_diameter is None:
        return model
    return dataclasses.replace(model, scale=model.cell_diameter / cell_diameter)


def open_segmenter(path: str | os.PathLike[str], *, cell_diameter: float | None = None) -> RCNNSegmenter:
    """As `open_model`, as a segmenter."""
    return RCNNSegmenter(model=open_model(path, cell_diameter=cell_diameter), settings=RCNNSettings())
