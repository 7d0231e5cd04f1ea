"""The loss of outputs whose losses are known."""

import functools
import math

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cellmotion_jax.errors import InputError
from cellmotion_jax.methods.celltrack_rcnn.objective import BETA, RCNNObjective
from cellmotion_jax.methods.celltrack_rcnn.targets import AnchorTargets, RoiTargets
from cellmotion_jax.methods.celltrack_rcnn.training_pass import PassOutputs
from cellmotion_jax.models.celltrack_rcnn import Similarities


def outputs(fill=0.0):
    """One pair; ``fill`` is where nothing counts."""
    nothing = jnp.full(4, fill)
    anchors = AnchorTargets(
        anchor=jnp.zeros((2, 4), int),
        positive=jnp.array([[True, False, False, False], [False] * 4]),
        taken=jnp.array([[True, True, True, False], [True, False, False, False]]),
        offsets=jnp.stack([jnp.stack([jnp.ones(4), *[nothing] * 3]), jnp.stack([nothing] * 4)]),
    )
    rois = RoiTargets(
        boxes=jnp.zeros((2, 3, 4)),
        cell=jnp.array([[1, 0, 0], [2, 0, 0]]),
        taken=jnp.array([[True, True, False], [True, False, False]]),
        fit=jnp.array([[1.0, 0.0, fill], [0.5, fill, fill]]),
        offsets=jnp.stack([jnp.stack([jnp.full(4, side), nothing, nothing]) for side in (2.0, 0.0)]),
    )
    known = jnp.zeros((2, 1, 28, 28), bool).at[0, 0, :2].set(True)
    compared = jnp.array([[[True, False], [True, False]]])
    two = jnp.log(jnp.array(3.0))
    return PassOutputs(
        anchor_logits=jnp.array([[0.0, 0.0, 0.0, fill], [two, fill, fill, fill]]),
        anchor_offsets=jnp.stack([jnp.stack([jnp.zeros(4), *[nothing] * 3]), jnp.stack([nothing] * 4)]),
        anchors=anchors,
        roi_logits=jnp.array(
            [[[0.0, two], [two, 0.0], [fill, fill]], [[two, 0.0], [fill, fill], [fill, fill]]]
        ),
        roi_offsets=jnp.stack([jnp.stack([jnp.zeros(4), nothing, nothing])] * 2),
        rois=rois,
        masks=jnp.where(known, two, fill),
        mask_targets=jnp.where(known, 1.0, fill),
        mask_known=known,
        similarities=Similarities(
            jnp.where(compared, two, fill), jnp.where(compared, jnp.array([[[0.0], [-two]]]), fill)
        ),
        same=jnp.array([[[True, False], [False, False]]]),
        compared=compared,
    )


# Log 4/3 and log 4: the costs of a probability of 3/4 that is right or wrong.
RIGHT, WRONG = math.log(4 / 3), math.log(4)
KNOWN = {
    # Three anchors of log odds 0 and a negative of log odds log 3, all together.
    "rpn_class": (3 * math.log(2) + WRONG) / 4,
    "rpn_box": 4 * (1 - BETA / 2) / 4,
    # One that is right, background that is right, and a box that fits a cell by half.
    "class": (2 * RIGHT + (RIGHT + WRONG) / 2) / 3,
    "box": 4 * (2 - BETA / 2) / 3,
    "mask": RIGHT,
    "track_visual": (RIGHT + WRONG) / 2,
    "track_spatial": (math.log(2) + RIGHT) / 2,
}
KNOWN["track"] = (KNOWN["track_visual"] + KNOWN["track_spatial"]) / 2
KNOWN["rpn"] = KNOWN["rpn_class"] + KNOWN["rpn_box"]


@functools.partial(jax.jit, static_argnames="objective")
def loss_of(outputs, objective=RCNNObjective()):
    return objective(outputs, {})


def test_losses_are_those_computed_by_hand():
    loss, terms = loss_of(outputs())
    assert {name: float(term) for name, term in terms.items()} == pytest.approx(KNOWN, rel=1e-5)
    expected = sum(KNOWN[name] for name in ("rpn_class", "rpn_box", "class", "box", "mask", "track"))
    assert float(loss) == pytest.approx(expected, rel=1e-5)


def test_the_tracking_loss_has_a_weight():
    (whole, _), (half, terms) = loss_of(outputs()), loss_of(outputs(), RCNNObjective(track=0.5))
    assert float(whole - half) == pytest.approx(0.5 * KNOWN["track"], rel=1e-4)
    assert float(terms["track"]) == pytest.approx(KNOWN["track"], rel=1e-5)
    with pytest.raises(InputError, match="track is -1"):
        RCNNObjective(track=-1.0)


def test_without_a_spatial_head_the_visual_loss_is_all():
    made = outputs()
    made = made._replace(similarities=Similarities(made.similarities.visual, None))
    _, terms = loss_of(made)
    assert "track_spatial" not in terms
    assert float(terms["track"]) == float(terms["track_visual"]) == pytest.approx(KNOWN["track_visual"])


@pytest.mark.parametrize("fill", [np.nan, np.inf, 1e30])
def test_what_does_not_count_reaches_neither_loss_nor_gradient(fill):
    def loss(real, made):
        anchor_logits, anchor_offsets, roi_logits, roi_offsets, masks, similarities = real
        return loss_of(
            made._replace(
                anchor_logits=anchor_logits,
                anchor_offsets=anchor_offsets,
                roi_logits=roi_logits,
                roi_offsets=roi_offsets,
                masks=masks,
                similarities=similarities,
            )
        )[0]

    def with_gradient(made):
        real = (
            *(made.anchor_logits, made.anchor_offsets, made.roi_logits, made.roi_offsets),
            *(made.masks, made.similarities),
        )
        return jax.value_and_grad(loss)(real, made)

    clean, nasty = with_gradient(outputs()), with_gradient(outputs(fill))
    chex.assert_tree_all_finite(nasty)
    chex.assert_trees_all_close(nasty, clean, rtol=1e-6)


def test_losses_are_computed_in_float32():
    made = outputs()
    half = jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16) if leaf.dtype == jnp.float32 else leaf, made)
    loss, terms = loss_of(made._replace(anchor_logits=half.anchor_logits, masks=half.masks))
    assert loss.dtype == jnp.float32
    assert all(term.dtype == jnp.float32 for term in terms.values())
    assert float(loss) == pytest.approx(float(loss_of(made)[0]), rel=1e-2)
