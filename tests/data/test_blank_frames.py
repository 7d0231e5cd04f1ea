"""The test of a frame for information: every kind of blank frame is found, and no frame with cells."""

import numpy as np
import pytest
import scipy.ndimage
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st

from cellmotion_jax.data.blank_frames import (
    NAMED,
    Blank,
    BlankFrame,
    describe_blank_frames,
    frame_test,
    measure_frame,
    usual_frames,
    why_blank,
    write_blank_frames,
)
from cellmotion_jax.data.movie import open_movie
from tests.blank_frames import KINDS, blank

SHAPE = (128, 160)
NOISE = 20.0


def cells(count, *, radius=8.0, height=2000.0, seed=0, dtype=np.uint16):
    """Bright discs with soft edges on a ground with camera noise."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[: SHAPE[0], : SHAPE[1]]
    image = np.full(SHAPE, 300.0)
    for y, x in rng.uniform(12, np.array(SHAPE) - 12, (count, 2)):
        image += height / (
            1 + np.exp(np.clip((np.hypot(rows - y, columns - x) - radius) * 2 / radius**0.5, -50, 50))
        )
    return (image + rng.normal(0, NOISE, SHAPE)).astype(dtype)


def judged(images):
    measures = [measure_frame(image) for image in images]
    usual = usual_frames(measures)
    return [why_blank(measure, usual) for measure in measures]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
@given(at=st.integers(0, 5), count=st.integers(4, 12), seed=st.integers(0, 999))
@settings(max_examples=10)
def test_a_blank_frame_of_any_kind_is_found_and_no_other(kind, dtype, at, count, seed):
    images = [cells(count, seed=seed + frame, dtype=dtype) for frame in range(6)]
    images[at] = blank(kind, images[at], noise=NOISE, blur=16.0, seed=seed)
    assert judged(images) == [KINDS[kind] if frame == at else None for frame in range(6)]


@given(share=st.floats(0.05, 0.45), seed=st.integers(0, 999))
@settings(max_examples=10)
def test_many_blank_frames_do_not_become_the_usual(share, seed):
    blanks = round(20 * share)
    images = [cells(5, seed=seed + frame) for frame in range(20 - blanks)]
    images += [blank("dark", images[0], noise=NOISE, seed=seed + frame) for frame in range(blanks)]
    assert judged(images) == [None] * (20 - blanks) + [Blank.NOISE] * blanks


@given(radius=st.floats(2.0, 30.0), seed=st.integers(0, 999))
@settings(max_examples=20)
def test_one_small_cell_is_information(radius, seed):
    assert (
        judged([cells(1, radius=radius, height=400, seed=seed + frame) for frame in range(4)]) == [None] * 4
    )


@given(few=st.integers(1, 2), seed=st.integers(0, 999))
@settings(max_examples=10)
def test_a_sparse_frame_among_dense_ones_is_information(few, seed):
    images = [cells(few, seed=seed), *(cells(14, seed=seed + frame) for frame in range(1, 5))]
    assert judged(images) == [None] * 5


@pytest.mark.parametrize("factor", [0.3, 0.5, 2.0])
def test_dimmer_and_brighter_light_is_no_reason(factor):
    """Of a lamp that flickers: the noise of the camera stays."""
    images = [cells(6, seed=frame) for frame in range(5)]
    images.append((cells(6, seed=5, height=2000 * factor)).astype(np.uint16))
    assert judged(images) == [None] * 6


@given(scale=st.floats(1e-6, 1e6), offset=st.floats(-1e6, 1e6))
@settings(max_examples=20)
def test_the_unit_of_the_pixels_does_not_matter(scale, offset):
    images = [cells(4, seed=frame).astype(float) for frame in range(3)]
    images.append(
        scipy.ndimage.gaussian_filter(images[0], 16) + np.random.default_rng(1).normal(0, NOISE, SHAPE)
    )
    expected = [None, None, None, Blank.DEFOCUSED]
    assert judged(images) == judged([image * scale + offset * scale for image in images]) == expected


def test_hot_pixels_are_neither_noise_nor_cells():
    hot = np.zeros(SHAPE)
    hot[7::31, 5::29] = 20_000
    images = [(cells(5, seed=frame) + hot).astype(np.uint16) for frame in range(4)]
    images[2] = (blank("dark", cells(5), noise=NOISE) + hot).astype(np.uint16)
    assert judged(images) == [None, None, Blank.NOISE, None]


def test_colours_are_judged_together():
    images = [np.stack([cells(5, seed=frame)] * 3, axis=-1) for frame in range(3)]
    images[1] = np.zeros_like(images[1])
    assert judged(images) == [None, Blank.CONSTANT, None]


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (2, 9), (5, 5), (3, 70)])
def test_frames_that_are_too_small_to_tell_are_used_unless_they_are_constant(shape):
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 99, shape).astype(np.uint8) for _ in range(3)]
    expected = [None] * 3 if np.prod(shape) > 1 else [Blank.CONSTANT] * 3
    assert judged(images) == expected
    assert judged([np.zeros(shape)]) == [Blank.CONSTANT]


def test_a_movie_of_noise_throughout_is_used_but_for_constant_frames():
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 4000, SHAPE).astype(np.uint16) for _ in range(3)] + [np.zeros(SHAPE, np.uint16)]
    assert judged(images) == [None, None, None, Blank.CONSTANT]


def test_saturation_that_is_usual_is_no_reason():
    """Dark cells on a ground that is white in every frame."""
    images = [np.where(cells(5, seed=frame) > 1200, 90, 255).astype(np.uint8) for frame in range(4)]
    assert judged(images) == [None] * 4


def test_a_movie_is_judged_by_samples_from_its_whole_length(tmp_path):
    """The end tells what is usual; the verdict of a frame does not depend on what was judged before."""
    images = [cells(4, seed=frame % 3) for frame in range(40)]
    images[0] = blank("defocused", images[0], noise=NOISE, blur=16.0)
    images[21] = blank("dark", images[0], noise=NOISE)
    tifffile.imwrite(tmp_path / "movie.tif", np.stack(images), photometric="minisblack")
    movie = open_movie(tmp_path / "movie.tif")
    forwards = frame_test(movie)
    backwards = frame_test(movie)
    found = {frame: forwards(movie[frame]) for frame in range(40)}
    assert {frame: why for frame, why in found.items() if why} == {0: Blank.DEFOCUSED, 21: Blank.NOISE}
    assert {frame: backwards(movie[frame]) for frame in reversed(range(40))} == found


def test_pixels_that_are_no_numbers_are_left_to_those_who_refuse_them(tmp_path):
    images = np.stack([cells(4, seed=frame, dtype=np.float32) for frame in range(3)])
    images[1, 5, 5] = np.nan
    tifffile.imwrite(tmp_path / "movie.tif", images, photometric="minisblack")
    movie = open_movie(tmp_path / "movie.tif")
    test = frame_test(movie)
    assert [test(movie[frame]) for frame in range(3)] == [None] * 3


def test_the_user_is_told_which_frames_and_why(tmp_path):
    frames = [BlankFrame(number, f"t{number:03d}.tif", Blank.CONSTANT) for number in range(NAMED + 2)]
    assert describe_blank_frames([]) == ""
    assert describe_blank_frames(frames[:1]).startswith(
        "1 frame has no information and was left out: t000.tif ("
    )
    told = describe_blank_frames(frames)
    assert told.startswith(
        "7 frames have no information and were left out: t000.tif (all pixels have the same value)"
    )
    assert told.endswith("t004.tif (all pixels have the same value), and 2 more.")
    write_blank_frames(tmp_path / "none.csv", [])
    assert not (tmp_path / "none.csv").exists()
    write_blank_frames(tmp_path / "some.csv", frames[3:5])
    assert (tmp_path / "some.csv").read_text().splitlines() == [
        "frame,name,reason",
        "3,t003.tif,all pixels have the same value",
        "4,t004.tif,all pixels have the same value",
    ]


MOVIES = {
    "DIC-C2DH-HeLa/01": 84,
    "Fluo-N2DH-SIM+/01": 65,
    "Fluo-N2DL-HeLa/01": 92,
    "PhC-C2DH-U373/01": 115,
    "PhC-C2DL-PSC/01": 50,
    "T98G-phase/movie/images": 12,
}


@pytest.mark.real_data
@pytest.mark.parametrize("name", MOVIES)
def test_real_frames_are_information_and_what_is_left_of_them_is_not(real_data, name):
    movie = open_movie(real_data / name)
    test = frame_test(movie)
    assert [test(frame) for frame in movie] == [None] * MOVIES[name]
    for at in (0, len(movie) // 2, len(movie) - 1):
        noise = max(measure_frame(movie[at]).noise, 0.5)
        found = {kind: test(blank(kind, movie[at], noise=noise)) for kind in KINDS}
        assert found == KINDS
