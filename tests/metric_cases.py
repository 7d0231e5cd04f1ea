"""Arguments for every public function of ``metrics``, as `tests.cases.Example`.

Tables, frames and counts are given as plain columns, which a function here puts together.
"""

import types
from collections.abc import Mapping

import numpy as np

from cellmotion_jax import metrics
from tests.cases import Example, _angle, _concentration, _mask, _normal

_RNG = np.random.default_rng(1)


def _shares(*shape: int) -> np.ndarray:
    return _RNG.uniform(size=(2, *shape)).astype(np.float32)


def _twice(*values) -> np.ndarray:
    return np.stack([np.array(values)] * 2)


def _labels(*shape: int) -> np.ndarray:
    """Label images, each with the cells 1, 2 and 3."""
    labels = _RNG.integers(0, 4, size=(2, *shape))
    labels[..., 0, :4] = [0, 1, 2, 3]
    return labels


def _matches(reference, result, partner, iou) -> list[metrics.FrameMatches]:
    return [metrics.FrameMatches(*columns) for columns in zip(reference, result, partner, iou)]


def _table(label, begin, end, parent) -> types.SimpleNamespace:
    return types.SimpleNamespace(label=label, begin=begin, end=end, parent=parent)


def _node_errors(reference, result, partner, iou):
    return metrics.node_errors(_matches(reference, result, partner, iou))


def _segmentation_score(reference, result, partner, iou):
    return metrics.segmentation_score(_matches(reference, result, partner, iou))


def _edge_errors(reference, result, partner, iou, label, begin, end, parent):
    tracks = _table(label, begin, end, parent)
    return metrics.edge_errors(_matches(reference, result, partner, iou), tracks, tracks)


def _division_counts(reference, result, partner, iou, label, begin, end, parent):
    tracks = _table(label, begin, end, parent)
    return metrics.division_counts(_matches(reference, result, partner, iou), tracks, tracks)


def _ctc_scores(reference_frames, result_frames, label, begin, end, parent):
    tracks = _table(label, begin, end, parent)
    return metrics.ctc_scores(list(reference_frames), list(result_frames), tracks, tracks)


def _aogm_score(splits, missed, spurious, reference):
    return metrics.aogm_score(metrics.NodeErrors(splits, missed, spurious, reference))


def _total_counts(true_positives, false_positives, false_negatives):
    image = metrics.Counts(true_positives, false_positives, false_negatives)
    total = metrics.total_counts([image, image])
    return total, image.precision, image.recall, image.f_score, image.average_precision


_MATCHES = {
    "reference": _twice([1, 2, 3], [1, 2, 3]),
    "result": _twice([1, 2, 3], [1, 2, 3]),
    "partner": _twice([1, 2, 0], [2, 1, 1]),
    "iou": _twice([0.6, 1.0, 0.0], [0.7, 0.4, 0.9]).astype(np.float32),
}
_TRACKS = {
    "label": _twice(1, 2, 3),
    "begin": _twice(0, 0, 0),
    "end": _twice(1, 1, 1),
    "parent": _twice(0, 0, 2),
}
_IMAGES = {"predictions": _labels(4, 5), "targets": _labels(4, 5)}
_POINTS = {"detections": 3 * _normal(5, 2), "markers": 3 * _normal(4, 2), "radius": 1 + _concentration()}

METRICS: Mapping[str, Example] = {
    "aogm_score": Example(
        _aogm_score, {name: _RNG.integers(0, 9, 2) for name in ("splits", "missed", "spurious", "reference")}
    ),
    "arc_half_width": Example(metrics.arc_half_width, {"kappa": _concentration(3), "coverage": _shares(3)}),
    "cell_matches": Example(metrics.cell_matches, _IMAGES, options={"threshold": 0.25}),
    "cell_overlaps": Example(metrics.cell_overlaps, _IMAGES),
    "centre_errors": Example(
        metrics.centre_errors, {"predictions": 5 * _normal(3, 2), "targets": 5 * _normal(3, 2)}
    ),
    "coverage_table": Example(
        metrics.coverage_table,
        {"errors": _angle(5), "kappa": _concentration(5)},
        options={"levels": (0.5, 0.75)},
    ),
    "ctc_scores": Example(
        _ctc_scores, {"reference_frames": _labels(2, 4, 5), "result_frames": _labels(2, 4, 5), **_TRACKS}
    ),
    "division_counts": Example(_division_counts, {**_MATCHES, **_TRACKS}),
    "edge_errors": Example(_edge_errors, {**_MATCHES, **_TRACKS}),
    "error_by_confidence": Example(
        metrics.error_by_confidence,
        {"errors": _angle(6), "confidence": 5 * _normal(6)},
        options={"bins": 2},
    ),
    "fit_concentration": Example(metrics.fit_concentration, {"errors": 0.4 * _normal(9)}),
    "identity_switches": Example(
        metrics.identity_switches,
        {
            "predictions": 3 * _normal(3, 4, 2),
            "references": 3 * _normal(3, 5, 2),
            "where": _mask(3, 4),
            "radius": 4 + _concentration(),
        },
    ),
    "jaccard_index": Example(
        metrics.jaccard_index, {"predictions": _mask(3, 4), "targets": _mask(3, 4), "where": _mask(3, 4)}
    ),
    "lost_curve": Example(
        metrics.lost_curve,
        {
            "errors": 30 * _shares(6),
            "confidence": 5 * _shares(6),
            "where": _mask(6),
            "distance": 9 + _concentration(),
        },
        options={"thresholds": (0.5, 2.0)},
    ),
    "lost_report": Example(
        metrics.lost_report,
        {"errors": 30 * _shares(6), "flagged": _mask(6), "where": _mask(6), "distance": 9 + _concentration()},
    ),
    "match_frame": Example(
        metrics.match_frame, {"reference": _labels(4, 5), "result": _labels(4, 5)}, options={"margin": 1}
    ),
    "maximum_error_estimate_deg": Example(
        metrics.maximum_error_estimate_deg, {"mean": 100 + _concentration(), "std": 90 + _concentration()}
    ),
    "mean_angular_error_deg": Example(
        metrics.mean_angular_error_deg, {"predictions": _angle(3), "targets": _angle(3)}
    ),
    "node_errors": Example(_node_errors, _MATCHES),
    "one_to_one_matches": Example(metrics.one_to_one_matches, _POINTS),
    "optimal_matches": Example(metrics.optimal_matches, _POINTS),
    "precision_curve": Example(
        metrics.precision_curve,
        {"errors": 30 * _shares(6), "where": _mask(6)},
        options={"thresholds": (0.0, 5.0, 20.0)},
    ),
    "quadrant_baseline_deg": Example(
        metrics.quadrant_baseline_deg, {"accuracy": _shares(), "each_wrong": _shares()}
    ),
    "segmentation_counts": Example(
        metrics.segmentation_counts, _IMAGES, options={"thresholds": (0.25, 0.5, 1.0)}
    ),
    "segmentation_score": Example(_segmentation_score, _MATCHES),
    "success_curve": Example(
        metrics.success_curve,
        {"overlaps": _shares(6), "where": _mask(6)},
        options={"thresholds": (0.0, 0.5, 1.0)},
    ),
    "total_counts": Example(
        _total_counts,
        {
            "true_positives": _RNG.integers(100, 127, size=(2, 3)),
            "false_positives": _RNG.integers(0, 127, size=(2, 3)),
            "false_negatives": _RNG.integers(0, 127, size=(2, 3)),
        },
    ),
}
