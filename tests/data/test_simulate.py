import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.graph import MCP_Geometric

from cellmotion_jax.data import open_dataset
from cellmotion_jax.data.simulate import Look, SimulatedMovie, Simulation, simulate, write_simulation
from cellmotion_jax.errors import InputError
from cellmotion_jax.methods.direction.crops import direction_targets

SMALL = Simulation(frames=3, height=96, width=128, cells=3, cell_area_um2=500.0, seed=1)
BUSY = Simulation(
    frames=16, height=220, width=260, cells=9, division_rate_per_h=0.25, death_rate_per_h=0.15, seed=4
)


@pytest.fixture(scope="module")
def busy() -> SimulatedMovie:
    return simulate(BUSY)


@pytest.fixture(scope="module")
def roomy() -> SimulatedMovie:
    """Few cells that neither divide nor die, in a field larger than their crops."""
    return simulate(
        Simulation(
            frames=30,
            height=500,
            width=560,
            cells=10,
            division_rate_per_h=0.0,
            death_rate_per_h=0.0,
            protrusions=1.5,
            seed=2,
        )
    )


@pytest.fixture(scope="module")
def nuclei() -> SimulatedMovie:
    return simulate(
        Simulation(
            look=Look.NUCLEI, frames=10, height=160, width=161, cells=14, division_rate_per_h=0.06, seed=3
        )
    )


def _difference(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.abs(np.angle(np.exp(1j * (a - b))))


def _inner(movie: SimulatedMovie, margin: int) -> np.ndarray:
    """Rows of cells whose masks do not touch the border, nor will in the next frame."""
    height, width = movie.masks.shape[1:]
    cells = movie.cells
    return (cells.y > margin) & (cells.y < height - margin) & (cells.x > margin) & (cells.x < width - margin)


def test_same_options_give_the_same_movie_and_other_seeds_another():
    first, again = simulate(SMALL), simulate(SMALL)
    np.testing.assert_array_equal(first.frames, again.frames)
    np.testing.assert_array_equal(first.masks, again.masks)
    np.testing.assert_array_equal(first.cells.polarity, again.cells.polarity)
    other = simulate(dataclasses.replace(SMALL, seed=2))
    assert (other.masks != first.masks).any()


@pytest.mark.parametrize("name", ["busy", "nuclei"])
def test_table_describes_the_masks(name: str, request: pytest.FixtureRequest):
    movie = request.getfixturevalue(name)
    rows = zip(*(getattr(movie.cells, column) for column in ("frame", "label", "y", "x", "area")))
    for frame, label, y, x, area in rows:
        where = np.nonzero(movie.masks[frame] == label)
        assert area == len(where[0])
        np.testing.assert_allclose((y, x), np.mean(where, axis=1), rtol=1e-9)
    seen = {
        (frame, label)
        for frame in range(len(movie.masks))
        for label in np.unique(movie.masks[frame])
        if label
    }
    assert seen == set(zip(movie.cells.frame.tolist(), movie.cells.label.tolist()))


@pytest.mark.parametrize("name", ["busy", "nuclei"])
def test_labels_last_exactly_as_long_as_their_tracks(name: str, request: pytest.FixtureRequest):
    movie = request.getfixturevalue(name)
    for frame, mask in enumerate(movie.masks):
        np.testing.assert_array_equal(np.unique(mask[mask > 0]), movie.tracks.alive(frame))
    assert movie.tracks.label.tolist() == list(range(1, len(movie.tracks) + 1))
    assert (np.diff(movie.tracks.begin) >= 0).all()


def test_every_cell_is_one_piece_unless_the_border_cuts_it(roomy: SimulatedMovie):
    from skimage.measure import label as pieces

    inner = _inner(roomy, 90)
    assert inner.sum() > 20
    for frame, label in zip(roomy.cells.frame[inner], roomy.cells.label[inner]):
        assert pieces(roomy.masks[frame] == label, connectivity=1).max() == 1


def test_no_cells_give_an_empty_movie(tmp_path):
    movie = simulate(dataclasses.replace(SMALL, cells=0))
    assert not movie.masks.any()
    assert len(movie.tracks) == len(movie.cells.frame) == len(movie.tips.frame) == 0
    assert movie.frames.std() > 0
    with pytest.raises(InputError, match="shows no cell"):
        write_simulation(movie, tmp_path / "movie")


@pytest.mark.parametrize("look", list(Look))
def test_one_cell_is_one_track(look: Look):
    movie = simulate(
        Simulation(
            look=look, frames=4, height=151, width=97, cells=1, division_rate_per_h=0.0, cell_area_um2=150.0
        )
    )
    assert movie.tracks.label.tolist() == [1]
    assert movie.masks.shape == movie.frames.shape == (4, 151, 97)


def test_the_wanted_number_of_cells_is_in_the_first_frame():
    movie = simulate(Simulation(look=Look.NUCLEI, frames=1, height=256, width=256, cells=30))
    inside = 30 - len(movie.tracks.label)
    # Cells whose centre is outside show at the border, too.
    assert -10 <= inside <= 0


def test_phase_contrast_is_uint8_and_nuclei_uint16(busy: SimulatedMovie, nuclei: SimulatedMovie):
    assert busy.frames.dtype == np.uint8
    assert nuclei.frames.dtype == np.uint16
    assert nuclei.frames[nuclei.masks > 0].mean() > nuclei.frames[nuclei.masks == 0].mean() + 100


def test_nuclei_have_neither_polarity_nor_tips(nuclei: SimulatedMovie):
    assert np.isnan(nuclei.cells.polarity).all()
    assert not len(nuclei.tips.frame)


def test_noise_is_the_cameras(nuclei: SimulatedMovie):
    clean = simulate(dataclasses.replace(nuclei.simulation, noise=0.0))
    np.testing.assert_array_equal(clean.masks, nuclei.masks)
    noise = (nuclei.frames.astype(float) - clean.frames)[nuclei.masks == 0]
    assert 6 < noise.std() < 12
    assert abs(noise.mean()) < 0.5


def test_cells_divide_into_two_daughters_beside_the_mother(busy: SimulatedMovie):
    tracks, cells = busy.tracks, busy.cells
    mothers, daughters = np.unique(tracks.parent[tracks.parent > 0], return_counts=True)
    assert len(mothers) >= 3
    assert daughters.max() == 2
    for label, begin, parent in zip(tracks.label, tracks.begin, tracks.parent):
        if parent:
            assert tracks.end[parent - 1] == begin - 1
            mother = (cells.label == parent) & (cells.frame == begin - 1)
            child = (cells.label == label) & (cells.frame == begin)
            assert cells.mitotic[mother].all()
            assert math.hypot(*(cells.y[child] - cells.y[mother]), *(cells.x[child] - cells.x[mother])) < 40


def test_cells_die_and_their_tracks_end(busy: SimulatedMovie):
    dead = np.unique(busy.cells.label[busy.cells.dying])
    assert len(dead)
    last = busy.tracks.end[dead - 1] == len(busy.frames) - 1
    assert not last.all()
    assert not np.isin(dead, busy.tracks.parent).any()


def test_cells_enter_and_leave():
    movie = simulate(
        Simulation(
            look=Look.NUCLEI, frames=20, height=120, width=120, cells=8, mean_speed_um_per_min=0.8,
            persistence_min=200.0, division_rate_per_h=0.0, death_rate_per_h=0.0,
        )
    )  # fmt: skip
    late = movie.tracks.begin > 0
    early = movie.tracks.end < 19
    assert late.sum() >= 3
    assert early.sum() >= 3
    assert not movie.tracks.parent.any()
    border = np.zeros((120, 120), bool)
    border[[0, -1]] = border[:, [0, -1]] = True
    for label, begin in zip(movie.tracks.label[late], movie.tracks.begin[late]):
        near = movie.masks[begin] == label
        assert np.min(np.hypot(*(np.argwhere(near)[:, None] - np.argwhere(border)).T)) < 40


def test_heading_is_the_next_displacement_of_the_mask(roomy: SimulatedMovie):
    cells = roomy.cells
    row = {key: index for index, key in enumerate(zip(cells.frame, cells.label))}
    errors, ratios = [], []
    for index in np.flatnonzero(_inner(roomy, 80)):
        following = row.get((cells.frame[index] + 1, cells.label[index]))
        if following is None:
            continue
        dy, dx = cells.y[following] - cells.y[index], cells.x[following] - cells.x[index]
        if math.hypot(dy, dx) > 3:
            errors.append(_difference(np.arctan2(-dy, dx), cells.heading[index]))
            ratios.append(math.hypot(dy, dx) * 0.65 / 15 / cells.speed_um_per_min[index])
    assert len(errors) > 15
    assert np.degrees(np.median(errors)) < 20
    assert 0.8 < np.median(ratios) < 1.25


def test_shape_points_where_the_cell_goes(roomy: SimulatedMovie, tmp_path):
    (sequence,) = open_dataset(write_simulation(roomy, tmp_path / "roomy"))
    targets = direction_targets(sequence, threshold_um=5.0, pixel_size_um=0.65, crop_um=60.0)
    polarity = dict(zip(zip(roomy.cells.frame, roomy.cells.label), roomy.cells.polarity))
    shown = np.array([polarity[key] for key in zip(targets.frame, targets.track)])
    errors = np.degrees(_difference(shown, targets.angle))
    assert len(errors) > 50
    assert np.median(errors) < 12
    # Not an oracle: the shape errs as real ones do.
    assert np.median(errors) > 2


def test_polarity_can_be_seen(roomy: SimulatedMovie):
    # The granular body lies towards the rear: from the centre of contrast to the centre of area is forward.
    errors = []
    for index in np.flatnonzero(_inner(roomy, 70)):
        mask = roomy.masks[roomy.cells.frame[index]] == roomy.cells.label[index]
        where = np.argwhere(mask)
        inner = np.hypot(*(where - where.mean(0)).T) < 0.8 * math.sqrt(len(where) / math.pi)
        grey = roomy.frames[roomy.cells.frame[index]][mask].astype(float)
        weight = np.where(inner, (grey - 80) ** 2, 0)
        dy, dx = where.mean(0) - np.average(where, axis=0, weights=weight)
        errors.append(_difference(np.arctan2(-dy, dx), roomy.cells.polarity[index]))
    assert len(errors) > 40
    assert np.degrees(np.median(errors)) < 30


def test_tips_lie_in_their_cells_at_their_geodesic_length(roomy: SimulatedMovie):
    from scipy.ndimage import distance_transform_edt

    tips = roomy.tips
    assert len(tips.frame) > 30
    assert (tips.length_from_centre * 0.65 >= 20).all()
    for frame, label, y, x, length in zip(*(getattr(tips, field.name) for field in dataclasses.fields(tips))):
        whole = roomy.masks[frame] == label
        assert whole[round(y), round(x)]
        # The cell with some background around it: whole frames take eight times as long.
        window = tuple(slice(max(0, side.min() - 8), side.max() + 9) for side in np.nonzero(whole))
        mask = whole[window]
        y, x = y - window[0].start, x - window[1].start
        tip = round(y), round(x)
        centre = np.unravel_index(distance_transform_edt(mask).argmax(), mask.shape)
        ways, _ = MCP_Geometric(np.where(mask, 1.0, -1.0)).find_costs([centre])
        # Steps of a grid overestimate by up to 8 %.
        assert 0.9 * ways[tip] - 2 < length < 1.05 * ways[tip] + 2
        # It is an end: about half of a small disc around it is not the cell.
        rows, columns = np.ogrid[: mask.shape[0], : mask.shape[1]]
        disc = np.hypot(rows - y, columns - x) < 6
        assert mask[disc].mean() < 0.6


def test_protrusions_can_be_switched_off():
    movie = simulate(Simulation(frames=2, height=200, width=200, cells=4, protrusions=0.0))
    assert not len(movie.tips.frame)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"frames": 0}, "frames is 0; it must be a whole number from 1"),
        ({"height": -5}, "height is -5"),
        ({"width": 99999}, "width is 99999; it must be a whole number from 16 to 16,384"),
        ({"cells": -1}, "cells is -1"),
        ({"cells": 500}, "500 cells of 3787 pixels do not fit"),
        ({"pixel_size_um": 0.0}, "pixel_size_um is 0.0; it must be a number from 0.001"),
        ({"pixel_size_um": 20.0}, "larger cells or smaller pixels"),
        ({"noise": math.nan}, "noise is nan; it must be a number from 0"),
        ({"look": Look.NUCLEI, "protrusions": 1.0}, "nuclei have none"),
        ({"seed": -1}, "seed is -1"),
    ],
)
def test_bad_options_are_refused_by_name(options: dict, sentence: str):
    with pytest.raises(InputError, match=sentence):
        simulate(Simulation(**options))


@settings(max_examples=8)
@given(
    look=st.sampled_from(Look),
    height=st.integers(40, 90),
    width=st.integers(40, 90),
    cells=st.integers(0, 6),
    interval=st.sampled_from([20.0, 300.0, 7200.0]),
    pixel=st.sampled_from([0.5, 1.3]),
    seed=st.integers(0, 1000),
)
def test_any_movie_is_consistent(look, height, width, cells, interval, pixel, seed):
    movie = simulate(
        Simulation(
            look=look, height=height, width=width, frames=4, cells=cells, frame_interval_s=interval,
            pixel_size_um=pixel, cell_area_um2=75.0, division_rate_per_h=0.3, death_rate_per_h=0.1, seed=seed,
        )
    )  # fmt: skip
    for frame, mask in enumerate(movie.masks):
        np.testing.assert_array_equal(np.unique(mask[mask > 0]), movie.tracks.alive(frame))
    known = movie.cells.heading[np.isfinite(movie.cells.heading)]
    assert ((known >= 0) & (known < 2 * np.pi)).all()
    assert (movie.tracks.parent < movie.tracks.label).all()
