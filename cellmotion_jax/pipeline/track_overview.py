"""Table and picture of the tracks of a movie."""

from __future__ import annotations

import pathlib

from cellmotion_jax.data.movie import Movie
from cellmotion_jax.files.tables import write_table
from cellmotion_jax.pipeline.link import LinkedMovie
from cellmotion_jax.report.trajectories import MOST_IDS_DRAWN, plot_trajectories


def write_overview(folder: pathlib.Path, movie: Movie, linked: LinkedMovie) -> None:
    """Writes ``tracks.csv`` and ``trajectories.png`` beside the masks of a linked movie."""
    tracks, places = linked.tracks, linked.places
    write_table(folder / "tracks.csv", places, pixel_size_um=places.pixel_size_um)
    plot_trajectories(
        movie[-1],
        places.trajectories(len(movie)),
        None,
        folder / "trajectories.png",
        ids=tracks.label if len(tracks) <= MOST_IDS_DRAWN else None,
        # Tracks are numbered 1, 2, ... in the order of the table.
        mothers=tracks.parent - 1,
        pixel_size_um=places.pixel_size_um,
    )
