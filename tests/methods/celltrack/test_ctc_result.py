"""What is written is read back through the reader of annotated datasets, which checks every rule."""

import numpy as np
import pytest
import tifffile

from cellmotion_jax.data.ctc import open_dataset
from cellmotion_jax.data.trajectories import read_trajectories
from cellmotion_jax.errors import InputError
from cellmotion_jax.inference.linking.ctc_result import write_linked_result
from cellmotion_jax.inference.linking.linker import link_instances
from cellmotion_jax.methods.celltrack.ctc_result import track_spans, write_ctc_result
from tests import linking_cases
from tests.label_images import discs
from tests.methods.celltrack.track_cases import tracks_of

SHAPE = (40, 60)
# 3 pauses in frames 2 and 3, 7 ends and divides into 8 and 9, which 3 hides in frame 5; 4 leaves the image.
PATHS = {
    3: {0: (10, 10), 1: (10, 12), 4: (10, 18), 5: (10, 20)},
    7: {0: (30, 30), 1: (30, 31), 2: (30, 32)},
    4: {0: (20, 55), 1: (20, 62), 2: (20, 80)},
    8: {3: (27, 33), 4: (26, 34), 5: (10, 20)},
    9: {4: (33, 34), 5: (34, 35)},
}
PARENTS = {8: 7, 9: 7}
TABLE = "3 0 1 0\n10 4 5 3\n7 0 2 0\n4 0 2 0\n8 3 5 7\n9 4 5 7\n"


@pytest.fixture
def tracks():
    return tracks_of(PATHS, frames=6, parents=PARENTS)


def read_back(folder, tmp_path):
    """The result as if it were a reference."""
    root = tmp_path / "Set"
    tra = root / "01_GT" / "TRA"
    tra.mkdir(parents=True)
    (root / "01").mkdir()
    (tra / "man_track.txt").write_text((folder / "res_track.txt").read_text())
    for mask in folder.glob("mask*.tif"):
        (tra / mask.name.replace("mask", "man_track")).write_bytes(mask.read_bytes())
        tifffile.imwrite(root / "01" / mask.name.replace("mask", "t"), np.zeros(SHAPE, np.uint8))
    (sequence,) = open_dataset(root)
    return read_trajectories(sequence)


def test_a_result_obeys_every_rule_and_says_where_the_tracks_were(tracks, tmp_path):
    write_ctc_result(tmp_path / "01_RES", tracks, np.full(5, 7.0), shape=SHAPE)
    assert (tmp_path / "01_RES" / "res_track.txt").read_text() == TABLE
    assert sorted(file.name for file in (tmp_path / "01_RES").glob("*.tif")) == [
        f"mask00{frame}.tif" for frame in range(6)
    ]
    assert tifffile.imread(tmp_path / "01_RES" / "mask000.tif").dtype == np.uint16
    found = read_back(tmp_path / "01_RES", tmp_path)
    assert found.present.sum() == tracks.present.sum()
    for label, path in PATHS.items():
        for frame, place in path.items():
            name = 10 if (label, frame) in ((3, 4), (3, 5)) else label
            inside = 0 <= place[1] < SHAPE[1] - 4
            seen = found.points[frame, found.labels.tolist().index(name)]
            assert np.linalg.norm(seen - place) < 1 or not inside


def test_segments_are_written_where_a_track_sits_on_one(tracks, tmp_path):
    segments = [discs(SHAPE, (10, 11, 4), (31, 31, 6), (20, 45, 3)) for _ in range(6)]
    write_ctc_result(
        tmp_path / "RES", tracks, np.full(5, 7.0), shape=SHAPE, digits=4, segmentations=iter(segments)
    )
    mask = tifffile.imread(tmp_path / "RES" / "mask0001.tif")
    np.testing.assert_array_equal(mask == 3, segments[0] == 1)
    np.testing.assert_array_equal(mask == 7, segments[0] == 2)
    assert not (mask[segments[0] == 3]).any()


def test_parents_that_outlast_the_birth_of_their_child():
    tracks = tracks_of(
        {1: {0: (5, 5), 2: (5, 5), 3: (5, 5)}, 2: {1: (9, 9)}, 3: {3: (9, 9)}, 4: {0: (1, 1)}},
        frames=4,
        parents={2: 1, 3: 1, 4: 1},
    )
    assert track_spans(tracks).table.text() == "1 0 0 0\n5 2 3 1\n2 1 1 1\n3 3 3 1\n4 0 0 0\n"


def test_a_track_that_is_nowhere_has_no_row():
    tracks = tracks_of({1: {}, 2: {1: (9, 9)}}, frames=2, parents={2: 1})
    assert track_spans(tracks).table.text() == "2 1 1 0\n"


def test_folders_are_complete_or_absent(tracks, tmp_path):
    full = tmp_path / "RES"
    with pytest.raises(InputError, match="segmentations hold 2 label images, but the tracks have 6 frames"):
        write_ctc_result(full, tracks, np.full(5, 7.0), shape=SHAPE, segmentations=[np.zeros(SHAPE, int)] * 2)
    assert list(tmp_path.iterdir()) == []
    full.mkdir()
    (full / "note").touch()
    with pytest.raises(InputError, match="RES exists and is not empty"):
        write_ctc_result(full, tracks, np.full(5, 7.0), shape=SHAPE)


def test_what_cannot_be_written_is_refused(tracks, tmp_path):
    with pytest.raises(ValueError, match=r"diameters has shape \(2,\), but there are 5 tracks"):
        write_ctc_result(tmp_path / "RES", tracks, np.ones(2), shape=SHAPE)
    with pytest.raises(InputError, match="lists no track"):
        write_ctc_result(tmp_path / "RES", tracks_of({1: {}}, frames=2), np.ones(1), shape=SHAPE)
    tall = tracks_of({32767: {0: (1, 1), 2: (1, 1)}}, frames=3)
    with pytest.raises(InputError, match="tracks hold label 32768; labels up to 32767 can be written"):
        write_ctc_result(tmp_path / "RES", tall, np.ones(1), shape=SHAPE)


def test_linked_instances_are_written_under_their_tracks(tmp_path):
    masks = linking_cases.DIVISION
    write_linked_result(tmp_path / "RES", link_instances(masks), iter(masks), digits=4)
    assert (tmp_path / "RES" / "res_track.txt").read_text() == "1 0 1 0\n2 2 3 1\n3 2 3 1\n"
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "RES" / "mask0001.tif"), masks[1])
    written = tifffile.imread(tmp_path / "RES" / "mask0002.tif")
    np.testing.assert_array_equal(written, np.array([0, 2, 3])[masks[2]])


def test_other_images_than_were_linked_are_not_written(tmp_path):
    masks, folder = linking_cases.DIVISION, tmp_path / "RES"
    links = link_instances(masks)
    with pytest.raises(InputError, match="segmentations hold 3 label images, but the tracks have 4 frames"):
        write_linked_result(folder, links, masks[:3])
    with pytest.raises(InputError, match="segmentations hold more label images, but the tracks have 4"):
        write_linked_result(folder, links, [*masks, masks[0]])
    with pytest.raises(ValueError, match="labels hold 2"):
        write_linked_result(folder, links, masks[::-1])
    nothing = [np.zeros((2, 2), int)] * 2
    with pytest.raises(InputError, match="RES cannot be written: no cell was found in any frame"):
        write_linked_result(folder, link_instances(nothing), nothing)
    assert list(tmp_path.iterdir()) == []
