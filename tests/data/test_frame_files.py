"""Order of the files of a folder."""

import re

import hypothesis
import hypothesis.strategies as st
import pytest

from cellmotion_jax.data.frame_files import order_frames
from cellmotion_jax.errors import InputError


def folder_of(path, names):
    path.mkdir()
    for name in names:
        (path / name).write_bytes(b"")
    return path


def names_of(files):
    return [file.name for file in files]


@hypothesis.given(
    first=st.integers(0, 3000),
    step=st.sampled_from([1, 5, 15, 60, 120, 1440]),
    frames=st.integers(2, 12),
    seconds=st.booleans(),
)
@hypothesis.settings(max_examples=25)
def test_times_in_names_order_the_frames_and_tell_the_interval(
    tmp_path_factory, first, step, frames, seconds
):
    names = []
    for minute in range(first, first + step * frames, step):
        days, hours = minute // 1440, minute // 60 % 24
        names.append(f"VID1_A1_1_{days:02d}d{hours:02d}h{minute % 60:02d}m{'00s' if seconds else ''}.tif")
    folder = folder_of(tmp_path_factory.mktemp("times") / "movie", names)
    found = order_frames(folder)
    assert names_of(found.files) == names
    assert found.interval_s == 60 * step


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        (
            ("a_00d00h00m.tif", "a_00d00h15m.tif", "a_00d00h45m.tif", "a_00d01h00m.tif"),
            "lacks a frame: a_00d00h45m.tif follows a_00d00h15m.tif, but other frames are 15 minutes apart.",
        ),
        (
            ("a_0d0h0m.tif", "a_00d00h00m.tif"),
            "holds a_00d00h00m.tif and a_0d0h0m.tif, which are of the same time.",
        ),
        (
            ("A1_00d00h00m.tif", "A1_00d00h15m.tif", "A2_00d00h00m.tif", "A2_00d00h15m.tif"),
            "holds frames whose names differ in 2 numbers (A1_00d00h00m.tif, ..., A2_00d00h15m.tif)",
        ),
    ],
)
def test_times_that_are_no_sequence(tmp_path, names, sentence):
    folder = folder_of(tmp_path / "movie", names)
    with pytest.raises(InputError, match=re.escape(f"{folder} {sentence}")):
        order_frames(folder)


CHANNELS = [f"img_channel{c:03d}_time{t:09d}_z000.tif" for c in range(2) for t in range(4)]
WELLS = [f"A{w}_t{t}.tif" for w in range(12) for t in range(3)]


@pytest.mark.parametrize("names", [CHANNELS, [f"x [DMSO] {name}" for name in CHANNELS]])
def test_the_pattern_that_the_sentence_proposes_chooses_one_movie(tmp_path, names):
    folder = folder_of(tmp_path / "movie", names)
    with pytest.raises(InputError, match="differ in 2 numbers") as caught:
        order_frames(folder)
    proposed = re.search("--pattern '(.*)'", str(caught.value))
    assert proposed is not None
    found = order_frames(folder, pattern=proposed[1])
    assert names_of(found.files) == sorted(names)[:4]
    assert found.interval_s is None


def test_a_pattern_chooses_files(tmp_path):
    folder = folder_of(tmp_path / "movie", WELLS)
    assert names_of(order_frames(folder, pattern="A11_*").files) == ["A11_t0.tif", "A11_t1.tif", "A11_t2.tif"]
    assert names_of(order_frames(folder, pattern="A?_t1.tif").files) == [f"A{w}_t1.tif" for w in range(10)]
    with pytest.raises(InputError, match=r"pattern is 'B\*', which is the name of none of the 36 TIFF files"):
        order_frames(folder, pattern="B*")


def test_one_file_is_a_movie_whatever_its_name(tmp_path):
    for name in ("snapshot.tif", "a_00d00h15m.tif", "7_8_9.tif"):
        found = order_frames(folder_of(tmp_path / name, [name]))
        assert (names_of(found.files), found.interval_s) == ([name], None)


def test_frames_of_another_format_are_named(tmp_path):
    folder = folder_of(tmp_path / "movie", ["t000.png", "t001.png", "notes.txt"])
    with pytest.raises(
        InputError, match=r"holds no frames, but \.png files, which are to be exported as TIFF;"
    ):
        order_frames(folder)
