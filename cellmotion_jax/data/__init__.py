"""Movies, annotations and samples, on the host; import records (TFDS) and pipeline (grain) separately."""

from cellmotion_jax.data.ctc import (
    PIXEL_SIZE_UM,
    Centroids,
    CtcSequence,
    TrackTable,
    open_dataset,
    read_man_track,
    write_ctc,
)
from cellmotion_jax.data.movie import Movie, open_movie

__all__ = [
    "PIXEL_SIZE_UM",
    "Centroids",
    "CtcSequence",
    "Movie",
    "TrackTable",
    "open_dataset",
    "open_movie",
    "read_man_track",
    "write_ctc",
]
