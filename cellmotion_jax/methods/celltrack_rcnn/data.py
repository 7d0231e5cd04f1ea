"""Training data of CellTrack R-CNN: pairs of adjacent frames of annotated movies, cut into windows."""

from __future__ import annotations

import dataclasses
import pathlib
from typing import Annotated, NamedTuple

from cellmotion_jax.data.annotated import ImageSplit, median_cell_diameter
from cellmotion_jax.data.image_split import image_split
from cellmotion_jax.data.simulate import Look, Simulation
from cellmotion_jax.methods.celltrack_rcnn.pairs import AnnotatedPair, adjacent_pairs
from cellmotion_jax.methods.celltrack_rcnn.records import WindowSettings, WindowSource, window_source
from cellmotion_jax.settings import Positive, Range, Settings, Side


@dataclasses.dataclass(frozen=True, kw_only=True)
class RCNNData(Settings):
    """Settings of the sources of movies and of the windows."""

    root: pathlib.Path | None = None
    """Cell Tracking Challenge folder (01, 01_GT/TRA, and masks in 01_ST or 01_GT); None simulates movies."""
    simulation: Simulation = Simulation(
        look=Look.NUCLEI, frames=16, cells=40, height=384, width=384, division_rate_per_h=0.06
    )
    """Settings of the simulation, if there is no root."""
    movies: Annotated[int, Range(3, 10**5)] = 8
    """Number of simulated movies; the last is for testing, the one before it for validation."""
    diameter: Positive = 32.0
    """Diameter of the median cell in pixels of the network: frames are enlarged or made smaller to it."""
    scale: Positive | None = None
    """Pixels of the network per pixel of a frame; None: as the diameter asks for."""
    window: Side = 384
    """Rows and columns of a window, of which a part is used at a time, another one of either frame."""
    stride: Side = 256
    """Pixels from one window to the next."""
    cells: Annotated[int, Range(1, 254)] = 96
    """Largest number of cells in a window; those farthest from its middle are left out beyond it."""

    def check_together(self) -> None:
        """Refuses windows that leave gaps."""
        if self.stride > self.window:
            self.refuse("stride", f"windows of {self.window} pixels must not leave gaps")


class RCNNSamples(NamedTuple):
    """The movies of an experiment and the windows cut from them."""

    images: ImageSplit
    diameter: float
    """Median cell diameter in the training images, in their own pixels."""
    scale: float
    """Pixels of the network per pixel of a frame."""
    train: WindowSource
    validation: WindowSource
    validation_pairs: tuple[AnnotatedPair, ...]
    """Adjacent frames of the validation part."""
    train_pairs: tuple[AnnotatedPair, ...]
    """Adjacent frames of the training part."""


def load_windows(data: RCNNData, *, cache: pathlib.Path, seed: int) -> RCNNSamples:
    """Opens or simulates the movies and prepares their windows; both are cached for the next run.

    Args:
        data: Settings.
        cache: Folder for simulated movies and prepared windows.
        seed: Seed of the simulation.

    Returns:
        Windows of the training and validation frames, and all annotated images.

    Raises:
        InputError: If the folder cannot be used, or has no adjacent annotated frames with tracks.
    """
    images = image_split(data.root, data.simulation, movies=data.movies, cache=cache, seed=seed)
    train, validation = adjacent_pairs(images.train), adjacent_pairs(images.validation)
    adjacent_pairs(images.test)  # What is wrong with them must not be found after the training.
    for image in images.test:
        image.image()
        image.labels()
    diameter = median_cell_diameter(images.train)
    settings = WindowSettings(
        scale=data.scale or data.diameter / diameter,
        window=data.window,
        stride=data.stride,
        cells=data.cells,
    )

    def windows(pairs: tuple[AnnotatedPair, ...]) -> WindowSource:
        return window_source(pairs, settings, data_dir=cache / "windows")

    return RCNNSamples(
        images=images,
        diameter=diameter,
        scale=settings.scale,
        train=windows(train),
        validation=windows(validation),
        validation_pairs=validation,
        train_pairs=train,
    )
