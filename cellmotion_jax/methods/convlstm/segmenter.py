"""A trained ConvLSTM U-Net as a `inference.segmenter.Segmenter`, with memory of previous frames."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Iterator

import numpy as np
from jaxtyping import Num

from cellmotion_jax.data.downsampling import downsampling_for
from cellmotion_jax.inference.segmenter import FrameCells, cells_of_labels
from cellmotion_jax.inference.tiling import Tiling
from cellmotion_jax.methods.convlstm.foreground import VIDEO_TILING, Memory, foreground_maps
from cellmotion_jax.methods.convlstm.instances import (
    InstanceSettings,
    find_instances,
)
from cellmotion_jax.methods.convlstm.model_file import ConvLSTMModel, load_model
from cellmotion_jax.models.backbones.mobilenet_v2 import SMALLEST_IMAGE
from cellmotion_jax.settings import Positive, Settings, check_argument, named


@dataclasses.dataclass(frozen=True, kw_only=True)
class ConvLSTMSettings(Settings):
    """Settings of a trained network that need no new training."""

    instances: InstanceSettings = InstanceSettings()
    """Settings of the conversion of foreground probabilities to cells, in pixels of the movie; a split-depth
    of 0 splits no cells."""
    memory: Memory = Memory.refreshed
    """Memory of earlier frames."""
    tiling: Tiling = VIDEO_TILING
    """Tiling of the frames, in downsampled pixels."""


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class ConvLSTMSegmenter:
    """See `inference.segmenter.Segmenter`. The score of a cell is the mean probability of its pixels."""

    model: ConvLSTMModel
    """The network."""
    settings: ConvLSTMSettings
    """Settings of its use."""

    def __post_init__(self) -> None:
        """Refuses tiles that do not fit the network."""
        with named("tiling"):
            self.settings.tiling.stride_for(SMALLEST_IMAGE)

    @property
    def channels(self) -> int:
        """Frames are grey."""
        return 1

    @property
    def cell_diameter(self) -> float:
        """Median equivalent diameter of the cells of the training, in pixels of the frames."""
        return self.model.image_diameter

    @property
    def frames_before(self) -> int:
        """The frames of a window without the last; if there are fewer, the first is repeated."""
        return self.model.window - 1 if self.model.network.recurrent else 0

    @property
    def stricter(self) -> str:
        """The smallest area of a cell."""
        return "instances.smallest-area"

    def with_settings(self, settings: ConvLSTMSettings) -> ConvLSTMSegmenter:
        """The same network with other settings."""
        return dataclasses.replace(self, settings=settings)

    def segment(self, frames: Iterable[Num[np.ndarray, "y x channel"]]) -> Iterator[FrameCells]:
        """Finds the cells of every frame."""
        grey = (frame[..., 0] for frame in frames)
        instances, memory, tiling = self.settings.instances, self.settings.memory, self.settings.tiling
        for foreground in foreground_maps(self.model, grey, memory=memory, tiling=tiling):
            yield cells_of_labels(find_instances(foreground, settings=instances), foreground)


def open_segmenter(path: str | os.PathLike[str], *, cell_diameter: float | None = None) -> ConvLSTMSegmenter:
    """Reads a trained network.

    Args:
        path: The model.safetensors of its training.
        cell_diameter: Diameter of a typical cell of the movie in pixels; frames are downsampled to the cell
            size of the training, and the settings of cells, which are in pixels of the movie, are scaled.
            Without it everything is as in training.

    Returns:
        The segmenter, with the settings of the training.

    Raises:
        InputError: If the file holds something else, or the diameter is not positive.
    """
    model = load_model(path)
    instances = model.instances
    if cell_diameter is not None:
        check_argument("cell-diameter", cell_diameter, Positive)
        scale = cell_diameter / model.image_diameter
        instances = scale_instances(instances, scale)
        downsample = downsampling_for(cell_diameter, model.cell_diameter)
        model = dataclasses.replace(model, downsample=downsample)
    return ConvLSTMSegmenter(model=model, settings=ConvLSTMSettings(instances=instances))


def scale_instances(instances: InstanceSettings, scale: float) -> InstanceSettings:
    """Scales the settings to cells of another size.

    Args:
        instances: Settings.
        scale: Ratio of the new to the old cell diameter.

    Returns:
        Settings with areas scaled by the square of the scale, and the depth by the scale.

    >>> scale_instances(InstanceSettings(smallest_area=50, largest_hole=100, split_depth=2.0), 2.0)
    InstanceSettings(threshold=0.5, smallest_area=200, largest_hole=400, split_depth=4.0)
    """
    depth = instances.split_depth
    return dataclasses.replace(
        instances,
        smallest_area=max(1, round(instances.smallest_area * scale**2)),
        largest_hole=round(instances.largest_hole * scale**2),
        split_depth=None if depth is None else depth * scale,
    )
