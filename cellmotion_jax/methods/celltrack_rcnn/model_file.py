"""Model file of CellTrack R-CNN."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any

from cellmotion_jax.methods.celltrack_rcnn.pair_features import (
    DIVISION_FEATURES,
    LINK_FEATURES,
    LogisticModel,
)
from cellmotion_jax.models.celltrack_rcnn import CellTrackRCNN
from cellmotion_jax.settings import Positive, Range, Settings, Share
from cellmotion_jax.weights.model_file import ModelFormat


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class RCNNModel(Settings):
    """A trained network with the settings of its training that its use needs."""

    network: CellTrackRCNN
    """The network."""
    variables: dict[str, Any]
    """``params`` and ``batch_stats`` of the network."""
    scale: Annotated[float, Range(1e-3, 1e3)]
    """Pixels of the network per pixel of a frame."""
    cell_diameter: Positive
    """Diameter of the median cell of the training, in pixels of the network."""
    score: Share = 0.3
    """Score from which a box is a cell, as it was best on the frames of the validation."""

    link: LogisticModel
    """Probability of a link, see `pair_features.link_features`."""
    division: LogisticModel
    """Probability of a division, see `pair_features.division_features`."""

    def check_together(self) -> None:
        """Refuses regressions on another number of features."""
        for name, model, features in (
            ("link", self.link, LINK_FEATURES),
            ("division", self.division, DIVISION_FEATURES),
        ):
            if len(model.weights) != len(features):
                self.refuse(f"{name}.weights", f"there are {len(features)} features")

    @property
    def image_diameter(self) -> float:
        """The same in pixels of the frames."""
        return self.cell_diameter / self.scale


MODEL_FORMAT = ModelFormat(
    key="cellmotion_jax.celltrack_rcnn",
    model=RCNNModel,
    image_shape=lambda model: (64, 64, 1),
    layers=lambda model: 20,
)
save_model, load_model = MODEL_FORMAT.save, MODEL_FORMAT.load
