"""Divisions that a result finds, with a tolerance in frames."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from cellmotion_jax.metrics.counts import Counts
from cellmotion_jax.metrics.ctc_matching import FrameMatches, read_matches
from cellmotion_jax.metrics.track_graph import Lineage, TrackColumns, track_columns
from cellmotion_jax.ops.host_arguments import one_integer


class _Division(NamedTuple):
    """A mother with at least two daughters."""

    mother: int
    last: int
    """Last frame of the mother."""
    daughters: frozenset[int]
    complete: int
    """First frame in which all daughters have begun."""


def division_counts(
    frames: Sequence[FrameMatches],
    reference: Lineage,
    result: Lineage,
    *,
    tolerance: int = 0,
    first_frame: int = 0,
) -> Counts:
    """Counts the divisions that a result finds, misses and makes up.

    A division of the result is right if it lies at most ``tolerance`` frames from a division of the
    reference, its mother matches the true mother in the last frame in which both exist, and its daughters
    match the true daughters, two of them at least, in the first frame in which all have begun. Each division
    is counted once; nearer ones are paired first. Divisions of which a frame lies outside of the frames that
    are given do not count. State the tolerance with every figure: with one frame instead of none F rises by
    several hundredths.

    Args:
        frames: The matches of consecutive frames, see `match_frame`.
        reference: The reference's tracks.
        result: The result's tracks.
        tolerance: Largest distance in frames.
        first_frame: Number of the first frame, in the tables' count.

    Returns:
        True positives, false positives, false negatives.

    Raises:
        InputError: If a table has a label twice, an impossible span or a parent that it does not list.
        ValueError: If the tolerance is negative.

    References:
        traccuracy's ``DivisionMetrics`` with its ``max_frame_buffer``, which it follows.
    """
    frames, tolerance = read_matches(frames), one_integer("tolerance", tolerance)
    if tolerance < 0:
        raise ValueError(f"tolerance must be at least 0, got {tolerance}")
    first_frame = one_integer("first_frame", first_frame)
    span = range(first_frame, first_frame + len(frames))
    true = _divisions(track_columns(reference, name="reference"), span)
    found = _divisions(track_columns(result, name="result"), span)
    partner = [dict(zip(frame.reference.tolist(), frame.partner.tolist())) for frame in frames]
    pairs = sorted(
        (abs(here.last - there.last), i, j)
        for i, here in enumerate(true)
        for j, there in enumerate(found)
        if abs(here.last - there.last) <= tolerance and _same(here, there, partner, first_frame)
    )
    taken_true: set[int] = set()
    taken_found: set[int] = set()
    for _, i, j in pairs:
        if i not in taken_true and j not in taken_found:
            taken_true.add(i)
            taken_found.add(j)
    right = len(taken_true)
    return Counts(*(np.asarray(n) for n in (right, len(found) - right, len(true) - right)))


def _divisions(tracks: TrackColumns, span: range) -> list[_Division]:
    begin, end = (
        dict(zip(tracks.label.tolist(), tracks.begin.tolist())),
        dict(zip(tracks.label.tolist(), tracks.end.tolist())),
    )
    daughters: dict[int, list[int]] = {}
    for label, parent in zip(tracks.label.tolist(), tracks.parent.tolist()):
        if parent:
            daughters.setdefault(parent, []).append(label)
    found = [
        _Division(mother, end[mother], frozenset(children), max(begin[child] for child in children))
        for mother, children in daughters.items()
        if len(children) > 1
    ]
    return [division for division in found if division.last in span and division.complete in span]


def _same(true: _Division, found: _Division, partner: Sequence[dict[int, int]], first: int) -> bool:
    before = min(true.last, found.last) - first
    after = max(true.complete, found.complete) - first
    if partner[before].get(true.mother) != found.mother:
        return False
    matched = {partner[after].get(daughter, 0) for daughter in true.daughters} & found.daughters
    return len(matched) >= 2
