"""A movie followed on the host: places in image pixels, one compiled program, births, and bad input."""

import dataclasses

import flax.struct
import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cellmotion_jax.data.blank_frames import Blank
from cellmotion_jax.data.movie import open_movie
from cellmotion_jax.data.tiff import read_header, read_plane
from cellmotion_jax.errors import InputError
from cellmotion_jax.methods.celltrack.seeds import seeds_from_labels
from cellmotion_jax.methods.celltrack.track_movie import needed_memory, track_movie
from cellmotion_jax.tracking import ConfidenceSettings, Exclusion, Intensity, Tracker, empty_state
from tests.blob_movies import draw, movie_of, starts_of, straight

TRACKER = Tracker(size=32, exclusion=Exclusion())
ALONE = Tracker(size=32)
PATHS = np.stack([straight((20, 16), (1, 2), 12), straight((44, 50), (0, -1), 12)], axis=1)
TRACED = []


@flax.struct.dataclass
class Counted(Intensity):
    """Intensities that write down when they are traced."""

    def prepare(self, frame):
        TRACED.append(frame.shape)
        return super().prepare(frame)


@flax.struct.dataclass
class Overflowing(Intensity):
    """Features as of a network whose weights are too large."""

    def prepare(self, frame):
        return jax.tree.map(lambda features: features * 1e38 * 1e38, super().prepare(frame))


@pytest.fixture(scope="module")
def movie(tmp_path_factory):
    """Two cells that cross no border."""
    return movie_of(tmp_path_factory.mktemp("blobs") / "blobs.tif", draw(PATHS))


def errors(tracks, paths):
    return np.abs(tracks.points - paths).max()


def test_cells_are_followed_where_they_go(movie):
    result = track_movie(movie, starts_of(PATHS[0], ids=[7, 3]), TRACKER, diameter=16.0)
    tracks = result.tracks
    assert errors(tracks, PATHS) < 0.5
    assert tracks.ids.tolist() == [7, 3]
    assert tracks.present.all()
    assert not tracks.lost.any()
    np.testing.assert_allclose(tracks.boxes[..., 2] - tracks.boxes[..., 0], 16, rtol=1e-5)
    assert result.filters.identities.tolist() == [3, 7]
    np.testing.assert_allclose(result.filters.positions, PATHS[-1, ::-1], atol=0.5)
    assert not result.filter_views


def test_chunks_change_nothing(movie):
    seeds = starts_of(PATHS[0])
    by_ones, by_eights = (track_movie(movie, seeds, TRACKER, diameter=16.0, chunk=chunk) for chunk in (1, 8))
    np.testing.assert_allclose(by_ones.tracks.points, by_eights.tracks.points, atol=1e-3)
    assert by_ones.tracks.lost.tolist() == by_eights.tracks.lost.tolist()
    numerators = [result.filters.layers[0]["numerator"] for result in (by_ones, by_eights)]
    np.testing.assert_allclose(*numerators, atol=1e-3 * np.abs(numerators[0]).max())


def test_movies_of_any_length_and_number_of_cells_share_one_program(tmp_path):
    long = movie_of(tmp_path / "long.tif", draw(np.stack([straight((30, 12), (0, 2), 20)], axis=1)))
    short = movie_of(tmp_path / "short.tif", draw(PATHS[:7]))
    tracker = Tracker(features=Counted(), size=32)
    track_movie(long, starts_of([[30, 12]]), tracker, diameter=16.0)
    after_first = len(TRACED)
    assert after_first
    track_movie(short, starts_of(PATHS[0]), tracker, diameter=16.0)
    # Asking for the shapes of an empty state traces the features, once a movie, and compiles nothing.
    assert len(TRACED) == after_first + 1


def test_a_rescaled_grid_gives_places_and_boxes_in_image_pixels(tmp_path):
    paths = np.stack([straight((41, 33), (2, 4), 6), straight((90, 100), (-2, 0), 6)], axis=1)
    fine = draw(paths // 2).repeat(2, axis=1).repeat(2, axis=2)
    labels = np.zeros((128, 128), int)
    labels[24:57, 16:51] = 5
    labels[74:107, 84:117] = 9
    seeds = seeds_from_labels(labels)
    result = track_movie(movie_of(tmp_path / "fine.tif", fine), seeds, TRACKER, diameter=32.0)
    moved = result.tracks.points - result.tracks.points[0]
    assert np.abs(moved - (paths - paths[0]) // 2 * 2).max() < 1.0
    np.testing.assert_allclose(result.tracks.boxes[0], seeds.boxes, atol=1e-3)


def test_slots_double_when_more_cells_are_born(tmp_path):
    grid = np.stack(np.meshgrid([12, 31, 50], [12, 31, 50], indexing="ij"), axis=-1).reshape(-1, 2)
    paths = np.repeat(grid[None].astype(float), 5, axis=0)
    paths[:3, 4:] = np.nan
    movie = movie_of(tmp_path / "many.tif", draw(paths))
    seeds = starts_of(grid, frames=[0] * 4 + [3] * 5)
    tracks = track_movie(movie, seeds, ALONE, diameter=16.0).tracks
    assert tracks.present.sum(axis=0).tolist() == [5] * 4 + [2] * 5
    assert np.nanmax(np.abs(tracks.points - grid)) < 0.5
    assert np.isnan(tracks.points[:3, 4:]).all()


def test_more_cells_than_the_memory_holds_are_refused_before_they_are_tracked(tmp_path, monkeypatch):
    points = np.random.default_rng(0).uniform(4, 60, (300, 2))
    movie = movie_of(tmp_path / "few.tif", np.zeros((2, 64, 64)))
    monkeypatch.setattr("cellmotion_jax.memory.available_memory", lambda: 10**7)
    with pytest.raises(
        InputError, match=r"^Tracking of 512 cells at once would take about 0\.0 GB of memory"
    ):
        track_movie(movie, starts_of(points), TRACKER, diameter=16.0)


def test_the_estimate_of_memory_is_what_was_measured():
    """XLA reported 72.5 GB and 2.5 GB for 32,768 cells in windows of 48, and 1.3 GB for 4,096."""
    for exclusion, slots, measured in (
        (Exclusion(), 32768, 72.5e9),
        (None, 32768, 2.5e9),
        (Exclusion(), 4096, 1.3e9),
    ):
        tracker = Tracker(exclusion=exclusion)
        state = empty_state(tracker, slots=8, shape=(64, 64))
        assert measured <= needed_memory(tracker, state, slots=slots) < 1.3 * measured


def test_a_detector_begins_cells_in_the_frame_in_which_they_appear(tmp_path):
    paths = np.stack([straight((20, 16), (1, 2), 6), straight((46, 50), (0, -2), 6)], axis=1)
    paths = paths.astype(float)
    paths[:3, 1] = np.nan
    movie = movie_of(tmp_path / "born.tif", draw(paths))

    def detect(number, image):
        assert image.shape == movie.shape
        return paths[number][~np.isnan(paths[number, :, 0])]

    for seeds in (starts_of(np.zeros((0, 2))), starts_of(paths[0, :1])):
        tracks = track_movie(movie, seeds, TRACKER, diameter=16.0, detect=detect).tracks
        assert tracks.ids.tolist() == [1, 2]
        assert tracks.present.sum(axis=0).tolist() == [6, 3]
        assert np.nanmax(np.abs(tracks.points - paths)) < 0.5
        np.testing.assert_array_equal(tracks.points[3, 1], paths[3, 1])
    with pytest.raises(InputError, match="no cell was found to follow"):
        track_movie(
            movie, starts_of([]), TRACKER, diameter=16.0, detect=lambda number, image: np.zeros((0, 2))
        )


def test_a_cell_born_on_a_track_is_its_daughter(movie):
    seeds = starts_of([PATHS[0, 0], PATHS[4, 0]], frames=[0, 4], ids=[6, 8])
    tracks = track_movie(movie, seeds, TRACKER, diameter=16.0).tracks
    assert tracks.parents.tolist() == [0, 6]
    assert tracks.present.sum(axis=0).tolist() == [4, 8]


def test_a_watched_filter_answers_in_the_middle_of_its_window(movie):
    seeds = starts_of(PATHS[[0, 3], [0, 1]], frames=[0, 3])
    result = track_movie(movie, seeds, TRACKER, diameter=16.0, watch=2)
    assert len(result.filter_views) == len(movie)
    for number, view in enumerate(result.filter_views):
        assert view.window.shape == view.response.shape == (32, 32)
        if number < 3:
            assert not view.response.any()
            assert np.isnan(view.psr)
        else:
            peak = np.array(np.unravel_index(view.response.argmax(), (32, 32))) - 16
            assert np.abs(view.centre + peak - PATHS[number, 1]).max() < 1
            assert view.psr > 5


def test_a_movie_of_one_frame_is_its_starts(tmp_path):
    movie = movie_of(tmp_path / "one.tif", draw(PATHS[:1]))
    tracks = track_movie(movie, starts_of(PATHS[0]), TRACKER, diameter=16.0).tracks
    np.testing.assert_allclose(tracks.points, PATHS[:1])


def test_nothing_to_see_is_lost_but_no_nan(tmp_path):
    movie = movie_of(tmp_path / "flat.tif", np.full((4, 64, 64), 7, np.uint8))
    tracks = track_movie(movie, starts_of([[15, 15]]), TRACKER, diameter=16.0).tracks
    assert np.isfinite(tracks.points).all()
    assert tracks.lost[:, 0].tolist() == [False, True, True, True]


def test_features_that_overflow_are_refused(movie):
    tracker = dataclasses.replace(TRACKER, features=Overflowing())
    with pytest.raises(InputError, match=r"blobs.tif: the filters learned in frames 0 to 7 are NaN"):
        track_movie(movie, starts_of(PATHS[0]), tracker, diameter=16.0)


def test_a_window_may_be_larger_than_the_image(movie):
    tracker = dataclasses.replace(ALONE, size=96)
    tracks = track_movie(movie, starts_of(PATHS[0]), tracker, diameter=16.0).tracks
    assert errors(tracks, PATHS) < 1


@pytest.mark.parametrize(
    ("seeds", "named"),
    [
        (starts_of([]), "no cell to follow"),
        (
            starts_of([[10, 10], [70, 5]]),
            r"cell 2 seeds at \(y, x\) = \(70, 5\), .* outside the image of 64 x 64",
        ),
        (starts_of([[10, np.nan]]), "outside the image"),
        (starts_of([[10, 10]], frames=[12]), r"cell 1 seeds in frame 12, but .* the frames 0 to 11"),
    ],
)
def test_starts_that_cannot_be_followed_are_named(movie, seeds, named):
    with pytest.raises(InputError, match=named):
        track_movie(movie, seeds, TRACKER, diameter=16.0)


def test_a_watched_cell_must_be_followed_and_pixels_finite(movie, tmp_path):
    with pytest.raises(InputError, match="cell 9 is to be watched"):
        track_movie(movie, starts_of(PATHS[0]), TRACKER, diameter=16.0, watch=9)
    frames = draw(PATHS)
    frames[2, 3, 3] = np.nan
    with pytest.raises(InputError, match=r"bad.tif page 2 has pixels that are NaN"):
        track_movie(movie_of(tmp_path / "bad.tif", frames), starts_of(PATHS[0]), TRACKER, diameter=16.0)


@pytest.mark.real_data
def test_a_rolled_real_movie_is_tracked_without_error(real_data, tmp_path):
    root = real_data / "Fluo-N2DL-HeLa"
    image = open_movie(root / "01")[0][380:, :400]
    labels = read_plane(read_header(root / "01_ST" / "SEG" / "man_seg000.tif"))[380:, :400]
    seeds = seeds_from_labels(labels)
    shifts = np.array([[0, 0], [3, -2], [7, 1], [5, 6], [0, 9], [-4, 7]])
    movie = movie_of(tmp_path / "rolled.tif", [np.roll(image, tuple(shift), (0, 1)) for shift in shifts])
    away = ((seeds.points > 40) & (seeds.points < np.array(image.shape) - 40)).all(axis=-1)
    seeds = seeds.select(np.flatnonzero(away))
    assert len(seeds) > 5
    tracks = track_movie(movie, seeds, Tracker(), diameter=20.0).tracks
    np.testing.assert_allclose(tracks.points, seeds.points[None] + shifts[:, None], atol=1.0)
    assert not tracks.lost.any()


def one_value(image):
    """A test of frames that knows the answer: frames of one value are blank."""
    return Blank.CONSTANT if np.ptp(image) == 0 else None


@given(at=st.integers(0, 11), run=st.integers(1, 3), value=st.sampled_from([0.0, 7.0]))
@settings(max_examples=8)
def test_frames_without_information_are_bridged_and_flagged_alone(tmp_path_factory, at, run, value):
    """Cells that rest: what is after the inserted frames is what it is without them."""
    frames = draw(np.broadcast_to(PATHS[:1], PATHS.shape))
    blank = np.full((run, *frames.shape[1:]), value, np.float32)
    path = tmp_path_factory.mktemp("blank") / "movie.tif"
    with_blank = movie_of(path, np.concatenate([frames[:at], blank, frames[at:]]))
    result = track_movie(with_blank, starts_of(PATHS[0], ids=[7, 3]), TRACKER, diameter=16.0, test=one_value)
    tracks, inserted = result.tracks, np.arange(at, at + run)
    assert [(frame.frame, frame.reason) for frame in result.blank] == [(n, Blank.CONSTANT) for n in inserted]
    assert tracks.ids.tolist() == [7, 3]
    assert tracks.present.all()
    np.testing.assert_array_equal(np.flatnonzero(tracks.lost.all(axis=1)), inserted)
    np.testing.assert_array_equal(np.flatnonzero(tracks.lost.any(axis=1)), inserted)
    assert np.abs(tracks.points - PATHS[0]).max() < 0.5
    assert np.isnan(tracks.peak_response[inserted]).all()
    assert not tracks.parents.any()


def test_cells_that_go_on_moving_are_found_after_the_blank_frames(tmp_path):
    frames = draw(PATHS)
    frames[5:7] = 0
    tracks = track_movie(
        movie_of(tmp_path / "movie.tif", frames), starts_of(PATHS[0]), TRACKER, diameter=16.0, test=one_value
    ).tracks
    seen = np.delete(np.arange(12), [5, 6])
    assert np.abs(tracks.points[seen] - PATHS[seen]).max() < 0.6
    np.testing.assert_array_equal(np.flatnonzero(tracks.lost.any(axis=1)), [5, 6])
    assert (tracks.confidence[7:] > 0.5).all()


def test_patience_does_not_run_out_in_blank_frames(tmp_path):
    frames = draw(np.broadcast_to(PATHS[:1], PATHS.shape))
    frames[3:10] = 0
    patient = dataclasses.replace(TRACKER, confidence=ConfidenceSettings(patience=1))
    movie = movie_of(tmp_path / "movie.tif", frames)
    assert track_movie(
        movie, starts_of(PATHS[0]), patient, diameter=16.0, test=one_value
    ).tracks.present.all()


def test_cells_that_begin_in_a_blank_frame_wait_for_the_next(tmp_path):
    """Nothing is learned from the blank frame, also if the movie ends with it."""
    frames = draw(PATHS)
    frames[[0, 11]] = 0
    seeds = starts_of([*PATHS[0], PATHS[11, 0]], frames=[0, 0, 11])
    tracks = track_movie(
        movie_of(tmp_path / "movie.tif", frames), seeds, TRACKER, diameter=16.0, test=one_value
    ).tracks
    assert tracks.present[:, :2].all()
    np.testing.assert_array_equal(np.flatnonzero(tracks.lost[:, 0]), [0, 11])
    np.testing.assert_array_equal(tracks.points[0, :2], PATHS[0])
    assert np.abs(tracks.points[1:11, :2] - PATHS[1:11]).max() < 2.5
    np.testing.assert_array_equal(np.flatnonzero(tracks.present[:, 2]), [11])


def test_no_cells_are_detected_in_a_blank_frame(tmp_path):
    frames = draw(PATHS)
    frames[4] = 0
    asked = []

    def detect(number, image):
        asked.append(number)
        return PATHS[number].astype(float)

    movie = movie_of(tmp_path / "movie.tif", frames)
    result = track_movie(movie, starts_of([]), TRACKER, diameter=16.0, detect=detect, test=one_value)
    assert asked == [0, 1, 2, 3, *range(5, 12)]
    assert len(result.tracks) == 2


def test_a_movie_without_information_is_refused(tmp_path):
    movie = movie_of(tmp_path / "dark.tif", np.zeros((3, 64, 64), np.uint8))
    with pytest.raises(InputError, match=r"dark.tif: none of 3 frames has information; in dark.tif page"):
        track_movie(movie, starts_of(PATHS[0]), TRACKER, diameter=16.0, test=one_value)


@pytest.mark.parametrize("speed", [1.0, 2.0, 4.0])
@pytest.mark.parametrize("side", [0, 1])
def test_a_cell_that_leaves_ends_and_one_at_the_border_does_not(tmp_path, speed, side):
    """The track ends when the centre is outside; the other cell has its centre on the outermost pixels."""
    frames = 24
    rows, columns = np.mgrid[:64, :64]
    leaving = np.array([32.0, 44.0]) + speed * np.arange(frames)[:, None] * np.array([0.0, 1.0])
    staying = np.array([0.0, 14.0]) + 0.5 * np.arange(frames)[:, None] * np.array([0.0, 1.0])
    noise = np.random.default_rng(0)
    images = noise.normal(0, 0.02, (frames, 64, 64))
    for image, *places in zip(images, leaving, staying):
        for y, x in places:
            image += 1 / (1 + np.exp((np.hypot(rows - y, columns - x) - 8) / 1.2))
    starts = np.stack([leaving[0], staying[0]])
    if side:
        images, starts = images.transpose(0, 2, 1), starts[:, ::-1]
    movie = movie_of(tmp_path / "movie.tif", images.astype(np.float32))
    tracks = track_movie(movie, starts_of(starts), TRACKER, diameter=16.0).tracks
    outside = int(np.flatnonzero(leaving[:, 1] > 64)[0])
    last = int(np.flatnonzero(tracks.present[:, 0])[-1])
    assert outside - 1 <= last <= outside + 4 / speed
    assert tracks.present[:, 1].all()
    there = staying[:, ::-1] if side else staying
    assert np.abs(tracks.points[:, 1] - there).max() < 4
