"""Movies drawn as text, random movies against the rules of the challenge, and real instances."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cellmotion_jax.data.centroids import frame_centroids
from cellmotion_jax.data.ctc import open_dataset
from cellmotion_jax.data.track_table import TrackTable, check_track_table
from cellmotion_jax.errors import InputError
from cellmotion_jax.inference.linking.linker import Linker, LinkSettings, link_instances, tracked_labels
from cellmotion_jax.metrics.ctc import ctc_scores
from cellmotion_jax.ops.labels import number_cells
from cellmotion_jax.tracking.linking import LinkCost
from tests import linking_cases as cases
from tests.label_images import discs, label_images

MERGING = LinkSettings(merges=True)


def story(masks, settings=None):
    """The table as text, and the tracks of every frame."""
    links = link_instances(masks, settings)
    return links.table.text(), [ids.tolist() for ids in links.tracks]


@pytest.mark.parametrize(
    ("masks", "table", "tracks"),
    [
        (cases.STILL, "1 0 2 0\n2 0 2 0\n", [[1, 2]] * 3),
        (cases.DIVISION, "1 0 1 0\n2 2 3 1\n3 2 3 1\n", [[1], [1], [2, 3], [2, 3]]),
        (cases.GAP, "1 0 0 0\n2 0 3 0\n3 2 3 1\n", [[1, 2], [2], [3, 2], [3, 2]]),
        (cases.TOUCHING, "1 0 3 0\n2 0 3 0\n", [[1, 2]] * 4),
        (cases.MERGING, "1 0 3 0\n2 0 1 0\n", [[1, 2], [1, 2], [1], [1]]),
        (cases.LEAVING_AND_ENTERING, "1 0 1 0\n2 2 3 0\n", [[1], [1], [2], [2]]),
        (cases.EMPTY_FRAME, "1 0 0 0\n2 2 2 1\n", [[1], [], [2]]),
        (cases.CROSSING, "1 0 3 0\n2 0 3 0\n", [[1, 2]] * 4),
        ([np.zeros((3, 4), int)] * 3, "", [[], [], []]),
        ([np.eye(3, dtype=int)], "1 0 0 0\n", [[1]]),
        ([np.zeros((3, 4), int), np.ones((3, 4), int)], "1 1 1 0\n", [[], [1]]),
        ([], "", []),
    ],
    ids=[
        *("still", "division", "gap", "touching", "merging", "leaving", "empty frame", "crossing"),
        *("nothing", "one frame", "full frame", "no frame"),
    ],
)
def test_movies_drawn_as_text(masks, table, tracks):
    assert story(masks) == (table, tracks)


def test_what_two_cells_merged_into_is_the_child_of_the_one_it_is_most_like():
    table, tracks = story(cases.MERGING, MERGING)
    assert table == "1 0 1 0\n2 0 1 0\n3 2 3 1\n"
    assert tracks == [[1, 2], [1, 2], [3], [3]]


def test_a_merge_and_the_split_after_it():
    masks = [*cases.MERGING, *cases.MERGING[1::-1]]
    table, _ = story(masks, MERGING)
    assert table == "1 0 1 0\n2 0 1 0\n3 2 3 1\n4 4 5 3\n5 4 5 3\n"


def test_without_divisions_a_daughter_has_no_parent():
    table, _ = story(cases.DIVISION, LinkSettings(divisions=False))
    assert table == "1 0 3 0\n2 2 3 0\n"


@pytest.mark.parametrize("missed", [1, 2, 3])
def test_gaps_up_to_the_longest_are_closed(missed):
    cell, empty = np.ones((2, 2), int), np.zeros((2, 2), int)
    table, _ = story([cell, *[empty] * missed, cell], LinkSettings(longest_gap=2))
    assert table == f"1 0 0 0\n2 {missed + 1} {missed + 1} {1 if missed <= 2 else 0}\n"


def test_of_two_ways_across_a_gap_the_one_that_keeps_the_size_is_taken():
    masks = cases.movie("aaa.. ..... bb.cc", "aaa.. ..... ...cc", "aaa.. ..... ...cc", "aaa.. ..... ...cc")
    assert story(masks)[0] == "1 0 0 0\n2 2 2 0\n3 2 2 1\n"


def test_every_size_of_cell_is_linked_alike():
    """Lengths are in diameters: an enlarged movie has the same tracks."""
    for masks in (cases.DIVISION, cases.GAP, cases.MERGING, cases.CROSSING):
        large = [mask.repeat(5, axis=0).repeat(5, axis=1) for mask in masks]
        assert story(large, MERGING) == story(masks, MERGING)


def test_labels_need_not_be_consecutive():
    first = np.array([[9, 9, 0, 4, 4]])
    links = link_instances([first, np.array([[5, 5, 0, 2, 2]])])
    assert [ids.tolist() for ids in links.tracks] == [[0, 0, 0, 1, 0, 0, 0, 0, 2], [0, 1, 0, 0, 2]]
    np.testing.assert_array_equal(tracked_labels(first, links.tracks[0]), [[2, 2, 0, 1, 1]])
    with pytest.raises(ValueError, match=r"labels hold 9, but tracks has shape \(5,\)"):
        tracked_labels(first, links.tracks[1])
    with pytest.raises(ValueError, match="labels hold -1"):
        tracked_labels(-(first > 0).astype(int), links.tracks[0])
    with pytest.raises(ValueError, match="has no track"):
        tracked_labels(np.array([[3]]), links.tracks[0])


@settings(max_examples=40)
@given(st.lists(label_images((5, 6)), min_size=1, max_size=6), st.booleans(), st.integers(0, 2))
def test_any_movie_obeys_the_rules_of_the_challenge(masks, merges, longest_gap):
    chosen = LinkSettings(merges=merges, longest_gap=longest_gap)
    links = link_instances(masks, chosen)
    assert len(links.tracks) == len(masks)
    if not len(links.table):
        assert not any(mask.any() for mask in masks)
        return
    check_track_table(links.table, frames=len(masks), source="links")
    for number, (mask, tracks) in enumerate(zip(masks, links.tracks)):
        named = tracked_labels(mask, tracks)
        frame_centroids(number, named, links.table, source="labels")
        np.testing.assert_array_equal(named > 0, mask > 0)
        assert len(np.unique(named)) == len(np.unique(mask))


def test_bad_frames_are_refused():
    linker = Linker()
    linker.add(np.ones((2, 3), int))
    with pytest.raises(ValueError, match=r"labels have shape \(3, 3\), but the frame before has \(2, 3\)"):
        linker.add(np.ones((3, 3), int))
    with pytest.raises(InputError, match="labels of frame 1 holds label -1"):
        linker.add(-np.ones((2, 3), int))
    with pytest.raises(InputError, match="labels of frame 1 hold label 65536; labels go up to 65535"):
        linker.add(np.full((2, 3), 65536))
    assert len(linker.links().tracks) == 1


@pytest.mark.parametrize("wrong", [{"similarity": 1.0}, {"similarity": -0.1}, {"reach": 0.0}])
def test_costs_without_a_meaning_are_refused(wrong):
    with pytest.raises(ValueError, match=f"LinkCost.{next(iter(wrong))} is"):
        LinkCost(**wrong)
    with pytest.raises(ValueError, match="longest_gap is -1"):
        LinkSettings(longest_gap=-1)


def test_the_past_is_kept_as_numbers_only():
    linker = Linker()
    for step in range(4):
        linker.add(discs((200, 200), (50 + step, 50, 9), (120, 120 - step, 9)))
    kept = [column for instances in linker._frames for column in instances if isinstance(column, np.ndarray)]
    assert max(column.size for column in kept) <= 4


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("name", "frames", "least"), [("PhC-C2DH-U373", 30, 0.999), ("DIC-C2DH-HeLa", 84, 0.995)]
)
def test_true_instances_are_linked_as_the_experts_did(real_data, name, frames, least):
    (sequence,) = open_dataset(real_data / name)
    masks = [sequence.tracking_mask(frame) for frame in range(frames)]
    links = link_instances(number_cells(mask).number for mask in masks)
    drawn = (tracked_labels(number_cells(mask).number, ids) for mask, ids in zip(masks, links.tracks))
    table = sequence.tracks
    early = table.begin < frames
    end = table.end.clip(max=frames - 1)
    shown = TrackTable(table.label[early], table.begin[early], end[early], table.parent[early])
    assert ctc_scores(masks, drawn, shown, links.table).tra > least


@given(seed=st.integers(0, 10**6), count=st.integers(1, 5))
@settings(max_examples=30)
def test_skipped_frames_change_no_lineage(seed, count):
    """Every cell has the predecessors that it has in the movie without the frames that are skipped."""
    rng = np.random.default_rng(seed)
    frames = [rng.integers(0, 4, (6, 7)) * rng.integers(0, 2, (6, 7)) for _ in range(count)]
    linker, kept = Linker(), []
    for labels, skip in zip([*frames, None], rng.random(count + 1) < 0.5):
        if skip:
            kept.append(None)
            linker.skip()
        if labels is not None:
            kept.append(labels)
            linker.add(labels)
    found, plain = linker.links(), link_instances([labels for labels in kept if labels is not None])
    assert len(found.tracks) == len(kept)
    assert all(not len(tracks) for tracks, labels in zip(found.tracks, kept) if labels is None)
    if len(found.table):
        check_track_table(found.table, frames=len(kept), source="found")
    seen = [tracks for tracks, labels in zip(found.tracks, kept) if labels is not None]
    # A track after a skipped frame is the only child of the one before: both are one track without the frame.
    whole: dict[int, int] = {}
    for tracks, others in zip(seen, plain.tracks):
        for track, other in zip(tracks.tolist(), others.tolist()):
            assert whole.setdefault(track, other) == other
    mothers = dict(zip(plain.table.label.tolist(), plain.table.parent.tolist()))
    for label, parent in zip(found.table.label.tolist(), found.table.parent.tolist()):
        before = whole[parent] if parent else 0
        assert before in (whole[label], mothers[whole[label]])


def test_a_gap_is_as_long_as_its_frames_with_information():
    """Two frames may be missed: those without information do not count, however many they are."""
    cell, nothing = np.ones((3, 4), int), np.zeros((3, 4), int)
    linker = Linker(LinkSettings(longest_gap=2))
    for labels in (cell, nothing, None, None, None, nothing, cell):
        linker.skip() if labels is None else linker.add(labels)
    assert linker.links().table.text() == "1 0 0 0\n2 6 6 1\n"
