"""Arguments for the public functions of ``tracking`` that take maps and images, as `tests.cases.Example`.

The others take settings and states.
"""

from collections.abc import Mapping

import numpy as np

from cellmotion_jax import tracking
from tests.cases import Example, _normal

_RNG = np.random.default_rng(3)
_IMAGES = {name: _RNG.integers(0, 4, size=(2, 6, 7)) for name in ("before", "after")}

TRACKING: Mapping[str, Example] = {
    "intersections": Example(tracking.intersections, _IMAGES, options={"slots": 4}),
    "measure_instances": Example(
        tracking.measure_instances, {"labels": _IMAGES["before"]}, options={"slots": 4}
    ),
    "normalized_entropy": Example(tracking.normalized_entropy, {"logits": 4 * _normal(3, 4, 5)}),
    "peak_to_sidelobe_ratio": Example(
        tracking.peak_to_sidelobe_ratio, {"responses": 9 * _normal(3, 6, 7)}, options={"excluded": 3}
    ),
}
