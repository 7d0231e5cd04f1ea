"""Simulated cells beside real ones: how they move, and how bright they are."""

import csv

import numpy as np
import pytest
import tifffile

from cellmotion_jax.data import open_dataset
from cellmotion_jax.data.simulate import Look, Simulation, Walk, simulate
from cellmotion_jax.data.simulate.conditions import settle
from cellmotion_jax.data.simulate.motion import live_through


def test_crowded_cells_spread_less():
    def area(cells: int) -> float:
        conditions = settle(Simulation(frames=1, cells=cells))
        return float(live_through(conditions, future=1, rng=np.random.default_rng(0)).area[0].mean())

    assert area(10) == pytest.approx(area(20), rel=0.3)
    assert 0.45 * area(20) < area(60) < 0.75 * area(20)


def _statistics(paths: list[np.ndarray], minutes: float) -> tuple[float, float, float]:
    """Median speed (um/min), mean cosine of the turning angle, mean squared displacement over 4 frames."""
    steps = [np.diff(path, axis=0) for path in paths if len(path) > 6]
    speed = np.concatenate([np.hypot(*step.T) for step in steps]) / minutes
    cosines = []
    for step in steps:
        size = np.hypot(*step.T)
        moves = (size[1:] > 0) & (size[:-1] > 0)
        cosines.append(((step[1:] * step[:-1]).sum(1)[moves]) / (size[1:] * size[:-1])[moves])
    far = np.concatenate([((path[4:] - path[:-4]) ** 2).sum(1) for path in paths if len(path) > 6])
    return float(np.median(speed)), float(np.concatenate(cosines).mean()), float(far.mean())


def _walks(walk: Walk, look: Look, minutes: float) -> list[np.ndarray]:
    """Paths of simulated cells in micrometres."""
    simulation = Simulation(
        look=look, walk=walk, frames=100, height=900, width=900, cells=25, frame_interval_s=60.0 * minutes,
        division_rate_per_h=0.0, death_rate_per_h=0.0,
    )  # fmt: skip
    conditions = settle(simulation)
    history = live_through(conditions, future=1, rng=np.random.default_rng(5))
    return [*(history.path * conditions.pixel_size_um).swapaxes(0, 1)]


def _tracked(real_data, name: str, pixel: float) -> list[np.ndarray]:
    """Paths of the reference tracks of a real movie in micrometres."""
    (sequence,) = open_dataset(real_data / name)
    points = sequence.centroids()
    place = pixel * np.stack([points.y, points.x], -1)
    return [place[points.label == label] for label in sequence.tracks.label]


@pytest.mark.real_data
def test_cells_move_like_u373(real_data):
    speed, cosine, far = _statistics(_tracked(real_data, "PhC-C2DH-U373", 0.65), 15)
    assert _statistics(_walks(Walk.U373, Look.PHASE_CONTRAST, 15), 15) == (
        pytest.approx(speed, rel=0.2),
        pytest.approx(cosine, abs=0.1),
        pytest.approx(far, rel=0.5),
    )


@pytest.mark.real_data
def test_cells_move_like_nih3t3(real_data):
    paths: dict[str, list[tuple[float, float]]] = {}
    table = real_data / "NIH3T3-trajectories" / "NIH3T3_phase_metamorphtracking.csv"
    with table.open(encoding="utf-8-sig") as file:
        for row in csv.DictReader(file):
            paths.setdefault(row["Object #"], []).append((float(row["Y"]), float(row["X"])))
    tracks = [np.array(path) for path in paths.values()]
    # They migrate along an electric field; the walk is what is left without their common drift.
    drift = np.concatenate([np.diff(path, axis=0) for path in tracks]).mean(0)
    walks = [path - drift * np.arange(len(path))[:, None] for path in tracks]
    speed, cosine, far = _statistics(walks, 10)
    assert _statistics(_walks(Walk.NIH3T3, Look.PHASE_CONTRAST, 10), 10) == (
        pytest.approx(speed, rel=0.2),
        pytest.approx(cosine, abs=0.1),
        pytest.approx(far, rel=0.5),
    )


@pytest.mark.real_data
def test_nuclei_move_like_hela(real_data):
    speed, cosine, far = _statistics(_tracked(real_data, "Fluo-N2DL-HeLa", 0.645), 30)
    assert _statistics(_walks(Walk.HELA, Look.NUCLEI, 30), 30) == (
        pytest.approx(speed, rel=0.3),
        pytest.approx(cosine, abs=0.15),
        pytest.approx(far, rel=0.5),
    )


@pytest.mark.real_data
def test_grey_values_are_those_of_the_real_movie(real_data):
    movie = simulate(Simulation(frames=16, height=500, width=560, cells=10, seed=2))
    folder = real_data / "PhC-C2DH-U373"
    times = range(0, 115, 20)
    images = np.stack([tifffile.imread(folder / f"01/t{time:03d}.tif") for time in times])
    masks = np.stack([tifffile.imread(folder / f"01_ST/SEG/man_seg{time:03d}.tif") for time in times])
    levels = [1, 5, 25, 50, 75, 95, 99]
    inside = np.percentile(images[masks > 0], levels)
    np.testing.assert_allclose(np.percentile(movie.frames[movie.masks > 0], levels), inside, atol=18)
    outside = np.percentile(images[masks == 0], levels)
    np.testing.assert_allclose(np.percentile(movie.frames[movie.masks == 0], levels), outside, atol=18)
