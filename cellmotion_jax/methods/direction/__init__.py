"""Migration direction of a cell from a single image (Bruns et al. 2024, siecmd).

A network sees the crop around a cell and predicts where the cell will go. In reading order:

- ``crops``: the directions of tracked cells, from net displacements, and the crops around them.
- ``splits``: splits into training, validation and test samples, by image, by track or by movie.
- ``records``: storage of crops, with random access.
- ``data``: sources of the movies, and the trainings (members) that run together.
- ``augmentation``: random rotation, shift, scale and mirroring of crops with their directions.
- ``objective``: encodings of an angle, activations and losses, Eq. (1) to (12).
- ``experiment``: training and test, and the experiments by name (Tables 3 and 4).
- ``evaluation``: predictions with test-time augmentation (Table 5).
- ``results``: tables and pictures.

The networks are `cellmotion_jax.models.direction.ProbingCNN` and ``FineTunedCNN``.
"""

from cellmotion_jax.methods.direction.augmentation import DirectionAugmentation
from cellmotion_jax.methods.direction.crops import (
    DirectionTargets,
    area_resize,
    direction_crops,
    direction_targets,
)
from cellmotion_jax.methods.direction.objective import (
    AngleLoss,
    AngleObjective,
    CircleActivation,
    CircleLoss,
    CircleObjective,
    DirectionEstimate,
    VonMisesObjective,
)
from cellmotion_jax.methods.direction.splits import Split, split_by_group, split_by_image

__all__ = [
    "AngleLoss",
    "AngleObjective",
    "CircleActivation",
    "CircleLoss",
    "CircleObjective",
    "DirectionAugmentation",
    "DirectionEstimate",
    "DirectionTargets",
    "Split",
    "VonMisesObjective",
    "area_resize",
    "direction_crops",
    "direction_targets",
    "split_by_group",
    "split_by_image",
]
