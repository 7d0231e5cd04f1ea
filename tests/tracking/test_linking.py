"""The compiled linker against the host's, which uses SciPy, and against movies drawn as text."""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings

from cellmotion_jax.inference.linking import frames as frame_links
from cellmotion_jax.ops.labels import number_cells
from cellmotion_jax.tracking.linking import (
    Instances,
    LinkCost,
    begin_linking,
    intersections,
    link_frames,
    link_next,
    measure_instances,
)
from tests import linking_cases as cases
from tests.label_images import label_images

SLOTS = 5
COST = LinkCost()


@jax.jit
def link_pair(before, after):
    first, second = (measure_instances(labels, slots=SLOTS) for labels in (before, after))
    shared = intersections(before, after, slots=SLOTS)
    return first, second, shared, link_frames(first, second, shared, cost=COST)


@jax.jit
def link_movie(masks):
    state = begin_linking(masks.shape[1:], slots=SLOTS)
    return jax.lax.scan(functools.partial(link_next, cost=COST), state, masks)[1]


def of_one_size(masks):
    """Background and empty frames added, so that all movies are one compilation."""
    return jnp.stack([np.pad(mask, [(0, 6 - mask.shape[0]), (0, 14 - mask.shape[1])]) for mask in masks])


def gain(source, before, after, shared):
    """What a set of links is below 1 in all, in float64."""
    taken = np.flatnonzero(source >= 0)
    apart = np.linalg.norm(before.centroid[source[taken]] - after.centroid[taken], axis=-1)
    areas = before.area[source[taken]], after.area[taken]
    both = shared[source[taken], taken]
    diameter = sum(2 * np.sqrt(area / np.pi) for area in areas) / 2
    return np.sum(1 - COST(both / (sum(areas) - both), apart, diameter))


@settings(max_examples=60)
@given(label_images((6, 7), labels=(1, 2, 3, 4, 5)), label_images((6, 7), labels=(1, 2, 3, 4, 5)))
def test_as_good_as_the_best_on_the_host(first, second):
    numbered = [number_cells(mask) for mask in (first, second)]
    found, later, shared, source = link_pair(*(jnp.asarray(cells.number) for cells in numbered))
    before, after = (frame_links.measure_instances(cells) for cells in numbered)
    rows, columns = len(before.area), len(after.area)
    table = frame_links.shared_pixels(*numbered)
    np.testing.assert_array_equal(shared[:rows, :columns], table)
    assert shared.sum() == table.sum()
    for compiled, host in ((found, before), (later, after)):
        np.testing.assert_array_equal(compiled.area[: len(host.area)], host.area)
        np.testing.assert_allclose(compiled.centroid[: len(host.area)], host.centroid, atol=1e-5)
        assert not compiled.area[len(host.area) :].any()

    source = np.asarray(source)
    assert (source[columns:] == -1).all()
    linked = source[source >= 0]
    assert len(set(linked.tolist())) == len(linked)
    assert (linked < rows).all()
    oracle = frame_links.link_to_previous(before, after, table, cost=COST, division=COST).source
    # Ties may be broken in another way; the sum may not differ.
    assert gain(source[:columns], before, after, table) == pytest.approx(
        gain(oracle, before, after, table), abs=1e-5
    )


@pytest.mark.parametrize(
    ("masks", "tracks"),
    [
        (cases.STILL, [[1, 2]] * 3),
        (cases.TOUCHING, [[1, 2]] * 4),
        (cases.CROSSING, [[1, 2]] * 4),
        (cases.LEAVING_AND_ENTERING, [[1, 0], [1, 0], [2, 0], [2, 0]]),
        (cases.GAP, [[1, 2], [2, 0], [3, 2], [3, 2]]),
        (cases.EMPTY_FRAME, [[1, 0], [0, 0], [2, 0]]),
        (cases.MERGING, [[1, 2], [1, 2], [1, 0], [1, 0]]),
    ],
    ids=["still", "touching", "crossing", "leaving", "gap", "empty frame", "merging"],
)
def test_movies_drawn_as_text(masks, tracks):
    found = np.asarray(link_movie(of_one_size([*masks, *[np.zeros((1, 1), int)] * (4 - len(masks))])))
    np.testing.assert_array_equal(found[: len(masks), :2], tracks)
    assert not found[len(masks) :].any()
    assert not found[:, 2:].any()


def test_one_daughter_goes_on_and_the_other_begins():
    tracks = np.asarray(link_movie(of_one_size(cases.DIVISION)))
    assert tracks[:2, 0].tolist() == [1, 1]
    assert sorted(tracks[2, :2].tolist()) == [1, 2]
    np.testing.assert_array_equal(tracks[3], tracks[2])


def test_labels_above_the_slots_are_passed_over():
    crowd = of_one_size([np.arange(1, 8)[None]] * 4)
    np.testing.assert_array_equal(link_movie(crowd), [[1, 2, 3, 4, 5]] * 4)


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.uint16])
def test_narrow_types_of_images_give_the_same_tables(dtype):
    before, after = np.random.default_rng(0).integers(0, 101, (2, 12, 13))
    narrow = [jnp.asarray(labels.astype(dtype)) for labels in (before, after)]
    expected = np.zeros((301, 301))
    np.add.at(expected, (before, after), 1)
    np.testing.assert_array_equal(intersections(*narrow, slots=300), expected[1:, 1:])
    found = measure_instances(narrow[0], slots=300)
    host = frame_links.measure_instances(number_cells(before))
    taken = np.unique(before[before > 0]) - 1
    np.testing.assert_array_equal(found.area[taken], host.area)
    np.testing.assert_allclose(found.centroid[taken], host.centroid, atol=1e-5)
    step = functools.partial(link_next, cost=COST)
    state, _ = jax.eval_shape(step, begin_linking((12, 13), slots=3), narrow[0])
    assert state.labels.dtype == jnp.int32


def test_centroids_of_large_cells_are_exact():
    labels = np.zeros((300, 2048), np.uint8)
    labels[20:270, 1848:] = 2
    found = measure_instances(jnp.asarray(labels), slots=3)
    np.testing.assert_allclose(found.centroid, [[0, 0], [144.5, 1947.5], [0, 0]], atol=1e-4)


def test_many_movies_at_once():
    movies = jnp.stack([of_one_size(masks) for masks in (cases.GAP, cases.CROSSING)])
    for masks, tracks in zip(movies, jax.vmap(link_movie)(movies)):
        np.testing.assert_array_equal(tracks, link_movie(masks))


def test_every_frame_of_a_movie_is_one_program():
    @jax.jit
    @chex.assert_max_traces(n=1)
    def step(state, labels):
        return link_next(state, labels, cost=COST)

    state = begin_linking((5, 7), slots=2)
    for mask in cases.STILL:
        state, tracks = step(state, jnp.asarray(mask))
        assert tracks.tolist() == [1, 2]
    assert int(state.following) == 3


def test_shapes_that_do_not_fit_are_refused():
    two = Instances(jnp.zeros((2, 2)), jnp.zeros(2))
    with pytest.raises(ValueError, match=r"shared has shape \(3, 2\), but the frames have 2 and 2 slots"):
        link_frames(two, two, jnp.zeros((3, 2)), cost=COST)
    with pytest.raises(ValueError, match=r"before has shape \(2, 2\) and after \(2, 3\)"):
        intersections(jnp.zeros((2, 2), int), jnp.zeros((2, 3), int), slots=2)
