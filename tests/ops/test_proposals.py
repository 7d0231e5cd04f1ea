"""Proposals and detections equal those of loops over levels and classes; empty slots change nothing."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cellmotion_jax.ops.proposals import SMALLEST_DETECTION, Boxes, detect_boxes, propose_boxes
from tests.ops.test_suppression import greedy

# Compiled in half the time.
jit = functools.partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})
SHAPE = (24, 30)
SIZES = (40, 12, 3)  # Anchors per level
WEIGHTS = (10.0, 5.0)


def random_boxes(rng, count):
    corner = rng.uniform(-3, 22, (count, 2))
    return np.concatenate([corner, corner + rng.uniform(2, 10, (count, 2))], axis=1).astype(np.float32)


def levels(seed=0):
    """Outputs of a region proposal network; some of its boxes end up outside of the image."""
    rng = np.random.default_rng(seed)
    logits = [rng.normal(size=size).astype(np.float32) for size in SIZES]
    offsets = [(0.3 * rng.normal(size=(size, 4))).astype(np.float32) for size in SIZES]
    anchors = [random_boxes(rng, size) for size in SIZES]
    anchors[0][:4] += 40
    logits[0][:4] += 5
    return logits, offsets, anchors


def decoded(offsets, anchors, weights=(1.0, 1.0)):
    """Within the image."""
    sides = anchors[:, 2:] - anchors[:, :2]
    centres = anchors[:, :2] + sides / 2 + offsets[:, :2] / weights[0] * sides
    sides = sides * np.exp(offsets[:, 2:] / weights[1])
    boxes = np.concatenate([centres - sides / 2, centres + sides / 2], axis=1)
    return np.clip(boxes, 0, [*SHAPE, *SHAPE])


def sigmoid(logits):
    return 1 / (1 + np.exp(-logits))


def proposed_by_loops(logits, offsets, anchors, *, per_level, count, iou_threshold):
    found = []
    for level in zip(logits, offsets, anchors):
        best = np.argsort(-level[0], kind="stable")[:per_level]
        scores, boxes = level[0][best], decoded(level[1][best], level[2][best])
        large = (boxes[:, 2:] - boxes[:, :2] >= 1e-3).all(axis=1)
        scores, boxes = scores[large], boxes[large]
        kept = greedy(boxes, scores, iou_threshold)
        found += list(zip(scores[kept], boxes[kept]))
    found = sorted(found, key=lambda pair: -pair[0])[:count]
    return np.array([box for _, box in found]), sigmoid(np.array([score for score, _ in found]))


@functools.cache
def proposing(per_level, count, iou_threshold=0.4):
    return jit(
        functools.partial(
            propose_boxes, shape=SHAPE, per_level=per_level, count=count, iou_threshold=iou_threshold
        )
    )


def assert_holds(found, boxes, scores, classes):
    """The first slots hold these boxes, all others nothing."""
    assert found.where.tolist() == [True] * len(boxes) + [False] * (len(found.where) - len(boxes))
    np.testing.assert_allclose(found.boxes[: len(boxes)], boxes, rtol=1e-5, atol=1e-4)
    np.testing.assert_allclose(found.scores[: len(boxes)], scores, rtol=1e-5)
    np.testing.assert_array_equal(found.classes[: len(boxes)], classes)
    assert not any(np.any(values[len(boxes) :]) for values in found)


@pytest.mark.parametrize(("per_level", "count", "iou_threshold"), [(20, 40, 0.4), (5, 30, 0.4), (20, 7, 0.1)])
def test_proposals_equal_those_of_loops(per_level, count, iou_threshold):
    for seed in range(3):
        outputs, options = levels(seed), {"per_level": per_level, "count": count}
        boxes, scores = proposed_by_loops(*outputs, iou_threshold=iou_threshold, **options)
        found = proposing(iou_threshold=iou_threshold, **options)(*outputs)
        assert_holds(found, boxes, scores, 0)
        looked_at = sum(min(per_level, size) for size in SIZES)
        assert 3 < len(boxes) < looked_at  # Some were suppressed, or left out.


def test_more_slots_change_no_proposal():
    outputs = levels()
    whole = proposing(40, 60)(*outputs)
    many = int(whole.where.sum())
    for per_level, count in ((40, 10), (50, 70)):
        found = proposing(per_level, count)(*outputs)
        shared = min(count, many)
        assert int(found.where.sum()) == shared
        jax.tree.map(lambda a, b, n=shared: np.testing.assert_array_equal(a[:n], b[:n]), found, whole)
        assert not np.any(found.boxes[shared:])


def test_proposals_of_different_levels_do_not_suppress_one_another():
    anchor = jnp.array([[2.0, 2.0, 9.0, 9.0]])
    of_both = [jnp.array([1.0]), jnp.array([2.0])], [jnp.zeros((1, 4))] * 2, [anchor] * 2
    found = proposing(1, 3)(*of_both)
    assert_holds(found, np.tile(anchor, (2, 1)), sigmoid(np.array([2.0, 1.0])), 0)


def test_saturated_probabilities_are_ranked_by_their_logits():
    anchors = jnp.array([[0.0, 0.0, 5.0, 5.0]]), jnp.array([[9.0, 9.0, 14.0, 14.0]])
    found = proposing(1, 2)([jnp.array([40.0]), jnp.array([50.0])], [jnp.zeros((1, 4))] * 2, anchors)
    assert found.scores.tolist() == [1, 1]
    np.testing.assert_array_equal(found.boxes, np.concatenate(anchors[::-1]))


def test_anchors_that_do_not_fit_are_refused():
    logits, offsets, anchors = levels()
    propose = functools.partial(propose_boxes, shape=SHAPE, per_level=5, count=5)
    with pytest.raises(ValueError, match=r"logits, offsets and anchors must be as many.* 3, 2 and 3 levels"):
        propose(logits, offsets[:2], anchors)
    with pytest.raises(ValueError, match="at least one: 0, 0 and 0 levels"):
        propose([], [], [])
    with pytest.raises(ValueError, match=r"logits has \(40,\), offsets has \(40,\), anchors has \(39,\)"):
        propose(logits, offsets, [anchors[0][1:], *anchors[1:]])


PROPOSALS, CLASSES = 12, 3


def head(seed=0):
    """Outputs of a box head, and the proposals; two slots are empty and hold garbage."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(PROPOSALS, CLASSES)).astype(np.float32)
    offsets = rng.normal(size=(PROPOSALS, CLASSES, 4)).astype(np.float32)
    boxes = random_boxes(rng, PROPOSALS)
    boxes[1] += 40  # Outside of the image
    where = np.arange(PROPOSALS) < PROPOSALS - 2
    logits[~where, 1], offsets[-1], boxes[-2] = 60, np.nan, np.nan
    return (
        logits,
        offsets,
        Boxes(boxes, np.zeros(PROPOSALS, np.float32), np.zeros(PROPOSALS, np.int32), where),
    )


def detected_by_loops(logits, offsets, proposals, *, score_threshold, iou_threshold, count, candidates):
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    found = [
        (probabilities[row, label], label, decoded(offsets[row, [label]], proposals.boxes[[row]], WEIGHTS)[0])
        for row in range(len(logits))
        for label in range(1, logits.shape[1])
        if proposals.where[row] and probabilities[row, label] > score_threshold
    ]
    found = sorted(found, key=lambda candidate: -candidate[0])[:candidates]
    found = [f for f in found if (f[2][2:] - f[2][:2] >= SMALLEST_DETECTION).all()]
    kept = []
    for label in range(1, logits.shape[1]):
        of_class = [f for f in found if f[1] == label]
        scores, boxes = np.array([f[0] for f in of_class]), np.array([f[2] for f in of_class]).reshape(-1, 4)
        kept += [f for f, remains in zip(of_class, greedy(boxes, scores, iou_threshold)) if remains]
    kept = sorted(kept, key=lambda candidate: -candidate[0])[:count]
    scores, classes, boxes = zip(*kept)
    return np.array(boxes), np.array(scores), np.array(classes)


@functools.cache
def detecting(score_threshold=0.2, iou_threshold=0.2, count=20, candidates=50):
    return jit(
        functools.partial(
            detect_boxes,
            shape=SHAPE,
            score_threshold=score_threshold,
            iou_threshold=iou_threshold,
            count=count,
            candidates=candidates,
            weights=WEIGHTS,
        )
    )


@pytest.mark.parametrize(
    "options",
    [
        {"score_threshold": 0.2, "iou_threshold": 0.2, "count": 20, "candidates": 50},
        {"score_threshold": 0.0, "iou_threshold": 0.05, "count": 30, "candidates": 50},
        {"score_threshold": 0.4, "iou_threshold": 0.5, "count": 3, "candidates": 50},
        {"score_threshold": 0.0, "iou_threshold": 0.5, "count": 30, "candidates": 8},
    ],
)
def test_detections_equal_those_of_loops(options):
    for seed in range(3):
        outputs = head(seed)
        assert_holds(detecting(**options)(*outputs), *detected_by_loops(*outputs, **options))


@pytest.mark.parametrize("garbage", [np.nan, np.inf, 0.0, 9.0])
def test_further_empty_slots_change_no_detection(garbage):
    logits, offsets, proposals = head()
    right = detecting()(logits, offsets, proposals)
    assert 2 < right.where.sum() < 20

    def pad(values, fill):
        return np.concatenate([values, np.full((5, *values.shape[1:]), fill, values.dtype)])

    fills = Boxes(garbage, garbage, 1, False)
    longer = pad(logits, garbage), pad(offsets, garbage), Boxes(*map(pad, proposals, fills))
    jax.tree.map(np.testing.assert_array_equal, detecting()(*longer), right)
    for count, candidates in ((25, 50), (20, 60)):
        found = detecting(count=count, candidates=candidates)(*longer)
        jax.tree.map(lambda a, b: np.testing.assert_array_equal(a[:20], b), found, right)
        assert not found.where[20:].any()


def test_without_proposals_nothing_is_detected():
    logits, offsets, proposals = head()
    found = detecting()(logits, offsets, proposals._replace(where=np.zeros(PROPOSALS, bool)))
    assert not any(np.any(values) for values in found)


def test_one_proposal_is_detected_in_two_classes_but_only_once_in_each():
    box = np.tile(np.float32([[2, 2, 9, 9]]), (2, 1))
    proposals = Boxes(box, np.ones(2, np.float32), np.zeros(2, np.int32), np.ones(2, bool))
    probabilities = np.array([[0.1, 0.6, 0.3], [0.2, 0.3, 0.5]])
    found = detecting()(np.log(probabilities), np.zeros((2, 3, 4), np.float32), proposals)
    assert_holds(found, box, [0.6, 0.5], [1, 2])


def test_a_batch_gives_what_each_image_gives():
    batch = [head(seed) for seed in range(2)]
    together = jit(jax.vmap(detecting().__wrapped__))(*jax.tree.map(lambda *values: np.stack(values), *batch))
    images = [levels(seed) for seed in range(2)]
    proposed = jit(jax.vmap(proposing(20, 40).__wrapped__))(*jax.tree.map(lambda *v: np.stack(v), *images))
    for number in range(2):
        for found, one in (
            (together, detecting()(*batch[number])),
            (proposed, proposing(20, 40)(*images[number])),
        ):
            jax.tree.map(lambda a, b, i=number: np.testing.assert_allclose(a[i], b, rtol=1e-5), found, one)


def test_no_gradient_passes():
    logits, offsets, anchors = levels()
    outputs = head()

    def of_proposals(logits, offsets, anchors):
        return jnp.sum(propose_boxes(logits, offsets, anchors, shape=SHAPE, per_level=5, count=5).boxes)

    def of_detections(logits, offsets, boxes):
        found = detecting().__wrapped__(logits, offsets, outputs[2]._replace(boxes=boxes))
        return jnp.sum(found.boxes) + jnp.sum(found.scores)

    for total, arguments in (
        (of_proposals, (logits, offsets, anchors)),
        (of_detections, (*outputs[:2], outputs[2].boxes)),
    ):
        value, gradients = jit(jax.value_and_grad(total, argnums=(0, 1, 2)))(*arguments)
        assert value > 0
        assert not any(np.any(leaf) for leaf in jax.tree.leaves(gradients))


def test_outputs_that_do_not_fit_the_proposals_are_refused():
    logits, offsets, proposals = head()
    detect = functools.partial(
        detect_boxes,
        shape=SHAPE,
        score_threshold=0.1,
        iou_threshold=0.5,
        count=5,
        candidates=5,
        weights=WEIGHTS,
    )
    with pytest.raises(ValueError, match=r"logits has \(12, 3\), offsets has \(12, 2\)"):
        detect(logits, offsets[:, 1:].tolist(), proposals)
    with pytest.raises(ValueError, match=r"logits has \(11,\), proposals has \(12,\)"):
        detect(logits[1:], offsets[1:], proposals)
