"""Every frame of a movie to tracked cells on disk with their shapes, protrusions and motion."""

from __future__ import annotations

import dataclasses
import pathlib
import tempfile
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import tifffile
import tqdm
from jaxtyping import Int32

from cellmotion_jax.data.ctc_masks import LARGEST_LABEL, frame_digits
from cellmotion_jax.data.movie import Movie
from cellmotion_jax.errors import InputError
from cellmotion_jax.inference.linking.ctc_result import write_linked_result
from cellmotion_jax.inference.linking.linker import Linker, Links, LinkSettings
from cellmotion_jax.inference.tiling import Tiling
from cellmotion_jax.methods.convlstm.foreground import VIDEO_TILING, Memory, foreground_maps
from cellmotion_jax.methods.convlstm.instances import find_instances
from cellmotion_jax.methods.convlstm.model_file import ConvLSTMModel
from cellmotion_jax.morphology.behaviour import CellTable, cell_table
from cellmotion_jax.morphology.cell_shapes import CellShapes, cell_shapes
from cellmotion_jax.morphology.motion import MotionSettings
from cellmotion_jax.morphology.protrusions import Protrusions, ProtrusionSettings, find_protrusions
from cellmotion_jax.morphology.tip_table import TipTable, tip_table


@dataclasses.dataclass(frozen=True, kw_only=True)
class SegmentSettings:
    """How a movie becomes tracked cells."""

    memory: Memory = Memory.refreshed
    """What the network knows of earlier frames."""
    links: LinkSettings = LinkSettings()
    """How cells are linked from frame to frame."""
    protrusions: ProtrusionSettings = ProtrusionSettings()
    """What counts as a protrusion; measured if the size of a pixel is known."""
    tip_gate_um: float = 15.0
    """How far a tip may move from frame to frame relative to the centre of its cell, to be the same tip; 15
    suits frames 15 minutes apart."""
    motion: MotionSettings = MotionSettings()
    """How motion is measured."""
    tiling: Tiling = VIDEO_TILING
    """How frames are cut."""


class SegmentedMovie(NamedTuple):
    """What became of a movie; its masks are on disk."""

    links: Links
    """Tracks of all cells."""
    cells: CellTable
    """A row per cell and frame."""
    tips: TipTable | None
    """A row per tip of a protrusion and frame; None if the size of a pixel is not known."""


def segment_movie(
    movie: Movie,
    model: ConvLSTMModel,
    folder: pathlib.Path,
    *,
    settings: SegmentSettings,
    frame_interval_s: float | None = None,
) -> SegmentedMovie:
    """Segments and links the cells of a movie and writes ``maskT.tif`` and ``res_track.txt``.

    The movie is read once, a frame at a time. What is kept of a frame is a few numbers per cell, and its
    label image on disk, beside the folder, until the tracks are known.

    Args:
        movie: Grey frames.
        model: The network.
        folder: The folder to make; it may exist if it is empty.
        settings: How.
        frame_interval_s: Seconds from frame to frame, None where they are not known.

    Returns:
        Tracks and tables.

    Raises:
        InputError: If a frame cannot be read or used, which is named, or no frame has a cell.
    """
    shapes: list[CellShapes] = []
    tips: list[Protrusions] = []
    linker = Linker(settings.links)
    # Beside the result: what is called temporary elsewhere may lie in memory.
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".segment-") as scratch:
        kept = [pathlib.Path(scratch) / f"{frame}.tif" for frame in range(len(movie))]
        for labels, path in zip(_instances(movie, model, settings), kept):
            tifffile.imwrite(path, labels.astype(np.uint16), compression="zlib")
            shapes.append(cell_shapes(labels))
            if movie.pixel_size_um is not None:
                found = find_protrusions(
                    labels, pixel_size_um=movie.pixel_size_um, settings=settings.protrusions
                )
                tips.append(found)
            linker.add(labels)
        links = linker.links()
        if not len(links.table):
            raise InputError(
                f"{movie.path}: no cell was found in any of {len(movie)} frames; is it a movie like those "
                "that the network was trained on, of cells of the same size in pixels?"
            )
        segmentations = (tifffile.imread(path) for path in kept)
        write_linked_result(folder, links, segmentations, digits=frame_digits(movie))
    measured = tips if movie.pixel_size_um is not None else None
    cells = cell_table(
        shapes,
        links.tracks,
        protrusions=measured,
        pixel_size_um=movie.pixel_size_um,
        frame_interval_s=frame_interval_s,
        motion=settings.motion,
    )
    if movie.pixel_size_um is None:
        return SegmentedMovie(links, cells, None)
    followed = tip_table(
        tips, links.tracks, cells, pixel_size_um=movie.pixel_size_um, gate_um=settings.tip_gate_um
    )
    return SegmentedMovie(links, cells, followed)


def _instances(
    movie: Movie, model: ConvLSTMModel, settings: SegmentSettings
) -> Iterator[Int32[np.ndarray, "y x"]]:
    """The label image of every frame, with a progress bar."""
    frames = (movie[frame] for frame in range(len(movie)))
    maps = foreground_maps(model, frames, memory=settings.memory, tiling=settings.tiling)
    for name in tqdm.tqdm(movie.frame_names, unit="frame", dynamic_ncols=True):
        try:
            foreground = next(maps)
        except InputError as error:
            raise InputError(f"{movie.path}, {name}: {error}") from error
        labels = find_instances(foreground, settings=model.instances)
        if labels.max(initial=0) > LARGEST_LABEL:
            raise InputError(
                f"{movie.path}, {name}: {labels.max()} cells were found, more than a mask can number "
                f"({LARGEST_LABEL}); raise instances.smallest-area."
            )
        yield labels
