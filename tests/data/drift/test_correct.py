"""Known drift of a simulated field with moving cells is measured and corrected, or an error is raised."""

import csv
import sys

import numpy as np
import pytest
import tifffile
from scipy import ndimage

from cellmotion_jax.data.drift.correct import Correction, drift_corrected, measure_drift, write_drift
from cellmotion_jax.data.drift.registration import background_structure, first_reference, place_frame
from cellmotion_jax.data.movie import Movie, open_movie
from cellmotion_jax.data.simulate import Simulation, simulate
from cellmotion_jax.errors import InputError

MARGIN = 24


@pytest.fixture(scope="module")
def scene():
    """Cells of simulated phase contrast that move before a background that does not."""
    return simulate(Simulation(frames=8, height=300, width=340, cells=8, seed=5)).frames.astype(float)


def seen(images, shifts):
    """The middle of images whose content is moved by ``shifts`` (y, x), as the microscope would see it."""
    moved = [ndimage.shift(image, shift, order=3) for image, shift in zip(images, shifts)]
    return np.stack(moved)[:, MARGIN:-MARGIN, MARGIN:-MARGIN]


def written(folder, frames, dtype=np.float32):
    path = folder / "movie.tif"
    tifffile.imwrite(path, np.asarray(frames).astype(dtype), photometric="minisblack")
    return open_movie(path, pixel_size_um=0.5)


def measured(drift):
    return drift.matrices[:, :, 2]


def random_shifts(frames, seed=0):
    shifts = np.random.default_rng(seed).uniform(-12, 12, (frames, 2))
    return shifts - shifts[0]


@pytest.mark.parametrize("whole", [True, False])
def test_known_shifts_are_found_though_cells_move(tmp_path, scene, whole):
    shifts = np.round(random_shifts(8)) if whole else random_shifts(8)
    drift = measure_drift(written(tmp_path, seen(scene, shifts)))
    assert drift.measured.all()
    assert np.abs(measured(drift) - shifts).max() < 0.2
    np.testing.assert_array_equal(drift.matrices[:, :, :2], np.tile(np.eye(2), (8, 1, 1)))


def test_errors_do_not_add_up(tmp_path, scene):
    rng = np.random.default_rng(1)
    still = scene[:1] + rng.normal(0, 1.5, (12, *scene.shape[1:]))
    shifts = np.cumsum(rng.normal(0, 0.7, (12, 2)), axis=0)
    shifts -= shifts[0]
    drift = measure_drift(written(tmp_path, seen(still, shifts)))
    assert np.abs(measured(drift) - shifts).max() < 0.2


def test_drift_may_add_up_to_more_than_the_longest_jump():
    rng = np.random.default_rng(2)
    ground = ndimage.gaussian_filter(rng.normal(0, 10, (120, 400)), 1.5)
    reference = first_reference(ground[:, :120])
    for step in range(1, 11):
        frame = ground[:, 23 * step : 120 + 23 * step] + rng.normal(0, 0.2, (120, 120))
        reference, placement = place_frame(reference, frame)
        assert placement.measured
        np.testing.assert_allclose(placement.matrix, [[1, 0, 0], [0, 1, -23 * step]], atol=0.2)


def test_whole_pixels_are_cut_out_and_the_field_stands_still(tmp_path, scene):
    shifts = np.round(random_shifts(5))
    frames = seen(np.repeat(scene[:1], 5, axis=0).round(), shifts).round()
    movie = drift_corrected(written(tmp_path, frames, np.uint8))
    first = movie[0]
    assert (first.dtype, first.shape, movie.dtype) == (np.uint8, movie.shape, np.uint8)
    reached = np.array(frames.shape[1:]) - np.ptp(shifts, axis=0)
    np.testing.assert_array_equal(movie.shape, reached)
    np.testing.assert_array_equal(np.stack([*movie]), np.tile(first, (5, 1, 1)))


def test_subpixel_correction_leaves_less_motion_than_whole_pixels(tmp_path, scene):
    shifts = random_shifts(5)
    raw = written(tmp_path, seen(np.repeat(scene[:1], 5, axis=0), shifts))
    residue = {}
    for correction in (Correction.whole_pixels, Correction.subpixel):
        frames = np.stack([*drift_corrected(raw, correction=correction)])
        residue[correction] = np.abs(frames[1:] - frames[0]).mean()
    assert residue[Correction.subpixel] < 0.3 * residue[Correction.whole_pixels]
    movie = drift_corrected(written(tmp_path, np.stack([*raw]), np.uint8), correction=Correction.subpixel)
    assert movie[1].dtype == np.uint8
    assert np.abs(movie[1].astype(int) - movie[0].astype(int)).mean() < 1


@pytest.mark.parametrize("correction", Correction)
def test_points_lead_back_to_the_raw_frames(tmp_path, scene, correction):
    pytest.importorskip("pystackreg")
    y, x = np.indices(scene.shape[1:])
    cross = 400 * np.exp(-((y - 150) ** 2 + (x - 170) ** 2) / 18)
    shifts = random_shifts(3)
    raw = written(tmp_path, seen(scene[:3] + cross, shifts))
    movie = drift_corrected(raw, correction=correction)
    for frame in range(3):
        peak = np.array(np.unravel_index(np.argmax(movie[frame]), movie.shape), float)
        there = movie.to_raw(frame, peak[None])[0]
        np.testing.assert_allclose(there, np.array([150, 170]) - MARGIN + shifts[frame], atol=1.1)


def test_affine_maps_are_found(tmp_path, scene):
    pytest.importorskip("pystackreg")
    middle = (np.array(scene.shape[1:]) - 1) / 2
    linear = np.array([[1.003, 0.004], [-0.003, 0.998]])
    moved = [
        ndimage.affine_transform(image, back, middle - back @ (middle + shift), order=3)
        for image, back, shift in zip(
            scene, (np.eye(2), np.linalg.inv(linear)), ((0, 0), (5.3, -2.6)), strict=False
        )
    ]
    raw = written(tmp_path, np.stack(moved)[:, MARGIN:-MARGIN, MARGIN:-MARGIN])
    movie = drift_corrected(raw, correction=Correction.affine)
    corners = np.array([[y, x] for y in (0.0, 251.0) for x in (0.0, 291.0)])
    truth = (corners + MARGIN - middle) @ linear.T + middle - MARGIN + (5.3, -2.6)
    found = corners @ movie.drift.matrices[1, :, :2].T + movie.drift.matrices[1, :, 2]
    assert np.abs(found - truth).max() < 0.5
    still = ~np.isnan(movie[1])
    assert still.all()
    assert (
        np.corrcoef(movie[0].ravel(), movie[1].ravel())[0, 1]
        > np.corrcoef(raw[0][20:-20, 20:-20].ravel(), raw[1][20:-20, 20:-20].ravel())[0, 1]
    )


def test_the_corrected_movie_is_a_movie(tmp_path, scene):
    raw = written(tmp_path, seen(scene[:3], random_shifts(3)))
    movie = drift_corrected(raw)
    assert isinstance(movie, Movie)
    assert (len(movie), movie.path, movie.frame_names) == (3, raw.path, raw.frame_names)
    assert movie.pixel_size_um == 0.5
    assert len([*movie]) == 3
    np.testing.assert_array_equal(movie[-1], movie[2])
    with pytest.raises(IndexError):
        movie[3]


def test_a_blank_frame_keeps_the_place_of_its_predecessor(tmp_path, scene):
    shifts = random_shifts(6)
    frames = seen(scene[:6], shifts)
    frames[3] = 100
    drift = measure_drift(written(tmp_path, frames))
    assert drift.measured.tolist() == [True, True, True, False, True, True]
    np.testing.assert_array_equal(drift.matrices[3], drift.matrices[2])
    assert np.abs(np.delete(measured(drift) - shifts, 3, axis=0)).max() < 0.2


def test_constant_frames_at_the_beginning_have_the_place_of_the_first_that_is_not(tmp_path, scene):
    shifts = random_shifts(4)
    frames = np.concatenate([np.full((2, 252, 292), 100.0), seen(scene[:4], shifts)])
    drift = measure_drift(written(tmp_path, frames))
    assert drift.measured.tolist() == [False] * 2 + [True] * 4
    assert drift.correlation[:3].tolist() == [0, 0, 1]
    np.testing.assert_array_equal(drift.matrices[:3], np.tile(np.eye(2, 3), (3, 1, 1)))
    assert np.abs(measured(drift)[2:] - shifts).max() < 0.2
    assert measure_drift(written(tmp_path, frames[1:3])).measured.tolist() == [False, True]
    blurred = [ndimage.gaussian_filter(frames[2], 12), *frames[3:]]
    with pytest.raises(InputError, match=r"page 1 and .* match the first frame, .* is blank or out of focus"):
        measure_drift(written(tmp_path, blurred))
    with pytest.raises(InputError, match=r"page 2 and .* match the first 2 frames, .* are blank or out of"):
        measure_drift(written(tmp_path, [frames[0], *blurred]))


def noise(frames):
    return np.random.default_rng(0).normal(100, 3, (frames, 90, 110))


@pytest.mark.parametrize(
    ("frames", "named"),
    [
        (np.full((2, 40, 50), 7.0), r"is constant from movie\.tif page 0 to movie\.tif page 1"),
        (np.full((9, 40, 50), 7.0), r"is constant from movie\.tif page 0 to movie\.tif page 5"),
        (noise(2), "page 1 and other frames.* do not match the first frame"),
        (noise(12), "page 1 and the next 5 frames.* do not match the first frame"),
    ],
    ids=["two constant", "constant", "two of noise", "noise"],
)
def test_frames_without_anything_static_are_refused(tmp_path, frames, named):
    with pytest.raises(InputError, match=named):
        drift_corrected(written(tmp_path, frames))


def test_a_jump_beyond_the_field_is_refused(tmp_path):
    ground = ndimage.gaussian_filter(np.random.default_rng(0).normal(0, 10, (120, 700)), 1.5)
    for jump in (40, 400):
        frames = [ground[:, :120], *(ground[:, jump : jump + 120] for _ in range(7))]
        with pytest.raises(
            InputError, match=r"page 1 and the next 5 frames .* more than a quarter of the field"
        ):
            drift_corrected(written(tmp_path, frames))


def test_drift_that_leaves_no_common_field_is_refused(tmp_path):
    ground = ndimage.gaussian_filter(np.random.default_rng(0).normal(0, 10, (120, 500)), 1.5)
    frames = [ground[:, start : start + 120] for start in range(0, 140, 20)]
    with pytest.raises(InputError, match=r"drifts over 0 x 120 pixels \(y x\), so that no part"):
        drift_corrected(written(tmp_path, frames))
    assert drift_corrected(written(tmp_path, frames[:-1])).shape == (120, 20)


@pytest.mark.parametrize("image", [np.zeros((50, 60)), np.arange(3000.0).reshape(50, 60) % 97])
def test_one_frame_is_left_as_it_is(tmp_path, image, monkeypatch):
    monkeypatch.setitem(sys.modules, "pystackreg", None)
    for correction in Correction:
        movie = drift_corrected(written(tmp_path, image[None]), correction=correction)
        assert (len(movie), movie.shape) == (1, (50, 60))
        np.testing.assert_array_equal(movie[0], image.astype(np.float32))


def test_frames_that_are_not_finite_are_refused(tmp_path, scene):
    frames = scene[:3, :60, :70].copy()
    frames[1, 5, 5] = np.nan
    with pytest.raises(InputError, match=r"movie\.tif page 1 has pixels that are NaN or infinite"):
        drift_corrected(written(tmp_path, frames))


def test_affine_without_pystackreg_says_what_to_install(tmp_path, scene, monkeypatch):
    monkeypatch.setitem(sys.modules, "pystackreg", None)
    with pytest.raises(InputError, match=r"install cellmotion_jax\[drift\]"):
        drift_corrected(written(tmp_path, scene[:2]), correction=Correction.affine)


def test_the_table_leads_from_corrected_to_raw_points(tmp_path, scene):
    shifts = random_shifts(4)
    movie = drift_corrected(written(tmp_path, seen(scene[:4], shifts)), correction=Correction.subpixel)
    write_drift(tmp_path / "drift.csv", movie)
    with (tmp_path / "drift.csv").open(newline="") as file:
        rows = [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]
    assert [row["frame"] for row in rows] == [0, 1, 2, 3]
    np.testing.assert_allclose([[row["dy_px"], row["dx_px"]] for row in rows], shifts, atol=0.2)
    point = np.array([[20.0, 30.0]])
    for frame, row in enumerate(rows):
        there = 20 * row["yy"] + 30 * row["yx"] + row["y0_px"], 20 * row["xy"] + 30 * row["xx"] + row["x0_px"]
        np.testing.assert_allclose(movie.to_raw(frame, point), [there], atol=1e-4)
        assert row["measured"] == 1
    assert 0.1 < min(row["correlation"] for row in rows) < max(row["correlation"] for row in rows) == 1


def test_the_structure_does_not_depend_on_brightness_and_contrast(scene):
    structure = background_structure(scene[0])
    np.testing.assert_allclose(background_structure(300 + 50 * scene[0]), structure, atol=0.02)
    assert 0.8 < np.abs(structure).max() <= 1
    flat = np.full((40, 40), 40_000.0)
    assert not background_structure(flat).any()


def test_a_frame_of_another_size_is_refused(scene):
    with pytest.raises(ValueError, match=r"frame has shape \(300, 99\), but those before it have"):
        place_frame(first_reference(scene[0]), scene[0][:, :99])


@pytest.mark.real_data
def test_known_shifts_of_a_real_movie_are_found(tmp_path, real_data):
    raw = open_movie(real_data / "PhC-C2DH-U373" / "01")
    images = np.stack([raw[frame].astype(float) for frame in range(3)])
    own = measured(measure_drift(written(tmp_path, seen(images, np.zeros((3, 2))))))
    shifts = random_shifts(3)
    found = measured(measure_drift(written(tmp_path, seen(images, shifts))))
    assert np.abs(found - own - shifts).max() < 0.1
