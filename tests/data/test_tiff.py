import re

import numpy as np
import pytest
import tifffile
from PIL import Image

from cellmotion_jax.data.tiff import read_header, read_plane
from cellmotion_jax.errors import InputError

STACK = np.arange(6 * 20 * 30, dtype=np.uint16).reshape(6, 20, 30)
IMAGEJ = {"imagej": True, "resolution": (1 / 0.65, 1 / 0.65)}
WRITTEN = {
    "plain": {},
    "deflate": {"compression": "zlib"},
    "predictor": {"compression": "zlib", "predictor": True},
    "tiles": {"compression": "zlib", "tile": (16, 16)},
    "pages": {"metadata": None, "photometric": "minisblack", "compression": "zlib"},
    "big endian": {"byteorder": ">"},
    "big endian, deflate": {"byteorder": ">", "compression": "zlib"},
    "BigTIFF": {"bigtiff": True},
    "ImageJ": {**IMAGEJ, "metadata": {"axes": "TYX", "unit": "micron"}},
    "ImageJ, one page": {**IMAGEJ, "metadata": {"axes": "TYX", "unit": "um"}, "truncate": True},
    "OME": {"ome": True, "metadata": {"axes": "TYX", "PhysicalSizeX": 0.65, "PhysicalSizeY": 0.65}},
}


@pytest.mark.parametrize("options", WRITTEN.values(), ids=WRITTEN.keys())
def test_every_way_to_write_a_stack_is_read_back(tmp_path, options):
    path = tmp_path / "stack.tif"
    tifffile.imwrite(path, STACK, **options)
    header = read_header(path)
    assert (header.planes, header.shape) == (6, (20, 30))
    for index in range(6):
        plane = read_plane(header, index)
        assert plane.dtype == np.uint16
        np.testing.assert_array_equal(plane, STACK[index])


@pytest.mark.parametrize("options", WRITTEN.values(), ids=WRITTEN.keys())
@pytest.mark.parametrize("share", [0, 0.003, 0.1, 0.4, 0.7, 0.9])
def test_a_truncated_stack_is_refused(tmp_path, options, share):
    path = tmp_path / "stack.tif"
    tifffile.imwrite(path, STACK, **options)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(InputError, match=rf"^{re.escape(str(path))} is truncated"):
        read_header(path)


@pytest.mark.parametrize("compression", [None, "zlib"])
def test_planes_written_one_by_one_are_one_movie(tmp_path, compression):
    path = tmp_path / "stack.tif"
    with tifffile.TiffWriter(path) as writer:
        for plane in STACK:
            writer.write(plane, compression=compression)
    header = read_header(path)
    assert header.planes == 6
    np.testing.assert_array_equal(read_plane(header, 4), STACK[4])


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int32", "float32", "float64"])
def test_one_plane_of_any_real_type(tmp_path, dtype):
    path = tmp_path / "frame.tif"
    tifffile.imwrite(path, STACK[0].astype(dtype))
    header = read_header(path)
    assert (header.planes, header.dtype) == (1, np.dtype(dtype))
    np.testing.assert_array_equal(read_plane(header), STACK[0].astype(dtype))


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({**IMAGEJ, "metadata": {"axes": "TYX", "unit": "micron"}}, 0.65),
        ({**IMAGEJ, "metadata": {"axes": "TYX", "unit": "\\u00B5m"}}, 0.65),
        ({"imagej": True, "resolution": (2.0, 2.0), "metadata": {"axes": "TYX", "unit": "pixel"}}, None),
        ({"ome": True, "metadata": {"axes": "TYX", "PhysicalSizeX": 0.65, "PhysicalSizeY": 0.65}}, 0.65),
        (
            {
                "ome": True,
                "metadata": {
                    "axes": "TYX",
                    "PhysicalSizeX": 650,
                    "PhysicalSizeXUnit": "nm",
                    "PhysicalSizeY": 650,
                    "PhysicalSizeYUnit": "nm",
                },
            },
            0.65,
        ),
        ({"ome": True, "metadata": {"axes": "TYX"}}, None),
        ({"resolution": (1e4 / 0.65, 1e4 / 0.65), "resolutionunit": "CENTIMETER"}, 0.65),
        ({"resolution": (1e4 / 0.65, 1e4 / 0.9), "resolutionunit": "CENTIMETER"}, None),
        ({"resolution": (28.3, 28.3), "resolutionunit": "CENTIMETER"}, None),
        ({"resolution": (72, 72), "resolutionunit": "INCH"}, None),
        ({}, None),
    ],
)
def test_pixel_size_is_taken_where_the_tags_mean_microns(tmp_path, options, expected):
    path = tmp_path / "stack.tif"
    tifffile.imwrite(path, STACK, **options)
    assert read_header(path).pixel_size_um == (
        None if expected is None else pytest.approx(expected, rel=1e-5)
    )


@pytest.mark.parametrize(
    ("data", "options", "sentence"),
    [
        (STACK, {"imagej": True, "metadata": {"axes": "ZYX"}}, "is a 3-D stack (axes ZYX, 6 x 20 x 30)"),
        (STACK, {"metadata": {"axes": "ZYX"}}, "is a 3-D stack (axes ZYX, 6 x 20 x 30)"),
        (STACK.reshape(2, 3, 20, 30), {"imagej": True, "metadata": {"axes": "TZYX"}}, "is a 3-D stack"),
        (STACK, {"imagej": True, "metadata": {"axes": "CYX"}}, "has colours or channels (axes CYX"),
        (np.zeros((8, 9, 3), np.uint8), {"photometric": "rgb"}, "has colours or channels (axes YXS"),
        (STACK.reshape(2, 3, 20, 30), {"photometric": "minisblack"}, "has the axes QQYX"),
        (np.zeros((8, 9), np.complex64), {}, "holds complex64 pixels; integers or real numbers are right."),
    ],
)
def test_what_is_no_movie_is_refused_by_its_axes(tmp_path, data, options, sentence):
    path = tmp_path / "stack.tif"
    tifffile.imwrite(path, data, **options)
    with pytest.raises(InputError, match=re.escape(f"{path} {sentence}")):
        read_header(path)


def test_images_of_different_sizes_are_no_stack(tmp_path):
    path = tmp_path / "stack.tif"
    with tifffile.TiffWriter(path) as writer:
        writer.write(STACK[0])
        writer.write(STACK[0, :10])
    with pytest.raises(InputError, match=r"holds several series of images \(20 x 30 and 10 x 30\)"):
        read_header(path)


@pytest.mark.usefixtures("every_decoder")
def test_damaged_pixels_are_one_sentence(tmp_path):
    path = tmp_path / "frame.tif"
    tifffile.imwrite(path, STACK[0], compression="zlib")
    header = read_header(path)
    with tifffile.TiffFile(path) as file:
        offset, length = file.pages.first.dataoffsets[0], file.pages.first.databytecounts[0]
    damaged = bytearray(path.read_bytes())
    damaged[offset : offset + length] = b"\xff" * length
    path.write_bytes(damaged)
    with pytest.raises(InputError, match=rf"^{re.escape(str(path))} is truncated or no TIFF"):
        read_plane(header)


def test_a_file_that_is_no_tiff(tmp_path, caplog):
    path = tmp_path / "frame.tif"
    path.write_text("This is a letter, not an image.")
    with pytest.raises(InputError, match="is truncated or no TIFF"):
        read_header(path)
    assert not caplog.records


def test_an_absent_file(tmp_path):
    with pytest.raises(InputError, match=r"nowhere\.tif does not exist; it should be a TIFF file\.$"):
        read_header(tmp_path / "nowhere.tif")


@pytest.mark.usefixtures("without_imagecodecs")
def test_a_compression_that_needs_another_package(tmp_path):
    path = tmp_path / "frame.tif"
    Image.fromarray(STACK[0]).save(path, compression="tiff_lzw")
    header = read_header(path)
    with pytest.raises(InputError, match="needs the package imagecodecs; install it, or save"):
        read_plane(header)
