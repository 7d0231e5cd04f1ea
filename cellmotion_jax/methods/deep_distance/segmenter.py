"""A trained DeepDistance network as a `inference.segmenter.Segmenter`; frames are independent."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Iterator

import numpy as np
from jaxtyping import Num

from cellmotion_jax.data.downsampling import downsampling_for
from cellmotion_jax.inference.segmenter import FrameCells
from cellmotion_jax.inference.tiling import DEFAULT_TILING, Tiling
from cellmotion_jax.methods.deep_distance.cells import find_cells
from cellmotion_jax.methods.deep_distance.detection import DetectionSettings
from cellmotion_jax.methods.deep_distance.model_file import DeepDistanceModel, load_model
from cellmotion_jax.settings import Positive, Settings, check_argument, named


@dataclasses.dataclass(frozen=True, kw_only=True)
class DeepDistanceSettings(Settings):
    """Settings of a trained network that need no new training."""

    detection: DetectionSettings = DetectionSettings()
    """Settings of the detection of peaks. They have no effect on a network with a boundary map, whose cells
    are components of the classification."""
    tiling: Tiling = DEFAULT_TILING
    """Tiling of the frames, in downsampled pixels."""


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class DeepDistanceSegmenter:
    """See `inference.segmenter.Segmenter`. The score of a cell is the height of its peak."""

    model: DeepDistanceModel
    """The network."""
    settings: DeepDistanceSettings
    """Settings of its use."""

    def __post_init__(self) -> None:
        """Refuses tiles that do not fit the network."""
        with named("tiling"):
            self.settings.tiling.stride_for(self.model.network.multiple)

    @property
    def channels(self) -> int:
        """Number of channels of the training images."""
        return self.model.channels

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
        """The height h of a peak."""
        return "detection.h"

    def with_settings(self, settings: DeepDistanceSettings) -> DeepDistanceSegmenter:
        """The same network with other settings."""
        return dataclasses.replace(self, settings=settings)

    def segment(self, frames: Iterable[Num[np.ndarray, "y x channel"]]) -> Iterator[FrameCells]:
        """Finds the cells of every frame; cells that lost all pixels to others are kept as detections."""
        model = dataclasses.replace(self.model, detection=self.settings.detection)
        for frame in frames:
            cells = find_cells(model, frame, segment=model.can_segment, tiling=self.settings.tiling)
            yield FrameCells(cells.labels, cells.points, cells.values)


def open_segmenter(
    path: str | os.PathLike[str], *, cell_diameter: float | None = None
) -> DeepDistanceSegmenter:
    """Reads a trained network.

    Args:
        path: The model.safetensors of its training.
        cell_diameter: Diameter of a typical cell of the movie in pixels; frames are downsampled to the cell
            size of the training. Without it they are downsampled like the training images.

    Returns:
        The segmenter, with the settings of the training.

    Raises:
        InputError: If the file holds something else, or the diameter is not positive.
    """
    model = load_model(path)
    if cell_diameter is not None:
        check_argument("cell-diameter", cell_diameter, Positive)
        downsample = downsampling_for(cell_diameter, model.cell_diameter)
        model = dataclasses.replace(model, downsample=downsample)
    return DeepDistanceSegmenter(model=model, settings=DeepDistanceSettings(detection=model.detection))
