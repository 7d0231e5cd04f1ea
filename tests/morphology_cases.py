"""Arguments for the public functions of ``morphology`` that take arrays, as `tests.cases.Example`."""

from collections.abc import Mapping

import numpy as np

from cellmotion_jax import morphology
from tests.cases import Example, _angle

# A cell with a protrusion, and two that touch.
_LABELS = np.zeros((14, 24), int)
_LABELS[2:9, 2:9] = 1
_LABELS[5, 9:16] = 1
_LABELS[9:13, 12:17] = 3
_LABELS[9:13, 17:22] = 7
_MASK = _LABELS == 1
_MASKS = {"mask": np.stack([_MASK | (_LABELS == 7)] * 2)}
_IMAGES = {"labels": np.stack([_LABELS] * 2)}
_OUTER = np.random.default_rng(2).integers(0, 4, _LABELS.shape).astype(np.float32) * (_LABELS > 0)
_MARKERS = np.where(_OUTER > 2, _LABELS, 0)
_GROWTH = {
    "markers": np.stack([_MARKERS] * 2),
    "outer": np.stack([_OUTER] * 2),
    "foreground": np.stack([_LABELS > 0] * 2),
}

MORPHOLOGY: Mapping[str, Example] = {
    "angle_to_migration": Example(
        morphology.angle_to_migration, {"orientation": _angle(3), "heading": _angle(3)}
    ),
    **{
        function.__name__: Example(function, _IMAGES)
        for function in (
            morphology.boundary_map,
            morphology.cell_shapes,
            morphology.centroid_pixels,
            morphology.classification_map,
            morphology.distance_targets,
            morphology.distance_to_boundary,
            morphology.inner_distance,
            morphology.normalised_outer_distance,
        )
    },
    "dissect_cell": Example(morphology.dissect_cell, _IMAGES, options={"label": 1, "pixel_size_um": 4.0}),
    "find_protrusions": Example(morphology.find_protrusions, _IMAGES, options={"pixel_size_um": 4.0}),
    "flood_markers": Example(morphology.flood_markers, _GROWTH),
    "geodesic_distance": Example(morphology.geodesic_distance, _MASKS, options={"start": (3, 3)}),
    "grow_markers": Example(morphology.grow_markers, _GROWTH),
    "join_pieces": Example(morphology.join_pieces, _MASKS),
    "majority_filter": Example(morphology.majority_filter, _IMAGES, options={"size": 3}),
    "segment_from_markers": Example(
        morphology.segment_from_markers, _GROWTH, options={"threshold": 0.5, "smallest": 2, "majority": 3}
    ),
    # A single row, whose distances are whole numbers.
    "shortest_way": Example(
        morphology.shortest_way,
        {
            "distance": np.stack([np.arange(9, dtype=np.float32)[None]] * 2),
            "pixel": np.array([[0, 8]] * 2),
        },
    ),
    "widen_markers": Example(
        morphology.widen_markers,
        {name: _GROWTH[name] for name in ("markers", "outer")},
        options={"threshold": 0.5, "smallest": 2},
    ),
}
