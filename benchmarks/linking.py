"""Linking of true instances: how many links and divisions are right, and how long it takes, beside peers.

``python -m benchmarks.linking DATASET [DATASET ...]`` from the root of the repository, with folders in the
layout of the Cell Tracking Challenge (``01``, ``01_GT/TRA``). The tracking masks (``--silver``: the masks of
``01_ST/SEG``, whole cells where the others are markers) are renumbered 1 to n in every frame at random,
linked, and held against the true tracks: TRA and LNK of the challenge, LNK without the links across gaps
(every one of which it counts as false, since no cell of the truth is missing in a frame), links of the truth
that were found, links that were found and are not true, and the same of divisions (a cell and both
daughters), with F of divisions that are exact, and of those at most one frame off.

``--model FILE`` adds the tracking branch of a CellTrack R-CNN, by assignment and by the paper's fusion;
``--last 0.3`` looks at the last 30 % of the frames only, those that its training has not seen. ``--cells N
--frames T`` instead times N simulated cells over T frames; tracking by overlap in laptrack then takes
minutes.
"""

from __future__ import annotations

import argparse
import collections
import dataclasses
import functools
import itertools
import pathlib
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from laptrack import LapTrack, OverLapTrack

from cellmotion_jax.data.ctc import TrackTable, open_dataset
from cellmotion_jax.inference.linking.frames import measure_instances, shared_pixels
from cellmotion_jax.inference.linking.linker import Links, link_instances, tracked_labels
from cellmotion_jax.inference.linking.tracks import tracks_of_links
from cellmotion_jax.methods.celltrack_rcnn.detection import cells_of_mask
from cellmotion_jax.methods.celltrack_rcnn.model_file import RCNNModel, load_model
from cellmotion_jax.methods.celltrack_rcnn.tracker import LinkRule, RCNNLinkSettings, RCNNTracker
from cellmotion_jax.metrics import division_counts, match_frame
from cellmotion_jax.metrics.ctc import ctc_scores
from cellmotion_jax.ops.labels import number_cells

Masks = Sequence[np.ndarray]
Edges = set[tuple[tuple[int, int], tuple[int, int]]]


def ours(masks: Masks) -> Links:
    """The package, with its defaults."""
    return link_instances(masks)


def overlap_only(masks: Masks) -> Links:
    """Every cell continues the one before that it overlaps most; two that continue one are its daughters."""
    cells = [number_cells(mask) for mask in masks]
    pairs = []
    for time_, (before, after) in enumerate(itertools.pairwise(cells)):
        shared = shared_pixels(before, after)
        if shared.size:
            later = np.flatnonzero(shared.max(axis=0))
            pairs += [((time_, int(shared[:, j].argmax())), (time_ + 1, int(j))) for j in later]
    return _from_pairs(masks, pairs)


def laptrack_defaults(masks: Masks) -> Links:
    """Squared distances of centroids, 15 px; division switched on at the same distance."""
    points = [measure_instances(number_cells(mask)).centroid for mask in masks]
    tree = LapTrack(splitting_cutoff=15**2).predict(points)
    return _from_pairs(masks, list(tree.edges))


def laptrack_overlap(masks: Masks) -> Links:
    """Its tracking by overlap, with the settings of its tutorial."""
    tracker = OverLapTrack(
        cutoff=0.9,
        metric_coefs=(1.0, 0.0, 0.0, 0.0, -1.0),
        gap_closing_metric_coefs=(1.0, 0.0, 0.0, 0.0, -1.0),
        gap_closing_max_frame_count=1,
        splitting_cutoff=0.9,
        splitting_metric_coefs=(1.0, 0.0, 0.0, 0.0, -1.0),
    )
    tracks, splits, _ = tracker.predict_overlap_dataframe(np.stack(masks))
    tracks = tracks.reset_index()
    rows = collections.defaultdict(list)
    for track, frame, label in zip(tracks["track_id"], tracks["frame"], tracks["label"]):
        rows[track].append((int(frame), int(label) - 1))
    pairs = [edge for row in rows.values() for edge in zip(sorted(row), sorted(row)[1:])]
    if len(splits):
        for parent, child in zip(splits["parent_track_id"], splits["child_track_id"]):
            pairs.append((max(rows[parent]), min(rows[child])))
    return _from_pairs(masks, pairs)


def rcnn(rule: LinkRule, model: RCNNModel, images: Sequence[np.ndarray], masks: Masks) -> Links:
    """The tracking branch of a CellTrack R-CNN; cells are brought to the size of its training."""
    areas = np.concatenate([np.bincount(mask.ravel())[1:] for mask in masks])
    diameter = float(2 * np.sqrt(np.median(areas[areas > 0]) / np.pi))
    fitted = dataclasses.replace(model, scale=model.cell_diameter / diameter)
    tracker = RCNNTracker(fitted, RCNNLinkSettings(rule=rule))
    for image, mask in zip(images, masks):
        tracker.add(cells_of_mask(fitted, image, mask))
    result = tracker.result()
    return Links(result.table, result.tracks)


def _from_pairs(masks: Masks, pairs: Sequence[tuple[tuple[int, int], tuple[int, int]]]) -> Links:
    counts = [int(mask.max()) for mask in masks]
    first = np.concatenate([[0], np.cumsum(counts)])
    edges = np.array([[first[t] + i for t, i in pair] for pair in pairs], np.int64).reshape(-1, 2)
    frame = np.repeat(np.arange(len(masks)), counts)
    table, track = tracks_of_links(frame, np.zeros((0, 2), np.int64), edges)
    return Links(table, tuple(np.split(track, first[1:-1])))


CONTENDERS: dict[str, Callable[[Masks], Links]] = {
    "ours": ours,
    "overlap only": overlap_only,
    "laptrack, 15 px": laptrack_defaults,
    "laptrack, overlap": laptrack_overlap,
}


def edges_of(table: TrackTable, names: Sequence[np.ndarray], tracks: Sequence[np.ndarray]) -> Edges:
    """Pairs of (frame, name) that a table of tracks joins; `names` and `tracks` of every instance."""
    begin, end, edges = {}, {}, set()
    for frame, (called, ids) in enumerate(zip(names, tracks)):
        for name, track in zip(called.tolist(), ids.tolist()):
            if track in end:
                edges.add((end[track], (frame, name)))
            begin.setdefault(track, (frame, name))
            end[track] = (frame, name)
    return edges | {(end[p], begin[c]) for c, p in zip(table.label.tolist(), table.parent.tolist()) if p}


def divisions(edges: Edges) -> set[Any]:
    """Cells with their daughters."""
    children = collections.defaultdict(set)
    for earlier, later in edges:
        children[earlier].add(later)
    return {(earlier, frozenset(later)) for earlier, later in children.items() if len(later) > 1}


def compare(root: pathlib.Path, *, silver: bool, model: RCNNModel | None, last: float) -> None:
    """One table row per contender."""
    for sequence in open_dataset(root):
        frames = len(sequence.movie)
        span = range(frames - max(2, round(last * frames)), frames)
        reference = _within(sequence.tracks, span)
        truth = [sequence.tracking_mask(frame).astype(np.int64) for frame in span]
        contenders = dict(CONTENDERS)
        if model is not None:
            images = [sequence.movie[frame] for frame in span]
            for rule in LinkRule:
                contenders[f"rcnn, {rule.value}"] = functools.partial(rcnn, rule, model, images)
        rng, masks, names = np.random.default_rng(0), [], []
        for frame, marker in zip(span, truth):
            mask = sequence.silver_mask(frame) if silver else marker
            if mask is None:
                raise SystemExit(f"{root} has no silver masks; leave out --silver")
            cells = number_cells(mask)
            order = rng.permutation(len(cells.labels) - 1) + 1
            masks.append(np.concatenate([[0], order])[cells.number].astype(np.int32))
            names.append(cells.labels[1:][np.argsort(order)])
        true_edges = edges_of(reference, names, names)
        for name, link in contenders.items():
            start = time.perf_counter()
            links = link(masks)
            seconds = time.perf_counter() - start
            edges = edges_of(links.table, names, links.tracks)
            drawn = [tracked_labels(mask, tracks) for mask, tracks in zip(masks, links.tracks)]
            scores = ctc_scores(truth, drawn, reference, links.table)
            joined = ctc_scores(truth, drawn, reference, _without_gaps(links.table))
            matches = [match_frame(marker, result) for marker, result in zip(truth, drawn)]
            exact, near = (
                float(division_counts(matches, reference, links.table, tolerance=tolerance).f_score)
                for tolerance in (0, 1)
            )
            found, true = divisions(edges), divisions(true_edges)
            print(
                f"| {sequence.full_name} | {name} | {scores.tra:.4f} | {scores.lnk:.4f} | {joined.lnk:.4f} "
                f"| {len(edges & true_edges)} of {len(true_edges)} | {len(edges - true_edges)} "
                f"| {len(found & true)} of {len(true)} | {len(found - true)} | {exact:.3f} | {near:.3f} "
                f"| {seconds:.2f} |"
            )


def _without_gaps(tracks: TrackTable) -> TrackTable:
    """Cuts the tracks that are the only children of others: those that go on after a gap."""
    children = collections.Counter(tracks.parent.tolist())
    only = np.array([children[parent] == 1 for parent in tracks.parent.tolist()], bool)
    return dataclasses.replace(tracks, parent=np.where(only, 0, tracks.parent))


def _within(tracks: TrackTable, span: range) -> TrackTable:
    """The parts of tracks within some frames, counted from the first of these."""
    there = (tracks.end >= span.start) & (tracks.begin < span.stop)
    parent = np.where(np.isin(tracks.parent, tracks.label[there]), tracks.parent, 0)
    return TrackTable(
        label=tracks.label[there],
        begin=np.maximum(tracks.begin[there], span.start) - span.start,
        end=np.minimum(tracks.end[there], span.stop - 1) - span.start,
        parent=parent[there],
    )


def simulated(cells: int, frames: int) -> list[np.ndarray]:
    """Discs on a jittered grid that walk at random; one in a hundred is missed in every frame."""
    rng, side = np.random.default_rng(0), int(np.ceil(np.sqrt(cells)))
    places = np.argwhere(np.ones((side, side)))[:cells] * 24.0 + 16
    rows, columns = np.indices((24 * side + 16, 24 * side + 16))
    masks = []
    for _ in range(frames):
        places = places + rng.normal(scale=1.0, size=places.shape)
        mask = np.zeros(rows.shape, np.int32)
        for label, (y, x) in enumerate(places[rng.random(cells) > 0.01], start=1):
            box = (slice(max(int(y) - 8, 0), int(y) + 9), slice(max(int(x) - 8, 0), int(x) + 9))
            near = np.hypot(rows[box] - y, columns[box] - x) < 8
            mask[box] = np.where(near, label, mask[box])
        masks.append(number_cells(mask).number)
    return masks


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("datasets", type=pathlib.Path, nargs="*")
    parser.add_argument("--silver", action="store_true")
    parser.add_argument("--cells", type=int, default=0)
    parser.add_argument("--frames", type=int, default=100)
    parser.add_argument("--model", type=pathlib.Path)
    parser.add_argument("--last", type=float, default=1.0)
    options = parser.parse_args()
    model = None if options.model is None else load_model(options.model)
    link_instances([np.eye(2, dtype=int), np.zeros((2, 2), int), np.eye(2, dtype=int)])
    if options.cells:
        masks = simulated(options.cells, options.frames)
        print("| linker | seconds | tracks |\n| --- | --- | --- |")
        for name, link in CONTENDERS.items():
            start = time.perf_counter()
            links = link(masks)
            print(f"| {name} | {time.perf_counter() - start:.2f} | {len(links.table)} |")
    if options.datasets:
        print(
            "| movie | linker | TRA | LNK | no gaps | links | false | divisions | false | F, 0 | F, 1 | s |"
        )
        print("|" + " --- |" * 12)
    for root in options.datasets:
        compare(root, silver=options.silver, model=model, last=options.last)


if __name__ == "__main__":
    main()
