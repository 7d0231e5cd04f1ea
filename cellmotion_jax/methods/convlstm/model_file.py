"""Model file of a trained ConvLSTM U-Net, with all settings that its use on a movie needs."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any

from cellmotion_jax.methods.convlstm.instances import InstanceSettings
from cellmotion_jax.models.convlstm_unet import ConvLSTMUNet
from cellmotion_jax.settings import Downsample, Positive, Range, Settings
from cellmotion_jax.weights.model_file import ModelFormat


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class ConvLSTMModel(Settings):
    """A trained network with all settings that its use on a movie needs."""

    network: ConvLSTMUNet
    """The module."""
    variables: dict[str, Any]
    """``params`` and ``batch_stats``."""
    window: Annotated[int, Range(1, 1000)]
    """Frames of a window in training."""
    downsample: Downsample
    """Frames are averaged over blocks of ``downsample x downsample`` pixels before the network sees them."""
    cell_diameter: Positive
    """Median equivalent diameter of the training cells, in downsampled pixels."""
    instances: InstanceSettings
    """Settings of the conversion of probabilities to cells, fitted to the training cells."""

    @property
    def image_diameter(self) -> float:
        """Median equivalent diameter of the training cells, in pixels of the image."""
        return self.cell_diameter * self.downsample


MODEL_FORMAT = ModelFormat(
    key="cellmotion_jax.video_model",
    model=ConvLSTMModel,
    image_shape=lambda model: (2, 32, 32, 1),
    layers=lambda model: model.network.levels,
)
save_model, load_model = MODEL_FORMAT.save, MODEL_FORMAT.load
