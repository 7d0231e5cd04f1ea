import re

import numpy as np
import pytest
import scipy.ndimage
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from cellmotion_jax.data.centroids import frame_centroids
from cellmotion_jax.data.track_table import TrackTable
from cellmotion_jax.errors import InputError


@given(hnp.arrays(np.uint16, (7, 9), elements=st.sampled_from([0, 0, 0, 1, 2, 300, 65535])))
def test_agrees_with_scipy(mask):
    labels = np.unique(mask[mask > 0]).astype(np.int64)
    frame = np.full_like(labels, 3)
    tracks = TrackTable(labels, frame, frame, np.zeros_like(labels))
    found = frame_centroids(3, mask, tracks, source="mask")
    assert found.frame.tolist() == frame.tolist()
    assert found.label.tolist() == labels.tolist()
    assert found.area.tolist() == [np.sum(mask == label) for label in labels]
    expected = np.array(scipy.ndimage.center_of_mass(mask > 0, mask, labels)).reshape(-1, 2)
    np.testing.assert_allclose(np.stack([found.y, found.x], 1), expected, atol=1e-9)


def test_an_empty_frame_of_a_movie(tracks):
    later = TrackTable(tracks.label, tracks.begin + 1, tracks.end + 1, tracks.parent)
    assert frame_centroids(0, np.zeros((4, 5), np.uint16), later, source="mask").label.size == 0


@pytest.mark.parametrize(
    ("frame", "old", "new", "sentence"),
    [
        (
            2,
            2,
            0,
            "mask (frame 2) lacks label 2, which the track table lets last from frame 0 to 2; a track that "
            "is not seen for some frames ends there, and a new label with the old one as its parent goes on.",
        ),
        (3, 0, 2, "mask (frame 3) holds label 2, which the track table lists from frame 0 to 2 only."),
        (3, 0, 9, "mask (frame 3) holds label 9, which the track table lists not at all."),
        (3, 0, -4, "mask (frame 3) holds label -4; labels are 1 to 65535."),
        (3, 0, 65536, "mask (frame 3) holds label 65536; labels are 1 to 65535."),
    ],
)
def test_labels_that_contradict_the_table(masks, tracks, frame, old, new, sentence):
    mask = masks[frame].astype(np.int32)
    mask[(mask == 2) if old else (slice(0, 2), slice(0, 2))] = new
    with pytest.raises(InputError, match="^" + re.escape(sentence) + "$"):
        frame_centroids(frame, mask, tracks, source="mask")
