"""``cellmotion track``: cells of a movie followed from where they begin."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import tyro

from cellmotion_jax.cli.compilation_cache import enable_compilation_cache
from cellmotion_jax.data.ctc_masks import MAX_WRITTEN_LABEL, frame_digits
from cellmotion_jax.data.movie import Movie, open_movie
from cellmotion_jax.errors import InputError
from cellmotion_jax.files import require_empty_folder, written_beside
from cellmotion_jax.methods.celltrack.ctc_result import write_ctc_result
from cellmotion_jax.methods.celltrack.filters_file import save_filters
from cellmotion_jax.methods.celltrack.grid import CELL_DIAMETER, grid_frame, grid_shape, grid_zoom
from cellmotion_jax.methods.celltrack.seeds import (
    Seeds,
    choose_seeds,
    seeds_at_points,
    seeds_from_labels,
    typical_diameter,
)
from cellmotion_jax.methods.celltrack.seeds_file import open_labels, read_all, read_seeds
from cellmotion_jax.methods.celltrack.track_movie import TrackedMovie, track_movie
from cellmotion_jax.methods.celltrack.tracks import write_track_table
from cellmotion_jax.methods.celltrack_embedding.features import embedding_features
from cellmotion_jax.methods.celltrack_embedding.model_file import EmbeddingModel
from cellmotion_jax.methods.celltrack_embedding.model_file import load_model as load_embedding
from cellmotion_jax.report.live_view import LiveFrame, write_live_view
from cellmotion_jax.report.trajectories import plot_trajectories
from cellmotion_jax.tracking import (
    ConfidenceSettings,
    Exclusion,
    Intensity,
    KernelFilter,
    LinearFilter,
    Motion,
    Redetection,
    Tracker,
)

MOST_IDS_DRAWN = 100


@dataclasses.dataclass(frozen=True, kw_only=True)
class _TrackOptions:
    """Follows the cells of a movie, each by a correlation filter of its own.

    Where cells begin is told by --start, by --at alone, or by the first image of --segmentation. Writes
    tracks.csv (places and confidence by track and frame), maskT.tif and res_track.txt (a result of the Cell
    Tracking Challenge), trajectories.png, filters.safetensors (what the filters have learned) and, if asked
    for, live.gif. Lengths of window, motion, exclusion and redetection are in pixels of a grid on which a
    typical cell is 16 across, or as large as --model was trained with.
    """

    movie: tyro.conf.Positional[pathlib.Path]
    """Folder of TIFF frames, or one TIFF stack; grey."""
    out: pathlib.Path
    """Folder to write; it must not exist yet, or be empty."""
    start: pathlib.Path | None = None
    """Cells to follow: a TIFF label image of frame 0; a CSV table with the columns y, x and, if you like, id
    and frame; or a folder of label images of all frames, in which a label is one cell throughout."""
    every_birth: bool = False
    """Follow cells that appear later, too: of a folder as --start every new label, otherwise every segment of
    --segmentation that is on no track."""
    ids: tuple[int, ...] = ()
    """Follow only these labels."""
    at: tuple[tuple[float, float], ...] = ()
    """Follow only the cells that begin at these places, Y X [Y X ...]; without --start and --segmentation
    cells begin there."""
    segmentation: pathlib.Path | None = None
    """Folder of label images of all frames whose labels say nothing from frame to frame, as `cellmotion
    predict` writes them: maskT.tif holds these segments under the ids of the tracks instead of discs."""
    reach: float = 0.0
    """How far from its segment a track may be to own it, in pixels of the image."""
    model: pathlib.Path | None = None
    """model.safetensors of `cellmotion train celltrack-embedding`: learned features instead of intensities,
    with the window, the filter and the motion that they were trained with."""
    cell_diameter: float | None = None
    """Pixels across a typical cell; without it the median of the masks where cells begin, which is too
    small if they are mere markers."""
    live: int | None = None
    """Id of a cell whose filter is shown at work in live.gif."""
    pixel_size_um: float | None = None
    """Side of a pixel in micrometres, where the movie's files do not say it or say it wrong."""
    window: int = 48
    """Side of the window in which a cell is looked for."""
    sharpness: float = 10.0
    """How much a response weighs against the distance from the expected place."""
    filter: LinearFilter = dataclasses.field(default_factory=LinearFilter)
    """How cells are recognised: ridge regression from all shifts of a window to a Gaussian."""
    kernel: bool = False
    """Use Gaussian kernels instead; kernel-filter says how, and filter is without effect."""
    kernel_filter: KernelFilter = dataclasses.field(default_factory=KernelFilter)
    """The same with Gaussian kernels."""
    motion: Motion = dataclasses.field(default_factory=Motion)
    confidence: ConfidenceSettings = dataclasses.field(default_factory=ConfidenceSettings)
    compete: bool = True
    """Give no place to two tracks, and end tracks on whose place a cell is born; exclusion says how."""
    exclusion: Exclusion = dataclasses.field(default_factory=Exclusion)
    redetect: bool = False
    """Look for lost cells beyond their windows; redetection says how."""
    redetection: Redetection = dataclasses.field(default_factory=Redetection)


def follow_cells(arguments: list[str]) -> None:
    """Follows the cells of a movie."""
    options = tyro.cli(_TrackOptions, args=arguments, prog="cellmotion track")
    require_empty_folder(options.out)
    model = None
    if options.model is not None:
        model = load_embedding(options.model)
        options = tyro.cli(_TrackOptions, args=arguments, default=_as_trained(model), prog="cellmotion track")
    movie = open_movie(options.movie, pixel_size_um=options.pixel_size_um)
    segmentation = None if options.segmentation is None else open_labels(options.segmentation, movie)
    seeds, diameter = _seeds(options, movie, segmentation)
    if options.live is not None and options.live not in seeds.ids:
        raise InputError(f"live is {options.live}, which is none of the {len(seeds)} cells to follow.")
    tracker = _tracker(options, model)
    wanted = CELL_DIAMETER if model is None else model.diameter
    zoom = grid_zoom(diameter, wanted=wanted)
    enable_compilation_cache()
    with written_beside(options.out) as partial:
        result = track_movie(
            movie,
            seeds,
            tracker,
            diameter=diameter,
            grid_diameter=wanted,
            detect=_detector(options, segmentation),
            watch=options.live,
        )
        tracks = result.tracks
        known = dict(zip(seeds.ids.tolist(), seeds.diameters.tolist()))
        discs = np.array([known.get(label, np.nan) for label in tracks.ids.tolist()])
        write_ctc_result(
            partial,
            tracks,
            np.where(np.isnan(discs), diameter, discs),
            shape=movie.shape,
            digits=frame_digits(movie),
            segmentations=None if segmentation is None else read_all(segmentation),
            reach=options.reach,
        )
        write_track_table(partial / "tracks.csv", tracks, pixel_size_um=movie.pixel_size_um)
        save_filters(partial / "filters.safetensors", result.filters, tracker=tracker, zoom=zoom)
        plot_trajectories(
            movie[-1],
            tracks.points,
            tracks.lost,
            partial / "trajectories.png",
            ids=tracks.ids if len(tracks) <= MOST_IDS_DRAWN else None,
        )
        if options.live is not None:
            write_live_view(_live_frames(movie, result, options.live, zoom), partial / "live.gif")
    share = tracks.lost.sum() / tracks.present.sum()
    print(  # noqa: T201
        f"Wrote {options.out}: {len(tracks)} tracks in {len(movie)} frames, "
        f"{share:.1%} of their places reported lost"
    )


def _as_trained(model: EmbeddingModel) -> _TrackOptions:
    """Options whose defaults are what the features were trained with."""
    required: Any = tyro.MISSING
    return _TrackOptions(
        movie=required,
        out=required,
        window=model.window,
        sharpness=model.sharpness,
        filter=LinearFilter(sigma=model.filter_sigma, regularization=model.regularization),
        kernel_filter=KernelFilter(sigma=model.filter_sigma),
        motion=Motion(spread=model.spread),
    )


def _seeds(options: _TrackOptions, movie: Movie, segmentation: Movie | None) -> tuple[Seeds, float]:
    """Cells to follow, and pixels across a typical one."""
    if options.every_birth and segmentation is None and not (options.start and options.start.is_dir()):
        raise InputError(
            "every-birth needs to know of births: give a folder of label images as start or as segmentation."
        )
    at = options.at
    if options.start is not None:
        seeds = read_seeds(options.start, movie, every_birth=options.every_birth)
    elif segmentation is not None:
        seeds = seeds_from_labels(segmentation[0])
    elif at:
        seeds, at = seeds_at_points(at), ()
    else:
        raise InputError("start is missing; give start, segmentation, or places with at to begin from.")
    if not len(seeds) and not (options.every_birth and segmentation is not None):
        raise InputError(
            "there is no cell to follow where cells begin; give an image with at least one label."
        )
    if len(seeds) and seeds.ids.max() > MAX_WRITTEN_LABEL:
        raise InputError(
            f"a cell to follow has the id {seeds.ids.max()}; a result of the Cell Tracking Challenge holds "
            f"ids up to {MAX_WRITTEN_LABEL}."
        )
    diameter = typical_diameter(seeds, options.cell_diameter)
    return choose_seeds(seeds, ids=options.ids, at=at, reach=diameter), diameter


def _detector(options: _TrackOptions, segmentation: Movie | None) -> Any:
    """Centres of segments, if new cells are to be found among them."""
    if segmentation is None or not options.every_birth or (options.start and options.start.is_dir()):
        return None
    if options.ids or options.at:
        raise InputError("every-birth follows all cells of the segmentation; leave out ids and at.")
    return lambda frame, image: seeds_from_labels(segmentation[frame]).points


def _tracker(options: _TrackOptions, model: EmbeddingModel | None) -> Tracker:
    return Tracker(
        features=Intensity() if model is None else embedding_features(model, with_intensity=False),
        filter=options.kernel_filter if options.kernel else options.filter,
        size=options.window,
        sharpness=options.sharpness,
        motion=options.motion,
        exclusion=options.exclusion if options.compete else None,
        redetection=options.redetection if options.redetect else None,
        confidence=options.confidence,
    )


def _live_frames(movie: Movie, result: TrackedMovie, watched: int, zoom: float) -> Iterator[LiveFrame]:
    """One per frame, on the grid."""
    tracks = result.tracks
    ratio = np.array(grid_shape(movie.shape, zoom)) / np.array(movie.shape)
    chosen = int(np.flatnonzero(tracks.ids == watched)[0])
    for frame, view in enumerate(result.filter_views):
        yield LiveFrame(
            image=grid_frame(movie[frame], zoom),
            boxes=tracks.boxes[frame] * np.tile(ratio, 2),
            ids=tracks.ids,
            lost=tracks.lost[frame],
            chosen=chosen,
            window=view.window,
            response=view.response,
            psr=view.psr,
            window_centre=(float(view.centre[0]), float(view.centre[1])),
        )
