"""OME-TIFF in several files, opened by any of them or by the folder."""

import re

import numpy as np
import pytest
import tifffile

from cellmotion_jax.data.movie import open_movie
from cellmotion_jax.errors import InputError

BOTH = np.random.default_rng(1).integers(0, 4000, (4, 2, 12, 16)).astype(np.uint16)
UUID = "urn:uuid:00000000-0000-0000-0000-0000000000{:02d}"


def note(entries, own, *, order="XYCZT", channels=1, frames=4, names=()):
    """OME-XML of planes (time, channel, file, page)."""
    files = {name: number for number, name in enumerate(sorted({name for *_, name, _ in entries}))}
    listed = "".join(
        f'<TiffData FirstT="{t}" FirstC="{c}" FirstZ="0" IFD="{page}" PlaneCount="1">'
        f'<UUID FileName="{name}">{UUID.format(files[name])}</UUID></TiffData>'
        for t, c, name, page in entries
    )
    described = "".join(f'<Channel ID="Channel:0:{c}" Name="{name}"/>' for c, name in enumerate(names))
    pixels = (
        f'ID="Pixels:0" DimensionOrder="{order}" Type="uint16" SizeX="16" SizeY="12" SizeZ="1" '
        f'SizeC="{channels}" SizeT="{frames}" PhysicalSizeX="0.65" PhysicalSizeY="0.65" TimeIncrement="300"'
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?>'
        f'<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" UUID="{UUID.format(files[own])}">'
        f'<Image ID="Image:0"><Pixels {pixels}>{described}{listed}</Pixels></Image></OME>'
    )


def write_set(folder, entries, **options):
    """Writes every file of a set, with the notes of all in each, as OME asks for."""
    folder.mkdir()
    for own in sorted({name for *_, name, _ in entries}):
        pages = sorted((page, t, c) for t, c, name, page in entries if name == own)
        images = np.stack([BOTH[t, c] for _, t, c in pages])
        tifffile.imwrite(
            folder / own,
            images,
            photometric="minisblack",
            metadata=None,
            description=note(entries, own, **options),
        )
    return folder


# Names that do not sort by time, so that only the notes can tell the order.
PER_FRAME = [(t, 0, f"m_{'dbca'[t]}.ome.tif", 0) for t in range(4)]
PER_CHANNEL = [(t, c, f"c{c}.ome.tif", t) for t in range(4) for c in range(2)]
PER_FRAME_AND_CHANNEL = [(t, c, f"t{t}_c{c}.ome.tif", 0) for t in range(4) for c in range(2)]


def test_one_file_per_time_point(tmp_path):
    folder = write_set(tmp_path / "set", PER_FRAME)
    for path in (folder, folder / "m_a.ome.tif", folder / "m_d.ome.tif"):
        movie = open_movie(path)
        np.testing.assert_array_equal(np.stack([*movie]), BOTH[:, 0])
        assert (movie.pixel_size_um, movie.frame_interval_s) == (0.65, 300)


@pytest.mark.parametrize("entries", [PER_CHANNEL, PER_FRAME_AND_CHANNEL], ids=["per channel", "per plane"])
@pytest.mark.parametrize("order", ["XYCZT", "XYZTC"])
def test_channels_in_files_of_their_own(tmp_path, entries, order):
    folder = write_set(tmp_path / "set", entries, channels=2, order=order, names=("DAPI", "GFP"))
    for path in (folder, folder / entries[3][2]):
        np.testing.assert_array_equal(np.stack([*open_movie(path, channel="GFP")]), BOTH[:, 1])
        with pytest.raises(InputError, match=re.escape("--channel: 0 (DAPI), 1 (GFP).")):
            open_movie(path)


def test_files_that_were_renamed_are_read_in_the_order_of_their_names(tmp_path):
    folder = write_set(tmp_path / "set", PER_FRAME)
    for t, _, name, _ in PER_FRAME:
        (folder / name).rename(folder / f"t{t}.tif")
    movie = open_movie(folder)
    assert movie.frame_names == ("t0.tif", "t1.tif", "t2.tif", "t3.tif")
    np.testing.assert_array_equal(np.stack([*movie]), BOTH[:, 0])
    assert movie.pixel_size_um == 0.65


def test_a_missing_file_is_named(tmp_path):
    folder = write_set(tmp_path / "set", PER_FRAME)
    (folder / "m_b.ome.tif").unlink()
    with pytest.raises(
        InputError, match=r"m_b\.ome\.tif is missing; .*m_a\.ome\.tif lists it as one of the 4"
    ):
        open_movie(folder / "m_a.ome.tif")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (("m_b.ome.tif", "../m_b.ome.tif"), "lists the file '../m_b.ome.tif', which is not beside it"),
        (("m_b.ome.tif", "/etc/passwd"), "lists the file '/etc/passwd', which is not beside it"),
        (('SizeT="4"', 'SizeT="5"'), "lists no file for frame 4 in its OME-XML"),
        (('SizeT="4"', 'SizeT="999999999"'), "lists 999,999,999 planes in its OME-XML"),
        (('SizeX="16"', 'SizeX="17"'), "has the size 12 x 16, but"),
        (('IFD="0"', 'IFD="7"'), "is truncated: it lacks page 7, which is frame 0"),
        (('PlaneCount="1"', 'PlaneCount="999999999"'), "lists more than the 4 planes"),
        (('FirstT="3"', 'FirstT="7"'), "lists more than the 4 planes"),
        (("m_b.ome.tif", "m" * 300), "which is not beside it"),
        (("m_b.ome.tif", "m&#10;b.ome.tif"), "which is not beside it"),
        (("XYCZT", "banana"), "the order of planes 'banana'"),
        (("<Image ", '<Image ID="x"><Pixels/></Image><Image '), "lists 2 images in its OME-XML"),
        (("</Image>", "</Image><A><ModuloAlongT/></A>"), "declares a further axis"),
    ],
)
def test_notes_that_cannot_be_followed(tmp_path, change, sentence):
    folder = write_set(tmp_path / "set", PER_FRAME)
    path = folder / "m_a.ome.tif"
    text = note(PER_FRAME, path.name).replace(*change)
    tifffile.imwrite(path, BOTH[0, 0], photometric="minisblack", metadata=None, description=text)
    with pytest.raises(InputError, match=re.escape(sentence)):
        open_movie(path)


def test_a_companion_file_lists_the_parts(tmp_path):
    folder = tmp_path / "set"
    folder.mkdir()
    text = '<OME><BinaryOnly MetadataFile="m.companion.ome" UUID="urn:uuid:1"/></OME>'
    for t, _, name, _ in PER_FRAME:
        tifffile.imwrite(folder / name, BOTH[t, 0], photometric="minisblack", metadata=None, description=text)
    (folder / "m.companion.ome").write_text(note(PER_FRAME, PER_FRAME[0][2]))
    movie = open_movie(folder / "m.companion.ome")
    np.testing.assert_array_equal(np.stack([*movie]), BOTH[:, 0])
    assert movie.frame_names[0] == "m_d.ome.tif page 0"
    for path in (folder, folder / PER_FRAME[0][2]):
        with pytest.raises(InputError, match=r"in several files; open m\.companion\.ome, which lists them"):
            open_movie(path)
    (folder / "m.companion.ome").write_text("<OME/>")
    with pytest.raises(InputError, match="lists 0 images in its OME-XML"):
        open_movie(folder / "m.companion.ome")


def test_a_part_without_the_list_names_the_file_that_has_it(tmp_path):
    text = '<OME><BinaryOnly MetadataFile="all.ome.tif" UUID="urn:uuid:1"/></OME>'
    path = tmp_path / "part.ome.tif"
    tifffile.imwrite(path, BOTH[0, 0], photometric="minisblack", metadata=None, description=text)
    with pytest.raises(InputError, match=r"one part of an OME-TIFF in several files; open all\.ome\.tif"):
        open_movie(path)
