"""OME-Zarr of both versions, whole and damaged."""

import json
import re
import shutil

import numpy as np
import pytest

from cellmotion_jax.data.label_images import open_labels
from cellmotion_jax.data.movie import open_movie
from cellmotion_jax.errors import InputError
from tests.zarr_movies import write_zarr, zarr_metadata

pytest.importorskip("tensorstore")

BOTH = np.random.default_rng(2).integers(0, 4000, (4, 2, 12, 16)).astype(np.uint16)


@pytest.mark.parametrize("version", ["0.4", "0.5"])
@pytest.mark.parametrize("chunks", [None, (1, 1, 1, 12, 16), (4, 2, 1, 12, 16)])
def test_a_channel_of_every_layout(tmp_path, version, chunks):
    path = write_zarr(tmp_path / "m.zarr", BOTH[:, :, None], "tczyx", version=version, chunks=chunks)
    movie = open_movie(path, channel="GFP")
    assert (len(movie), movie.shape, movie.dtype) == (4, (12, 16), np.uint16)
    assert movie.frame_names[3] == "m.zarr frame 3"
    assert (movie.pixel_size_um, movie.frame_interval_s) == (0.65, 300)
    np.testing.assert_array_equal(np.stack([*movie]), BOTH[:, 1])
    with pytest.raises(InputError, match=re.escape("--channel: 0 (DAPI), 1 (GFP).")):
        open_movie(path)


@pytest.mark.parametrize("dtype", [">u2", "uint8", "float32"])
def test_grey_movies_of_any_type(tmp_path, dtype):
    images = BOTH[:, 0].astype(np.dtype(dtype).newbyteorder("="))
    path = write_zarr(tmp_path / "m.zarr", images, "tyx")
    np.testing.assert_array_equal(np.stack([*open_movie(path)]), images)
    assert len(open_movie(write_zarr(tmp_path / "one.zarr", images[0], "yx"))) == 1


def test_slices_are_no_time_unless_the_user_says_so(tmp_path):
    path = write_zarr(tmp_path / "m.zarr", BOTH[:, 0], "zyx")
    with pytest.raises(InputError, match=r"is a 3-D stack .* give --axes TYX"):
        open_movie(path)
    np.testing.assert_array_equal(np.stack([*open_movie(path, axes="TYX")]), BOTH[:, 0])


def test_label_images(tmp_path):
    labels = np.zeros((2, 40, 40), np.uint32)
    labels[:, 5:15, 5:15], labels[:, 20:30, 20:30] = 70001, 3
    masks = open_labels(write_zarr(tmp_path / "cells", labels, "tyx"))
    np.testing.assert_array_equal(masks[1], labels[1])


def test_sizes_that_are_not_given_are_not_known(tmp_path):
    path = write_zarr(tmp_path / "m.zarr", BOTH[:, 0], "tyx", steps=[1.0, 0.5, 0.9])
    assert open_movie(path).pixel_size_um is None
    described = zarr_metadata("tyx", version="0.4")
    del described["multiscales"][0]["datasets"][0]["coordinateTransformations"]
    (path / ".zattrs").write_text(json.dumps(described))
    movie = open_movie(path)
    assert (movie.pixel_size_um, movie.frame_interval_s) == (None, None)


def test_a_collection_of_one_image_is_that_image(tmp_path):
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / ".zattrs").write_text('{"bioformats2raw.layout": 3}')
    write_zarr(tmp_path / "c" / "0", BOTH[:, 0], "tyx")
    np.testing.assert_array_equal(open_movie(tmp_path / "c")[2], BOTH[2, 0])
    write_zarr(tmp_path / "c" / "1", BOTH[:, 0], "tyx")
    with pytest.raises(InputError, match=r"holds several images; give the folder of one, for example .*/c/0"):
        open_movie(tmp_path / "c")


@pytest.mark.parametrize(
    ("note", "sentence"),
    [
        (
            "{}",
            "is a Zarr folder without an image of OME-Zarr (multiscales); export the movie as OME-Zarr",
        ),
        ("[]", "without an image of OME-Zarr"),
        ("{", "holds no JSON that can be read"),
        ('{"multiscales": [{}]}', "names no array"),
        ('{"multiscales": [{"datasets": [{"path": "../../x"}]}]}', "names the array '../../x'"),
        ('{"multiscales": [{"datasets": [{"path": "/etc"}]}]}', "names the array '/etc'"),
        ('{"multiscales": [{"datasets": [{"path": "5"}]}]}', "holds no array of Zarr that can be read"),
        ('{"multiscales": [{"datasets": [{"path": "0"}]}]}', "names the axes of its array not at all"),
        ('{"multiscales": [{"axes": ["t", "q", "x"], "datasets": [{"path": "0"}]}]}', "names the axes TQX"),
        ('{"plate": {}}', "is a plate of OME-Zarr; give the folder of one field"),
    ],
)
def test_metadata_that_describe_no_movie(tmp_path, note, sentence):
    path = write_zarr(tmp_path / "m.zarr", BOTH[:, 0], "tyx")
    (path / ".zattrs").write_text(note)
    with pytest.raises(InputError, match=re.escape(sentence)):
        open_movie(path)


def test_damaged_chunks_are_one_sentence(tmp_path):
    path = write_zarr(tmp_path / "m.zarr", BOTH[:, 0], "tyx")
    movie = open_movie(path)
    for chunk in (path / "0").glob("2.*"):
        chunk.write_bytes(b"not a chunk")
    np.testing.assert_array_equal(movie[1], BOTH[1, 0])
    with pytest.raises(InputError, match=r"m\.zarr, frame 2, is damaged") as caught:
        movie[2]
    assert "\n" not in str(caught.value)


def test_complex_pixels_and_a_folder_that_lost_its_array(tmp_path):
    path = write_zarr(tmp_path / "m.zarr", BOTH[:, 0].astype(np.complex64), "tyx")
    with pytest.raises(InputError, match="holds complex64 pixels; integers or real numbers are right"):
        open_movie(path)
    shutil.rmtree(path / "0")
    with pytest.raises(InputError, match="holds no array of Zarr"):
        open_movie(path)


@pytest.mark.parametrize(
    ("shape", "chunks", "sentence"),
    [
        ([10**12, 12, 16], [1, 8, 8], "declares 1,000,000,000,000 planes"),
        ([4, 10**9, 10**9], [1, 8, 8], "has frames of 1000000000 x 1000000000 pixels"),
        ([4, 12, 16], [1, 2**20, 2**20], "in chunks of 1,099,511,627,776"),
        ([0, 12, 16], [1, 8, 8], "is empty: it has 0 x 12 x 16 pixels"),
        ([4, 12], [1, 8, 8], "holds no array of Zarr that can be read (Error parsing"),
    ],
)
def test_arrays_that_declare_what_they_cannot_hold(tmp_path, shape, chunks, sentence):
    path = write_zarr(tmp_path / "m.zarr", BOTH[:, 0], "tyx")
    described = json.loads((path / "0" / ".zarray").read_text())
    (path / "0" / ".zarray").write_text(json.dumps({**described, "shape": shape, "chunks": chunks}))
    with pytest.raises(InputError, match=re.escape(sentence)) as caught:
        open_movie(path)
    assert len(str(caught.value)) < len(str(path)) + 300


def test_without_the_package_one_sentence(tmp_path, monkeypatch):
    path = write_zarr(tmp_path / "m.zarr", BOTH[:, 0], "tyx")
    monkeypatch.setitem(__import__("sys").modules, "tensorstore", None)
    with pytest.raises(InputError, match="needs the package tensorstore; install it, or export"):
        open_movie(path)
