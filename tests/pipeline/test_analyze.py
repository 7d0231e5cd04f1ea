"""An analysis ends with the same files whenever it was killed, and computes no frame twice."""

import dataclasses
import json

import numpy as np
import pytest

from cellmotion_jax.data.movie import open_movie
from cellmotion_jax.data.simulate import Look, Simulation, simulate, write_simulation
from cellmotion_jax.errors import InputError
from cellmotion_jax.files import run_folder
from cellmotion_jax.pipeline.analyze import (
    KEPT_FOLDER,
    RUN_FILE,
    AnalysisSettings,
    Step,
    analyze_movie,
    is_complete,
    worth_keeping,
)
from cellmotion_jax.pipeline.kept_frames import KeptFrames
from tests.pipeline.threshold_segmenter import ThresholdSegmenter, ThresholdSettings

FRAMES = 6
BRIGHT = ThresholdSettings(threshold=420.0)


class Killed(BaseException):
    """What ends a process in the middle."""


class Countdown:
    """Ends the process before a frame."""

    def __init__(self, frames):
        self.left = frames

    def __call__(self):
        self.left -= 1
        if self.left < 0:
            raise Killed


@pytest.fixture(scope="module")
def movie(tmp_path_factory):
    folder = tmp_path_factory.mktemp("simulated") / "movie"
    nuclei = Simulation(look=Look.NUCLEI, frames=FRAMES, height=96, width=128, cells=6, seed=1)
    write_simulation(simulate(nuclei), folder)
    return open_movie(folder / "01")


@pytest.fixture
def without_pictures(monkeypatch):
    """They are the same for the same tables, and take longest."""
    for name in ("_draw_tracks", "write_measures"):
        monkeypatch.setattr(f"cellmotion_jax.pipeline.analyze.{name}", lambda *_, **__: None)


def analyze(movie, out, segmenter, **changes):
    with run_folder(out, worth_keeping=worth_keeping) as folder:
        return analyze_movie(movie, segmenter, folder, **changes)


def files_of(folder):
    """Contents of all files, without the times of the run."""
    files = {str(f.relative_to(folder)): f.read_bytes() for f in folder.rglob("*") if f.is_file()}
    run = json.loads(files.pop(RUN_FILE))
    assert run.pop("times")
    return files, run


@pytest.fixture(scope="module")
def whole(movie, tmp_path_factory):
    out = tmp_path_factory.mktemp("whole") / "out"
    found = analyze(movie, out, ThresholdSegmenter(settings=BRIGHT), frame_interval_s=60.0)
    assert found.computed == found.frames == FRAMES
    return out


def test_it_writes_a_result_of_the_challenge_tables_and_pictures(whole, movie):
    assert is_complete(whole)
    assert {child.name for child in whole.iterdir()} >= {
        *("tracks", "tracks.csv", "cells.csv", "tips.csv", "run.json", "segmentation.gif"),
        *("overview.png", "trajectories.png", "lineage.png", "behaviour.png", "time_courses.png"),
    }
    assert len(list((whole / "tracks").glob("mask*.tif"))) == len(movie)
    assert not (whole / KEPT_FOLDER).exists()


@pytest.mark.parametrize("frames_before", [0, 2])
@pytest.mark.parametrize("killed_at", [0, 1, 3, FRAMES - 1])
def test_killed_at_any_frame_it_goes_on_and_ends_with_the_same_bits(
    movie, tmp_path, killed_at, frames_before, without_pictures
):
    segmenter = ThresholdSegmenter(settings=BRIGHT, frames_before=frames_before)
    settings = AnalysisSettings(steps=(Step.MEASURE,))
    analyze(movie, tmp_path / "whole", segmenter, settings=settings)
    ended = dataclasses.replace(segmenter, before_each=Countdown(killed_at))
    with pytest.raises(Killed):
        analyze(movie, tmp_path / "out", ended, settings=settings)
    assert not is_complete(tmp_path / "out")
    found = analyze(movie, tmp_path / "out", segmenter, settings=settings)
    assert found.computed == FRAMES - killed_at
    assert files_of(tmp_path / "out") == files_of(tmp_path / "whole")


def test_killed_after_the_cells_were_found_it_finds_none_again(movie, tmp_path, whole, monkeypatch):
    def ends(*_, **__):
        raise Killed

    segmenter = ThresholdSegmenter(settings=BRIGHT)
    for last in ("draw_on_movie",):
        with monkeypatch.context() as patched:
            patched.setattr(f"cellmotion_jax.pipeline.analyze.{last}", ends)
            with pytest.raises(Killed):
                analyze(movie, tmp_path / last, segmenter, frame_interval_s=60.0)
        found = analyze(movie, tmp_path / last, segmenter, frame_interval_s=60.0)
        assert found.computed == 0
        assert files_of(tmp_path / last) == files_of(whole)


def test_another_analysis_in_the_folder_is_left_alone_and_what_differs_is_named(movie, whole):
    before = files_of(whole)
    other = ThresholdSegmenter(settings=ThresholdSettings(threshold=500.0))
    with pytest.raises(InputError, match=r"holds another analysis: model_settings .*420.*500"):
        analyze(movie, whole, other, frame_interval_s=60.0)
    with pytest.raises(InputError, match=r"holds another analysis: movie .*60.*120"):
        analyze(movie, whole, ThresholdSegmenter(settings=BRIGHT), frame_interval_s=120.0)
    assert files_of(whole) == before


def test_a_movie_without_cells_is_refused_and_leaves_no_folder(movie, tmp_path):
    nothing = ThresholdSegmenter(settings=ThresholdSettings(threshold=60_000.0))
    with pytest.raises(InputError, match="no cell was found in any of 6 frames"):
        analyze(movie, tmp_path / "out", nothing)


def test_a_model_that_only_detects_is_refused(movie, tmp_path):
    with pytest.raises(InputError, match="only detects cells"):
        analyze(movie, tmp_path / "out", ThresholdSegmenter(settings=BRIGHT, outlines=False))
    assert not (tmp_path / "out").exists()


def test_steps_are_left_out(movie, tmp_path, monkeypatch):
    monkeypatch.setattr("cellmotion_jax.pipeline.analyze._draw_tracks", lambda *_: None)
    segmenter = ThresholdSegmenter(settings=BRIGHT)
    analyze(movie, tmp_path / "tracks", segmenter, settings=AnalysisSettings(steps=()))
    assert not {"cells.csv", "tips.csv", "segmentation.gif"} & {
        c.name for c in (tmp_path / "tracks").iterdir()
    }
    analyze(movie, tmp_path / "shapes", segmenter, settings=AnalysisSettings(steps=(Step.MEASURE,)))
    there = {child.name for child in (tmp_path / "shapes").iterdir()}
    assert "cells.csv" in there
    assert not {"tips.csv", "segmentation.gif"} & there


def test_a_damaged_frame_is_named(movie, tmp_path, without_pictures):
    segmenter = ThresholdSegmenter(settings=BRIGHT)
    with pytest.raises(Killed):
        analyze(movie, tmp_path / "out", dataclasses.replace(segmenter, before_each=Countdown(3)))
    file = tmp_path / "out" / KEPT_FOLDER / "000001.npz"
    file.write_bytes(file.read_bytes()[:40])
    with pytest.raises(InputError, match=r"000001\.npz is damaged; remove it, and it is computed again"):
        analyze(movie, tmp_path / "out", segmenter)
    file.unlink()
    assert analyze(movie, tmp_path / "out", segmenter).computed == FRAMES - 1


def test_kept_cells_are_those_that_were_found(tmp_path):
    kept = KeptFrames(tmp_path / "cells")
    assert len(kept) == 0
    frame = np.random.default_rng(0).integers(0, 255, (20, 30, 1))
    (cells,) = ThresholdSegmenter().segment([frame])
    kept.keep(0, cells)
    kept.keep(2, cells)
    assert len(kept) == 1  # The second is missing.
    for back, found in zip(kept[0], cells):
        np.testing.assert_array_equal(back, found)
    with pytest.raises(IndexError):
        kept[1]
