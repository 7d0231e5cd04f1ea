"""Annotated movies of bright discs for tests of CellTrack R-CNN; one disc moves, one divides, one is born."""

import pathlib

import numpy as np
import tifffile

from cellmotion_jax.data.annotated_image import AnnotatedImage, annotated_image
from cellmotion_jax.data.track_table import TrackTable
from tests.label_images import discs
from tests.rcnn_models import SHAPE

FRAMES = 4
# Of every track the discs (y, x, radius) by frame. Track 2 divides into 3 and 4 after frame 1.
PATHS = {
    1: {frame: (16, 14 + 4 * frame, 7) for frame in range(4)},
    2: {0: (44, 44, 9), 1: (44, 46, 9)},
    3: {2: (38, 40, 6), 3: (36, 39, 6)},
    4: {2: (50, 52, 6), 3: (52, 53, 6)},
    5: dict.fromkeys(range(1, 4), (24, 78, 8)),
}
PARENTS = {3: 2, 4: 2}


def table(paths=PATHS, parents=PARENTS) -> TrackTable:
    rows = [(track, min(path), max(path), parents.get(track, 0)) for track, path in paths.items()]
    return TrackTable(*np.array(rows).T)


def tracks_at(frame, *, paths=PATHS, shape=SHAPE, shrink=0):
    """Label image of a frame whose labels are the tracks."""
    circles = {track: path[frame] for track, path in paths.items() if frame in path}
    if not circles:
        return np.zeros(shape, np.int32)
    found = discs(shape, *((y, x, radius - shrink) for y, x, radius in circles.values()))
    return np.array([0, *circles], np.int32)[found]


def picture(labels, *, seed=0):
    """Bright cells on noise."""
    noise = np.random.default_rng(seed).normal(0, 20, labels.shape)
    return (1000 + 3000 * (labels > 0) + noise).astype(np.uint16)


def write_movie(
    folder: pathlib.Path, *, labels=None, markers=None, tracks=None, margin=0
) -> tuple[AnnotatedImage, ...]:
    """Writes frames, label images, markers and the table of tracks.

    Args:
        folder: Where to.
        labels: Label images; those of the discs, numbered otherwise than the tracks, if absent.
        markers: Markers of the tracks; the discs, made smaller, if absent.
        tracks: Table of the tracks; that of the discs if absent.
        margin: Of the annotation.

    Returns:
        All frames.
    """
    if labels is None:
        labels = [np.array([0, 7, 3, 9, 1, 4])[tracks_at(frame)] for frame in range(FRAMES)]
    if markers is None:
        markers = [tracks_at(frame, shrink=2) for frame in range(FRAMES)]
    tracks = table() if tracks is None else tracks
    for name in ("01", "01_ST/SEG", "01_GT/TRA"):
        (folder / name).mkdir(parents=True)
    files = []
    for frame, (outlined, marked) in enumerate(zip(labels, markers)):
        files.append(
            (
                folder / "01" / f"t{frame:03d}.tif",
                folder / "01_ST" / "SEG" / f"man_seg{frame:03d}.tif",
                folder / "01_GT" / "TRA" / f"man_track{frame:03d}.tif",
            )
        )
        for file, content in zip(files[-1], (picture(outlined, seed=frame), outlined, marked)):
            tifffile.imwrite(file, content.astype(np.uint16))
    (folder / "01_GT" / "TRA" / "man_track.txt").write_text(tracks.text())
    frames = tuple(image for image, _, _ in files)
    return tuple(
        annotated_image(
            f"{folder.name}/01 {image.name}",
            image,
            outlined,
            markers_file=marked,
            margin=margin,
            movie_files=frames,
        )
        for image, outlined, marked in files
    )
