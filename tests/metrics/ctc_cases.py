"""Tracked movies of one row of pixels: drawn as text, or at random with every kind of error."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from cellmotion_jax.data.track_table import TrackTable

FRAMES, PLACES, WIDTH = 6, 7, 4


class Tracked(NamedTuple):
    """Label images and their table."""

    frames: np.ndarray
    tracks: TrackTable


class Case(NamedTuple):
    """A truth and what a method made of it."""

    reference: Tracked
    result: Tracked


def drawn(text: str, parents: Mapping[int, int] | None = None) -> Tracked:
    """A word per frame, a digit per pixel; a dot is background. Spans are read off the picture."""
    rows = [[int(pixel.replace(".", "0")) for pixel in word] for word in text.split()]
    return with_table(np.array(rows, np.uint16)[:, None], parents or {})


def with_table(frames: np.ndarray, parents: Mapping[int, int]) -> Tracked:
    rows = []
    for label in np.unique(frames[frames > 0]).tolist():
        alive = np.flatnonzero((frames == label).any(axis=(1, 2)))
        rows.append((label, alive[0], alive[-1], parents.get(label, 0)))
    return Tracked(frames, TrackTable(*np.array(rows, np.int64).reshape(-1, 4).T))


def random_case(seed: int, *, only_children: bool = True) -> Case:
    """Cells at fixed places that vanish, change places and divide; missed, added, merged, torn, confused.

    No result cell covers more than two reference cells, and the first frame of the reference is not empty.
    """
    rng = np.random.default_rng(seed)
    names = np.arange(1, PLACES + 1)
    truth, found = [], []
    for frame in range(FRAMES):
        if rng.random() < 0.3:
            names = _exchange(names, rng)
        present = rng.random(PLACES) < 0.9
        present[0] |= frame == 0
        truth.append(np.where(present, names, 0))
        seen = np.where(rng.random(PLACES) < 0.9, truth[-1], 0) + 20 * (truth[-1] > 0)
        seen = np.where(rng.random(PLACES) < 0.1, 40 + np.arange(PLACES), np.where(seen == 20, 0, seen))
        if rng.random() < 0.3:
            seen = _exchange(seen, rng)
        if rng.random() < 0.3:
            first, second = rng.choice(PLACES, 2, replace=False)
            seen[first] = seen[second]
        found.append(seen)
    whole = np.full((FRAMES, PLACES), WIDTH)
    covered = np.where(rng.random(whole.shape) < 0.3, rng.integers(1, WIDTH, whole.shape), WIDTH)
    return Case(
        _tracked(truth, whole, rng, only_children=only_children),
        _tracked(found, covered, rng, only_children=only_children),
    )


def _exchange(names: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    names = names.copy()
    pair = rng.choice(len(names), 2, replace=False)
    names[pair] = names[pair[::-1]]
    return names


def _tracked(
    names: Sequence[np.ndarray], covered: np.ndarray, rng: np.random.Generator, *, only_children: bool
) -> Tracked:
    """Draws the cells, gives a label of its own to each stretch without a gap, and links some of them."""
    labels, next_label = np.zeros((FRAMES, PLACES), np.int64), 1
    spans: dict[int, list[int]] = {}
    for frame, row in enumerate(names):
        for name in np.unique(row[row > 0]):
            before = labels[frame - 1][names[frame - 1] == name] if frame else np.zeros(0, int)
            if not before.size:
                before, next_label = np.array([next_label]), next_label + 1
            labels[frame][row == name] = before[0]
            spans.setdefault(int(before[0]), [frame, frame])[1] = frame
    parents = {}
    for label, (begin, _) in spans.items():
        ended = [other for other, (_, end) in spans.items() if end < begin]
        if ended and rng.random() < 0.7:
            parents[label] = int(rng.choice(ended))
    if not only_children:
        children = list(parents.values())
        parents = {label: parent for label, parent in parents.items() if children.count(parent) > 1}
    frames = np.zeros((FRAMES, 2, PLACES * (WIDTH + 1) + 1), np.uint16)
    for place in range(PLACES):
        for pixel in range(WIDTH):
            column = frames[:, :, 1 + place * (WIDTH + 1) + pixel]
            column[:] = np.where(covered[:, place] > pixel, labels[:, place], 0)[:, None]
    return with_table(frames, parents)
