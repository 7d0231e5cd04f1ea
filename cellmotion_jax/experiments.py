"""The experiments by name, joined from the methods."""

from __future__ import annotations

from cellmotion_jax.methods.celltrack_embedding.experiment import EXPERIMENTS as CELLTRACK_EMBEDDING
from cellmotion_jax.methods.celltrack_rcnn.experiment import EXPERIMENTS as CELLTRACK_RCNN
from cellmotion_jax.methods.convlstm.experiment import EXPERIMENTS as CONVLSTM
from cellmotion_jax.methods.deep_distance.experiment import EXPERIMENTS as DEEP_DISTANCE
from cellmotion_jax.methods.deepcell.experiment import EXPERIMENTS as DEEPCELL
from cellmotion_jax.methods.direction.experiment import EXPERIMENTS as DIRECTION
from cellmotion_jax.methods.recognet.experiment import EXPERIMENTS as RECOGNET
from cellmotion_jax.training.experiment import Entry

DEFAULT = "direction"
EXPERIMENTS: dict[str, Entry] = (
    DIRECTION | DEEP_DISTANCE | RECOGNET | DEEPCELL | CONVLSTM | CELLTRACK_EMBEDDING | CELLTRACK_RCNN
)
