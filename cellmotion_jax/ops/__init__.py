"""Geometry and numerics on arrays: pure functions that do not depend on a model or a method.

All take numbers of any type: arrays of NumPy and JAX, numbers of Python, nested lists. What is computed with
becomes floating point first; see `ops.arguments`.
"""

from cellmotion_jax.ops.anchors import grid_anchors
from cellmotion_jax.ops.angles import (
    absolute_difference,
    cyclic_activation,
    decode_circle,
    encode_circle,
    heading,
    identity_activation,
    mirror_heading_horizontal,
    mirror_heading_vertical,
    rotate_heading,
    sigmoid_activation,
    signed_difference,
    wrap,
)
from cellmotion_jax.ops.bessel import bessel_ratio_complement, log_bessel_i0, log_bessel_i0e
from cellmotion_jax.ops.box_assignment import BalancedSample, BoxAssignment, assign_boxes, sample_balanced
from cellmotion_jax.ops.boxes import box_area, box_iou, clip_boxes, decode_boxes, encode_boxes, paired_iou
from cellmotion_jax.ops.fourier import (
    first_maximum,
    gaussian_target,
    gaussian_target_spectrum,
    half_spectrum_weights,
    hann_window,
    pad_spectrum,
    peak_shifts,
    refine_shifts,
    signed_shifts,
)
from cellmotion_jax.ops.intensity import compress, local_contrast, standardize
from cellmotion_jax.ops.mean_direction import arc_mean, circular_mean, resultant_length
from cellmotion_jax.ops.neighbours import nearest_offsets
from cellmotion_jax.ops.numerics import check_same_shape, map_sums, masked_mean, safe_abs, safe_norm, select
from cellmotion_jax.ops.peaks import h_maxima, label_components, peak_centroids, regional_maxima
from cellmotion_jax.ops.proposals import Boxes, detect_boxes, propose_boxes
from cellmotion_jax.ops.reconstruction import reconstruct
from cellmotion_jax.ops.roi_align import pyramid_level, roi_align
from cellmotion_jax.ops.suppression import suppress_overlapping
from cellmotion_jax.ops.warp import affine_warp, rotate, rotation_matrix, similarity_matrix
from cellmotion_jax.ops.windows import gather_windows, sample_windows

__all__ = [
    "BalancedSample",
    "BoxAssignment",
    "Boxes",
    "absolute_difference",
    "affine_warp",
    "arc_mean",
    "assign_boxes",
    "bessel_ratio_complement",
    "box_area",
    "box_iou",
    "check_same_shape",
    "circular_mean",
    "clip_boxes",
    "compress",
    "cyclic_activation",
    "decode_boxes",
    "decode_circle",
    "detect_boxes",
    "encode_boxes",
    "encode_circle",
    "first_maximum",
    "gather_windows",
    "gaussian_target",
    "gaussian_target_spectrum",
    "grid_anchors",
    "h_maxima",
    "half_spectrum_weights",
    "hann_window",
    "heading",
    "identity_activation",
    "label_components",
    "local_contrast",
    "log_bessel_i0",
    "log_bessel_i0e",
    "map_sums",
    "masked_mean",
    "mirror_heading_horizontal",
    "mirror_heading_vertical",
    "nearest_offsets",
    "pad_spectrum",
    "paired_iou",
    "peak_centroids",
    "peak_shifts",
    "propose_boxes",
    "pyramid_level",
    "reconstruct",
    "refine_shifts",
    "regional_maxima",
    "resultant_length",
    "roi_align",
    "rotate",
    "rotate_heading",
    "rotation_matrix",
    "safe_abs",
    "safe_norm",
    "sample_balanced",
    "sample_windows",
    "select",
    "sigmoid_activation",
    "signed_difference",
    "signed_shifts",
    "similarity_matrix",
    "standardize",
    "suppress_overlapping",
    "wrap",
]
