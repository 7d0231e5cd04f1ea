import numpy as np
import pytest
from hypothesis import given

from cellmotion_jax.morphology.contacts import contact_map
from tests.label_images import label_images


@given(label_images())
def test_a_pixel_is_contact_if_two_cells_are_in_its_window(labels):
    for reach in (1, 2):
        padded = np.pad(labels, reach)
        expected = [
            len(set(padded[y : y + 2 * reach + 1, x : x + 2 * reach + 1].ravel()) - {0}) > 1
            for y, x in np.ndindex(labels.shape)
        ]
        np.testing.assert_array_equal(contact_map(labels, reach=reach).ravel(), expected)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int64])
def test_labels_of_any_type_up_to_the_largest(dtype):
    labels = np.array([[0, np.iinfo(dtype).max, 1]], dtype)
    assert contact_map(labels, reach=1).tolist() == [[False, True, True]]
