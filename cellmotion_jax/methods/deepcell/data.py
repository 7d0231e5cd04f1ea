"""Annotated images for DeepCell's feature nets: contrast, classes, tiles or balanced pixels."""

from __future__ import annotations

import dataclasses
import enum
import functools
import pathlib
from typing import NamedTuple

from cellmotion_jax.data.annotated import ImageSplit, median_cell_diameter
from cellmotion_jax.data.downsampling import downsampling_for
from cellmotion_jax.data.image_split import image_split
from cellmotion_jax.data.simulate import Look, Simulation
from cellmotion_jax.errors import InputError
from cellmotion_jax.methods.deepcell.nuclei import nuclei_contrast
from cellmotion_jax.methods.deepcell.pixel_classes import (
    CLASSES,
    Crops,
    balanced_crops,
    class_shares,
    classed_images,
    tile_crops,
)

NETWORK_DIAMETER = 24.0
"""Pixels across a nucleus to which images are downsampled: a field of 31 pixels sees all of it."""


class Sampling(enum.Enum):
    """What one sample is."""

    dense = "dense"
    """A tile, of which every pixel (every ``stride``-th) is classified at once, rare classes weighted."""
    balanced = "balanced"
    """One pixel with the patch around it, equally many of each class."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class DeepCellData:
    """Where the images come from and how they are sampled."""

    root: pathlib.Path | None = None
    """Cell Tracking Challenge folder (01, 01_GT/TRA, and masks in 01_ST or 01_GT), or a folder with `images`
    and `masks`; None simulates movies of nuclei."""
    simulation: Simulation = Simulation(look=Look.NUCLEI, frames=8, cells=14)
    """What is simulated where there is no root."""
    movies: int = 8
    """Number of simulated movies; the last is for testing, the one before it for validation."""
    downsample: int | None = None
    """Images are averaged over blocks of this side before anything else; None: the whole number that brings
    the median nucleus nearest to 24 pixels."""
    boundary_width: float = 2.0
    """(Downsampled) pixels along the rim of every nucleus that are its boundary."""
    sampling: Sampling = Sampling.dense
    """Tiles, or balanced pixels as the authors trained."""
    tile: int = 64
    """Rows and columns that a dense sample answers for."""
    stride: int = 2
    """A dense sample answers for every pixel (1) or every second or fourth along y and x: neighbouring pixels
    teach the same, and the work of the deep layers goes with the number of answers."""
    pixels_per_class: int = 50_000
    """Balanced pixels of each class, at most."""

    def __post_init__(self) -> None:
        """Refuses samples without pixels."""
        for name in ("tile", "downsample", "pixels_per_class"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise InputError(f"data.{name.replace('_', '-')} is {value}; it must be at least 1.")
        if not self.boundary_width >= 1:
            raise InputError(f"data.boundary-width is {self.boundary_width}; it must be at least 1.")


class DeepCellSamples(NamedTuple):
    """The images of an experiment and what is cut from them."""

    images: ImageSplit
    diameter: float
    """Median diameter of the nuclei in the training images, in their own pixels."""
    downsample: int
    """Side of the blocks over which images are averaged."""
    train: Crops
    """Tiles or patches to learn from."""
    validation: Crops
    """Tiles to choose by, whatever the sampling."""
    weights: tuple[float, ...]
    """Of each class, its share of the training pixels inverted; their mean over these pixels is 1."""

    @property
    def radius(self) -> float:
        """Pixels within which a detection and a marker match: a third of a cell."""
        return self.diameter / 3


def load_crops(data: DeepCellData, *, field: int, cache: pathlib.Path, seed: int) -> DeepCellSamples:
    """Finds or simulates the images and computes what is to be learned of them.

    Args:
        data: Settings.
        field: Side of what the network sees at once.
        cache: Folder for simulated movies.
        seed: Seed of the simulation and of the balanced pixels.

    Returns:
        The samples, held in memory.

    Raises:
        InputError: Anything wrong with the folder, or a class of which there is no pixel.
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
