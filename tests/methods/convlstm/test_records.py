"""Frames of movies and the windows that end with annotated ones."""

import numpy as np
import pytest

from cellmotion_jax.data.annotated import open_annotated
from cellmotion_jax.data.downsampling import downsample_image
from cellmotion_jax.data.percentiles import normalize_percentiles
from cellmotion_jax.data.simulate import Simulation, simulate, write_simulation
from cellmotion_jax.errors import InputError
from cellmotion_jax.methods.convlstm import records as frames
from cellmotion_jax.methods.convlstm.records import window_source
from tests.label_images import discs
from tests.methods.celltrack_embedding.pairs import write_pairs

CELLS = discs((40, 70), (10, 10, 6), (10, 22, 6), (30, 40, 8))


@pytest.fixture(scope="module")
def split(tmp_path_factory):
    folder = tmp_path_factory.mktemp("movie") / "simulated"
    write_simulation(simulate(Simulation(frames=5, cells=2, height=80, width=96)), folder)
    return open_annotated(folder)


def seen(file, downsample=1):
    return normalize_percentiles(downsample_image(frames.read_finite_picture(file), downsample)[..., 0])


def test_a_window_holds_the_frames_before_and_the_first_one_again_where_there_are_none(split, tmp_path):
    source = window_source(split.train, window=3, downsample=1, data_dir=tmp_path)
    files = split.train[0].movie_files
    assert len(source) == len(split.train) == 3
    for index, places in enumerate([(0, 0, 0), (0, 0, 1), (0, 1, 2)]):
        expected = np.stack([seen(files[place]) for place in places])
        image = source[index]["image"]
        assert image.shape == (3, 96, 96, 1)
        np.testing.assert_allclose(image[:, :80, :, 0], expected, atol=2e-3)
    annotated = split.train[1].annotation().known
    np.testing.assert_array_equal(source[1]["annotated"][:80], annotated)
    assert not source[1]["annotated"][80:].any()


def test_frames_before_a_later_part_come_from_the_part_before(split, tmp_path):
    source = window_source(split.test, window=2, downsample=2, data_dir=tmp_path)
    files = split.test[0].movie_files
    image = source[0]["image"][:, :40, :48, 0]
    np.testing.assert_allclose(image, np.stack([seen(files[it], 2) for it in (3, 4)]), atol=2e-3)


def test_touching_cells_come_apart_and_single_images_are_repeated(tmp_path):
    root = write_pairs(tmp_path / "Pairs", labels=CELLS)
    source = window_source(open_annotated(root).train, window=2, downsample=1, data_dir=tmp_path / "records")
    window = source[0]
    np.testing.assert_array_equal(*window["image"])
    cell, contact = window["cell"][:40, :70], window["contact"][:40, :70]
    assert not (cell & (CELLS == 0)).any()
    removed = (CELLS > 0) & ~cell
    assert 0 < removed.sum() < 40
    assert contact[removed].all()
    assert not contact[:, 30:].any()


def test_frames_are_prepared_once_and_shared_by_windows(split, tmp_path, monkeypatch):
    read = []
    real = frames.normalize_percentiles
    monkeypatch.setattr(frames, "normalize_percentiles", lambda image: read.append(0) or real(image))
    for _ in range(2):
        window_source(split.train, window=3, downsample=1, data_dir=tmp_path)
    assert len(read) == 3


def test_what_cannot_be_is_refused(split, tmp_path):
    with pytest.raises(InputError, match="no images"):
        window_source([], window=2, downsample=1, data_dir=tmp_path)
    with pytest.raises(InputError, match="window is 0"):
        window_source(split.train, window=0, downsample=1, data_dir=tmp_path)
    with pytest.raises(InputError, match="downsample is 200"):
        window_source(split.train, window=1, downsample=200, data_dir=tmp_path)
