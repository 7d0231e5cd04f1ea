"""Linking of the label images of a movie to tracks; they are given, or made by a network frame by frame."""

from __future__ import annotations

import dataclasses
import pathlib
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
import tifffile
from jaxtyping import Float, Float32, Int, Integer

from cellmotion_jax.data.blank_frames import BlankFrame
from cellmotion_jax.data.track_table import MAX_LABEL, TrackTable
from cellmotion_jax.errors import InputError
from cellmotion_jax.files.tables import AREA, PLACE
from cellmotion_jax.inference.linking.ctc_result import write_linked_result
from cellmotion_jax.inference.linking.frames import FrameInstances, measure_instances
from cellmotion_jax.inference.linking.linker import Linker, Links, LinkSettings
from cellmotion_jax.ops.labels import NumberedCells, number_cells

SCRATCH = ".linking-"
"""Beginning of the name of the folder in which label images wait for their tracks."""


@dataclasses.dataclass(frozen=True, eq=False)
class TrackPlaces:
    """Positions of all tracks: one row per track and frame, sorted by track, then by frame.

    Attributes:
        track: Id of the track.
        frame: Frame, counted from 0.
        y: Row of the centroid, in pixels; pixel centres are whole numbers.
        x: Column of the centroid, in pixels.
        area: Number of pixels.
        parent: Track that this one continues or was born from, 0 for none.
        pixel_size_um: Side of a pixel in micrometres, None where it is not known.
        probability: Probability of the link to the frame before, or that there is none; NaN in the first
            frame. None where links have no probability.
    """

    track: Int[np.ndarray, " row"]
    frame: Int[np.ndarray, " row"]
    y: Float[np.ndarray, " row"] = dataclasses.field(metadata=PLACE.metadata)
    x: Float[np.ndarray, " row"] = dataclasses.field(metadata=PLACE.metadata)
    area: Int[np.ndarray, " row"] = dataclasses.field(metadata=AREA.metadata)
    parent: Int[np.ndarray, " row"]
    pixel_size_um: float | None
    probability: Float[np.ndarray, " row"] | None = None

    def trajectories(self, frames: int) -> Float32[np.ndarray, "frame track 2"]:
        """Positions (y, x) of every track in every frame; NaN in frames in which the track is absent."""
        _, column = np.unique(self.track, return_inverse=True)
        points = np.full((frames, int(column.max(initial=-1)) + 1, 2), np.nan, np.float32)
        points[self.frame, column] = np.stack([self.y, self.x], axis=-1)
        return points


class LinkedMovie(NamedTuple):
    """Result of linking a movie; its masks are on disk. Frames without information have no cells."""

    tracks: TrackTable
    """Span and parent of every track."""
    places: TrackPlaces
    """Positions of the tracks in every frame."""
    blank: tuple[BlankFrame, ...] = ()
    """Frames without information."""


def link_movie(
    segmentations: Iterable[Integer[np.ndarray, "y x"] | None],
    folder: pathlib.Path,
    *,
    settings: LinkSettings,
    digits: int,
    pixel_size_um: float | None = None,
    source: str,
) -> LinkedMovie:
    """Links the cells of neighbouring frames and writes ``maskT.tif`` and ``res_track.txt``.

    Label images are read one at a time. For every frame a few numbers per cell are kept in memory, and its
    label image on disk, beside the folder, until the tracks are known.

    Args:
        segmentations: A label image of every frame; a label need not mean the same cell in two frames. None
            for a frame without information, across which tracks are linked.
        folder: The folder to make; it may exist if it is empty.
        settings: Settings of the linking.
        digits: Number of digits of the frame numbers.
        pixel_size_um: Side of a pixel in micrometres, None where it is not known.
        source: Name of the label images in error messages.

    Returns:
        The tracks, and their positions in every frame.

    Raises:
        InputError: If a label image cannot be read or used, or no frame has a cell.
    """
    linker = Linker(settings)

    def numbered() -> Iterator[NumberedCells | None]:
        for frame, labels in enumerate(segmentations):
            if labels is None:
                linker.skip()
                yield None
                continue
            cells = number_cells(labels, name=f"{source}, frame {frame},")
            linker.add(cells.number)
            yield cells._replace(labels=np.arange(len(cells.labels)))

    return write_tracks(
        numbered(),
        lambda: (linker.links(), None),
        folder,
        digits=digits,
        pixel_size_um=pixel_size_um,
        source=source,
    )


NO_CELLS = NumberedCells(labels=np.zeros(1, np.int64), number=np.zeros((1, 1), np.int32))
"""The cells of a frame without any, of whatever size."""

Probabilities: TypeAlias = Sequence[Float[np.ndarray, " _"]] | None
"""Of every frame those of the links of its instances."""


def write_tracks(
    frames: Iterable[NumberedCells | None],
    links: Callable[[], tuple[Links, Probabilities]],
    folder: pathlib.Path,
    *,
    digits: int,
    pixel_size_um: float | None,
    source: str,
) -> LinkedMovie:
    """Writes ``maskT.tif`` and ``res_track.txt`` of cells whose tracks are known after the last frame.

    Args:
        frames: The cells of every frame, numbered 1, 2, ...; they are read one after another, and kept on
            disk. None for a frame without information, which has no cells.
        links: Called when all have been read: the tracks of the cells, and probabilities.
        folder: The folder to make; it may exist if it is empty.
        digits: Number of digits of the frame numbers.
        pixel_size_um: Side of a pixel in micrometres, None where it is not known.
        source: Name of the cells in error messages.

    Returns:
        The tracks, and their positions in every frame.

    Raises:
        InputError: If no frame has a cell, or more than a mask can number.
    """
    # Beside the result: what is called temporary elsewhere may lie in memory.
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=SCRATCH) as scratch:
        kept: list[pathlib.Path | None] = []
        measured: list[FrameInstances] = []
        for frame, cells in enumerate(frames):
            if cells is None:
                kept.append(None)
                measured.append(measure_instances(NO_CELLS))
                continue
            if len(cells.labels) - 1 > MAX_LABEL:
                raise InputError(
                    f"{source}, frame {frame}, holds {len(cells.labels) - 1} cells; a mask numbers up to "
                    f"{MAX_LABEL}."
                )
            measured.append(measure_instances(cells))
            path = pathlib.Path(scratch) / f"{frame}.tif"
            kept.append(path)
            tifffile.imwrite(path, cells.number.astype(np.uint16), compression="zlib")
        tracked, probabilities = links()
        if not len(tracked.table):
            raise InputError(f"{source}: no cell was found in any of {len(kept)} frames; none can be linked.")
        shape = tifffile.imread(next(path for path in kept if path is not None)).shape
        masks = (np.zeros(shape, np.uint16) if path is None else tifffile.imread(path) for path in kept)
        write_linked_result(folder, tracked, masks, digits=digits)
    return LinkedMovie(tracked.table, _places(tracked, measured, probabilities, pixel_size_um))


def _places(
    links: Links,
    frames: Sequence[FrameInstances],
    probabilities: Probabilities,
    pixel_size_um: float | None,
) -> TrackPlaces:
    track = np.concatenate(links.tracks)
    frame = np.repeat(np.arange(len(frames)), [len(cells.label) for cells in frames])
    order = np.lexsort((frame, track))
    track, frame = track[order], frame[order]
    area = np.concatenate([cells.area for cells in frames])[order].astype(np.int64)
    y, x = np.concatenate([cells.centroid for cells in frames])[order].T
    return TrackPlaces(
        track=track,
        frame=frame,
        y=y,
        x=x,
        area=area,
        parent=links.table.parent[track - 1],  # Tracks are numbered 1, 2, ... in the order of the table.
        pixel_size_um=pixel_size_um,
        probability=None if probabilities is None else np.concatenate(probabilities)[order],
    )
