import re

import numpy as np
import pytest
import tifffile

from cellmotion_jax.data.movie import open_movie
from cellmotion_jax.errors import InputError

IMAGES = np.random.default_rng(0).integers(0, 255, (5, 12, 16)).astype(np.uint8)


def write(folder, names, images=IMAGES):
    folder.mkdir()
    for name, image in zip(names, images):
        tifffile.imwrite(folder / name, image)
    return folder


@pytest.mark.parametrize(
    "names",
    [
        ("t000.tif", "t001.tif", "t002.tif", "t003.tif"),
        ("t0998.tif", "t0999.tif", "t1000.tif", "t1001.tif"),
        ("pos2_8_ch1.tif", "pos2_9_ch1.tif", "pos2_10_ch1.tif", "pos2_11_ch1.tif"),
        ("t998.TIF", "t999.tiff", "t1000.tif", "t1001.tif"),
        ("7.tif", "8.tif", "9.tif", "10.tif"),
    ],
)
def test_frames_are_ordered_by_the_number_that_runs(tmp_path, names):
    movie = open_movie(write(tmp_path / "movie", names))
    assert (len(movie), movie.shape, movie.dtype, movie.pixel_size_um) == (4, (12, 16), np.uint8, None)
    assert movie.frame_names == names
    np.testing.assert_array_equal(np.stack([*movie]), IMAGES[:4])


def test_a_stack_is_a_movie(tmp_path):
    path = tmp_path / "stack.tif"
    tifffile.imwrite(path, IMAGES.astype(np.float32), compression="zlib")
    movie = open_movie(str(path))
    assert movie.frame_names[3] == "stack.tif page 3"
    np.testing.assert_array_equal(np.stack([*movie]), IMAGES)
    assert movie[-1].dtype == np.float32


def test_pixels_are_read_when_asked_for(tmp_path):
    movie = open_movie(write(tmp_path / "movie", ("t0.tif", "t1.tif")))
    (tmp_path / "movie" / "t1.tif").unlink()
    np.testing.assert_array_equal(movie[0], IMAGES[0])
    with pytest.raises(InputError, match=r"t1\.tif does not exist"):
        movie[1]


def test_the_caller_knows_the_pixel_size_best(tmp_path):
    path = tmp_path / "stack.tif"
    tifffile.imwrite(path, IMAGES, imagej=True, resolution=(2.0, 2.0), metadata={"axes": "TYX", "unit": "um"})
    assert open_movie(path).pixel_size_um == pytest.approx(0.5)
    assert open_movie(path, pixel_size_um=0.6).pixel_size_um == 0.6


@pytest.mark.parametrize("size", [0.0, -1.0, 650.0, float("nan"), float("inf")])
def test_a_pixel_size_that_is_none(tmp_path, size):
    with pytest.raises(InputError, match=r"pixel_size_um is .*; it must be a number from 0\.001 to 50"):
        open_movie(tmp_path, pixel_size_um=size)


def test_a_single_frame_is_a_movie(tmp_path):
    assert len(open_movie(write(tmp_path / "movie", ("snapshot.tif",)))) == 1


def test_other_files_do_not_count(tmp_path):
    folder = write(tmp_path / "movie", ("t0.tif", "t1.tif"))
    (folder / "._t0.tif").write_bytes(b"left by macOS")
    (folder / "notes.txt").write_text("left by a person")
    assert len(open_movie(folder)) == 2


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        (
            (),
            "holds no frames; a movie is a folder of TIFF files (t000.tif, t001.tif, ...) or one TIFF stack.",
        ),
        (("t000.tif", "t001.tif", "t003.tif"), "lacks frame 2: t003.tif follows t001.tif; "),
        (("t01.tif", "t1.tif"), "holds t01.tif and t1.tif, which have the same number."),
        (("t000.tif", "t001.tif", "background.tif"), "holds both background.tif and t000.tif; "),
        (
            ("p0_t0.tif", "p1_t1.tif"),
            "holds frames whose names differ in 2 numbers (p0_t0.tif, ..., p1_t1.tif)",
        ),
    ],
)
def test_names_that_are_no_sequence(tmp_path, names, sentence):
    folder = write(tmp_path / "movie", names)
    with pytest.raises(InputError, match=re.escape(f"{folder} {sentence}")):
        open_movie(folder)


@pytest.mark.parametrize(
    ("odd", "sentence"),
    [
        (IMAGES[0, :10], "has the size 10 x 16, but t0.tif has 12 x 16; all frames must agree."),
        (IMAGES[0].astype(np.uint16), "has the type uint16, but t0.tif has uint8; all frames must agree."),
        (IMAGES, "holds 5 planes, as a 3-D stack does; each file of a folder is one two-dimensional frame"),
    ],
)
def test_a_frame_unlike_the_others_is_named(tmp_path, odd, sentence):
    folder = write(tmp_path / "movie", ("t0.tif", "t1.tif", "t2.tif"), [IMAGES[0], IMAGES[1], odd])
    with pytest.raises(InputError, match=re.escape(f"{folder / 't2.tif'} {sentence}")):
        open_movie(folder)


def test_a_truncated_frame_is_found_at_once_and_named(tmp_path):
    folder = write(tmp_path / "movie", ("t0.tif", "t1.tif"))
    cut = folder / "t1.tif"
    cut.write_bytes(cut.read_bytes()[:-50])
    with pytest.raises(
        InputError, match=rf"^{re.escape(str(cut))} is truncated: it has \d+ bytes of at least"
    ):
        open_movie(folder)


@pytest.mark.real_data
def test_frames_without_annotation(real_data):
    movie = open_movie(real_data / "T98G-phase" / "movie" / "images", pixel_size_um=0.87)
    assert (len(movie), movie.shape, movie.dtype) == (12, (1022, 1024), np.uint16)
    assert movie[11].std() > 0
