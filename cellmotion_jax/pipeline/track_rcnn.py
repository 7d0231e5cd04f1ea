"""Tracking of a movie by a CellTrack R-CNN, of the cells that it finds or of given label images."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator

import numpy as np
import tqdm

from cellmotion_jax.data.blank_frames import (
    BLANK_FRAMES,
    BlankFrame,
    FrameTest,
    all_blank,
    every_frame,
    write_blank_frames,
)
from cellmotion_jax.data.ctc_masks import frame_digits
from cellmotion_jax.data.movie import Movie
from cellmotion_jax.errors import InputError
from cellmotion_jax.inference.linking.linker import Links
from cellmotion_jax.methods.celltrack_rcnn.detection import RCNNSettings, cells_of_mask, find_cells
from cellmotion_jax.methods.celltrack_rcnn.model_file import RCNNModel
from cellmotion_jax.methods.celltrack_rcnn.tracker import RCNNLinkSettings, RCNNTracker
from cellmotion_jax.ops.labels import NumberedCells
from cellmotion_jax.pipeline.link import LinkedMovie, Probabilities, write_tracks


def track_movie(
    movie: Movie,
    model: RCNNModel,
    folder: pathlib.Path,
    *,
    masks: Movie | None = None,
    cells: RCNNSettings,
    links: RCNNLinkSettings,
    test: FrameTest = every_frame,
) -> LinkedMovie:
    """Finds and tracks the cells of a movie and writes ``maskT.tif`` and ``res_track.txt``.

    A progress bar is shown. The frames that gaps may lie between are in memory, six by default.

    Args:
        movie: Grey frames.
        model: The network.
        folder: The folder to make; it may exist if it is empty.
        masks: Label images, one per frame, whose cells are linked; None finds cells.
        cells: How cells are found.
        links: How cells are linked.
        test: Test of the frames for information, usually `data.blank_frames.frame_test` of the movie; by
            default all frames are used. Frames without information have no cells; tracks go on after them.

    Returns:
        The tracks, their positions in every frame, and the frames without information.

    Raises:
        InputError: If a frame cannot be read or used, which is named, or no frame has information or a cell.
    """
    tracker = RCNNTracker(model, links)
    blank: list[BlankFrame] = []

    def numbered() -> Iterator[NumberedCells | None]:
        for frame, name in enumerate(tqdm.tqdm(movie.frame_names, unit="frame", dynamic_ncols=True)):
            image = movie[frame]
            if reason := test(image):
                blank.append(BlankFrame(frame, name, reason))
                tracker.skip()
                yield None
                continue
            try:
                found = (
                    find_cells(model, image, settings=cells)
                    if masks is None
                    else cells_of_mask(model, image, masks[frame])
                )
                tracker.add(found)
            except InputError as error:
                raise InputError(f"{movie.path}, {name}: {error}") from error
            yield found.numbered
        if len(blank) == len(movie):
            raise InputError(all_blank(movie, blank[0].reason))

    def tracked() -> tuple[Links, Probabilities]:
        result = tracker.result()
        return Links(result.table, result.tracks), result.probabilities

    linked = write_tracks(
        numbered(),
        tracked,
        folder,
        digits=frame_digits(movie),
        pixel_size_um=movie.pixel_size_um,
        source=str(movie.path),
    )
    write_blank_frames(folder / BLANK_FRAMES, blank)
    return linked._replace(blank=tuple(blank))


def typical_mask_diameter(masks: Movie) -> float | None:
    """Median equivalent diameter of the cells in the first, the middle and the last label image.

    Args:
        masks: Label images.

    Returns:
        Pixels; None if these images have no cell.
    """
    areas = []
    for frame in {0, len(masks) // 2, len(masks) - 1}:
        _, pixels = np.unique(masks[frame][masks[frame] > 0], return_counts=True)
        areas.append(pixels)
    found = np.concatenate(areas)
    return float(2 * np.sqrt(np.median(found) / np.pi)) if len(found) else None
