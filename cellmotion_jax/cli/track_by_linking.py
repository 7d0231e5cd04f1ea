"""``cellmotion track --by linking``: links the label images of a movie to tracks."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
import tyro
from jaxtyping import Integer

from cellmotion_jax.cli.backend import prepare_backend
from cellmotion_jax.cli.linked_movie import say_written
from cellmotion_jax.cli.movies import open_for_command
from cellmotion_jax.cli.options import parse_early, parse_options
from cellmotion_jax.data.blank_frames import (
    BLANK_FRAMES,
    Blank,
    BlankFrame,
    FrameTest,
    all_blank,
    every_frame,
    frame_test,
    write_blank_frames,
)
from cellmotion_jax.data.ctc_masks import frame_digits
from cellmotion_jax.data.label_images import open_labels
from cellmotion_jax.data.movie import Movie
from cellmotion_jax.data.movie_options import MovieOptions
from cellmotion_jax.errors import InputError
from cellmotion_jax.files import output_folder
from cellmotion_jax.inference.linking.linker import LinkSettings
from cellmotion_jax.inference.segmenter import Segmenter, describe_needs
from cellmotion_jax.pipeline.link import link_movie
from cellmotion_jax.pipeline.segment import cells_of_movie
from cellmotion_jax.pipeline.segmenters import open_segmenter
from cellmotion_jax.pipeline.track_overview import write_overview
from cellmotion_jax.settings import Positive, Settings
from cellmotion_jax.weights.shipped import SHIPPED

PROG = "cellmotion track"
TIFF = (".tif", ".tiff")


@dataclasses.dataclass(frozen=True, kw_only=True)
class _SegmentationOptions(Settings):
    """Options that determine which settings exist, and their default values."""

    segmentation: tuple[pathlib.Path, ...] = ()
    cell_diameter: Positive | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class _LinkOptions(Settings):
    """Links the cells of neighbouring frames to tracks; gaps and divisions are allowed.

    The cells are those of given label images, or are segmented by a trained model as with `cellmotion
    segment`. Writes maskT.tif and res_track.txt (a result of the Cell Tracking Challenge; the labels are
    tracks), tracks.csv (positions and areas by track and frame) and trajectories.png. `cellmotion measure`
    measures the result, `cellmotion evaluate` scores it.
    """

    movie: tyro.conf.Positional[pathlib.Path]
    """Folder of TIFF frames, TIFF stack or OME-Zarr; grey, or RGB where the model was trained on RGB."""
    out: pathlib.Path
    """Folder to write; it must not exist yet, or be empty."""
    segmentation: tuple[pathlib.Path, ...]
    """Folder or stack with a label image of every frame (a label need not mean the same cell in two frames);
    or a model file as for `cellmotion segment`, which segments the movie and whose settings are then further
    options."""
    by: Literal["filters", "linking", "rcnn"] = "linking"
    """Track cells by correlation filters, by linking label images from frame to frame, or by a CellTrack
    R-CNN."""
    cell_diameter: Positive | None = None
    """Diameter of a typical cell of the movie in pixels, for a model that was trained on cells of another
    size."""
    reading: tyro.conf.OmitArgPrefixes[MovieOptions] = dataclasses.field(default_factory=MovieOptions)
    """What the movie's files do not say."""
    links: LinkSettings = dataclasses.field(default_factory=LinkSettings)
    """How cells are linked; lengths are in cell diameters."""
    skip_blank: bool = True
    """Leave out frames without information (black, white, saturated, of camera noise alone, or, unlike the
    others, far out of focus): their cells are ignored, and tracks go on after them. They are listed in
    blank_frames.csv. --no-skip-blank uses all frames."""
    settings: tyro.conf.Suppress[Any] = None
    """Settings of the model: how it finds cells. They depend on the model file."""


def link_cells(arguments: list[str]) -> None:
    """Links the cells of a movie to tracks."""
    early, _ = parse_early(_SegmentationOptions, arguments, prog=PROG)
    segmenter = None
    if early.segmentation and not _is_labels(early.segmentation[0]):
        prepare_backend()
        segmenter = open_segmenter(early.segmentation, cell_diameter=early.cell_diameter)
    options = parse_options(
        _LinkOptions,
        arguments,
        prog=PROG,
        settings=None if segmenter is None else segmenter.settings,
        more_help=(
            "--by linking --segmentation FILE --help lists the settings of a model."
            if segmenter is None
            else describe_needs(segmenter)
        ),
    )
    with output_folder(options.out) as folder:
        if segmenter is None:
            movie = open_for_command(options.movie, options.reading)
            labels = _given_labels(options, movie)
        else:
            segmenter = segmenter.with_settings(options.settings)
            movie = open_for_command(options.movie, options.reading, segmenter)
            labels = segmenter
        test = frame_test(movie) if options.skip_blank else every_frame
        blank: list[BlankFrame] = []
        linked = link_movie(
            _segmentations(movie, labels, test, blank),
            folder,
            settings=options.links,
            digits=frame_digits(movie),
            pixel_size_um=movie.pixel_size_um,
            source=str(movie.path if segmenter else options.segmentation[0]),
        )
        linked = linked._replace(blank=tuple(blank))
        write_blank_frames(folder / BLANK_FRAMES, blank)
        write_overview(folder, movie, linked)
    say_written(options.out, movie, linked)


def _is_labels(path: pathlib.Path) -> bool:
    """Whether a path holds label images (and is not a model file)."""
    if path.suffix.lower() == ".safetensors" or (str(path) in SHIPPED and not path.exists()):
        return False
    return path.is_dir() or path.suffix.lower() in TIFF or not path.exists()


def _given_labels(options: _LinkOptions, movie: Movie) -> Movie:
    if len(options.segmentation) != 1:
        raise InputError(
            f"segmentation names {' and '.join(map(str, options.segmentation))}; label images are one folder "
            "or one stack."
        )
    if options.cell_diameter is not None:
        raise InputError(
            f"cell-diameter is {options.cell_diameter}, but {options.segmentation[0]} holds label images; it "
            "is for the file of a model."
        )
    return open_labels(options.segmentation[0], movie)


def _segmentations(
    movie: Movie, labels: Movie | Segmenter, test: FrameTest, blank: list[BlankFrame]
) -> Iterator[Integer[np.ndarray, "y x"] | None]:
    """Label images of all frames, None for one without information, which is added to ``blank``."""
    fresh = isinstance(labels, Segmenter)
    found = _fresh_labels(movie, labels, test) if fresh else _given_frames(movie, labels, test)
    for frame, (image, reason) in enumerate(found):
        if reason is not None:
            blank.append(BlankFrame(frame, movie.frame_names[frame], reason))
        yield None if reason is not None else image
    if len(blank) == len(movie):
        raise InputError(all_blank(movie, blank[0].reason))


def _given_frames(
    movie: Movie, labels: Movie, test: FrameTest
) -> Iterator[tuple[Integer[np.ndarray, "y x"], Blank | None]]:
    """Label images that are given, and why a frame has no information."""
    for frame in range(len(movie)):
        yield labels[frame], test(movie[frame])


def _fresh_labels(
    movie: Movie, segmenter: Segmenter, test: FrameTest
) -> Iterator[tuple[Integer[np.ndarray, "y x"], Blank | None]]:
    """Label images that a model makes, and why a frame has no information."""
    for _, cells in cells_of_movie(movie, segmenter, test=test):
        if cells.labels is None:
            raise InputError(
                "the model finds places of cells without outlines, and only label images can be linked; "
                "train it with outlines, or follow its places by filters: --start TABLE."
            )
        yield cells.labels, cells.blank
