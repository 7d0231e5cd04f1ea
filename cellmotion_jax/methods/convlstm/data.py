"""Training data of the ConvLSTM U-Net: annotated movies as windows of frames."""

from __future__ import annotations

import dataclasses
import pathlib
from typing import Annotated, NamedTuple

from cellmotion_jax.data.annotated import AnnotatedImage, ImageSplit, median_cell_diameter
from cellmotion_jax.data.downsampling import downsampling_for
from cellmotion_jax.data.image_split import image_split
from cellmotion_jax.data.pipeline import Source
from cellmotion_jax.data.simulate import Simulation
from cellmotion_jax.methods.convlstm.records import window_source
from cellmotion_jax.models.convlstm_unet import WINDOW
from cellmotion_jax.settings import Downsample, Range, Settings

NETWORK_DIAMETER = 32.0
"""Cell diameter in pixels after downsampling; small enough to train in minutes on two cores."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ConvLSTMData(Settings):
    """Settings of the sources of movies and of their preprocessing."""

    root: pathlib.Path | None = None
    """Cell Tracking Challenge folder (01, 01_GT/TRA, and masks in 01_ST or 01_GT), or a folder with `images`
    and `masks`, single images that are repeated as frames; None simulates movies."""
    simulation: Simulation = Simulation(frames=12, cells=12, height=512, width=512)
    """Settings of the simulation, if there is no root."""
    movies: Annotated[int, Range(1, 10**5)] = 6
    """Number of simulated movies; the last is for testing, the one before it for validation."""
    window: Annotated[int, Range(1, 1000)] = WINDOW
    """Number of frames in the input of the network, which segments the last of them."""
    downsample: Downsample | None = None
    """Frames are averaged over blocks of this side before anything else; None: the whole number that brings
    the median cell nearest to 32 pixels; 1 in the paper."""


class ConvLSTMSamples(NamedTuple):
    """The annotated frames of an experiment and the windows that end with them."""

    images: ImageSplit
    downsample: int
    """Side of the blocks over which frames are averaged."""
    diameter: float
    """Median equivalent diameter of a training cell, in pixels of the frames."""
    train: Source
    """Training windows."""
    validation: Source
    """Validation windows."""


def load_windows(data: ConvLSTMData, *, cache: pathlib.Path, seed: int) -> ConvLSTMSamples:
    """Opens or simulates the movies and prepares their frames; both are cached for the next run.

    Args:
        data: Settings.
        cache: Folder for simulated movies and prepared frames.
        seed: Seed of the simulation.

    Returns:
        Windows of the training and validation frames, and all annotated images.

    Raises:
        InputError: If the folder cannot be used or has no cell.
    """
    images = image_split(data.root, data.simulation, movies=data.movies, cache=cache, seed=seed)
    for image in images.test:  # What is wrong with them must not be found after the training.
        image.image()
        image.labels()
    diameter = median_cell_diameter(images.train)
    downsample = data.downsample or downsampling_for(diameter, NETWORK_DIAMETER)

    def windows(part: tuple[AnnotatedImage, ...]) -> Source:
        return window_source(part, window=data.window, downsample=downsample, data_dir=cache / "frames")

    return ConvLSTMSamples(images, downsample, diameter, windows(images.train), windows(images.validation))
