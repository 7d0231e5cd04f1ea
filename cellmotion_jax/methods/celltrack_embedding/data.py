"""Sources of the training pairs of a tracking embedding."""

from __future__ import annotations

import dataclasses
import pathlib
from typing import Annotated, NamedTuple

import numpy as np

from cellmotion_jax.data.annotated import open_annotated
from cellmotion_jax.data.ctc import open_dataset
from cellmotion_jax.data.image_split import simulated_movies
from cellmotion_jax.data.simulate import Look, Simulation
from cellmotion_jax.errors import InputError
from cellmotion_jax.methods.celltrack_embedding.pairs import PairSettings
from cellmotion_jax.methods.celltrack_embedding.records import PairOrigin, PairSource, pair_source
from cellmotion_jax.settings import Range, Settings


@dataclasses.dataclass(frozen=True, kw_only=True)
class EmbeddingData(Settings):
    """Settings of the sources of pairs; every source gives the same number of pairs."""

    movies: tuple[pathlib.Path, ...] = ()
    """Cell Tracking Challenge folders with tracks (01, 01_GT/TRA); silver masks (01_ST) are used if there."""
    stills: tuple[pathlib.Path, ...] = ()
    """Folders of annotated single images (images and masks), whose cells are moved and deformed at random."""
    phase_contrast: Simulation = Simulation(frames=24, cells=14)
    """Settings of simulated movies of whole cells."""
    nuclei: Simulation = Simulation(look=Look.NUCLEI, frames=24, cells=40)
    """Settings of simulated movies of nuclei."""
    simulated: Annotated[int, Range(0, 10**5)] = 2
    """Number of simulated movies of each of the two kinds; 0 for none."""
    pairs: PairSettings = PairSettings()
    """Settings of the pairs: sizes, and number per source."""

    def check_together(self) -> None:
        """Refuses settings without a source."""
        if not (self.movies or self.stills or self.simulated):
            self.refuse("simulated", "without movies and stills it must be at least 1")


class EmbeddingSamples(NamedTuple):
    """The pairs of an experiment."""

    source: PairSource
    names: tuple[str, ...]
    """Names of the sources, for tables."""

    @property
    def train(self) -> np.ndarray:
        """Indices of the training pairs."""
        return np.flatnonzero(~self.source.held_out)

    @property
    def held_out(self) -> np.ndarray:
        """Indices of the held-out pairs, which show other cells."""
        return np.flatnonzero(self.source.held_out)


def load_pairs(data: EmbeddingData, *, cache: pathlib.Path, seed: int) -> EmbeddingSamples:
    """Opens or simulates all sources and cuts the pairs; both are cached for the next run.

    Args:
        data: Settings.
        cache: Folder for simulated movies and prepared pairs.
        seed: Seed of the simulation and of the choice of pairs.

    Returns:
        All pairs.

    Raises:
        InputError: Anything wrong with a folder, or too few cells in it.
    """
    origins: dict[str, PairOrigin] = {}
    for root in data.movies:
        origins[_new_name(root, origins)] = open_dataset(root)
    for root in data.stills:
        origins[_new_name(root, origins)] = open_annotated(root)
    if data.simulated:
        for simulation in (data.phase_contrast, data.nuclei):
            folders = simulated_movies(simulation, movies=data.simulated, cache=cache, seed=seed)
            name = f"simulated {simulation.look.value}"
            origins[name] = [sequence for folder in folders for sequence in open_dataset(folder)]
    source = pair_source(list(origins.values()), settings=data.pairs, seed=seed, data_dir=cache / "pairs")
    return EmbeddingSamples(source, tuple(origins))


def _new_name(root: pathlib.Path, known: dict[str, PairOrigin]) -> str:
    folder = root.expanduser().resolve()
    # A sequence of a challenge dataset is named 01 everywhere.
    name = f"{folder.parent.name}-{folder.name}" if folder.name.isdecimal() else folder.name
    if name in known:
        raise InputError(f"{root} is the second source named {name!r}; give each source once.")
    return name
