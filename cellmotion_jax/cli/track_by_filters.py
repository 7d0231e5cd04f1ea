"""``cellmotion track --by filters``: tracks cells from given start positions with correlation filters."""

from __future__ import annotations

import dataclasses
import logging
import math
import pathlib
from collections.abc import Iterator
from typing import Annotated, Any, Literal

import numpy as np
import tyro
from jaxtyping import Int

from cellmotion_jax.cli.backend import prepare_backend
from cellmotion_jax.cli.movies import open_for_command
from cellmotion_jax.cli.options import parse_early, parse_options
from cellmotion_jax.data.ctc_masks import frame_digits
from cellmotion_jax.data.movie import Movie
from cellmotion_jax.data.movie_options import MovieOptions
from cellmotion_jax.errors import InputError
from cellmotion_jax.files import output_folder
from cellmotion_jax.methods.celltrack.ctc_result import write_ctc_result
from cellmotion_jax.methods.celltrack.empty_places import empty_places
from cellmotion_jax.methods.celltrack.filters_file import save_filters
from cellmotion_jax.methods.celltrack.grid import CELL_DIAMETER, grid_frame, grid_shape
from cellmotion_jax.methods.celltrack.seeds import Seeds
from cellmotion_jax.methods.celltrack.seeds_file import StartSettings, read_start
from cellmotion_jax.methods.celltrack.track_movie import TrackedMovie, track_movie
from cellmotion_jax.methods.celltrack.tracks import Tracks, write_track_table
from cellmotion_jax.pipeline.tracking_features import TrackingModel, open_tracking_model
from cellmotion_jax.report.live_view import LiveFrame, write_live_view
from cellmotion_jax.report.summary import counted
from cellmotion_jax.report.trajectories import MOST_IDS_DRAWN, plot_trajectories
from cellmotion_jax.settings import Count, NotNegative, Positive, Range, Settings
from cellmotion_jax.tracking import (
    Centring,
    ConfidenceSettings,
    Exclusion,
    Features,
    Intensity,
    KernelFilter,
    LinearFilter,
    Motion,
    Redetection,
    Tracker,
)

PROG = "cellmotion track"
MOST_PLACES_NAMED = 5
"""Empty start points that a warning names."""
_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, kw_only=True)
class _ModelOption(Settings):
    """Options that determine the default values of others."""

    model: pathlib.Path | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class _FilterOptions(StartSettings):
    """Tracks the cells of a movie, each with its own correlation filter.

    The start positions of the cells are given by --start, by --at alone, or by the first image of
    --segmentation. Writes tracks.csv (positions and confidence by track and frame), maskT.tif and
    res_track.txt (a result of the Cell Tracking Challenge), trajectories.png, filters.safetensors (the
    learned filters) and, with --live, live.gif. Lengths of window, motion, exclusion and redetection are in
    pixels of a grid: for intensities a typical cell has a diameter of 16 grid pixels, for a tracking
    embedding that of its training, and for other networks grid pixels are pixels of the movie.
    """

    movie: tyro.conf.Positional[pathlib.Path]
    """Folder of TIFF frames, TIFF stack or OME-Zarr; grey."""
    out: pathlib.Path
    """Folder to write; it must not exist yet, or be empty."""
    by: Literal["filters", "linking", "rcnn"] = "filters"
    """Track cells by correlation filters, by linking label images from frame to frame, or by a CellTrack
    R-CNN; --by linking --help and --by rcnn --help list the options of these."""
    reach: NotNegative = 0.0
    """Largest distance between the position of a track and its segment, in pixels of the image."""
    model: pathlib.Path | None = None
    """Model file of a network whose features replace the intensities: a tracking embedding (with the window,
    the filter and the motion of its training), a RecogNet or a DeepCell network from `cellmotion train`, or a
    DeepCell network or a MobileNetV2 from `cellmotion import-weights`."""
    layers: Count | None = None
    """Number of layers of the network that are used as features, each with its own filter: convolutions of
    RecogNet and DeepCell (default 4), stages of MobileNetV2 (default 3), or features and intensities of an
    embedding (default 1)."""
    layer_weights: tuple[NotNegative, ...] | None = None
    """Weight of the response of each layer, not 0 for all; default 1.0 0.5 0.2 0.2, for an embedding
    1.0 1.0."""
    live: Count | None = None
    """Id of a cell whose window and filter response are shown in live.gif."""
    reading: tyro.conf.OmitArgPrefixes[MovieOptions] = dataclasses.field(default_factory=MovieOptions)
    """What the movie's files do not say."""
    window: Annotated[int, Range(1, 2**12)] = 48
    """Side of the window in which a cell is searched."""
    scales: tuple[Annotated[float, Range(0.1, 10)], ...] = (1.0,)
    """Relative sizes of the window that are tried in every frame, e.g. 0.95 1 1.05 for cells that grow or
    shrink; 1 alone is a fixed size."""
    scale_spread: Positive = 0.05
    """Standard deviation of the logarithm of a cell's change of size from frame to frame."""
    sharpness: NotNegative = 10.0
    """Weight of the filter response relative to the distance from the predicted position."""
    filter: LinearFilter = dataclasses.field(default_factory=LinearFilter)
    """Settings of the linear correlation filter: ridge regression from all shifts of a window to a
    Gaussian."""
    kernel: bool = False
    """Use a filter with a Gaussian kernel instead; its settings are those of kernel-filter, and those of
    filter have no effect."""
    kernel_filter: KernelFilter = dataclasses.field(default_factory=KernelFilter)
    """Settings of the filter with a Gaussian kernel."""
    motion: Motion = dataclasses.field(default_factory=Motion)
    confidence: ConfidenceSettings = dataclasses.field(default_factory=ConfidenceSettings)
    compete: bool = True
    """Never give one position to two tracks, and end a track when a new cell appears at its position; see the
    settings of exclusion."""
    exclusion: Exclusion = dataclasses.field(default_factory=Exclusion)
    redetect: bool = False
    """Search for lost cells outside their windows; see the settings of redetection."""
    redetection: Redetection = dataclasses.field(default_factory=Redetection)
    centre: bool = True
    """Move tracks to the centre of their cells, if the model predicts centres; see the settings of
    centring."""
    centring: Centring = dataclasses.field(default_factory=Centring)


def follow_cells(arguments: list[str]) -> None:
    """Tracks the cells of a movie and writes the result."""
    path = parse_early(_ModelOption, arguments, prog=PROG)[0].model
    model = None if path is None else _open_model(path)
    options = parse_options(_FilterOptions, arguments, prog=PROG, defaults=_as_trained(model))
    with output_folder(options.out) as folder:
        movie = open_for_command(options.movie, options.reading)
        seeds, diameter, segmentation, detect = read_start(options, movie)
        if options.at and options.start is None and options.segmentation is None:
            _warn_of_empty_places(movie, seeds, diameter)
        if options.live is not None and options.live not in seeds.ids:
            raise InputError(f"live is {options.live}, which is none of the {len(seeds)} cells to follow.")
        tracker = _tracker(options, model, movie)
        wanted = CELL_DIAMETER if model is None else model.diameter or diameter
        prepare_backend()
        result = track_movie(
            movie,
            seeds,
            tracker,
            diameter=diameter,
            grid_diameter=wanted,
            detect=detect,
            watch=options.live,
        )
        tracks = result.tracks
        known = dict(zip(seeds.ids.tolist(), seeds.diameters.tolist()))
        discs = np.array([known.get(label, np.nan) for label in tracks.ids.tolist()])
        write_ctc_result(
            folder,
            tracks,
            np.where(np.isnan(discs), diameter, discs),
            shape=movie.shape,
            digits=frame_digits(movie),
            segmentations=None if segmentation is None else iter(segmentation),
            reach=options.reach,
        )
        write_track_table(folder / "tracks.csv", tracks, pixel_size_um=movie.pixel_size_um)
        save_filters(folder / "filters.safetensors", result.filters, tracker=tracker, zoom=result.zoom)
        plot_trajectories(
            movie[-1],
            tracks.points,
            tracks.lost,
            folder / "trajectories.png",
            ids=tracks.ids if len(tracks) <= MOST_IDS_DRAWN else None,
            mothers=_mothers(tracks),
            pixel_size_um=movie.pixel_size_um,
        )
        if options.live is not None:
            write_live_view(_live_frames(movie, result, options.live), folder / "live.gif")
    share = tracks.lost.sum() / tracks.present.sum()
    print(  # noqa: T201
        f"Wrote {options.out}: {counted(len(tracks), 'track')} in {counted(len(movie), 'frame')}, "
        f"{share:.1%} of their places reported lost"
    )


def _warn_of_empty_places(movie: Movie, seeds: Seeds, diameter: float) -> None:
    """Warns of points of the user at which there is no cell: a filter follows any pattern of noise."""
    empty = np.zeros(len(seeds), bool)
    for frame in np.unique(seeds.frame):
        here = seeds.frame == frame
        empty[here] = empty_places(movie[frame], seeds.points[here], diameter=diameter)
    if empty.any():
        places = ", ".join(f"{y:g} {x:g}" for y, x in seeds.points[empty][:MOST_PLACES_NAMED])
        _log.warning(
            "there is hardly more than noise at %s (y x)%s: are they on cells? What is followed from there "
            "says nothing of a cell, also where it is not reported lost.",
            places,
            f" and {empty.sum() - MOST_PLACES_NAMED} more places" if empty.sum() > MOST_PLACES_NAMED else "",
        )


def _mothers(tracks: Tracks) -> Int[np.ndarray, " track"]:
    """Number of the track that each one was born from, in their order; -1 for none."""
    place = {label: number for number, label in enumerate(tracks.ids.tolist())}
    return np.array([place.get(parent, -1) for parent in tracks.parents.tolist()], int)


def _open_model(path: pathlib.Path) -> TrackingModel:
    prepare_backend()
    return open_tracking_model(path)


def _as_trained(model: TrackingModel | None) -> dict[str, Any]:
    """Default values as in the training of the features."""
    if model is None or model.embedding is None:
        return {}
    trained = model.embedding
    return {
        "window": trained.window,
        "sharpness": trained.sharpness,
        "filter": LinearFilter(sigma=trained.filter_sigma, regularization=trained.regularization),
        "kernel_filter": KernelFilter(sigma=trained.filter_sigma),
        "motion": Motion(spread=trained.spread),
    }


def _tracker(options: _FilterOptions, model: TrackingModel | None, movie: Movie) -> Tracker:
    features, usual = _features(options, model, movie)
    weights = usual if options.layer_weights is None else options.layer_weights
    strides = features.strides
    if not sum(weights) > 0:
        raise InputError(f"layer-weights are {weights}; at least one must be more than 0.")
    if len(weights) != len(strides):
        raise InputError(
            f"layer-weights are {weights}, but filters look at {len(strides)} layers; give a number for each."
        )
    if any(options.window % stride for stride in strides):
        raise InputError(
            f"window is {options.window}; on layers with samples {', '.join(map(str, strides))} pixels apart "
            f"it is a multiple of {math.lcm(*strides)}."
        )
    return Tracker(
        features=features,
        filter=options.kernel_filter if options.kernel else options.filter,
        weights=weights,
        size=options.window,
        sharpness=options.sharpness,
        motion=options.motion,
        scales=options.scales,
        scale_spread=options.scale_spread,
        exclusion=options.exclusion if options.compete else None,
        centring=options.centring if options.centre else None,
        redetection=options.redetection if options.redetect else None,
        confidence=options.confidence,
    )


def _features(
    options: _FilterOptions, model: TrackingModel | None, movie: Movie
) -> tuple[Features, tuple[float, ...]]:
    """The features that the filters use, and the default weights of their layers."""
    most = 1 if model is None else len(model.weights)
    usual = 1 if model is None else model.layers
    layers = usual if options.layers is None else options.layers
    if not 1 <= layers <= most:
        there = "intensities are one layer" if model is None else f"{options.model} has {most}"
        raise InputError(f"layers is {layers}, but {there}; give a number from 1 to {most}.")
    if model is None:
        return Intensity(), (1.0,)
    if min(movie.shape) < model.smallest_frame:
        raise InputError(
            f"{movie.path} has frames of {movie.shape[0]} x {movie.shape[1]} pixels; the network of "
            f"{options.model} takes frames of at least {model.smallest_frame} x {model.smallest_frame}."
        )
    return model.make(layers, movie[0]), model.weights[:layers]


def _live_frames(movie: Movie, result: TrackedMovie, watched: int) -> Iterator[LiveFrame]:
    """One frame of the live view per frame of the movie, on the grid."""
    tracks = result.tracks
    ratio = np.array(grid_shape(movie.shape, result.zoom)) / np.array(movie.shape)
    chosen = int(np.flatnonzero(tracks.ids == watched)[0])
    for frame, view in enumerate(result.filter_views):
        yield LiveFrame(
            image=grid_frame(movie[frame], result.zoom),
            boxes=tracks.boxes[frame] * np.tile(ratio, 2),
            ids=tracks.ids,
            lost=tracks.lost[frame],
            chosen=chosen,
            window=view.window,
            response=view.response,
            psr=view.psr,
            window_centre=(float(view.centre[0]), float(view.centre[1])),
        )
