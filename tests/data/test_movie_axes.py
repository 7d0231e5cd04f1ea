"""Movies with several channels, slices or colours, in the files that microscopes and their programs write."""

import re

import numpy as np
import pytest
import tifffile

from cellmotion_jax.data.movie import open_movie
from cellmotion_jax.errors import InputError

BOTH = np.random.default_rng(0).integers(0, 4000, (4, 2, 20, 30)).astype(np.uint16)
GREY = BOTH[:, 0]
RGB = {"photometric": "rgb"}
PLAIN = {"photometric": "minisblack"}
NAMED = {"Channel": {"Name": ["DAPI", "GFP"]}}
STORED = {
    "contiguous": {},
    "deflate": {"compression": "zlib"},
    "tiles": {"compression": "zlib", "tile": (16, 16)},
}


def write(tmp_path, images, name="movie.tif", **options):
    path = tmp_path / name
    tifffile.imwrite(path, images, **options)
    return path


def read(path, **options):
    return np.stack([*open_movie(path, **options)])


@pytest.mark.parametrize("stored", STORED.values(), ids=STORED.keys())
@pytest.mark.parametrize("axes", ["TCYX", "CTYX"])
def test_a_channel_of_an_ome_tiff(tmp_path, axes, stored):
    images = BOTH if axes == "TCYX" else BOTH.swapaxes(0, 1)
    path = write(tmp_path, images, "movie.ome.tif", metadata={"axes": axes, **NAMED}, **PLAIN, **stored)
    for number, name in enumerate(("DAPI", "GFP")):
        np.testing.assert_array_equal(read(path, channel=number), BOTH[:, number])
        np.testing.assert_array_equal(read(path, channel=name), BOTH[:, number])
    with pytest.raises(InputError, match=re.escape("choose one by --channel: 0 (DAPI), 1 (GFP).")):
        open_movie(path)


def test_a_channel_of_a_hyperstack_of_imagej(tmp_path):
    labels = ["phase", "mCherry"] * 4
    path = write(tmp_path, BOTH, imagej=True, metadata={"axes": "TCYX", "Labels": labels})
    np.testing.assert_array_equal(read(path, channel=1), BOTH[:, 1])
    np.testing.assert_array_equal(read(path, channel="mcherry"), BOTH[:, 1])
    with pytest.raises(InputError, match=re.escape("(phase), 1 (mCherry).")):
        open_movie(path)


def test_labels_of_slices_that_are_no_channels_are_no_names(tmp_path):
    path = write(
        tmp_path, BOTH, imagej=True, metadata={"axes": "TCYX", "Labels": [f"s{n}" for n in range(8)]}
    )
    with pytest.raises(InputError, match="--channel: 0 or 1"):
        open_movie(path)


@pytest.mark.parametrize("stored", STORED.values(), ids=STORED.keys())
def test_axes_that_no_note_declares(tmp_path, stored):
    path = write(tmp_path, BOTH, **PLAIN, **stored)
    with pytest.raises(InputError, match="say what they are, for example --axes TCYX"):
        open_movie(path)
    np.testing.assert_array_equal(read(path, axes="TCYX", channel=1), BOTH[:, 1])
    np.testing.assert_array_equal(read(path, axes="CTYX", channel=3), BOTH[3])


@pytest.mark.parametrize("stored", [STORED["contiguous"], STORED["deflate"]], ids=["contiguous", "deflate"])
@pytest.mark.parametrize("shape", [(3, 20, 1), (3, 1, 20), (3, 1, 1), (4, 20, 1)])
def test_images_one_pixel_wide(tmp_path, shape, stored):
    frames, height, width = shape
    images = GREY.ravel()[: np.prod(shape)].reshape(shape)
    # Without the option tifffile takes some of them for one image with an axis of no name.
    movie = open_movie(write(tmp_path, images, **PLAIN, **stored), axes="TYX")
    assert (len(movie), movie.shape) == (frames, (height, width))
    np.testing.assert_array_equal(np.stack([*movie]), images)


def test_slices_that_are_time_points(tmp_path):
    path = write(tmp_path, GREY, imagej=True, metadata={"axes": "ZYX"})
    with pytest.raises(InputError, match="if the slices are time points, give --axes TYX"):
        open_movie(path)
    np.testing.assert_array_equal(read(path, axes="TYX"), GREY)


@pytest.mark.parametrize("stored", STORED.values(), ids=STORED.keys())
def test_three_frames_that_were_stored_as_planes_of_colour(tmp_path, stored):
    path = write(tmp_path, GREY[:3], planarconfig="separate", **RGB, **stored)
    with pytest.raises(InputError, match="if these are the frames of a short movie, give --axes TYX"):
        open_movie(path)
    np.testing.assert_array_equal(read(path, axes="TYX"), GREY[:3])
    np.testing.assert_array_equal(read(path, channel=2), GREY[2:3])


@pytest.mark.parametrize("stored", STORED.values(), ids=STORED.keys())
@pytest.mark.parametrize("opacity", [False, True])
def test_equal_colours_are_grey(tmp_path, stored, opacity):
    colours = [GREY] * 3 + [np.full_like(GREY, 65535)] * opacity
    extra = {"extrasamples": ["unassalpha"]} if opacity else {}
    path = write(tmp_path, np.stack(colours, axis=-1), **RGB, **extra, **stored)
    movie = open_movie(path)
    assert (movie.channels, movie.shape) == (1, (20, 30))
    np.testing.assert_array_equal(np.stack([*movie]), GREY)


def test_colours_that_differ_are_refused_and_one_may_be_chosen(tmp_path):
    different = np.stack([GREY, GREY + 1, GREY], axis=-1)
    path = write(tmp_path, different, **RGB)
    with pytest.raises(InputError, match=r"differ in movie.tif page 0; choose one by --channel: 0 \(red\)"):
        open_movie(path)
    np.testing.assert_array_equal(read(path, channel="green"), GREY + 1)
    np.testing.assert_array_equal(read(path, colour=True), different)


def test_a_later_frame_of_other_colours_is_named_when_it_is_read(tmp_path):
    images = np.stack([GREY] * 3, axis=-1)
    images[2, 4, 5, 1] += 1
    movie = open_movie(write(tmp_path, images, **RGB))
    np.testing.assert_array_equal(movie[1], GREY[1])
    with pytest.raises(InputError, match=r"differ in movie\.tif page 2"):
        movie[2]


def test_options_hold_for_every_file_of_a_folder(tmp_path):
    (tmp_path / "movie").mkdir()
    for frame, image in enumerate(BOTH):
        write(tmp_path / "movie", image, f"t{frame}.tif", imagej=True, metadata={"axes": "CYX"})
    with pytest.raises(InputError, match=r"t0\.tif has colours or channels .* --channel"):
        open_movie(tmp_path / "movie")
    movie = open_movie(tmp_path / "movie", channel=1)
    assert movie.frame_names == ("t0.tif", "t1.tif", "t2.tif", "t3.tif")
    np.testing.assert_array_equal(np.stack([*movie]), BOTH[:, 1])


def test_files_that_hold_some_time_points_each(tmp_path):
    (tmp_path / "movie").mkdir()
    for part in (9, 10, 11):
        write(tmp_path / "movie", GREY[:2] + np.uint16(part), f"part{part}.tif", **PLAIN)
    with pytest.raises(InputError, match=r"part9\.tif holds 2 planes.* give --axes TYX"):
        open_movie(tmp_path / "movie")
    movie = open_movie(tmp_path / "movie", axes="TYX")
    assert movie.frame_names[2:4] == ("part10.tif page 0", "part10.tif page 1")
    expected = np.concatenate([GREY[:2] + np.uint16(part) for part in (9, 10, 11)])
    np.testing.assert_array_equal(np.stack([*movie]), expected)


def test_label_images_have_no_such_options_and_none_is_named(tmp_path):
    path = write(tmp_path, BOTH, imagej=True, metadata={"axes": "TCYX"})
    with pytest.raises(InputError, match=r"save one grey channel\.$"):
        open_movie(path, labels=True)


def test_a_pattern_is_for_folders(tmp_path):
    with pytest.raises(InputError, match=r"pattern is 't\*', but .* is no folder of TIFF files"):
        open_movie(write(tmp_path, GREY, **PLAIN), pattern="t*")


def test_names_with_the_time_tell_the_interval(tmp_path):
    (tmp_path / "movie").mkdir()
    for frame, image in enumerate(GREY):
        write(tmp_path / "movie", image, f"A1_00d{frame // 2:02d}h{frame % 2 * 30:02d}m.tif")
    movie = open_movie(tmp_path / "movie")
    assert movie.frame_interval_s == 1800
    np.testing.assert_array_equal(np.stack([*movie]), GREY)
