"""``cellmotion track --by rcnn``: finds, outlines and tracks the cells of a movie by one network."""

from __future__ import annotations

import dataclasses
import pathlib
from typing import Literal

import tyro

from cellmotion_jax.cli.backend import prepare_backend
from cellmotion_jax.cli.linked_movie import say_written, write_overview
from cellmotion_jax.cli.movies import open_for_command
from cellmotion_jax.cli.options import parse_options
from cellmotion_jax.data.label_images import open_labels
from cellmotion_jax.data.movie_options import MovieOptions
from cellmotion_jax.files import output_folder
from cellmotion_jax.methods.celltrack_rcnn.detection import RCNNSettings
from cellmotion_jax.methods.celltrack_rcnn.segmenter import open_model
from cellmotion_jax.methods.celltrack_rcnn.tracker import RCNNLinkSettings
from cellmotion_jax.pipeline.track_rcnn import track_movie, typical_mask_diameter
from cellmotion_jax.settings import Positive, Settings


@dataclasses.dataclass(frozen=True, kw_only=True)
class _RCNNOptions(Settings):
    """Finds, outlines and tracks the cells of a movie by a CellTrack R-CNN; with divisions.

    Writes maskT.tif and res_track.txt (a result of the Cell Tracking Challenge; the labels are tracks),
    tracks.csv (positions and areas by track and frame, and the probability of the link to the frame before)
    and trajectories.png. `cellmotion measure` measures the result, `cellmotion evaluate` scores it.
    """

    movie: tyro.conf.Positional[pathlib.Path]
    """Folder of TIFF frames, TIFF stack or OME-Zarr; grey."""
    out: pathlib.Path
    """Folder to write; it must not exist yet, or be empty."""
    model: pathlib.Path
    """Model file: the model.safetensors that `cellmotion train celltrack-rcnn` wrote."""
    by: Literal["filters", "linking", "rcnn"] = "rcnn"
    """Track cells by correlation filters, by linking label images from frame to frame, or by a CellTrack
    R-CNN."""
    masks: pathlib.Path | None = None
    """Folder or stack with a label image of every frame: only the tracking branch is used, to link these
    cells. A label need not mean the same cell in two frames."""
    cell_diameter: Positive | None = None
    """Diameter of a typical cell of the movie in pixels; needed if the cells or the magnification differ from
    the training data. Frames are enlarged or made smaller accordingly. With masks it is measured."""
    reading: tyro.conf.OmitArgPrefixes[MovieOptions] = dataclasses.field(default_factory=MovieOptions)
    """What the movie's files do not say."""
    cells: RCNNSettings = dataclasses.field(default_factory=RCNNSettings)
    """How cells are found; without effect on masks that are given."""
    links: RCNNLinkSettings = dataclasses.field(default_factory=RCNNLinkSettings)
    """How cells are linked."""


def detect_and_track(arguments: list[str]) -> None:
    """Finds and tracks the cells of a movie."""
    options = parse_options(_RCNNOptions, arguments, prog="cellmotion track")
    prepare_backend()
    with output_folder(options.out) as folder:
        movie = open_for_command(options.movie, options.reading)
        masks = None if options.masks is None else open_labels(options.masks, movie)
        diameter = options.cell_diameter
        if diameter is None and masks is not None:
            diameter = typical_mask_diameter(masks)
        model = open_model(options.model, cell_diameter=diameter)
        linked = track_movie(movie, model, folder, masks=masks, cells=options.cells, links=options.links)
        write_overview(folder, movie, linked)
    say_written(options.out, movie, linked)
