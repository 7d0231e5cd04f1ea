"""Joins of whole groups of segments in batches are those of all segments at once."""

import numpy as np
import pytest

from cellmotion_jax.inference.linking import gaps
from cellmotion_jax.inference.linking.gaps import NO_CANDIDATES, Candidates, join_segments


def movie(seed):
    """Cells of 8 frames, each followed for two frames, with candidates between cells that are near."""
    rng = np.random.default_rng(seed)
    frame = np.repeat(np.arange(8), 12)
    segment = np.repeat(np.arange(4), 24) * 12 + np.tile(np.arange(12), 8)
    even = np.flatnonzero(frame % 2 == 0)

    def pairs(steps, ends, begins):
        earlier, later = np.nonzero(
            (frame[None] - frame[:, None] == steps)
            & ends[:, None]
            & begins[None]
            & (rng.random((96, 96)) < 0.02)
        )
        return Candidates(earlier, later, rng.uniform(0, 0.99, len(earlier)))

    begins = np.isin(np.arange(96), even)
    everyone = np.ones(96, bool)
    return (
        frame,
        segment,
        {
            "gaps": pairs(3, ~begins, begins),
            "divisions": pairs(1, everyone, begins),
            "merges": pairs(1, ~begins, everyone),
        },
    )


@pytest.mark.parametrize("seed", [0, 1])
def test_the_size_of_a_batch_changes_no_join(monkeypatch, seed):
    frame, segment, candidates = movie(seed)
    found = []
    for size in (1, 10**6):
        monkeypatch.setattr(gaps, "BATCH", size)
        found.append({tuple(join) for join in join_segments(frame, segment, **candidates).tolist()})
    assert found[0] == found[1]
    assert len(found[0]) > 3


def test_a_segment_is_in_one_batch_only(monkeypatch):
    frame, segment, candidates = movie(0)
    monkeypatch.setattr(gaps, "BATCH", 1)
    parts = tuple(candidates.values())
    batches = gaps._batches(frame, segment, parts)
    seen = {}
    for part, batch in zip(parts, batches):
        for nodes in (part.earlier, part.later):
            for name, number in zip(segment[nodes].tolist(), batch.tolist()):
                assert seen.setdefault(name, number) == number
    assert len(set(seen.values())) > 3


def test_without_candidates_nothing_is_joined():
    none = dict.fromkeys(("gaps", "divisions", "merges"), NO_CANDIDATES)
    assert join_segments(np.zeros(2, int), np.arange(2), **none).shape == (0, 2)
