"""Annotated images of an experiment: from a folder, or from simulated movies if no folder is given."""

from __future__ import annotations

import dataclasses
import pathlib

import tqdm

from cellmotion_jax.data.annotated import ImageSplit, open_annotated
from cellmotion_jax.data.records import digest
from cellmotion_jax.data.simulate import Simulation, simulate, write_simulation
from cellmotion_jax.errors import InputError


def simulated_movies(
    simulation: Simulation, *, movies: int, cache: pathlib.Path, seed: int
) -> list[pathlib.Path]:
    """Simulates movies with a progress bar, or reuses those that an earlier call has written.

    Args:
        simulation: What is simulated; its seed is replaced.
        movies: Number of movies, each with its own seed.
        cache: Folder for the movies; movies there with the same settings are reused.
        seed: Seed of all of them.

    Returns:
        One Cell Tracking Challenge folder per movie.

    Raises:
        InputError: If there is no movie to simulate.
    """
    if movies < 1:
        raise InputError(f"data.movies is {movies}; at least one movie must be simulated.")
    parent = cache / f"simulated-{digest(simulation, seed)[:12]}"
    folders = [parent / f"movie{number:02d}" for number in range(movies)]
    for number, folder in enumerate(tqdm.tqdm(folders, desc="simulating", unit="movie", leave=False)):
        if not folder.exists():
            seeded = dataclasses.replace(simulation, seed=seed * 1000 + number)
            write_simulation(simulate(seeded), folder)
    return folders


def image_split(
    root: pathlib.Path | None, simulation: Simulation, *, movies: int, cache: pathlib.Path, seed: int
) -> ImageSplit:
    """Annotated images of a folder, or of simulated movies if no folder is given.

    The last simulated movie is for testing, the one before it for validation.

    Args:
        root: See `open_annotated`; None simulates.
        simulation: What is simulated; its seed is replaced.
        movies: Number of movies; all frames of a movie belong to one part.
        cache: Folder for the movies.
        seed: Seed of all of them.

    Returns:
        Their images.

    Raises:
        InputError: If there are fewer than three movies, or something is wrong with the folder.
    """
    if root is not None:
        return open_annotated(root)
    if movies < 3:
        raise InputError(f"data.movies is {movies}; training, validation and test need one each.")
    folders = simulated_movies(simulation, movies=movies, cache=cache, seed=seed)
    *train, validation, test = (
        tuple(image for part in open_annotated(folder) for image in part) for folder in folders
    )
    return ImageSplit(tuple(image for movie in train for image in movie), validation, test)
