"""Samples with known directions, their splits, and the members that are trained on them."""

from __future__ import annotations

import dataclasses
import enum
import pathlib
from collections.abc import Iterator, Sequence
from typing import Annotated, NamedTuple

import numpy as np

from cellmotion_jax.data.ctc import open_dataset
from cellmotion_jax.data.image_split import simulated_movies
from cellmotion_jax.data.pipeline import member_batches
from cellmotion_jax.data.simulate import Simulation
from cellmotion_jax.methods.direction.records import CropSettings, DirectionSource, direction_source
from cellmotion_jax.methods.direction.splits import Split, split_by_group, split_by_image
from cellmotion_jax.settings import MicronsPerPixel, Positive, Range, Settings
from cellmotion_jax.training.config import Run
from cellmotion_jax.training.experiment import TrainingData


class Protocol(enum.Enum):
    """Protocol by which samples are split into 40 % training, 10 % validation and 50 % test."""

    by_image = "by image"
    """The protocol of the paper: at random; neighbouring frames of one cell are in different parts."""
    by_track = "by track"
    """Leak-free within a movie: all frames of a cell are in one part."""
    by_movie = "by movie"
    """Leak-free: whole movies are in one part."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class DirectionData(Settings):
    """Settings of the sources of cells and of the definition of their direction."""

    root: pathlib.Path | None = None
    """Cell Tracking Challenge folder (with 01, 01_GT, ...); None simulates movies."""
    simulation: Simulation = Simulation(frames=16, cells=9, height=640, width=640)
    """Settings of the simulation, if there is no root."""
    movies: Annotated[int, Range(1, 10**5)] = 30
    """Number of simulated movies."""
    threshold_um: Positive = 5.0
    """The direction of a cell is that of its net displacement the first time this exceeds the threshold
    (5 um in Bruns et al., 18 um in Nishimoto et al. 2019)."""
    crop_um: Positive = 110.5
    """Side of the square crop around a cell in micrometres (170 px at 0.65 um/px in Nishimoto et al.)."""
    image_size: Annotated[int, Range(8, 2**12)] = 128
    """Pixels to which a crop is resized by area interpolation."""
    pixel_size_um: MicronsPerPixel | None = None
    """Pixel size; None takes it from the TIFF files or from the name of a known CTC data set."""


class DirectionSamples(NamedTuple):
    """All samples of an experiment; images are read on demand, all other features are in memory."""

    source: DirectionSource
    angle: np.ndarray
    movie: np.ndarray
    """Index of the movie of each sample."""
    track: np.ndarray
    """Index of the cell of each sample, unique over all movies."""
    frame: np.ndarray


class Member(NamedTuple):
    """One of the trainings that run together."""

    name: str
    objective: int
    """Index of its objective."""
    protocol: Protocol
    fold: int
    split: Split


def load_samples(data: DirectionData, *, cache: pathlib.Path, seed: int) -> DirectionSamples:
    """Opens or simulates the movies and cuts out the cells; both are cached for the next run.

    Args:
        data: Settings.
        cache: Folder for simulated movies and prepared records.
        seed: Seed of the simulation.

    Returns:
        The samples.

    Raises:
        InputError: If the folder cannot be used or there is no sample.
    """
    if data.root is not None:
        sequences = open_dataset(data.root)
    else:
        folders = simulated_movies(data.simulation, movies=data.movies, cache=cache, seed=seed)
        sequences = [sequence for folder in folders for sequence in open_dataset(folder)]
    settings = CropSettings(
        threshold_um=data.threshold_um,
        pixel_size_um=data.pixel_size_um,
        crop_um=data.crop_um,
        image_size=data.image_size,
    )
    source = direction_source(sequences, settings, data_dir=cache / "records")
    _, movie = np.unique(source.columns["sequence"], return_inverse=True)
    cells = np.stack([movie, source.columns["track"]], axis=1)
    _, track = np.unique(cells, axis=0, return_inverse=True)
    return DirectionSamples(source, source.columns["angle"], movie, track, source.columns["frame"])


def make_members(
    samples: DirectionSamples,
    *,
    protocols: Sequence[Protocol],
    folds: int,
    objectives: Sequence[str],
    seed: int,
) -> list[Member]:
    """Members for every objective on every fold of every protocol."""
    members = []
    for index, label in enumerate(objectives):
        for protocol in protocols:
            for fold in range(folds):
                name = f"{protocol.value} fold {fold}" + (f", {label}" if len(objectives) > 1 else "")
                split = _split(samples, protocol, fold=fold, seed=seed)
                members.append(Member(name, index, protocol, fold, split))
    return members


def members_data(samples: DirectionSamples, members: Sequence[Member], run: Run) -> TrainingData:
    """Training batches of all members, with the index of the objective of each member.

    Args:
        samples: All samples.
        members: The trainings that run together.
        run: Batch size and seed.

    Returns:
        The batches; the length of an epoch is that of the member with the most samples.
    """
    objective = np.array([[member.objective] * run.batch_size for member in members], np.int32)
    indices = [member.split.train for member in members]

    def batches(start: int) -> Iterator[dict[str, np.ndarray]]:
        for batch in member_batches(
            samples.source, members=indices, batch_size=run.batch_size, seed=run.seed, start_step=start
        ):
            yield {"image": batch["image"], "angle": batch["angle"], "objective": objective}

    return TrainingData(batches, max(map(len, indices)))


def _split(samples: DirectionSamples, protocol: Protocol, *, fold: int, seed: int) -> Split:
    if protocol is Protocol.by_image:
        return split_by_image(len(samples.angle), fold=fold, seed=seed)
    groups = samples.track if protocol is Protocol.by_track else samples.movie
    return split_by_group(groups, fold=fold, seed=seed)
