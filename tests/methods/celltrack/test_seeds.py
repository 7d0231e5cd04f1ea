import re

import numpy as np
import pytest
import scipy.ndimage
import tifffile
from hypothesis import given

from cellmotion_jax.errors import InputError
from cellmotion_jax.methods.celltrack.seeds import seeds_at_births, seeds_from_labels
from cellmotion_jax.methods.celltrack.seeds_file import read_seed_file
from tests.label_images import label_images

SHAPE = (40, 60)


@given(label_images())
def test_cells_are_measured_as_scipy_does(labels):
    seeds = seeds_from_labels(labels, frame=7)
    present = np.unique(labels[labels > 0])
    assert seeds.ids.tolist() == present.tolist()
    assert seeds.frame.tolist() == [7] * len(present)
    centres = np.array(scipy.ndimage.center_of_mass(labels > 0, labels, present)).reshape(-1, 2)
    np.testing.assert_allclose(seeds.points, centres, atol=1e-5)
    area = [np.sum(labels == label) for label in present]
    np.testing.assert_allclose(np.pi / 4 * seeds.diameters**2, area, rtol=1e-5)
    for label, box in zip(present, seeds.boxes):
        pixels = np.argwhere(labels == label)
        assert box.tolist() == [*pixels.min(0), *(pixels.max(0) + 1)]


def test_labels_of_any_size_and_no_image(masks):
    assert seeds_from_labels(np.array([[0, 2**31 - 1]])).ids.tolist() == [2**31 - 1]
    with pytest.raises(InputError, match="label 2147483648; labels up to 2147483647 can be followed"):
        seeds_from_labels(np.array([[0, 2**31]]))
    with pytest.raises(InputError, match="label -1"):
        seeds_from_labels(np.array([[0, -1]]))
    with pytest.raises(ValueError, match=r"got shape \(6, 48, 64\)"):
        seeds_from_labels(masks)


def test_births_are_where_and_when_a_label_is_first_seen(masks):
    seeds = seeds_at_births(mask for mask in masks)
    assert seeds.ids.tolist() == [1, 2, 3, 4]
    assert seeds.frame.tolist() == [0, 0, 3, 3]
    assert seeds.points.tolist() == [[30, 12], [20, 32], [12, 27], [14, 40]]
    assert seeds.select(np.array([3, 0])).ids.tolist() == [4, 1]
    with pytest.raises(InputError, match="no label in any of 6 frames"):
        seeds_at_births(0 * masks)


def test_a_label_image_is_read(tmp_path, masks):
    tifffile.imwrite(tmp_path / "first.tif", masks[0])
    seeds = read_seed_file(tmp_path / "first.tif", shape=masks[0].shape)
    assert seeds.ids.tolist() == [1, 2]
    np.testing.assert_allclose(seeds.diameters, np.sqrt(4 * 15 / np.pi), rtol=1e-6)


@pytest.mark.parametrize(
    ("image", "sentence"),
    [
        (np.ones((3, 4), np.uint8), r"cells.tif has 3 x 4 pixels, but the frames of the movie have 40 x 60"),
        (np.full(SHAPE, 0.5, np.float32), r"cells.tif: the image holds 0.5 .*; labels are whole numbers"),
        (np.ones((5, *SHAPE), np.uint8), r"cells.tif holds 5 planes; .* one label image"),
        (np.zeros(SHAPE, np.uint8), r"cells.tif holds no cell"),
        (np.full(SHAPE, -3, np.int16), r"cells.tif: labels holds label -3"),
    ],
)
def test_images_that_are_no_labels_of_this_movie(tmp_path, image, sentence):
    tifffile.imwrite(tmp_path / "cells.tif", image, photometric="minisblack")
    with pytest.raises(InputError, match=sentence):
        read_seed_file(tmp_path / "cells.tif", shape=SHAPE)


def test_positions_are_read_from_a_table(tmp_path):
    path = tmp_path / "cells.csv"
    path.write_text("\ufeffid,x,y,note\n7, 59.4,0\n3,-0.5,39.25,a cell\n", encoding="utf-8")
    seeds = read_seed_file(path, shape=SHAPE)
    assert seeds.ids.tolist() == [7, 3]
    np.testing.assert_allclose(seeds.points, [[0, 59.4], [39.25, -0.5]], rtol=1e-6)
    assert seeds.frame.tolist() == [0, 0]
    assert np.isnan(seeds.diameters).all()
    assert np.isnan(seeds.boxes).all()


def test_rows_are_numbered_and_come_by_frame(tmp_path):
    path = tmp_path / "cells.CSV"
    path.write_text("y,x,frame\n1,2,4\n3,4,0\n5,6,4\n")
    seeds = read_seed_file(path, shape=SHAPE)
    assert seeds.frame.tolist() == [0, 4, 4]
    assert seeds.ids.tolist() == [2, 1, 3]
    assert seeds.points.tolist() == [[3, 4], [1, 2], [5, 6]]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "y,x\n1,2\n40,3\n",
            "line 3 has the position (y, x) = (40, 3), which is outside the image of 40 x 60",
        ),
        ("y,x\n1,-0.6\n", "line 2 has the position (y, x) = (1, -0.6), which is outside"),
        ("y,x\n1,nan\n", "line 2 has the position (y, x) = (1, nan), which is outside"),
        ("y,x\n1,two\n", "line 2 has y '1' and x 'two'; both are numbers"),
        ("y,x\n1\n", "line 2 has y '1' and x None; both are numbers"),
        ("id,y,x\n5,1,2\n5,3,4\n", "line 3 has the id 5 again (first:"),
        ("id,y,x\n0,1,2\n", "line 2 has the id '0'; it is a whole number from 1 on"),
        ("id,y,x\n1.5,1,2\n", "line 2 has the id '1.5'; it is a whole number"),
        ("frame,y,x\n-1,1,2\n", "line 2 has the frame '-1'; it is a whole number from 0 on"),
        ("y;x\n1;2\n", "has the columns 'y;x'; expected y,x"),
        ("1,2\n3,4\n", "has the columns '1,2'; expected y,x"),
        ("", "has the columns ''; expected y,x"),
        ("y,x\n", "holds no cell"),
    ],
)
def test_tables_that_do_not_say_where_the_cells_are(tmp_path, text, sentence):
    path = tmp_path / "cells.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=re.escape(sentence)) as refusal:
        read_seed_file(path, shape=SHAPE)
    assert str(path) in str(refusal.value)


def test_files_of_no_use(tmp_path):
    with pytest.raises(InputError, match=r"cells.png is neither a TIFF label image nor a CSV table"):
        read_seed_file(tmp_path / "cells.png", shape=SHAPE)
    with pytest.raises(InputError, match=r"cells.csv does not exist; it should be a CSV table"):
        read_seed_file(tmp_path / "cells.csv", shape=SHAPE)
    (tmp_path / "cells.csv").write_bytes(b"y,x\n\xff\xfe,2\n")
    with pytest.raises(InputError, match=r"is no text in UTF-8 \(line 2\); it should be a CSV table"):
        read_seed_file(tmp_path / "cells.csv", shape=SHAPE)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (b"y,x\n1,2,5\n", "line 2 has more values than the 2 columns; numbers are written with a point"),
        (b"y,x,y\n1,2,3\n", "has the column y twice; keep one of them."),
        (b"y,x\n0x10,2\n", "line 2 has y '0x10' and x '2'; both are numbers"),
        (b"y,x\n1_0,2\n", "line 2 has y '1_0'"),
        (b"y,x\n1e400,2\n", "line 2 has the position (y, x) = (inf, 2)"),
        (b"y,x,id\n1,2," + b"9" * 40 + b"\n", "line 2 has the id '999"),
        (b"y,x\n1\0,2\n", "line 2 holds the character NUL"),
        ("y,x\n1,2\n".encode("utf-16"), "is text in UTF-16; save it as UTF-8"),
        (b"y" + b",a" * 5000 + b"\n", "expected y,x and if you like id and frame"),
        (b"y,x\n" + b"1," + b"2" * 200_000 + b"\n", "is no CSV table"),
    ],
)
def test_bytes_that_are_no_table(tmp_path, text, sentence):
    path = tmp_path / "cells.csv"
    path.write_bytes(text)
    with pytest.raises(InputError, match=re.escape(sentence)) as refusal:
        read_seed_file(path, shape=SHAPE)
    assert str(path) in str(refusal.value)
    assert len(str(refusal.value)) < len(str(path)) + 250


def test_a_table_of_a_spreadsheet_is_read(tmp_path):
    (tmp_path / "cells.csv").write_bytes("y,x,id\r\n 1.5 ,.5,+3\r\n2e0,3,4\r\n".encode("utf-8-sig"))
    seeds = read_seed_file(tmp_path / "cells.csv", shape=SHAPE)
    assert seeds.points.tolist() == [[1.5, 0.5], [2, 3]]
    assert seeds.ids.tolist() == [3, 4]


def test_names_in_capitals_and_whole_numbers_with_a_point_are_read(tmp_path):
    (tmp_path / "cells.csv").write_text("ID,Frame, Y ,X\n1.0,0.0,3,4\n2e0,1.,5,6\n")
    seeds = read_seed_file(tmp_path / "cells.csv", shape=SHAPE)
    assert (seeds.ids.tolist(), seeds.frame.tolist()) == ([1, 2], [0, 1])
    (tmp_path / "cells.csv").write_text("x,X,y\n1,2,3\n")
    with pytest.raises(InputError, match="has the column x twice"):
        read_seed_file(tmp_path / "cells.csv", shape=SHAPE)


def test_too_many_rows(tmp_path, monkeypatch):
    monkeypatch.setattr("cellmotion_jax.methods.celltrack.seeds_file.MOST_CELLS", 2)
    (tmp_path / "cells.csv").write_text("y,x\n" + "1,2\n" * 3)
    with pytest.raises(InputError, match="has more than 2 rows, the most that are read"):
        read_seed_file(tmp_path / "cells.csv", shape=SHAPE)
