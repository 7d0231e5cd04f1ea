import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from cellmotion_jax.metrics import jaccard_index

MASKS = hnp.arrays(bool, (3, 4))


@given(MASKS, MASKS, MASKS)
def test_it_is_the_share_of_the_union_that_is_common(predictions, targets, where):
    either = (predictions | targets) & where
    expected = (predictions & targets & where).sum() / either.sum() if either.any() else 1.0
    assert float(jaccard_index(predictions, targets, where=where)) == pytest.approx(expected)


@given(MASKS, st.just(None))
def test_a_mask_agrees_with_itself(mask, where):
    assert float(jaccard_index(mask, mask, where=where)) == 1


def test_masks_of_differing_shapes_are_refused():
    with pytest.raises(ValueError, match=r"predictions has \(2, 2\), targets has \(2, 1\)"):
        jaccard_index(np.ones((2, 2), bool), np.ones((2, 1), bool))
