import re

import numpy as np
import pytest
from hypothesis import given
from numpy.testing import assert_array_equal

from cellmotion_jax.errors import InputError
from cellmotion_jax.ops.labels import number_cells
from tests.label_images import label_images


@given(label_images(labels=(3, 70, 2**31 - 1)))
def test_numbers_lead_back_to_the_labels_and_have_no_gaps(labels):
    cells = number_cells(labels)
    assert_array_equal(cells.labels[cells.number], labels)
    assert cells.labels[0] == 0
    assert_array_equal(np.unique(cells.number[labels > 0]), np.arange(1, len(cells.labels)))
    assert (np.diff(cells.labels) > 0).all()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.uint64, np.int8, np.int64])
def test_labels_keep_their_type(dtype):
    largest = np.iinfo(dtype).max
    cells = number_cells(np.array([[0, largest]], dtype))
    assert cells.labels.dtype == dtype
    assert cells.labels.tolist() == [0, largest]


@pytest.mark.parametrize("shape", [(5,), (4, 5, 3), (0, 5)])
def test_what_is_no_image_is_refused(shape):
    with pytest.raises(ValueError, match=re.escape(f"masks must be a label image [y, x], got shape {shape}")):
        number_cells(np.zeros(shape, int), name="masks")


def test_negative_labels_are_refused():
    with pytest.raises(InputError, match="targets holds label -4; 0 is background"):
        number_cells(np.array([[3, -4, -1]]), name="targets")
