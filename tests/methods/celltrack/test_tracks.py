import csv

import numpy as np

from cellmotion_jax.methods.celltrack.tracks import write_track_table
from tests.methods.celltrack.track_cases import tracks_of

PATHS = {5: {0: (1.25, 2), 1: (1.5, 2.5), 3: (4, 5)}, 2: {2: (-3, 700.125)}}


def rows_of(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_row_per_track_and_frame_by_track_then_frame(tmp_path):
    path = tmp_path / "new" / "tracks.csv"
    write_track_table(path, tracks_of(PATHS, frames=4))
    rows = rows_of(path)
    assert ",".join(rows[0]) == "track,frame,y,x,y0,x0,y1,x1,psr,entropy,peak_response,confidence,lost,parent"
    assert [(row["track"], row["frame"]) for row in rows] == [("2", "2"), ("5", "0"), ("5", "1"), ("5", "3")]
    assert rows[0]["x"] == "700.125"
    assert [rows[1][name] for name in ("y0", "x0", "y1", "x1")] == ["-0.75", "-1", "3.25", "5"]
    assert [row["psr"] for row in rows] == ["22", "50", "51", "53"]
    assert [row["lost"] for row in rows] == ["0", "0", "1", "1"]


def test_micrometres_where_the_pixel_size_is_known(tmp_path):
    path = tmp_path / "tracks.csv"
    write_track_table(path, tracks_of(PATHS, frames=4), pixel_size_um=0.5)
    for row in rows_of(path):
        assert list(row)[-2:] == ["y_um", "x_um"]
        np.testing.assert_allclose(
            [float(row["y_um"]), float(row["x_um"])], [float(row["y"]) / 2, float(row["x"]) / 2], rtol=1e-5
        )


def test_what_is_not_known_is_empty_and_no_track_is_a_table_too(tmp_path):
    tracks = tracks_of(PATHS, frames=4)
    tracks.psr[0, 0] = np.nan
    write_track_table(tmp_path / "tracks.csv", tracks)
    assert rows_of(tmp_path / "tracks.csv")[1]["psr"] == ""
    write_track_table(tmp_path / "none.csv", tracks_of({}, frames=4))
    assert rows_of(tmp_path / "none.csv") == []
