"""Pairs of windows with one cell: from movies, from still images, and as prepared records."""

import dataclasses

import numpy as np
import pytest
import tifffile
from scipy import ndimage

from cellmotion_jax.data.annotated import open_annotated
from cellmotion_jax.data.ctc import TrackTable, open_dataset, write_ctc
from cellmotion_jax.errors import InputError
from cellmotion_jax.methods.celltrack_embedding.pairs import FARTHEST, PairSettings, cut_pair, movie_pairs
from cellmotion_jax.methods.celltrack_embedding.records import pair_source
from cellmotion_jax.methods.celltrack_embedding.still_pairs import still_pairs

SETTINGS = PairSettings(diameter=10.0, side=64, train=30, held_out=6, largest_gap=3)


def discs(places, shape=(90, 110), radius=5.0):
    """Labels 1, 2, ... as discs."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    mask = np.zeros(shape, np.uint16)
    for label, place in enumerate(places, start=1):
        mask[np.hypot(y - place[0], x - place[1]) < radius] = label
    return mask


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    """Four discs that move to the right by 1.5 pixels per frame, each a bright spot on black."""
    root = tmp_path_factory.mktemp("pairs") / "discs"
    masks = [discs([(20 + 16 * i, 30 + 1.5 * t) for i in range(4)]) for t in range(8)]
    (root / "01").mkdir(parents=True)
    for frame, mask in enumerate(masks):
        tifffile.imwrite(root / "01" / f"t{frame:03d}.tif", (1000 * (mask > 0)).astype(np.uint16))
    labels = np.arange(1, 5)
    table = TrackTable(labels, np.zeros(4, int), np.full(4, 7), np.zeros(4, int))
    write_ctc(root / "01_GT" / "TRA", masks, table)
    return root


@pytest.fixture(scope="module")
def stills(tmp_path_factory):
    """Three images of three discs."""
    root = tmp_path_factory.mktemp("stills") / "discs"
    rng = np.random.default_rng(0)
    for name in ("images", "masks"):
        (root / name).mkdir(parents=True)
    for number in range(3):
        mask = discs(np.array([[22, 25], [45, 80], [70, 40]]) + rng.uniform(-6, 6, (3, 2)))
        tifffile.imwrite(root / "images" / f"{number}.tif", (500 * (mask > 0) + 100).astype(np.uint16))
        tifffile.imwrite(root / "masks" / f"{number}.tif", mask)
    return open_annotated(root)


def nearest_centroid(window, place):
    """Centroid of the bright spot nearest to a place that is relative to the middle."""
    pieces, count = ndimage.label(window > window.max() / 2)
    found = np.array(ndimage.center_of_mass(pieces > 0, pieces, range(1, count + 1)))
    distance = np.linalg.norm(found - np.array(window.shape) // 2 - place, axis=-1)
    return distance.min()


def test_windows_show_the_cell_where_the_places_say(dataset):
    [sequence] = open_dataset(dataset)
    pairs = list(movie_pairs(sequence, settings=SETTINGS, rng=np.random.default_rng(0)))
    assert len(pairs) == 36
    assert sum(pair.held_out for pair in pairs) == 6
    for pair in pairs:
        assert np.abs(pair.place).max() <= 0.5
        assert nearest_centroid(pair.first, pair.place) < 0.5
        assert nearest_centroid(pair.second, pair.true) < 0.5
        # One frame before, it was 1.5 pixels to the left.
        np.testing.assert_allclose(pair.true - pair.previous, [0, 1.5], atol=0.4)


def test_a_track_is_learned_from_or_held_out_never_both(dataset):
    [sequence] = open_dataset(dataset)
    pairs = list(movie_pairs(sequence, settings=SETTINGS, rng=np.random.default_rng(3)))
    # The rows of the cells tell them apart: the windows are cut at the upper border of the frame.
    rows = [
        {
            int(np.argmax((pair.first != pair.first[:1]).any(axis=1)))
            for pair in pairs
            if pair.held_out == part
        }
        for part in (False, True)
    ]
    assert rows[1]
    assert not rows[0] & rows[1]


def test_still_images_move_cells_and_know_where_to(stills):
    settings = dataclasses.replace(SETTINGS, train=40)
    pairs = list(still_pairs(stills, settings=settings, rng=np.random.default_rng(0)))
    assert [pair.held_out for pair in pairs] == [False] * 40 + [True] * 6
    for pair in pairs:
        assert nearest_centroid(pair.first, pair.place) < 0.3
        assert nearest_centroid(pair.second, pair.true) < 0.6
    motion = np.array([pair.true - pair.previous for pair in pairs])
    assert 0.5 < motion.std() < 2.5
    assert max(np.abs(pair.first - pair.second).max() for pair in pairs) > 0.5


def test_a_cell_that_jumps_stays_in_its_window():
    image = np.zeros((200, 200))
    start, end = np.array([50.0, 50.0]), np.array([90.2, 60.0])
    pair = cut_pair(image, image, start, start, end, side=64, held_out=False)
    assert np.abs(pair.true).max() <= FARTHEST + 0.5
    np.testing.assert_allclose(pair.true - pair.previous, end - start, rtol=1e-5)


def test_records_are_the_same_on_every_preparation(dataset, stills, tmp_path):
    def prepare(name):
        source = pair_source(
            [open_dataset(dataset), stills], settings=SETTINGS, seed=1, data_dir=tmp_path / name
        )
        return source, [source[index] for index in range(len(source))]

    (source, first), (_, second) = prepare("first"), prepare("second")
    assert len(source) == 72
    assert source.held_out.sum() == 12
    assert np.bincount(source.origin).tolist() == [36, 36]
    for one, other in zip(first, second):
        assert one["image"].shape == (2, 64, 64)
        for name, value in one.items():
            assert value.dtype == np.float32
            np.testing.assert_array_equal(value, other[name])
    with pytest.raises(IndexError):
        source[72]


def test_several_movies_share_a_source(dataset, tmp_path):
    [sequence] = open_dataset(dataset)
    source = pair_source(
        [[sequence, sequence, sequence]], settings=SETTINGS, seed=0, data_dir=tmp_path / "data"
    )
    assert len(source) == 36
    assert source.held_out.sum() == 6


def test_a_movie_with_one_track_is_refused(tmp_path):
    root = tmp_path / "one"
    (root / "01").mkdir(parents=True)
    mask = discs([(30, 30)])
    for frame in range(2):
        tifffile.imwrite(root / "01" / f"t{frame:03d}.tif", mask)
    one = np.ones(1, int)
    write_ctc(root / "01_GT" / "TRA", [mask, mask], TrackTable(one, 0 * one, one, 0 * one))
    [sequence] = open_dataset(root)
    with pytest.raises(InputError, match=r"one/01 has 1 tracks.* at least 2"):
        list(movie_pairs(sequence, settings=SETTINGS, rng=np.random.default_rng(0)))


@pytest.mark.parametrize("name", ["side", "train", "held_out", "largest_gap"])
def test_numbers_out_of_range_are_refused(name):
    with pytest.raises(InputError, match=f"PairSettings.{name} is 0"):
        PairSettings(**{name: 0})
