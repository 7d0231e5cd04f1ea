import csv
import dataclasses
import json

import numpy as np
import pytest
import tifffile

from cellmotion_jax.data import open_dataset, open_movie
from cellmotion_jax.data.simulate import Simulation, simulate, write_simulation
from cellmotion_jax.errors import InputError

SMALL = Simulation(frames=3, height=96, width=128, cells=3, cell_area_um2=500.0, seed=1)


def test_written_movie_is_a_valid_data_set(tmp_path):
    busy = simulate(dataclasses.replace(SMALL, frames=8, division_rate_per_h=0.5, seed=4))
    folder = write_simulation(busy, tmp_path / "sets" / "busy")
    (sequence,) = open_dataset(folder)
    points = sequence.centroids()
    np.testing.assert_array_equal(points.label, busy.cells.label)
    np.testing.assert_allclose(points.y, busy.cells.y)
    np.testing.assert_array_equal(sequence.tracks.parent, busy.tracks.parent)
    np.testing.assert_array_equal(sequence.movie[3], busy.frames[3])
    assert open_movie(folder / "01").pixel_size_um == pytest.approx(0.65)
    np.testing.assert_array_equal(tifffile.imread(folder / "01_GT/SEG/man_seg005.tif"), busy.masks[5])
    with (folder / "01_truth.csv").open() as file:
        rows = list(csv.DictReader(file))
    np.testing.assert_allclose([float(row["polarity_rad"]) for row in rows], busy.cells.polarity, rtol=1e-5)
    assert sum(int(row["mitotic"]) for row in rows) == busy.cells.mitotic.sum()
    with (folder / "01_tips.csv").open() as file:
        assert len(list(csv.DictReader(file))) == len(busy.tips.frame)
    assert json.loads((folder / "01_simulation.json").read_text())["seed"] == 4
    assert [path.name for path in folder.parent.iterdir()] == ["busy"]


def test_writing_again_keeps_the_same_and_refuses_another(tmp_path):
    movie = simulate(SMALL)
    folder = write_simulation(movie, tmp_path / "movie")
    before = (folder / "01/t000.tif").stat().st_mtime_ns
    write_simulation(movie, folder)
    assert (folder / "01/t000.tif").stat().st_mtime_ns == before
    with pytest.raises(InputError, match="does not hold this simulation"):
        write_simulation(simulate(dataclasses.replace(SMALL, seed=9)), folder)


def test_folder_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="is no folder"):
        write_simulation(simulate(SMALL), tmp_path / "file" / "movie")


def test_failed_writing_leaves_nothing(tmp_path):
    movie = simulate(SMALL)
    tracks = dataclasses.replace(movie.tracks, parent=movie.tracks.parent + 99)
    with pytest.raises(InputError):
        write_simulation(dataclasses.replace(movie, tracks=tracks), tmp_path / "movie")
    assert not list(tmp_path.iterdir())
