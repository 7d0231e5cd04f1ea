"""Windows around tracked nuclei with the identity of the nucleus: the samples of RecogNet."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float16, Float32, Int
from tqdm import tqdm

from cellmotion_jax.data.ctc import CtcSequence
from cellmotion_jax.data.downsampling import downsample_image, downsampling_for
from cellmotion_jax.data.trajectories import Trajectories, read_trajectories
from cellmotion_jax.errors import InputError
from cellmotion_jax.ops.intensity import standardize

FILLED = 0.75
"""Largest ratio of the median size of a nucleus to the side of a window, after downsampling."""


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class NucleusWindows:
    """All windows of the selected nuclei, by movie, then by frame, then by track."""

    images: Float16[np.ndarray, "sample y x 1"]
    """Windows of standardised frames, so that they do not depend on a movie's intensities."""
    identity: Int[np.ndarray, " sample"]
    """Index of the nucleus, from 0; the nucleus with the longest track has index 0."""
    frame: Int[np.ndarray, " sample"]
    """Frame of the movie."""
    names: tuple[str, ...]
    """Movie and track of each nucleus, e.g. ``Fluo-N2DL-HeLa/01 track 7``."""
    downsample: int
    """Side of the blocks over which frames were averaged."""


def nucleus_windows(
    sequences: Sequence[CtcSequence], *, identities: int, window: int, downsample: int | None = None
) -> NucleusWindows:
    """Cuts windows centred on the nuclei with the longest tracks.

    Frames are averaged over blocks, standardised, and repeat their nearest pixel beyond the border. Without
    ``downsample`` it is chosen so that the median nucleus, by the boxes of the tracking masks, spans three
    quarters of the window at most; smaller ones are not enlarged. If those masks are only markers, the boxes
    are not informative, and ``downsample`` should be given.

    Args:
        sequences: Annotated movies.
        identities: Largest number of nuclei, of all movies together.
        window: Side of the windows, in pixels of the downsampled frames.
        downsample: Side of the blocks, or None.

    Returns:
        Windows of at most ``identities`` nuclei.

    Raises:
        InputError: If there are fewer than two nuclei, or a movie is damaged.
    """
    trajectories = [read_trajectories(sequence) for sequence in sequences]
    chosen = _longest(trajectories, identities)
    if len(chosen) < 2:
        raise InputError(
            f"{', '.join(sequence.full_name for sequence in sequences)} has {len(chosen)} tracked nuclei; "
            "at least two are needed to tell them apart."
        )
    if downsample is None:
        downsample = downsampling_for(_median_side(trajectories), FILLED * window)
    images, identity, frames = [], [], []
    for movie, (sequence, cells) in enumerate(zip(sequences, trajectories)):
        members = [(number, cell) for number, (of_movie, cell) in enumerate(chosen) if of_movie == movie]
        progress = tqdm(
            range(len(sequence.movie)), desc=f"windows of {sequence.name}", disable=None, leave=False
        )
        for frame in progress:
            present = [
                (number, cell) for number, cell in members if cells.begin[cell] <= frame <= cells.end[cell]
            ]
            points = np.array([cells.points[frame, cell] for _, cell in present]).reshape(-1, 2)
            small = downsample_image(sequence.movie[frame][..., None], downsample)
            standardised = np.asarray(standardize(jnp.asarray(small)))
            images.append(_cut(standardised, (points + 0.5) / downsample - 0.5, window))
            identity += [number for number, _ in present]
            frames += [frame] * len(present)
    return NucleusWindows(
        images=np.concatenate(images),
        identity=np.array(identity),
        frame=np.array(frames),
        names=tuple(
            f"{sequences[movie].full_name} track {trajectories[movie].labels[it]}" for movie, it in chosen
        ),
        downsample=downsample,
    )


def _longest(trajectories: Sequence[Trajectories], most: int) -> list[tuple[int, int]]:
    """Movie and column of the longest tracks; tracks of equal length in the order of movie and track."""
    every = [(movie, cell) for movie, cells in enumerate(trajectories) for cell in range(len(cells))]

    def length(which: tuple[int, int]) -> int:
        movie, cell = which
        return int(trajectories[movie].end[cell] - trajectories[movie].begin[cell])

    return sorted(every, key=length, reverse=True)[:most]


def _median_side(trajectories: Sequence[Trajectories]) -> float:
    """Median of the mean side of all boxes."""
    boxes = np.concatenate([cells.boxes[cells.present] for cells in trajectories])
    return float(np.median(np.mean(boxes[:, 2:] - boxes[:, :2], axis=1)))


def _cut(
    image: Float32[np.ndarray, "y x 1"], points: Float32[np.ndarray, "cell 2"], size: int
) -> Float16[np.ndarray, "cell size size 1"]:
    """Windows whose entry ``size // 2`` is the pixel nearest to each point."""
    offsets = np.arange(size) - size // 2
    rows, columns = (
        np.clip(np.round(points[:, axis, None]).astype(int) + offsets, 0, image.shape[axis] - 1)
        for axis in (0, 1)
    )
    return image[rows[:, :, None], columns[:, None, :]].astype(np.float16)
