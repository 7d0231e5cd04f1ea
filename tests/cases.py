"""Arguments for every public function, and the inputs on which losses like to break.

``OPS`` and ``LOSSES`` are what ``test_api.py`` runs through: a public function without an entry fails
there. ``ANGLES`` and ``POINTS`` are the nasty set.
"""

import inspect
import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array

from cellmotion_jax import losses, ops
from cellmotion_jax.ops.arguments import to_floats, to_mask

PI = np.float32(math.pi)
HUGE = 1e18  # its square is still a float32


class Nasty(NamedTuple):
    """Arguments of a loss."""

    predictions: np.ndarray
    targets: np.ndarray
    where: np.ndarray | None = None


def _angles(predictions: list[float], targets: list[float], where: list[bool] | None = None) -> Nasty:
    mask = None if where is None else np.array(where)
    return Nasty(np.array(predictions, np.float32), np.array(targets, np.float32), mask)


def _points(case: Nasty) -> Nasty:
    """The angles as points on the circle; where an angle is huge the point is far away."""
    length = np.maximum(1, np.abs(case.predictions) / 100)[:, None]
    return Nasty(length * _on_circle(case.predictions), _on_circle(case.targets), case.where)


def _on_circle(angle: np.ndarray) -> np.ndarray:
    return np.stack([np.cos(angle), np.sin(angle)], axis=-1)


ANGLES: Mapping[str, Nasty] = {
    "zero": _angles([0, 0, 0], [0, 0, 0]),
    "equal": _angles([0.1, 3, 6], [0.1, 3, 6]),
    "equal but for a turn": _angles([0.5, -math.pi, 0], [0.5 + 2 * math.pi, math.pi, 2 * math.pi]),
    "antipode": _angles([0, PI, 1], [PI, 0, 1 + PI]),
    "almost equal": _angles([1, 1e-30, 0], [1 + 2e-7, 0, 1e-38]),
    "huge": _angles([HUGE, -HUGE, 1e4], [0, 0, -1e4]),
    "all masked": _angles([0, 1, 2], [0, 4, 6], [False] * 3),
    "NaN under the mask": _angles([1, math.nan, 2], [2, 1, math.nan], [True, False, False]),
    "infinity under the mask": _angles([1, math.inf, 2], [2, 1, -math.inf], [True, False, False]),
}
_FINITE = {name: case for name, case in ANGLES.items() if "infinity" not in name}
POINTS: Mapping[str, Nasty] = {
    **{name: _points(case) for name, case in _FINITE.items()},
    "at the origin": Nasty(np.zeros((3, 2), np.float32), _on_circle(np.arange(3, dtype=np.float32))),
}


class Example(NamedTuple):
    """How to call a public function: two samples of every array, stacked along the first axis."""

    function: Callable
    arrays: Mapping[str, np.ndarray]
    """Passed by position, in this order, as long as the function allows it."""
    same_shape: tuple[str, ...] = ()
    """Arguments that must not differ in shape."""
    options: Mapping[str, Any] = {}
    """Static keyword arguments."""


_RNG = np.random.default_rng(0)


def _normal(*shape: int) -> np.ndarray:
    return _RNG.normal(size=(2, *shape)).astype(np.float32)


def _angle(*shape: int) -> np.ndarray:
    return _RNG.uniform(0, 2 * math.pi, size=(2, *shape)).astype(np.float32)


def _concentration(*shape: int) -> np.ndarray:
    return _RNG.gamma(2, 2, size=(2, *shape)).astype(np.float32)


def _mask(*shape: int) -> np.ndarray:
    return _RNG.uniform(size=(2, *shape)) < 0.7


def _levels(*shape: int) -> np.ndarray:
    """Few different values, so that neighbours are often equal."""
    return _RNG.integers(0, 4, size=(2, *shape)).astype(np.float32)


def _peak_points(image: Array, maxima: Array) -> Array:
    return ops.peak_centroids(image, maxima, connectivity=8, max_peaks=4).points


def _corners(*shape: int) -> np.ndarray:
    """Boxes, some of which overlap."""
    return (
        np.cumsum(_RNG.uniform(0, 4, size=(2, *shape, 2, 2)), axis=-2)
        .reshape(2, *shape, 4)
        .astype(np.float32)
    )


def _half_spectra(*shape: int) -> np.ndarray:
    return np.fft.rfft2(_normal(*shape)).astype(np.complex64)


def _peak_points_and_heights(responses: Array) -> Array:
    shifts, heights = ops.peak_shifts(responses)
    return jnp.concatenate([shifts, heights[:, None]], axis=1)


def _assignment(overlaps: Array, where: Array) -> Array:
    assignment = ops.assign_boxes(
        overlaps, positive_from=0.7, negative_below=0.3, low_quality=True, where=where
    )
    return jnp.stack(assignment)


def _balanced_sample(priorities: Array, positive: Array, negative: Array) -> Array:
    return jnp.stack(ops.sample_balanced(priorities, positive, negative, count=4, positives=2))


def _roi_features(fine: Array, coarse: Array, boxes: Array, level: Array) -> Array:
    return ops.roi_align([fine, coarse], boxes, level, strides=[1, 2], size=2)


def _rows(boxes: ops.Boxes) -> Array:
    return jnp.column_stack(boxes)


def _proposals(logits: Array, offsets: Array, anchors: Array) -> Array:
    """Of two levels, the second one shorter."""
    levels = [(values[:5], values[5:]) for values in (logits, offsets, anchors)]
    return _rows(ops.propose_boxes(*levels, shape=(9, 9), per_level=4, count=6, iou_threshold=0.4))


def _detections(logits: Array, offsets: Array, proposals: Array, where: Array) -> Array:
    corners, where = to_floats("proposals", proposals), to_mask("where", where)
    found = ops.detect_boxes(
        logits,
        offsets,
        ops.Boxes(corners, jnp.zeros(len(corners)), jnp.zeros(len(corners), jnp.int32), where),
        shape=(9, 9),
        score_threshold=0.1,
        iou_threshold=0.4,
        count=6,
        candidates=9,
        weights=(10.0, 5.0),
    )
    return _rows(found)


def call(example: Example, arrays: Mapping[str, Any]) -> Any:
    """Calls with arrays in the order of the example, by keyword where the function wants that."""
    arrays = {name: arrays[name] for name in example.arrays}  # jax sorts the keys of a dictionary
    parameters = inspect.signature(example.function).parameters
    by_keyword = {n: a for n, a in arrays.items() if parameters[n].kind is inspect.Parameter.KEYWORD_ONLY}
    by_position = [a for n, a in arrays.items() if n not in by_keyword]
    return example.function(*by_position, **by_keyword, **example.options)


def _check_same_shape(a: Any, b: Any) -> None:
    ops.check_same_shape(a=a, b=b)


def _pair(loss: Callable, make: Callable[..., np.ndarray], *shape: int, **more: np.ndarray) -> Example:
    arrays = {"predictions": make(3, *shape), "targets": make(3, *shape), **more}
    return Example(loss, {**arrays, "where": _mask(3)}, same_shape=tuple(arrays))


LOSSES: Mapping[str, Example] = {
    "circle_distance": _pair(losses.circle_distance, _normal, 2),
    "circle_distance_squared": _pair(losses.circle_distance_squared, _normal, 2),
    "cosine": _pair(losses.cosine, _angle),
    "cyclic": _pair(losses.cyclic, _angle),
    "cyclic_squared": _pair(losses.cyclic_squared, _angle),
    "linear": _pair(losses.linear, _angle),
    "linear_squared": _pair(losses.linear_squared, _angle),
    "place_cross_entropy": Example(
        losses.place_cross_entropy,
        {"logits": _normal(3, 4, 5), "places": _normal(3, 2), "where": _mask(3)},
        options={"sigma": 1.0},
    ),
    "probability_squared_error": Example(
        losses.probability_squared_error,
        {"logits": _normal(3), "labels": _levels(3) / 3, "where": _mask(3)},
        same_shape=("logits", "labels"),
    ),
    "rectified_squared_error": Example(
        losses.rectified_squared_error,
        {"raw": _normal(3), "targets": _levels(3) / 3, "where": _mask(3)},
        same_shape=("raw", "targets"),
    ),
    "sigmoid_cross_entropy": Example(
        losses.sigmoid_cross_entropy,
        {"logits": _normal(3), "labels": _levels(3) / 3, "where": _mask(3)},
        same_shape=("logits", "labels"),
    ),
    "smooth_l1": _pair(losses.smooth_l1, _normal),
    "softmax_cross_entropy": Example(
        losses.softmax_cross_entropy,
        {"logits": _normal(3, 4), "labels": _RNG.integers(0, 4, size=(2, 3)), "where": _mask(3)},
    ),
    "von_mises_mixture_nll": Example(
        losses.von_mises_mixture_nll,
        {
            "means": _angle(3, 4),
            "kappas": _concentration(3, 4),
            "logits": _normal(3, 4),
            "targets": _angle(3),
            "where": _mask(3),
        },
        same_shape=("means", "kappas", "logits"),
    ),
    "von_mises_nll": _pair(losses.von_mises_nll, _angle, kappa=_concentration(3)),
}

OPS: Mapping[str, Example] = {
    "absolute_difference": Example(
        ops.absolute_difference, {"a": _angle(3), "b": _angle(3)}, same_shape=("a", "b")
    ),
    "affine_warp": Example(ops.affine_warp, {"image": _normal(4, 5, 1), "matrix": _normal(2, 3)}),
    "arc_mean": Example(ops.arc_mean, {"angles": _angle(3, 5)}),
    "assign_boxes": Example(_assignment, {"overlaps": _levels(3, 5) / 3, "where": _mask(3)}),
    "bessel_ratio_complement": Example(ops.bessel_ratio_complement, {"kappa": _concentration(3)}),
    "box_area": Example(ops.box_area, {"boxes": _corners(3)}),
    "box_iou": Example(ops.box_iou, {"first": _corners(3), "second": _corners(2)}),
    "circular_mean": Example(
        ops.circular_mean,
        {"angles": _angle(3, 5), "weights": _concentration(3, 5)},
        same_shape=("angles", "weights"),
    ),
    "clip_boxes": Example(ops.clip_boxes, {"boxes": _corners(3) - 1}, options={"shape": (3, 4)}),
    "compress": Example(ops.compress, {"images": _normal(4, 5, 1)}),
    "cyclic_activation": Example(ops.cyclic_activation, {"x": 9 * _normal(3)}),
    "decode_boxes": Example(
        ops.decode_boxes,
        {"offsets": _normal(3, 4), "anchors": _corners(3)},
        options={"weights": (10.0, 5.0)},
    ),
    "decode_circle": Example(ops.decode_circle, {"vector": _normal(3, 2)}),
    "detect_boxes": Example(
        _detections,
        {
            "logits": _normal(5, 3),
            "offsets": _normal(5, 3, 4),
            "proposals": _corners(5),
            "where": _mask(5),
        },
    ),
    "encode_boxes": Example(
        ops.encode_boxes,
        {"boxes": _corners(3), "anchors": 1 + _corners(3)},
        options={"weights": (10.0, 5.0)},
    ),
    "encode_circle": Example(ops.encode_circle, {"angle": _angle(3)}),
    "first_maximum": Example(ops.first_maximum, {"maps": _levels(3, 4, 5)}),
    "gather_windows": Example(
        ops.gather_windows,
        {"image": _normal(4, 5, 2), "centres": _RNG.integers(-3, 8, size=(2, 3, 2))},
        options={"size": 4},
    ),
    "gaussian_target": Example(
        ops.gaussian_target, {"centres": _normal(3, 2)}, options={"shape": (6, 7), "sigma": 1.5}
    ),
    "gaussian_target_spectrum": Example(
        ops.gaussian_target_spectrum, {"centres": _normal(3, 2)}, options={"shape": (6, 7), "sigma": 1.5}
    ),
    "h_maxima": Example(
        ops.h_maxima, {"image": _levels(4, 5), "h": 1 + _angle()}, options={"connectivity": 8}
    ),
    "heading": Example(ops.heading, {"displacement": _normal(3, 2)}),
    "identity_activation": Example(ops.identity_activation, {"x": _normal(3)}),
    "label_components": Example(ops.label_components, {"where": _mask(4, 5)}, options={"connectivity": 4}),
    "local_contrast": Example(ops.local_contrast, {"images": 1 + _levels(4, 5, 1)}, options={"window": 3}),
    "log_bessel_i0": Example(ops.log_bessel_i0, {"kappa": _concentration(3)}),
    "log_bessel_i0e": Example(ops.log_bessel_i0e, {"kappa": _concentration(3)}),
    "map_sums": Example(ops.map_sums, {"maps": _normal(3, 4, 5)}),
    "masked_mean": Example(
        ops.masked_mean, {"values": _normal(3, 4), "where": _mask(3, 4)}, same_shape=("values", "where")
    ),
    "mirror_heading_horizontal": Example(ops.mirror_heading_horizontal, {"angle": _angle(3)}),
    "mirror_heading_vertical": Example(ops.mirror_heading_vertical, {"angle": _angle(3)}),
    "nearest_offsets": Example(
        ops.nearest_offsets,
        {"points": _normal(3, 2), "others": _normal(4, 2), "where": _mask(3, 4)},
        options={"count": 3},
    ),
    "pad_spectrum": Example(
        ops.pad_spectrum,
        {"spectrum": _half_spectra(3, 4, 5)},
        options={"shape": (4, 5), "fine_shape": (8, 9)},
    ),
    "paired_iou": Example(ops.paired_iou, {"first": _corners(3), "second": _corners(3)}),
    "peak_centroids": Example(
        _peak_points, {"image": _levels(4, 5), "maxima": _mask(4, 5)}, same_shape=("image", "maxima")
    ),
    "propose_boxes": Example(
        _proposals, {"logits": _normal(8), "offsets": _normal(8, 4), "anchors": _corners(8)}
    ),
    "pyramid_level": Example(
        ops.pyramid_level,
        {"boxes": 30 * _corners(3)},
        options={"finest": 2, "coarsest": 5, "canonical": 100.0},
    ),
    "reconstruct": Example(
        ops.reconstruct,
        {"marker": _levels(4, 5), "mask": _levels(4, 5)},
        same_shape=("marker", "mask"),
        options={"connectivity": 8},
    ),
    "peak_shifts": Example(_peak_points_and_heights, {"responses": _normal(3, 6, 7)}),
    "refine_shifts": Example(
        ops.refine_shifts, {"responses": _normal(3, 4, 5), "index": _RNG.integers(0, 20, size=(2, 3))}
    ),
    "regional_maxima": Example(ops.regional_maxima, {"image": _levels(4, 5)}, options={"connectivity": 8}),
    "resultant_length": Example(
        ops.resultant_length,
        {"angles": _angle(3, 5), "weights": _concentration(3, 5)},
        same_shape=("angles", "weights"),
    ),
    "roi_align": Example(
        _roi_features,
        {
            "fine": _normal(6, 7, 2),
            "coarse": _normal(3, 4, 2),
            "boxes": _corners(3),
            "level": _RNG.integers(0, 2, size=(2, 3)),
        },
    ),
    "rotate": Example(ops.rotate, {"image": _normal(4, 5, 1), "angle": _angle()}, options={"fill": 0.0}),
    "rotate_heading": Example(
        ops.rotate_heading, {"angle": _angle(3), "rotation": _angle(3)}, same_shape=("angle", "rotation")
    ),
    "rotation_matrix": Example(ops.rotation_matrix, {"angle": _angle()}, options={"shape": (4, 5)}),
    "safe_abs": Example(ops.safe_abs, {"x": _normal(3)}),
    "safe_norm": Example(ops.safe_norm, {"x": _normal(3, 2)}),
    "sample_balanced": Example(
        _balanced_sample,
        {"priorities": _levels(6), "positive": _mask(6), "negative": _mask(6)},
        same_shape=("positive", "negative"),
    ),
    "sample_windows": Example(
        ops.sample_windows,
        {"image": _normal(4, 5, 2), "centres": 3 + _normal(3, 2), "steps": _concentration(3)},
        options={"size": 4},
    ),
    "select": Example(ops.select, {"where": _mask(3), "values": _normal(3)}),
    "sigmoid_activation": Example(ops.sigmoid_activation, {"x": _normal(3)}),
    "signed_difference": Example(
        ops.signed_difference, {"a": _angle(3), "b": _angle(3)}, same_shape=("a", "b")
    ),
    "similarity_matrix": Example(
        ops.similarity_matrix, {"rotation": _angle(), "scale": _concentration()}, options={"shape": (4, 5)}
    ),
    "standardize": Example(ops.standardize, {"images": _normal(4, 5, 1)}),
    "suppress_overlapping": Example(
        ops.suppress_overlapping,
        {
            "boxes": _corners(5),
            "scores": _levels(5),
            "groups": _RNG.integers(0, 2, size=(2, 5)),
            "where": _mask(5),
        },
        same_shape=("groups", "where"),
        options={"iou_threshold": 0.2},
    ),
    "wrap": Example(ops.wrap, {"angle": 9 * _normal(3)}),
}

OF_SHAPES: Mapping[str, Example] = {
    "check_same_shape": Example(_check_same_shape, {"a": _normal(3), "b": _normal(3)}),
    "grid_anchors": Example(
        ops.grid_anchors,
        {},
        options={"shape": (2, 3), "stride": 8, "sizes": (6.0, 9.0), "ratios": (0.5, 2.0)},
    ),
    "half_spectrum_weights": Example(ops.half_spectrum_weights, {}, options={"width": 5}),
    "hann_window": Example(ops.hann_window, {}, options={"shape": (4, 5)}),
    "signed_shifts": Example(ops.signed_shifts, {}, options={"size": 5}),
}
