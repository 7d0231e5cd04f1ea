"""Movies, annotations and samples, on the host; builders (TFDS) and pipeline (grain) are imported apart."""

from cellmotion_jax.data.ctc import (
    PIXEL_SIZE_UM,
    Centroids,
    CtcSequence,
    TrackTable,
    open_dataset,
    read_man_track,
    write_ctc,
)
from cellmotion_jax.data.directions import (
    DirectionSamples,
    DirectionTargets,
    area_resize,
    direction_crops,
    direction_samples,
    direction_targets,
)
from cellmotion_jax.data.movie import Movie, open_movie
from cellmotion_jax.data.splits import Split, split_by_group, split_by_image

__all__ = [
    "PIXEL_SIZE_UM",
    "Centroids",
    "CtcSequence",
    "DirectionSamples",
    "DirectionTargets",
    "Movie",
    "Split",
    "TrackTable",
    "area_resize",
    "direction_crops",
    "direction_samples",
    "direction_targets",
    "open_dataset",
    "open_movie",
    "read_man_track",
    "split_by_group",
    "split_by_image",
    "write_ctc",
]
