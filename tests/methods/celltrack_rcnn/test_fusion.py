"""The prediction fusion of Section 2.3, case by case."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellmotion_jax.methods.celltrack_rcnn.fusion import fuse

# Columns are later cells, rows earlier ones.
VISUAL = np.array([[0.9, 0.8], [0.2, 0.7]])
AGREES = np.array([[0.7, 0.6], [0.1, 0.5]])
DIFFERS = np.array([[0.1, 0.2], [0.6, 0.9]])
NOWHERE = np.zeros((2, 2))


def test_where_both_scores_agree_their_cell_is_the_source_whatever_the_overlap():
    overlap = np.array([[0.0, 0.0], [1.0, 1.0]])
    found = fuse(VISUAL, AGREES, overlap, alpha=0.1)
    assert found.source.tolist() == [0, 0]
    np.testing.assert_allclose(found.probability, [0.8, 0.7])


def test_two_cells_with_one_source_are_its_daughters():
    assert fuse(VISUAL, AGREES, NOWHERE, alpha=0.1).source.tolist() == [0, 0]


@pytest.mark.parametrize(
    ("overlap", "source"),
    [
        ([[0.3, 0.0], [0.2, 0.6]], [0, 1]),
        ([[0.2, 0.0], [0.3, 0.6]], [1, 1]),
        ([[0.1, 0.0], [0.0, 0.09]], [0, -1]),  # At the threshold and just below it.
        ([[0.0, 0.0], [0.0, 0.0]], [-1, -1]),
    ],
)
def test_where_they_do_not_the_overlap_decides(overlap, source):
    found = fuse(VISUAL, DIFFERS, np.array(overlap), alpha=0.1)
    assert found.source.tolist() == source
    mean = (VISUAL + DIFFERS) / 2
    wanted = [mean[s, i] if s >= 0 else 1 - mean[:, i].max() for i, s in enumerate(source)]
    np.testing.assert_allclose(found.probability, wanted)


def test_the_largest_overlap_may_be_a_third_cell():
    visual, spatial = np.array([[0.9], [0.1], [0.2]]), np.array([[0.1], [0.9], [0.2]])
    found = fuse(visual, spatial, np.array([[0.2], [0.3], [0.5]]), alpha=0.1)
    assert found.source.tolist() == [2]
    assert found.probability[0] == pytest.approx(0.2)


def test_with_alpha_0_every_cell_has_a_source():
    assert (fuse(VISUAL, DIFFERS, NOWHERE, alpha=0.0).source >= 0).all()


def test_without_spatial_scores_the_visual_score_alone_decides():
    found = fuse(VISUAL, None, NOWHERE, alpha=0.1)
    assert found.source.tolist() == [0, 0]
    np.testing.assert_allclose(found.probability, [0.9, 0.8])


@pytest.mark.parametrize("spatial", [True, False])
@pytest.mark.parametrize(("earlier", "later"), [(0, 3), (3, 0), (0, 0)])
def test_without_cells_in_one_frame_there_are_no_links(earlier, later, spatial):
    scores = np.zeros((earlier, later))
    found = fuse(scores, scores if spatial else None, scores, alpha=0.1)
    assert found.source.tolist() == [-1] * later
    assert found.probability.tolist() == [1.0] * later


@given(st.integers(0, 2**16), st.integers(1, 5), st.integers(1, 5), st.floats(0, 1))
def test_links_of_any_scores_follow_the_rule(seed, earlier, later, alpha):
    visual, spatial, overlap = np.random.default_rng(seed).random((3, earlier, later))
    found = fuse(visual, spatial, overlap, alpha=alpha)
    assert ((found.probability >= 0) & (found.probability <= 1)).all()
    for cell, source in enumerate(found.source):
        best, other = visual[:, cell].argmax(), spatial[:, cell].argmax()
        if best == other:
            assert source == best
        elif overlap[:, cell].max() >= alpha:
            assert source == overlap[:, cell].argmax()
        else:
            assert source == -1
