import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellmotion_jax.data.track_table import TrackTable, check_track_table, read_man_track
from cellmotion_jax.errors import InputError


def written(tmp_path, text):
    path = tmp_path / "man_track.txt"
    path.write_text(text)
    return path


def test_columns_in_the_order_of_the_file(tmp_path):
    table = read_man_track(written(tmp_path, "7 0 4 0\n3 5 9 7\n\n4\t6  9 7\r\n"))
    assert len(table) == 3
    assert table.label.tolist() == [7, 3, 4]
    assert table.begin.tolist() == [0, 5, 6]
    assert table.end.tolist() == [4, 9, 9]
    assert table.parent.tolist() == [0, 7, 7]


@pytest.mark.parametrize("form", ["{}.0", "{}.", "{:.18e}", "+{}", "{}e0"])
def test_whole_numbers_are_read_as_numpy_and_spreadsheets_write_them(tmp_path, form):
    rows = [(7, 0, 4, 0), (65535, 5, 90, 7)]
    text = "\n".join(" ".join(form.format(number) for number in row) for row in rows)
    read = read_man_track(written(tmp_path, text))
    np.testing.assert_array_equal(np.stack([read.label, read.begin, read.end, read.parent], 1), rows)


@given(data=st.data(), count=st.integers(1, 12))
def test_what_is_written_is_read(tmp_path_factory, data, count):
    labels = data.draw(st.lists(st.integers(1, 65535), min_size=count, max_size=count, unique=True))
    rows = []
    for index, label in enumerate(labels):
        parent = data.draw(st.integers(0, index))
        begin = rows[parent - 1][2] + data.draw(st.integers(1, 9)) if parent else data.draw(st.integers(0, 9))
        end = begin + data.draw(st.integers(0, 9))
        rows.append((label, begin, end, labels[parent - 1] if parent else 0))
    rows = data.draw(st.permutations(rows))
    table = TrackTable(*np.array(rows).T)
    path = tmp_path_factory.getbasetemp() / "man_track.txt"
    path.write_text(table.text())
    read = read_man_track(path)
    np.testing.assert_array_equal(np.stack([read.label, read.begin, read.end, read.parent], 1), rows)


@pytest.mark.parametrize(
    ("text", "line", "sentence"),
    [
        ("1 0 4 1e400\n", 1, "reads '1 0 4 1e400'; it should be four whole numbers"),
        ("1 0 4 0.5e0\n", 1, "reads '1 0 4 0.5e0'; it should be four whole numbers"),
        ("1 0 4\n", 1, "reads '1 0 4'; it should be four whole numbers 'L B E P'."),
        ("1 0 4 0 0\n", 1, "reads '1 0 4 0 0'; it should be four whole numbers 'L B E P'."),
        (
            "L B E P\n1 0 4 0\n",
            1,
            "reads 'L B E P'; it should be four whole numbers 'L B E P', and its label is 'L'.",
        ),
        (
            "1 0 4 0\n2 0 4.5 0\n",
            2,
            "reads '2 0 4.5 0'; it should be four whole numbers 'L B E P', and its last frame is '4.5'.",
        ),
        (
            f"1 0 {10**30} 0\n",
            1,
            f"reads '1 0 {10**30} 0'; it should be four whole numbers 'L B E P', and its last frame",
        ),
        ("0 0 4 0\n", 1, "has label 0; labels are at least 1."),
        ("-1 0 4 0\n", 1, "has label -1; labels are at least 1."),
        ("1 5 4 0\n", 1, "lets track 1 last from frame 5 to 4; 0 <= B <= E is right."),
        ("1 -1 4 0\n", 1, "lets track 1 last from frame -1 to 4; 0 <= B <= E is right."),
        ("1 0 4 -2\n", 1, "has parent -2; a parent is a label, or 0 for none."),
        ("1 0 4 0\n\n2 5 6 9\n", 3, "gives track 2 the parent 9, which is not listed."),
        (
            "1 0 4 0\n2 4 6 1\n",
            2,
            "begins track 2 in frame 4, but its parent 1 lasts until frame 4; a parent ends",
        ),
        ("1 0 4 1\n", 1, "closes a cycle of parents (1 -> 1); a track cannot be its own ancestor."),
        ("4 0 0 0\n1 0 4 3\n2 5 6 1\n3 7 8 2\n", 2, "closes a cycle of parents (1 -> 3 -> 2 -> 1); a track"),
        ("5 9 9 1\n1 0 4 2\n2 5 6 1\n", 2, "closes a cycle of parents (1 -> 2 -> 1); a track"),
    ],
)
def test_a_broken_rule_is_named_with_its_line(tmp_path, text, line, sentence):
    path = written(tmp_path, text)
    with pytest.raises(InputError, match="^" + re.escape(f"{path} line {line} {sentence}")):
        read_man_track(path)


def test_a_label_twice_names_both_lines(tmp_path):
    path = written(tmp_path, "1 0 4 0\n1 6 7 0\n")
    with pytest.raises(
        InputError, match=re.escape(f"{path} line 2 lists label 1 again (first: {path} line 1).")
    ):
        read_man_track(path)


def test_no_file_no_text_no_track(tmp_path):
    with pytest.raises(InputError, match=r"man_track\.txt does not exist; it should be a table of tracks"):
        read_man_track(tmp_path / "man_track.txt")
    path = written(tmp_path, "\n \n")
    with pytest.raises(InputError, match=r"man_track\.txt lists no track; it should hold one line 'L B E P'"):
        read_man_track(path)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match=r"man_track\.txt is text in UTF-16; save it"):
        read_man_track(path)


def test_a_track_that_outlasts_the_movie(tracks):
    check_track_table(tracks, frames=6, source="tracks")
    with pytest.raises(
        InputError, match=r"tracks lets track 1 end in frame 5, but the movie's last frame is 4\."
    ):
        check_track_table(tracks, frames=5, source="tracks")


def test_a_table_without_a_track():
    nothing = np.zeros(0, np.int64)
    with pytest.raises(
        InputError, match=r"^tracks lists no track; a movie with annotation has at least one\.$"
    ):
        check_track_table(TrackTable(nothing, nothing, nothing, nothing), frames=5, source="tracks")


def test_alive(tracks):
    assert tracks.alive(2).tolist() == [1, 2]
    assert tracks.alive(3).tolist() == [1, 3, 4]
    assert tracks.alive(6).tolist() == []


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("name", "count", "divisions"),
    [
        ("Fluo-N2DL-HeLa", 265, 94),
        ("PhC-C2DH-U373", 8, 0),
        ("DIC-C2DH-HeLa", 38, 8),
        ("Fluo-N2DH-SIM+", 95, 28),
        ("PhC-C2DL-PSC", 363, None),
    ],
)
def test_the_tables_of_the_challenge(real_data, name, count, divisions):
    path = real_data / name / "01_GT" / "TRA" / "man_track.txt"
    table = read_man_track(path)
    assert len(table) == count
    assert table.text().split() == path.read_text().split()
    if divisions is not None:
        _, children = np.unique(table.parent[table.parent > 0], return_counts=True)
        assert np.sum(children > 1) == divisions


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ("1_0 0 4 0", "its label is '1_0'."),
        ("1 0x0 4 0", "its first frame is '0x0'."),
        ("1 0 inf 0", "its last frame is 'inf'."),
        ("1 0 4 nan", "its parent is 'nan'."),
        ("1;0;4;0", "reads '1;0;4;0'; it should be four whole numbers"),
        ("1 0 4 " + "9" * 6000, "its parent is '9999"),
    ],
)
def test_the_column_that_is_no_number_is_named(tmp_path, row, sentence):
    with pytest.raises(InputError, match=re.escape(sentence)) as refusal:
        read_man_track(written(tmp_path, f"2 0 4 0\n{row}\n"))
    assert "man_track.txt line 2 " in str(refusal.value)
    assert len(str(refusal.value)) < 400


def test_a_long_cycle_is_told_shortly(tmp_path):
    rows = "".join(f"{label} 0 4 {label % 5000 + 1}\n" for label in range(1, 5001))
    with pytest.raises(InputError, match=r"closes a cycle of parents \(1 -> 2 -> 3") as refusal:
        read_man_track(written(tmp_path, rows))
    assert len(str(refusal.value)) < 400


def test_labels_beyond_16_bits_are_refused():
    tracks = TrackTable(*np.array([[70_000, 0, 4, 0]]).T)
    with pytest.raises(InputError, match="lists label 70000; labels up to 65535 can be read"):
        check_track_table(tracks, frames=5, source="table")


def test_too_many_tracks(tmp_path, monkeypatch):
    monkeypatch.setattr("cellmotion_jax.data.track_table.MOST_TRACKS", 2)
    with pytest.raises(InputError, match="lists more than 2 tracks, the most that are read"):
        read_man_track(written(tmp_path, "1 0 4 0\n2 0 4 0\n3 0 4 0\n"))
