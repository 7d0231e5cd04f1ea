import re

import numpy as np
import PIL.Image
import pytest
import tifffile

from cellmotion_jax.data.picture import read_picture, read_picture_header
from cellmotion_jax.errors import InputError

RNG = np.random.default_rng(0)


def refusal(sentence):
    return pytest.raises(InputError, match="^" + re.escape(sentence))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("suffix", ["png", "PNG", "tif"])
def test_grey(tmp_path, dtype, suffix):
    pixels = RNG.integers(0, np.iinfo(dtype).max, (5, 7)).astype(dtype)
    path = tmp_path / f"picture.{suffix}"
    if suffix == "tif":
        tifffile.imwrite(path, pixels, compression="zlib")
    else:
        PIL.Image.fromarray(pixels).save(path)
    header = read_picture_header(path)
    assert (header.shape, header.channels) == ((5, 7), 1)
    np.testing.assert_array_equal(read_picture(path)[..., 0], pixels)


@pytest.mark.parametrize("options", [{}, {"compression": "zlib"}, {"planarconfig": "separate"}])
def test_colour_tiff(tmp_path, options):
    pixels = RNG.integers(0, 2**16, (5, 7, 3)).astype(np.uint16)
    path = tmp_path / "picture.tif"
    planes = np.moveaxis(pixels, -1, 0) if "planarconfig" in options else pixels
    tifffile.imwrite(path, planes, photometric="rgb", **options)
    assert read_picture_header(path) == ((5, 7), 3, np.uint16)
    np.testing.assert_array_equal(read_picture(path), pixels)


def test_colour_png(tmp_path):
    pixels = RNG.integers(0, 2**8, (5, 7, 3)).astype(np.uint8)
    path = tmp_path / "picture.png"
    PIL.Image.fromarray(pixels).save(path)
    assert read_picture_header(path) == ((5, 7), 3, np.uint8)
    np.testing.assert_array_equal(read_picture(path), pixels)


@pytest.mark.parametrize(("mode", "channels"), [("RGBA", 4), ("LA", 2)])
def test_alpha_is_refused(tmp_path, mode, channels):
    path = tmp_path / "picture.png"
    PIL.Image.fromarray(np.zeros((5, 7, channels), np.uint8)).convert(mode).save(path)
    with refusal(
        f"{path} is a PNG of mode {mode}; save it as grey or RGB, without alpha channel or palette."
    ):
        read_picture_header(path)


@pytest.mark.parametrize(
    ("pixels", "options", "sentence"),
    [
        (np.zeros((4, 5, 7), np.uint8), {"photometric": "minisblack"}, "{path} holds 4 planes; an annotated"),
        (
            np.zeros((4, 5, 7), np.uint8),
            {"imagej": True, "metadata": {"axes": "ZYX"}},
            "{path} is a 3-D stack",
        ),
        (np.zeros((5, 7, 4), np.uint8), {"photometric": "rgb"}, "{path} has colours or channels"),
        (
            np.zeros((2, 5, 7), np.uint8),
            {"imagej": True, "metadata": {"axes": "CYX"}},
            "{path} has colours or",
        ),
        (np.zeros((4, 5, 7, 3), np.uint8), {"photometric": "rgb"}, "{path} has colours or channels"),
    ],
)
def test_what_is_no_grey_or_rgb_plane(tmp_path, pixels, options, sentence):
    path = tmp_path / "picture.tif"
    tifffile.imwrite(path, pixels, **options)
    with refusal(sentence.format(path=path)):
        read_picture_header(path)


@pytest.mark.usefixtures("every_decoder")
@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_absent_and_damaged(tmp_path, suffix):
    path = tmp_path / f"picture.{suffix}"
    with refusal(f"{path} does not exist"):
        read_picture_header(path)
    path.write_bytes(b"no picture at all")
    with refusal(f"{path} is truncated or no"):
        read_picture_header(path)
    pixels = RNG.integers(0, 2**8, (50, 70, 3)).astype(np.uint8)
    if suffix == "tif":
        tifffile.imwrite(path, pixels, photometric="rgb", compression="zlib")
    else:
        PIL.Image.fromarray(pixels).save(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with refusal(f"{path} is truncated"):
        read_picture(path)
