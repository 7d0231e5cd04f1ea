"""Training data of DeepCell's feature nets: local contrast and pixel classes, as tiles or balanced pixels."""

from __future__ import annotations

import dataclasses
import enum
import functools
import pathlib
from typing import Annotated, NamedTuple

from cellmotion_jax.data.annotated import ImageSplit, median_cell_diameter
from cellmotion_jax.data.downsampling import downsampling_for
from cellmotion_jax.data.image_split import image_split
from cellmotion_jax.data.simulate import Look, Simulation
from cellmotion_jax.methods.deepcell.nuclei import nuclei_contrast
from cellmotion_jax.methods.deepcell.pixel_classes import (
    CLASSES,
    Crops,
    balanced_crops,
    class_shares,
    classed_images,
    tile_crops,
)
from cellmotion_jax.settings import Count, Downsample, OneOf, Range, Settings, Side

NETWORK_DIAMETER = 24.0
"""Diameter of a nucleus in pixels after downsampling: it fits into the receptive field of 31 pixels."""


class Sampling(enum.Enum):
    """Kind of training samples."""

    dense = "dense"
    """Tiles of which every pixel (every ``stride``-th) is classified; rare classes get a higher weight."""
    balanced = "balanced"
    """Single pixels with the patch around them, equally many of each class."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class DeepCellData(Settings):
    """Settings of the sources of images and of the sampling."""

    root: pathlib.Path | None = None
    """Cell Tracking Challenge folder (01, 01_GT/TRA, and masks in 01_ST or 01_GT), or a folder with `images`
    and `masks`; None simulates movies of nuclei."""
    simulation: Simulation = Simulation(look=Look.NUCLEI, frames=8, cells=14)
    """Settings of the simulation, if there is no root."""
    movies: Annotated[int, Range(1, 10**5)] = 8
    """Number of simulated movies; the last is for testing, the one before it for validation."""
    downsample: Downsample | None = None
    """Images are averaged over blocks of this side before anything else; None: the whole number that brings
    the median nucleus nearest to 24 pixels."""
    boundary_width: Annotated[float, Range(1, 2**14)] = 2.0
    """Width, in (downsampled) pixels, of the boundary class along the rim of every nucleus."""
    sampling: Sampling = Sampling.dense
    """Kind of samples: tiles, or balanced pixels as in the paper."""
    tile: Side = 64
    """Rows and columns of the output of a dense sample."""
    stride: Annotated[int, OneOf((1, 2, 4, 8))] = 2
    """A dense sample has outputs at every pixel (1), or at every second or fourth along y and x: neighbouring
    pixels carry nearly the same information, and the computing time of the deep layers is proportional to the
    number of outputs."""
    pixels_per_class: Count = 50_000
    """Largest number of balanced pixels of each class."""


class DeepCellSamples(NamedTuple):
    """The images of an experiment and the samples cut from them."""

    images: ImageSplit
    diameter: float
    """Median diameter of the nuclei in the training images, in their own pixels."""
    downsample: int
    """Side of the blocks over which images are averaged."""
    train: Crops
    """Training tiles or patches."""
    validation: Crops
    """Validation samples, tiles for either kind of sampling."""
    weights: tuple[float, ...]
    """Weight of each class, proportional to the inverse of its share of the training pixels; the mean weight
    over these pixels is 1."""

    @property
    def radius(self) -> float:
        """Pixels within which a detection and a marker match: a third of a cell."""
        return self.diameter / 3


def load_crops(data: DeepCellData, *, field: int, cache: pathlib.Path, seed: int) -> DeepCellSamples:
    """Opens or simulates the images and computes the training samples.

    Args:
        data: Settings.
        field: Side of the receptive field of the network.
        cache: Folder for simulated movies.
        seed: Seed of the simulation and of the balanced pixels.

    Returns:
        The samples, in memory.

    Raises:
        InputError: If the folder cannot be used, or a class has no pixel.
    """
    images = image_split(data.root, data.simulation, movies=data.movies, cache=cache, seed=seed)
    diameter = median_cell_diameter(images.train)
    downsample = data.downsample or downsampling_for(diameter, NETWORK_DIAMETER)
    contrast = functools.partial(nuclei_contrast, field=field, downsample=downsample, offset=None)
    train, validation = (
        classed_images(part, downsample=downsample, width=data.boundary_width, field=field, contrast=contrast)
        for part in (images.train, images.validation)
    )
    if data.sampling is Sampling.balanced:
        crops = balanced_crops(train, most=data.pixels_per_class, field=field, seed=seed)
    else:
        crops = tile_crops(train, tile=data.tile, step=data.tile, field=field)
    weights = tuple(float(1 / (len(CLASSES) * share)) for share in class_shares(train))
    held = tile_crops(validation, tile=data.tile, step=data.tile, field=field)
    return DeepCellSamples(images, diameter, downsample, crops, held, weights)
