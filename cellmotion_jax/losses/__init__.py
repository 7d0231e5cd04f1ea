"""Element-wise, pure losses; reduce them with ``cellmotion_jax.ops.masked_mean``.

All take numbers of any type, lists among them, and return floats; see `ops.arguments`. A mask ``where`` is of
booleans, or of whole numbers that are not 0 where elements count.
"""

from cellmotion_jax.losses.boxes import smooth_l1
from cellmotion_jax.losses.circular import (
    circle_distance,
    circle_distance_squared,
    cosine,
    cyclic,
    cyclic_squared,
    linear,
    linear_squared,
)
from cellmotion_jax.losses.classification import sigmoid_cross_entropy, softmax_cross_entropy
from cellmotion_jax.losses.distance import probability_squared_error, rectified_squared_error
from cellmotion_jax.losses.tracking import place_cross_entropy
from cellmotion_jax.losses.von_mises import von_mises_mixture_nll, von_mises_nll

__all__ = [
    "circle_distance",
    "circle_distance_squared",
    "cosine",
    "cyclic",
    "cyclic_squared",
    "linear",
    "linear_squared",
    "place_cross_entropy",
    "probability_squared_error",
    "rectified_squared_error",
    "sigmoid_cross_entropy",
    "smooth_l1",
    "softmax_cross_entropy",
    "von_mises_mixture_nll",
    "von_mises_nll",
]
