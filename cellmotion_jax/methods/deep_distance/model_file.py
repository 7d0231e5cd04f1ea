"""Model file of a trained DeepDistance network, with all settings that its use on an image needs."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any

from cellmotion_jax.methods.deep_distance.detection import DetectionSettings
from cellmotion_jax.models.deep_distance import DeepDistance, Task
from cellmotion_jax.settings import Downsample, NotNegative, OneOf, Positive, Settings, WholeFromZero
from cellmotion_jax.weights.model_file import ModelFormat


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class DeepDistanceModel(Settings):
    """A trained network with all settings that its use on an image needs."""

    network: DeepDistance
    """The module."""
    variables: dict[str, Any]
    """``params`` and, with batch normalisation, ``batch_stats``."""
    channels: Annotated[int, OneOf((1, 3))]
    """Channels of the images it was trained on."""
    downsample: Downsample
    """Images are averaged over blocks of ``downsample x downsample`` pixels before the network sees them."""
    cell_diameter: Positive
    """Median equivalent diameter of the training cells, in downsampled pixels."""
    boundary_width: NotNegative
    """Width, in downsampled pixels, of the boundary that the classification target removes from every
    cell."""
    detection: DetectionSettings
    """Settings of the detection of peaks."""
    area_threshold: WholeFromZero
    """Smallest area of a cell in downsampled pixels, for the model with classification and boundary."""

    @property
    def image_diameter(self) -> float:
        """Median equivalent diameter of the training cells, in pixels of the image."""
        return self.cell_diameter * self.downsample

    @property
    def can_segment(self) -> bool:
        """Whether the network has the two maps that segmentation needs (Section 4.7)."""
        return {Task.outer, Task.classification} <= set(self.network.tasks)


MODEL_FORMAT = ModelFormat(
    key="cellmotion_jax.cell_model",
    model=DeepDistanceModel,
    image_shape=lambda model: (model.network.multiple, model.network.multiple, model.channels),
    layers=lambda model: model.network.depth,
)
save_model, load_model = MODEL_FORMAT.save, MODEL_FORMAT.load
