"""One pass of a tiny network over two pairs of frames: its samples, its losses and their gradients."""

import dataclasses

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cellmotion_jax.errors import InputError
from cellmotion_jax.methods.celltrack_rcnn.augmentation import WindowAugmentation, unchanged
from cellmotion_jax.methods.celltrack_rcnn.objective import RCNNObjective
from cellmotion_jax.methods.celltrack_rcnn.targets import mask_targets
from cellmotion_jax.methods.celltrack_rcnn.training_pass import Sampling, TrainingPass, _places
from tests.label_images import discs
from tests.rcnn_models import tiny_network

SIDE = 64
CIRCLES = (
    ((16, 16, 8), (42, 22, 10), (30, 48, 7)),
    # The first has moved, the second has divided, the third has gone, and the last is new.
    ((18, 18, 8), (36, 20, 6), (50, 24, 6), (48, 52, 7)),
)
SOURCE = (1, 2, 2, 0)
SAMPLING = Sampling(anchors=32, per_level=50, proposals=50, rois=16, positives=8)
NETWORK, DRAWN = tiny_network()
VARIABLES = {kind: {"network": tree} for kind, tree in DRAWN.items()}
OBJECTIVE = RCNNObjective()


def inputs(*, cells=8, circles=CIRCLES, source=SOURCE, seed=0):
    """Two pairs, the second mirrored, with room for a number of cells."""
    batch = {
        "image": np.zeros((2, 2, SIDE, SIDE), np.float32),
        "number": np.zeros((2, 2, SIDE, SIDE), np.int32),
        "centre": np.zeros((2, 2, cells, 2), np.float32),
        "present": np.zeros((2, 2, cells), bool),
        "source": np.zeros((2, cells), np.int32),
    }
    batch["source"][:, : len(source)] = source
    rng = np.random.default_rng(0)
    for frame, cells_there in enumerate(circles):
        for pair, positions in enumerate((cells_there, [(63 - y, *rest) for y, *rest in cells_there])):
            if not positions:
                continue
            number = discs((SIDE, SIDE), *positions)
            batch["number"][pair, frame] = number
            batch["image"][pair, frame] = (number > 0) + rng.normal(0, 0.1, number.shape)
            batch["centre"][pair, frame, : len(positions)] = np.array(positions)[:, :2] + 0.5
            batch["present"][pair, frame, : len(positions)] = True
    return prepare(jax.random.key(seed), batch)


@jax.jit
def prepare(key, batch):
    return unchanged(WindowAugmentation(crop=SIDE))(key, batch)["image"]


def losses(params, given, sampling=SAMPLING):
    training_pass = TrainingPass(network=NETWORK, sampling=sampling)
    variables = {"params": params, "batch_stats": VARIABLES["batch_stats"]}
    outputs, _ = training_pass.apply(variables, given, train=True, mutable=["batch_stats"])
    loss, terms = OBJECTIVE(outputs, {})
    return loss, (terms, outputs)


_run = jax.jit(jax.value_and_grad(losses, has_aux=True))


def run(given):
    (loss, (terms, outputs)), gradients = _run(VARIABLES["params"], given)
    terms = {name: float(term) for name, term in terms.items()}
    return float(loss), terms, jax.tree.map(np.asarray, outputs), gradients


@pytest.fixture(scope="module")
def given():
    return inputs()


@pytest.fixture(scope="module")
def ran(given):
    return run(given)


def test_the_loss_is_the_sum_of_its_terms(ran):
    loss, terms, _, _ = ran
    assert all(np.isfinite(value) and value > 0 for value in terms.values())
    total = sum(terms[name] for name in ("rpn_class", "rpn_box", "class", "box", "mask", "track"))
    assert loss == pytest.approx(total, rel=1e-5)
    assert terms["rpn"] == pytest.approx(terms["rpn_class"] + terms["rpn_box"], rel=1e-5)
    assert terms["track"] == pytest.approx((terms["track_visual"] + terms["track_spatial"]) / 2, rel=1e-5)


def test_gradients_are_finite_and_reach_every_part(ran):
    *_, gradients = ran
    chex.assert_tree_all_finite(gradients)
    without = [
        jax.tree_util.keystr(path, simple=True, separator="/")
        for path, leaf in jax.tree_util.tree_leaves_with_path(gradients)
        if np.abs(leaf).max() < 1e-5
    ]
    # In a difference of two embeddings their bias is gone.
    assert without == [f"network/{head}_head/embedding/bias" for head in ("spatial", "visual")]


def test_samples_are_full_and_positives_are_on_cells(ran, given):
    _, _, outputs, _ = ran
    assert outputs.anchors.taken.all()
    assert outputs.rois.taken.any(axis=1).all()
    cells = outputs.rois.cell
    for image, frame in enumerate(("first", "second") * 2):
        there = set(cells[image][cells[image] > 0].tolist())
        assert there == set(range(1, 4 if frame == "first" else 5))
    assert not cells[:, SAMPLING.positives :].any()


def test_pairs_of_boxes_are_the_same_if_one_cell_comes_from_the_other(ran):
    _, _, outputs, _ = ran
    cells = outputs.rois.cell[:, : SAMPLING.positives].reshape(2, 2, -1)
    for pair, (first, second) in enumerate(cells):
        compared = (first > 0)[:, None] & (second > 0)[None]
        np.testing.assert_array_equal(outputs.compared[pair], compared)
        origin = np.array([0, *SOURCE])[second]
        np.testing.assert_array_equal(outputs.same[pair], compared & (first[:, None] == origin[None]))
        # Of the mother with both daughters, of the first cell with itself.
        assert outputs.same[pair].sum() >= 3


def test_masks_count_where_there_is_a_cell(ran, given):
    _, _, outputs, _ = ran
    numbers = given.number.reshape(4, SIDE, SIDE)
    for image in range(4):
        cell = outputs.rois.cell[image, : SAMPLING.positives]
        boxes = outputs.rois.boxes[image, : SAMPLING.positives]
        assert (outputs.mask_known[image].all(axis=(1, 2)) == (cell > 0)).all()
        targets, _ = mask_targets(numbers[image], jnp.asarray(boxes), jnp.asarray(cell))
        np.testing.assert_allclose(outputs.mask_targets[image], targets, atol=1e-5)


def test_empty_rows_for_cells_change_nothing(ran):
    """With room for 16 cells, and for more positives, what is known of each of them is the same."""
    wide = dataclasses.replace(SAMPLING, positives=12)
    _, (_, found) = jax.jit(losses, static_argnames="sampling")(VARIABLES["params"], inputs(cells=16), wide)
    found = jax.tree.map(np.asarray, found)
    _, _, outputs, _ = ran
    chex.assert_trees_all_equal(found.anchors, outputs.anchors)
    np.testing.assert_allclose(found.anchor_logits, outputs.anchor_logits, rtol=1e-4, atol=1e-5)
    slots = []
    for image in range(4):
        assert outputs.rois.cell[image, 7] == 0  # All positives have found a slot.
        place = {tuple(box): slot for slot, box in enumerate(found.rois.boxes[image])}
        filled = outputs.rois.cell[image] > 0
        slots.append([place.get(tuple(box), -1) for box in outputs.rois.boxes[image][filled]])
        assert -1 not in slots[-1]
        assert (found.rois.cell[image] > 0).sum() == filled.sum()
        for name in ("cell", "offsets"):
            ours, theirs = (getattr(rois, name)[image] for rois in (outputs.rois, found.rois))
            np.testing.assert_allclose(theirs[slots[-1]], ours[: len(slots[-1])], rtol=1e-5, atol=1e-5)
        for name in ("roi_logits", "roi_offsets", "masks", "mask_targets", "mask_known"):
            ours, theirs = (getattr(it, name)[image] for it in (outputs, found))
            np.testing.assert_allclose(theirs[slots[-1]], ours[: len(slots[-1])], rtol=1e-3, atol=1e-4)
    for pair in (0, 1):
        earlier, later = slots[2 * pair : 2 * pair + 2]
        chosen = np.ix_(earlier, later)
        for ours, theirs in (
            *zip(outputs.similarities, found.similarities),
            (outputs.same, found.same),
            (outputs.compared, found.compared),
        ):
            np.testing.assert_allclose(
                theirs[pair][chosen], ours[pair][: len(earlier), : len(later)], rtol=1e-3, atol=1e-3
            )
        assert found.compared[pair].sum() == len(earlier) * len(later)


def test_what_is_in_empty_rows_does_not_matter(ran, given):
    """NaN there reaches neither the loss nor a gradient."""
    absent = ~given.present
    poisoned = given._replace(
        boxes=jnp.where(~given.where[..., None], jnp.nan, given.boxes),
        centres=jnp.where(absent[..., None], jnp.nan, given.centres),
    )
    loss, terms, _, gradients = run(poisoned)
    assert loss == ran[0]
    assert terms == ran[1]
    chex.assert_trees_all_equal(gradients, ran[3])


@pytest.mark.parametrize("circles", [((), ()), ((), CIRCLES[1]), (CIRCLES[0], ())])
def test_frames_without_cells_give_a_finite_loss(circles):
    _, terms, outputs, gradients = run(inputs(circles=circles, source=(0,)))
    chex.assert_tree_all_finite(gradients)
    assert all(np.isfinite(value) for value in terms.values())
    assert terms["track"] == terms["track_visual"] == terms["track_spatial"] == 0
    assert not outputs.compared.any()
    if circles == ((), ()):
        assert terms["mask"] == terms["box"] == terms["rpn_box"] == 0
        assert terms["rpn_class"] > 0
        # The tracking heads have nothing to learn from.
        for head in ("visual_head", "spatial_head"):
            assert not any(np.any(leaf) for leaf in jax.tree.leaves(gradients["network"][head]))


def test_another_key_draws_other_negatives_and_the_same_positives(ran):
    _, _, outputs, _ = ran
    _, _, others, _ = run(inputs(seed=1))
    assert not np.array_equal(others.anchors.anchor, outputs.anchors.anchor)
    for ours, theirs in zip(outputs.rois.boxes, others.rois.boxes):
        assert not np.array_equal(ours, theirs)
    for ours, theirs in zip(outputs.rois.cell, others.rois.cell):
        assert sorted(ours) == sorted(theirs)


def test_neighbours_are_all_present_cells_but_the_own():
    boxes = jnp.array([[0.0, 0.0, 4.0, 6.0], [2.0, 2.0, 8.0, 8.0]])
    centres, present = jnp.arange(8.0).reshape(4, 2), jnp.array([True, True, False, True])
    middles, others, where = _places(boxes, jnp.array([2, 0]), centres, present)
    assert middles.tolist() == [[2, 3], [5, 5]]
    np.testing.assert_array_equal(others, centres)
    assert where.tolist() == [[True, False, False, True], [True, True, False, True]]


def test_more_positives_than_boxes_are_refused():
    with pytest.raises(InputError, match="positives is 96; it must be below rois, which is 96"):
        Sampling(positives=96)
