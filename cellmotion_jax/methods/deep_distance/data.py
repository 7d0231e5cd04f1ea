"""Training data of DeepDistance: annotated images, cut into tiles."""

from __future__ import annotations

import dataclasses
import pathlib
from typing import Annotated, NamedTuple

from cellmotion_jax.data.annotated import AnnotatedImage, ImageSplit, median_cell_diameter, open_annotated
from cellmotion_jax.data.downsampling import downsampling_for
from cellmotion_jax.data.image_split import image_split
from cellmotion_jax.data.simulate import Simulation
from cellmotion_jax.errors import InputError
from cellmotion_jax.methods.deep_distance.records import TileSettings, TileSource, tile_source
from cellmotion_jax.settings import Downsample, NotNegative, Positive, Range, Settings, Side

NETWORK_DIAMETER = 30.0
"""Cell diameter in pixels after downsampling: such a cell fits into the receptive field of a network of three
poolings."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class DeepDistanceData(Settings):
    """Settings of the sources of images and of the targets."""

    root: pathlib.Path | None = None
    """Cell Tracking Challenge folder (01, 01_GT/TRA, and masks in 01_ST or 01_GT), or a folder with `images`
    and `masks`; None simulates movies."""
    independent: tuple[pathlib.Path, ...] = ()
    """Folders of other cells, whose test images are used for further tests, never for training; they are
    downsampled according to their own cell diameter."""
    simulation: Simulation = Simulation(frames=8, cells=14, height=512, width=512)
    """Settings of the simulation, if there is no root."""
    movies: Annotated[int, Range(1, 10**5)] = 8
    """Number of simulated movies; the last is for testing, the one before it for validation."""
    tile: Side = 128
    """Rows and columns of a tile in (downsampled) pixels; 512 in the paper, with larger cells. Small tiles
    allow more updates in the same time."""
    stride: Side = 96
    """Pixels from one tile to the next; 256 in the paper."""
    downsample: Downsample | None = None
    """Images are averaged over blocks of this side before anything else; None: the whole number that brings
    the median cell nearest to 30 pixels, 1 in the paper."""
    alpha: Positive = 0.1
    """Decay of the inner distance per (downsampled) pixel, Eq. (1)."""
    squared: bool = False
    """Square the distances, as printed in Eq. (1) and (2)."""
    boundary_width: NotNegative = 2.0
    """Width, in (downsampled) pixels, of the boundary that is removed from every cell in the classification
    map."""

    def check_together(self) -> None:
        """Refuses tiles that leave gaps."""
        if self.stride > self.tile:
            self.refuse("stride", f"tiles of {self.tile} pixels must not leave gaps")


class IndependentImages(NamedTuple):
    """Images of other cells, used for testing only."""

    name: str
    """Name of the folder."""
    images: tuple[AnnotatedImage, ...]
    """The test images."""
    diameter: float
    """Median cell diameter in them, in their own pixels."""

    @property
    def radius(self) -> float:
        """Pixels within which a detection and a marker match: a third of a cell."""
        return self.diameter / 3


class DeepDistanceSamples(NamedTuple):
    """The images of an experiment and the tiles cut from them."""

    images: ImageSplit
    diameter: float
    """Median cell diameter in the training images, in their own pixels."""
    downsample: int
    """Side of the blocks over which images are averaged."""
    train: TileSource
    """Training tiles."""
    validation: TileSource
    """Validation tiles."""
    independent: tuple[IndependentImages, ...]
    """Images of other cells."""

    @property
    def radius(self) -> float:
        """Pixels within which a detection and a marker match: a third of a cell."""
        return self.diameter / 3


def load_tiles(data: DeepDistanceData, *, cache: pathlib.Path, seed: int) -> DeepDistanceSamples:
    """Opens or simulates the images and computes their targets; both are cached for the next run.

    Args:
        data: Settings.
        cache: Folder for simulated movies and prepared tiles.
        seed: Seed of the simulation.

    Returns:
        The tiles of the training and validation images, and all images.

    Raises:
        InputError: If the folder cannot be used or has no cell.
    """
    images = image_split(data.root, data.simulation, movies=data.movies, cache=cache, seed=seed)
    independent = _independent(data)
    for image in (*images.test, *(image for other in independent for image in other.images)):
        _check_test_image(image, channels=images.train[0].channels)
    diameter = median_cell_diameter(images.train)
    downsample = data.downsample or downsampling_for(diameter, NETWORK_DIAMETER)
    settings = TileSettings(
        downsample=downsample,
        tile=data.tile,
        stride=data.stride,
        alpha=data.alpha,
        squared=data.squared,
        boundary_width=data.boundary_width,
    )
    # Of validation images every pixel counts once, or nearly so.
    side_by_side = dataclasses.replace(settings, stride=data.tile)
    return DeepDistanceSamples(
        images=images,
        diameter=diameter,
        downsample=downsample,
        train=tile_source(images.train, settings, data_dir=cache / "tiles"),
        validation=tile_source(images.validation, side_by_side, data_dir=cache / "tiles"),
        independent=independent,
    )


def _independent(data: DeepDistanceData) -> tuple[IndependentImages, ...]:
    others: list[IndependentImages] = []
    for root in data.independent:
        folder = root.resolve()
        # A sequence of a challenge dataset is named 01 everywhere.
        name = f"{folder.parent.name}-{folder.name}" if folder.name.isdecimal() else folder.name
        if name in ("validation", "test", *(other.name for other in others)):
            raise InputError(f"data.independent has {root}, but there is a part {name!r} already; rename it.")
        images = open_annotated(folder).test
        others.append(IndependentImages(name, images, median_cell_diameter(images)))
    return tuple(others)


def _check_test_image(image: AnnotatedImage, *, channels: int) -> None:
    """Reads a test image once, so that errors in it are found before the training."""
    if image.channels != channels:
        raise InputError(
            f"{image.image_file} has {image.channels} channels, but the training images have {channels}."
        )
    image.image()
    image.labels()
