import dataclasses

import numpy as np
import pytest

from cellmotion_jax.data.ctc import open_dataset
from cellmotion_jax.data.movie import Movie
from cellmotion_jax.data.trajectories import read_trajectories


def test_every_cell_is_where_its_mask_is(dataset, masks, tracks):
    (sequence,) = open_dataset(dataset)
    found = read_trajectories(sequence)
    assert found.labels.tolist() == tracks.label.tolist()
    assert found.parent.tolist() == tracks.parent.tolist()
    for cell, label in enumerate(tracks.label):
        for frame, mask in enumerate(masks):
            pixels = np.argwhere(mask == label)
            assert found.present[frame, cell] == bool(len(pixels))
            if len(pixels):
                np.testing.assert_allclose(found.points[frame, cell], pixels.mean(0))
                box = [*pixels.min(0), *(pixels.max(0) + 1)]
                assert found.boxes[frame, cell].tolist() == box
            else:
                assert np.isnan(found.points[frame, cell]).all()
                assert np.isnan(found.boxes[frame, cell]).all()


def test_those_of_the_first_frame(dataset):
    (sequence,) = open_dataset(dataset)
    everything = read_trajectories(sequence)
    first = everything.of_first_frame()
    assert first.labels.tolist() == [1, 2]
    assert first.end.tolist() == [5, 2]
    assert first.points.shape == (6, 2, 2)
    np.testing.assert_array_equal(first.points, everything.points[:, :2])
    assert first.present.sum() == 9


def test_every_mask_is_read_once_whatever_the_order_of_the_table(dataset, tracks):
    asked = []

    @dataclasses.dataclass(frozen=True, eq=False)
    class Watched(Movie):
        def __getitem__(self, frame):
            asked.append(int(frame))
            return super().__getitem__(frame)

    table = dataset / "01_GT" / "TRA" / "man_track.txt"
    table.write_text("".join(reversed(table.read_text().splitlines(keepends=True))))
    (sequence,) = open_dataset(dataset)
    masks = sequence.tracking_masks
    fields = {field.name: getattr(masks, field.name) for field in dataclasses.fields(masks)}
    found = read_trajectories(dataclasses.replace(sequence, tracking_masks=Watched(**fields)))
    assert asked == [0, 1, 2, 3, 4, 5]
    assert found.labels.tolist() == tracks.label.tolist()[::-1]
    assert found.points[0, -1].tolist() == [30, 12]


@pytest.mark.real_data
def test_the_cells_of_a_real_movie(real_data):
    (sequence,) = open_dataset(real_data / "PhC-C2DH-U373" / "01")
    found = read_trajectories(sequence)
    assert found.present.sum() == (sequence.tracks.end - sequence.tracks.begin + 1).sum()
    inside = (found.boxes[..., :2] <= found.points) & (found.points < found.boxes[..., 2:])
    assert inside[found.present].all()
