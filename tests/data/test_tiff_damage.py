"""Files that are damaged or that declare what they do not hold: read, or one sentence, in little memory."""

import io
import math
import os
import resource
import struct
import warnings
import zlib

import numpy as np
import pytest
import tifffile

from cellmotion_jax.data import tiff_pages
from cellmotion_jax.data.movie import open_movie
from cellmotion_jax.data.picture import read_picture, read_picture_header
from cellmotion_jax.data.tiff import read_header, read_plane
from cellmotion_jax.errors import InputError
from tests.data.mutated_tiffs import COLOUR, STACK, damage, tag_entries, valid_tiffs

FILES = valid_tiffs()
MEMORY = 2**30


def read_as_movie(path):
    movie = open_movie(path)
    assert movie.pixel_size_um is None or 0 < movie.pixel_size_um < 50
    for frame in {0, len(movie) - 1}:
        image = movie[frame]
        assert (image.shape, image.dtype) == (movie.shape, movie.dtype)


def read_as_picture(path):
    header = read_picture_header(path)
    image = read_picture(path)
    assert (image.shape, image.dtype) == ((*header.shape, header.channels), header.dtype)


@pytest.fixture
def little_memory():
    """At most a GiB more than now: what asks for more gets a MemoryError."""
    limits = resource.getrlimit(resource.RLIMIT_AS)
    with open("/proc/self/statm") as file:
        now = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (now + MEMORY, limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, limits)


@pytest.mark.skipif(
    not os.path.exists("/proc/self/statm"), reason="memory is limited where Linux tells its use"
)
@pytest.mark.usefixtures("little_memory")
@pytest.mark.parametrize("kind", FILES)
def test_any_damage_ends_in_pixels_or_in_one_sentence(tmp_path, kind):
    rng = np.random.default_rng(sum(kind.encode()))
    path, read = tmp_path / "it.tif", 0
    for _ in range(25):
        path.write_bytes(damage(FILES[kind], rng))
        for reader in (read_as_movie, read_as_picture):
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                try:
                    reader(path)
                    read += 1
                except InputError as error:
                    sentence = str(error)
                    assert sentence.startswith(str(path))
                    assert sentence.endswith(".")
                    assert "\n" not in sentence
                    assert len(sentence) < len(str(path)) + 300
    assert read < 50


def changed(tmp_path, contents, tag, value=None, *, kind=None, count=None):
    """A little-endian classic TIFF in which the first entry of a tag says something else."""
    made = bytearray(contents)
    at = next(at for at in tag_entries(contents) if struct.unpack_from("<H", contents, at) == (tag,))
    if kind is not None:
        struct.pack_into("<H", made, at + 2, kind)
    if count is not None:
        struct.pack_into("<I", made, at + 4, count)
    if value is not None:
        struct.pack_into("<I", made, at + 8, value)
    path = tmp_path / "changed.tif"
    path.write_bytes(made)
    return path


WIDTH, LENGTH, BITS, COMPRESSION, PHOTOMETRIC, SAMPLES, PLANAR = 256, 257, 258, 259, 262, 277, 284


@pytest.mark.parametrize(
    ("tag", "options", "sentence"),
    [
        (WIDTH, {"value": 0}, "is damaged: the width is 0"),
        (WIDTH, {"kind": 2, "count": 4}, "is damaged: the width is"),
        (LENGTH, {"value": 2**31}, "declares images of 2147483648 x 20 pixels"),
        (LENGTH, {"value": 100_000}, "is truncated: it has"),
        (BITS, {"value": 0}, "is damaged: the number of bits per sample is 0"),
        (BITS, {"value": 65}, "holds samples of 65 bits"),
        (SAMPLES, {"value": 0}, "is damaged: the number of samples per pixel is 0"),
        (SAMPLES, {"value": 65535}, "declares images of|is truncated|has colours"),
        (COMPRESSION, {"value": 4}, "is compressed by the scheme CCITT.*, which is not read"),
        (COMPRESSION, {"value": 34712}, "is compressed by the scheme JPEG2000, which is not read"),
        (COMPRESSION, {"value": 77}, "is compressed by the scheme 77, which is not read"),
        (PHOTOMETRIC, {"value": 32803}, "holds the raw mosaic of a colour camera"),
    ],
)
def test_what_a_tag_says_is_checked(tmp_path, tag, options, sentence):
    path = changed(tmp_path, FILES["one plane"], tag, **options)
    with pytest.raises(InputError, match=sentence):
        read_as_movie(path)


@pytest.mark.parametrize("compression", [None, "zlib"])
def test_a_small_file_does_not_declare_a_large_image(tmp_path, compression):
    file = io.BytesIO()
    tifffile.imwrite(file, np.zeros((64, 600), np.uint8), rowsperstrip=64, compression=compression)
    (tmp_path / "whole.tif").write_bytes(file.getvalue())
    assert not read_plane(read_header(tmp_path / "whole.tif")).any()
    for size, sentence in (
        (100_000, "up to 134,217,728 pixels"),
        (11_000, "is truncated|cannot become as many"),
    ):
        path = changed(tmp_path, file.getvalue(), LENGTH, size)
        path = changed(tmp_path, path.read_bytes(), WIDTH, size)
        path = changed(tmp_path, path.read_bytes(), 278, size)
        with pytest.raises(InputError, match=sentence):
            read_header(path)


def test_tiles_that_share_their_bytes_are_not_unpacked(tmp_path):
    """Every tile of a large image is the same few bytes."""
    side, tile = 8192, 512
    file = io.BytesIO()
    tifffile.imwrite(file, np.zeros((side, side), np.uint8), tile=(tile, tile), compression="zlib")
    with tifffile.TiffFile(io.BytesIO(file.getvalue())) as written:
        page = written.pages.first
        at, offset, count = page.tags[324].valueoffset, page.dataoffsets[0], page.databytecounts[0]
        assert set(page.databytecounts) == {count}
    made = bytearray(file.getvalue())
    tiles = (side // tile) ** 2
    struct.pack_into(f"<{tiles}I", made, at, *[offset] * tiles)
    path = tmp_path / "shared.tif"
    path.write_bytes(made)
    with pytest.raises(InputError, match="cannot become as many"):
        read_header(path)
    path.write_bytes(file.getvalue())
    assert read_header(path).shape == (side, side)


def test_deflated_strips_do_not_become_more_than_the_image(tmp_path, monkeypatch):
    # As without the package imagecodecs, and with strips that are looked at although they are small.
    monkeypatch.setattr(tiff_pages, "_STOPS_BY_ITSELF", False)
    monkeypatch.setattr(tiff_pages, "_MOST_UNSEEN", 0)
    path = tmp_path / "it.tif"
    image = np.random.default_rng(0).integers(0, 9, (300, 500), np.uint16)
    for tile in (None, (64, 64)):
        tifffile.imwrite(path, image, compression="zlib", tile=tile)
        np.testing.assert_array_equal(read_plane(read_header(path)), image)
    tifffile.imwrite(path, image, compression="zlib", rowsperstrip=300)
    with tifffile.TiffFile(path) as file:
        (offset,), tag = file.pages.first.dataoffsets, file.pages.first.tags["StripByteCounts"]
    bomb = zlib.compress(bytes(2**24))
    data = bytearray(path.read_bytes())
    data[offset : offset + len(bomb)] = bomb
    path.write_bytes(data)
    assert len(bomb) < tag.value[0]
    with pytest.raises(InputError, match="become more than the 300000 bytes that it declares"):
        read_plane(read_header(path))


def test_jpeg_has_the_size_of_its_strip(tmp_path):
    pytest.importorskip("imagecodecs")
    file, path = io.BytesIO(), tmp_path / "jpeg.tif"
    tifffile.imwrite(file, COLOUR[..., 0], compression="jpeg", compressionargs={"level": 100})
    made = bytearray(file.getvalue())
    path.write_bytes(made)
    assert abs(read_plane(read_header(path)) - COLOUR[..., 0].astype(int)).max() < 9
    struct.pack_into(">HH", made, made.index(b"\xff\xc0") + 5, 65500, 65500)
    path.write_bytes(made)
    with pytest.raises(InputError, match="holds JPEG of 65500 x 65500 pixels, where 480 pixels are right"):
        read_plane(read_header(path))


def test_a_list_of_pages_that_never_ends(tmp_path):
    file = io.BytesIO()
    tifffile.imwrite(file, STACK[:, :2, :2].repeat(30, axis=0), metadata=None, photometric="minisblack")
    contents = bytearray(file.getvalue())
    with tifffile.TiffFile(io.BytesIO(file.getvalue())) as written:
        last, second = written.pages.next_page_offset, written.pages[1].offset
    struct.pack_into("<I", contents, last, second)
    path = tmp_path / "loop.tif"
    path.write_bytes(contents)
    with pytest.raises(InputError, match="leads from the 150th back to an earlier one"):
        read_header(path)


def test_a_page_that_is_larger_than_the_first(tmp_path):
    path = tmp_path / "pages.tif"
    path.write_bytes(FILES["pages"])
    header = read_header(path)
    made, entries = bytearray(FILES["pages"]), tag_entries(FILES["pages"])
    lengths = [at for at in entries if struct.unpack_from("<H", made, at) == (LENGTH,)]
    struct.pack_into("<I", made, lengths[3] + 8, 60_000)
    path.write_bytes(made)
    with pytest.raises(InputError, match=r"page 3 is no image like the first|lacks some of its"):
        read_plane(header, 3)
    np.testing.assert_array_equal(read_plane(header, 2), STACK[2])


def with_note(tmp_path, note, name="note.ome.tif"):
    path = tmp_path / name
    tifffile.imwrite(path, STACK, photometric="minisblack", description=note.encode(), metadata=None)
    return path


def ome(pixels='<TiffData IFD="0" PlaneCount="5"/>', *, before="", **changes):
    attributes = {"SizeX": 20, "SizeY": 24, "SizeZ": 1, "SizeC": 1, "SizeT": 5, "DimensionOrder": "XYZCT"}
    attributes |= {"Type": "uint16", "ID": "Pixels:0"} | changes
    text = " ".join(f'{name}="{value}"' for name, value in attributes.items() if value is not None)
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>{before}<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06">'
        f'<Image ID="Image:0"><Pixels {text}>{pixels}</Pixels></Image></OME>'
    )


LAUGHS = '<!DOCTYPE a [<!ENTITY a "ha">' + "".join(
    f'<!ENTITY {b} "{f"&{a};" * 10}">' for a, b in zip("abcdefgh", "bcdefghi")
)


@pytest.mark.parametrize(
    ("note", "sentence"),
    [
        (ome(before=LAUGHS + "]>", SizeT="&i;"), "defines entities, which are not read"),
        (ome(before='<!DOCTYPE a [<!ENTITY a SYSTEM "file:///etc/passwd">]>'), "defines entities"),
        (ome(SizeT="&a;"), "OME-XML that cannot be read"),
        (ome().replace("</Image>", ""), "OME-XML that cannot be read"),
        ("<OME></OME>", "describes no image"),
        ("<OME><Image></Image></OME>", "describes no image"),
        ("<OME><BinaryOnly/></OME>", "is one part of an OME-TIFF in several files"),
        (ome(SizeT=10**12), "describes 1000000000000 planes, which the file cannot hold"),
        (ome(SizeT="many"), "SizeT is 'many'; it is a whole number"),
        (ome(SizeT="9" * 5000), "SizeT is '999"),
        (ome(SizeZ=None), "SizeZ is ''"),
        (ome('<TiffData IFD="0" PlaneCount="999999999999"/>'), "describes 999999999999 planes"),
        (ome(SizeT=9), "is truncated: its planes break off after the first 5"),
        (ome(SizeZ=5, SizeT=1), "is a 3-D stack"),
    ],
)
def test_ome_xml_is_checked_before_it_is_followed(tmp_path, note, sentence):
    with pytest.raises(InputError, match=sentence) as caught:
        read_as_movie(with_note(tmp_path, note))
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    ("size", "unit", "expected"),
    [
        ("0.65", None, 0.65),
        ("650", "nm", 0.65),
        ("abc", None, None),
        ("nan", None, None),
        ("1e400", None, None),
        ("-1", None, None),
        ("0", None, None),
        ("0.65", "parsec", None),
        ("9" * 5000, None, None),
    ],
)
def test_a_pixel_size_that_is_none_is_left_out(tmp_path, size, unit, expected):
    note = ome(PhysicalSizeX=size, PhysicalSizeY=size, PhysicalSizeXUnit=unit, PhysicalSizeYUnit=unit)
    movie = open_movie(with_note(tmp_path, note))
    assert len(movie) == 5
    assert movie.pixel_size_um == (None if expected is None else pytest.approx(expected))


@pytest.mark.parametrize("value", ["many", "1e9", "-3", "0", "nan", "999999999999", "2.5"])
def test_notes_of_imagej_that_are_no_numbers(tmp_path, value):
    note = f"ImageJ=1.53\nimages={value}\nframes={value}\nhyperstack=true\n"
    with pytest.raises(InputError, match="notes of ImageJ give images="):
        read_header(with_note(tmp_path, note, "ij.tif"))


@pytest.mark.parametrize("pixels", [0, 2**32 - 1])
@pytest.mark.parametrize("length", [0, 1])
def test_resolutions_that_are_no_size(tmp_path, pixels, length):
    made = bytearray(FILES["strips"])
    with tifffile.TiffFile(io.BytesIO(FILES["strips"])) as file:
        for name in ("XResolution", "YResolution"):
            struct.pack_into("<II", made, file.pages.first.tags[name].valueoffset, pixels, length)
    path = tmp_path / "resolution.tif"
    path.write_bytes(made)
    size = read_header(path).pixel_size_um
    assert size is None or (length and math.isclose(size, 1e4 / pixels))


def test_colours_of_a_palette_are_no_intensities_but_may_be_labels(tmp_path):
    path = tmp_path / "palette.tif"
    grey = np.arange(256, dtype=np.uint16) * 257
    some = np.random.default_rng(0).permutation(grey)
    cells = np.repeat(np.arange(6, dtype=np.uint8), 40).reshape(12, 20)
    tifffile.imwrite(path, cells, photometric="palette", colormap=np.stack([some, some, grey]))
    with pytest.raises(InputError, match="has a palette of colours; save it as grey"):
        open_movie(path)
    np.testing.assert_array_equal(open_movie(path, labels=True)[0], cells)
    tifffile.imwrite(path, cells, photometric="palette", colormap=np.stack([grey, grey, grey]))
    np.testing.assert_array_equal(open_movie(path)[0], cells)


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "t0.tif")
    with pytest.raises(InputError, match=r"t0\.tif is a pipe; it should be a TIFF file"):
        open_movie(tmp_path)
    with pytest.raises(InputError, match=r"t0\.tif is a pipe; it should be a TIFF file"):
        read_picture_header(tmp_path / "t0.tif")


@pytest.mark.parametrize(
    ("contents", "sentence"),
    [
        (b"", r"is truncated or no TIFF \(it is empty\)"),
        (b"II*", "is truncated or no TIFF"),
        (b"ZISRAWFILE" + bytes(99), "is a CZI file of Zeiss and no TIFF; export it as TIFF"),
        (b"\xda\xce\xbe\x0a" + bytes(99), "is an ND2 file of Nikon and no TIFF"),
        (b"II*\0\x08\0\0\0", "is truncated or no TIFF"),
        (b"II*\0\0\0\0\0" + bytes(9), "is truncated or no TIFF"),
        (b"MM\0+\0\x08\0\0" + b"\xff" * 8, "is truncated or no TIFF"),
        (b"MM\0+\0\x08\0\0" + b"\x7f" * 8, "is truncated or no TIFF"),
    ],
)
def test_the_first_bytes(tmp_path, contents, sentence):
    path = tmp_path / "first.tif"
    path.write_bytes(contents)
    for reader in (read_as_movie, read_as_picture):
        with pytest.raises(InputError, match=sentence):
            reader(path)
